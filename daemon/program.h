/* Programs that are run: what a worker asks of the spawner, and what it hears of them.
 *
 * Each worker has a channel of its own to the spawner (spawner.h), made when it is first needed. A
 * start is one message with the program's descriptors, and never waits: what the socket does not
 * take is refused. Of each program that was asked for, the worker that asked is told exactly once
 * that it has ended, or was not started.
 *
 * A program leads a session and a process group of its own. It has its standard descriptors and no
 * other, no signal is ignored or blocked, and what is left of its group when it ends is killed.
 *
 * Everything here is for the worker's own thread.
 */
#pragma once

#include "daemon/program_end.h"
#include "daemon/program_spec.h"

struct programs;
struct worker;

/* One program that was asked for. Part of whoever asks; must stay until ended() is called, or
 * program_leave() is. */
struct program {
        /* It runs: the new process has executed it. NULL: this is of no interest, which saves a
         * message. */
        void (*started)(struct program *program, pid_t pid);

        /* It has ended, or could not be started: end tells. Called once, in a batch of the worker,
         * never by a function below; may free the program, or start it again. */
        void (*ended)(struct program *program, const struct program_end *end);

        struct programs *programs; /* the channel; borrowed. NULL: it is not running */
        uint32_t slot;
};

/* Starts a program whose functions are set. spec: only for the time of the call. variables:
 * "NAME=value", NULL at the end, or NULL: for this start, in front of those of spec with the same
 * names. descriptors: its standard input, output and error; -1: /dev/null; the same one may stand
 * there several times. They remain the caller's, who may close them at once, and are made blocking:
 * whoever keeps one that shares its open file has to make it non-blocking again.
 * Returns 0; or, without any call later, a negative errno that program_end_describe() knows as that
 * of the step PROGRAM_ASK: -EAGAIN: too many are being started; -E2BIG: arguments and environment
 * are too large; -EINVAL: a path is not absolute, or a variable has no name; -EPIPE: there is no
 * spawner any more; -ESHUTDOWN: the worker is about to end; -ENOMEM, -EMFILE and the like: there is
 * no channel yet, and none can be made. */
int program_start(struct program *program, struct worker *worker, const struct program_spec *spec,
                  const char *const *variables, const int descriptors[3]);

/* What program_start() returned, as an end to describe or to report. */
static inline struct program_end program_end_unasked(int r) {
        return (struct program_end){.step = PROGRAM_ASK, .error = -r};
}

/* Has a running program end: its group gets SIGTERM, and after grace_ms SIGKILL, 0: at once. A
 * second call can shorten the time. It still ends by ended(). Nothing happens if it does not run.
 */
void program_stop(struct program *program, uint64_t grace_ms);

/* Nobody is told of it any more; it goes on until its end or its timeout. */
void program_leave(struct program *program);

/* Whether ended() is still to come. */
static inline bool program_is_running(const struct program *program) {
        return program->programs != NULL;
}

/* Closes the worker's channel, if it has one, before its loop ends: all programs are killed, and
 * those who wait for them are told (PROGRAM_LOST). */
void programs_close(struct worker *worker);
