/* How a program ended, or why it never ran. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct program_spec;

/* Where the way to a running program ended. */
enum program_step {
        PROGRAM_RAN, /* it went the whole way */

        /* Before the spawner was asked. */
        PROGRAM_ASK, /* the error is what program_start() returned */

        /* The spawner refuses. */
        PROGRAM_TOO_MANY, /* as many run as may */
        PROGRAM_TOO_FAST, /* as many were started in the last second as may be */
        PROGRAM_TAKE,     /* it has no memory or no descriptors left */

        /* The spawner fails, or the new process does before it is the program. */
        PROGRAM_FORK,
        PROGRAM_SESSION,
        PROGRAM_DESCRIPTORS,
        PROGRAM_LIMITS,
        PROGRAM_GROUPS,
        PROGRAM_GROUP,
        PROGRAM_USER,
        PROGRAM_PRIVILEGES, /* that it must not keep */
        PROGRAM_DIRECTORY,
        PROGRAM_EXECUTE,

        PROGRAM_LOST, /* what became of it is not known: the spawner has ended, or the worker does.
                       * It was killed */

        N_PROGRAM_STEPS,
};

struct program_end {
        enum program_step step; /* PROGRAM_RAN: what follows is how it ended; else why it did not
                                 * run, and all else but error and pid is 0 */
        int error;              /* an errno (positive), of the step that failed; 0: none */
        pid_t pid;              /* 0: there was no process */
        int status;             /* that it exited with; -1: it was ended by a signal */
        int signal;             /* that ended it; 0: none */
        bool was_late;          /* it took longer than its timeout, and was ended */
        bool was_stopped;       /* by program_stop() */
        uint64_t elapsed_us;    /* from its start to its end */
        uint64_t user_us, system_us; /* processor time of it and the children it waited for */
        uint64_t max_resident;       /* bytes that it, or one of those, had in memory at most */
};

/* Whether it ran and ended with success. */
static inline bool program_end_is_good(const struct program_end *end) {
        return end->step == PROGRAM_RAN && end->status == 0 && !end->was_late;
}

/* Whether a limit on all programs kept it from running: it may be tried again later. */
static inline bool program_end_is_refusal(const struct program_end *end) {
        return end->step == PROGRAM_TOO_MANY || end->step == PROGRAM_TOO_FAST ||
               end->step == PROGRAM_TAKE || (end->step == PROGRAM_ASK && end->error == EAGAIN);
}

/* Room for what program_end_describe() says. */
#define PROGRAM_END_TEXT_MAX 512

/* Writes what happened, for the log and for answers: "cannot execute /usr/bin/nope: No such file or
 * directory", "exited with status 3", "was ended by signal 9 (Killed)", "took longer than 5s".
 * Returns text. */
const char *program_end_describe(const struct program_end *end, const struct program_spec *spec,
                                 char text[PROGRAM_END_TEXT_MAX]);
