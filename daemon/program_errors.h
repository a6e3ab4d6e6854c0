/* What a program says on its standard error: line by line, for the log.
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

/* The program runs. */
void program_errors_begin(struct program_errors *errors, pid_t pid);

/* It has ended: logs what is there, and closes it. */
void program_errors_end(struct program_errors *errors);
