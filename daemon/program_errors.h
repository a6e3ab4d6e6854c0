/* What a program says on its standard error: line by line, for the log; or the beginning of it, for
 * who is answered.
 *
 * A line has a limit, beyond which it is cut, and so have the lines of all that share a limit; what
 * is more is read and dropped, so that nobody waits for the log. By the worker's own thread.
 */
#pragma once

#include "daemon/program_output.h"
#include "lib/log.h"

#include <sys/types.h>

#define PROGRAM_ERRORS_LINE_MAX 1024

struct program_errors {
        struct program_output *output; /* owned; NULL: closed */
        struct log_limit *limit;       /* borrowed */
        const char *kind, *name;       /* whose program it is, as in: listener "name"; borrowed */
        pid_t pid;
        size_t n; /* of the line */
        char line[PROGRAM_ERRORS_LINE_MAX];
        bool is_cut; /* the rest of it is dropped */
};

/* Opens it; the other fields are set. Returns the end that the program gets, which is the caller's,
 * or a negative errno. */
int program_errors_open(struct program_errors *errors, struct worker *worker);

/* Of who reads it by himself, and has opened nothing: logs the lines that are complete; what there
 * is of one that is not. */
void program_errors_take(struct program_errors *errors, struct bytes bytes);
void program_errors_flush(struct program_errors *errors);

/* The program runs. */
void program_errors_begin(struct program_errors *errors, pid_t pid);

/* It has ended: logs what is there, and closes it. */
void program_errors_end(struct program_errors *errors);

/* --- the beginning ---------------------------------------------------------------------------- */

#define PROGRAM_COMPLAINT_MAX 1024

struct program_complaint {
        char text[PROGRAM_COMPLAINT_MAX];
        size_t n;
};

/* Keeps what fits, and drops the rest. complaint: a struct program_complaint, as
 * program_pipe_drain() has it. */
void program_complaint_take(void *complaint, struct bytes bytes);

/* What was kept, without the end of its last line. */
struct bytes program_complaint_text(const struct program_complaint *complaint);
