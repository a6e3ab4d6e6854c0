/* One program of a listener with exec: started, its standard error logged, its end counted and
 * logged. What its standard input and output are is its owner's matter.
 *
 * By the worker's own thread.
 */
#pragma once

#include "daemon/program.h"
#include "daemon/program_errors.h"
#include "daemon/worker.h"

struct config_handler;
struct listener;

/* Part of its owner. */
struct exec_run {
        /* Set by the owner, who keeps the references as long as it runs. */
        struct worker *worker;
        struct listener *listener;
        struct config_handler *settings;

        /* It runs. NULL: that is of no interest. */
        void (*started)(struct exec_run *run);

        /* It has ended, or could not be started. Called once for each exec_run_start() that
         * returned 0, never by that; may free the run, or start it again. */
        void (*over)(struct exec_run *run, const struct program_end *end);

        struct worker_guest guest; /* as long as it runs */
        struct program program;
        struct program_errors errors;
        pid_t pid;       /* 0: it does not run */
        bool is_stopped; /* whatever ends it then, it was to end */
};

/* Starts it. variables, descriptors: as of program_start(), but for standard error. Returns 0, or
 * -EAGAIN: later, or another negative errno, which was logged and counted. */
int exec_run_start(struct exec_run *run, const char *const *variables, int input, int output);

/* The same with these bytes as its standard input, and its standard output for take; see
 * program_output.h. It opens *outputp, which the owner closes, also on failure. */
int exec_run_start_on(struct exec_run *run, const char *const *variables, struct bytes input,
                      void (*take)(void *owner, struct bytes bytes), void *owner,
                      struct program_output **outputp);

/* Has it end, if it runs. */
void exec_run_stop(struct exec_run *run);

/* Whether `over` is still to come. */
static inline bool exec_run_is_under_way(const struct exec_run *run) {
        return program_is_running(&run->program);
}

/* A limit on all programs has put off a start: counts it and says so. */
void exec_run_note_delay(struct listener *listener, struct config_handler *settings);
