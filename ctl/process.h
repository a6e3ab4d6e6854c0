/* A program that is run with bytes on its standard input, and whose output is collected. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_output {
        char *bytes; /* own; terminated by NUL beyond n */
        size_t n;
        bool is_cut; /* there was more than the limit; it was read and dropped */
        int status;  /* exit status; 128 + number of a signal */
};

/* What else counts while a program runs. */
struct process_watch {
        int descriptors[2];  /* to read from; -1: none */
        int64_t deadline_ms; /* for the program; see ctl/deadline.h */

        /* Called when a descriptor is readable, which it may change to -1, and when the program is
         * late. Returns whether the program may go on; a late one may not in any case. */
        bool (*function)(void *data);
        void *data;
};

/* Runs argv[0], looked for in $PATH, without a shell. environment: as of execve(2).
 * with_errors: collect its standard error as well, else it is inherited. No signal is blocked in
 * it, and SIGPIPE has its default disposition. SIGPIPE must be ignored by the caller.
 * watch: NULL, or the program leads a process group, which gets SIGTERM when it may not go on, and
 * SIGKILL if a second later it still runs.
 * Returns 0 when it has ended and all its output was read, or -errno if it could not be started or
 * memory ran out. output is to be deinitialised in any case. */
int process_run(char *const argv[], char *const environment[], const void *input, size_t n_input,
                size_t limit, bool with_errors, struct process_watch *watch,
                struct process_output *output);
void process_output_deinit(struct process_output *output);

/* Whether process_run() would find the program. */
bool process_exists(const char *program);
