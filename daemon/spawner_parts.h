/* What the spawner's files share: the process (spawner_process.c), its children
 * (spawner_child.c), and what a child does before it is the program (spawner_exec.c).
 */
#pragma once

#include "daemon/spawner.h"
#include "daemon/spawner_wire.h"
#include "lib/list.h"

#include <stdint.h>
#include <sys/resource.h>

/* The daemon's way to the programs of one worker. */
struct channel {
        int fd;                /* owned */
        bool is_full;          /* it does not take reports at the moment */
        size_t polled;         /* where it stands among what is polled; 0: not there */
        struct list_link link; /* the process's */
};

enum child_stage {
        CHILD_STARTING, /* it is not the program yet */
        CHILD_RUNNING,
        CHILD_ASKED,  /* it got SIGTERM */
        CHILD_KILLED, /* it got SIGKILL */
        CHILD_OVER,   /* it was waited for, or was never made; what is to be told of it remains */
};

struct child {
        struct channel *channel; /* borrowed; NULL: nobody wants to hear of it */
        uint32_t slot;
        pid_t pid; /* and its session and group; 0: it was never made */
        enum child_stage stage;
        int errors;           /* owned: ends when it has executed the program; -1: that is over */
        uint64_t start_ns;    /* monotonic, as the next one */
        uint64_t deadline_ns; /* of the stage; UINT64_MAX: none */
        uint64_t grace_ns;
        bool tells_start; /* that it runs is to be told */
        bool has_started; /* is to be told now */
        struct program_end end;
        size_t polled;         /* as above */
        struct list_link link; /* the process's */
};

struct spawner_process {
        int control;          /* the daemon's other end of it: when it is closed, all is over */
        int signals;          /* signalfd(2) of SIGCHLD */
        int nothing;          /* /dev/null, for descriptors that are not given */
        pid_t pid;            /* its own */
        rlim_t n_files;       /* the soft limit on descriptors that programs have */
        unsigned max_running; /* 0: none, also as long as nothing was said */
        unsigned max_starts;  /* in a second */
        uint64_t due_ns; /* when what was started would have been in order at the steady rate */
        struct list_link channels;
        struct list_link children; /* the oldest first */
        unsigned n_running;        /* of them: those that exist */
        struct pollfd *polled;     /* owned */
        size_t n_polled_max;
        struct spawner_vectors vectors;
        char record[SPAWNER_RECORD_MAX];
};

/* What a request brought along. */
#define PASSED_MAX 3
struct passed {
        int fds[PASSED_MAX]; /* owned; n of them */
        size_t n;
};

/* --- spawner_process.c ------------------------------------------------------------------------ */

/* Is the spawner until the other end of control is closed, and never returns. arguments: as of
 * spawner_start(). */
__attribute__((noreturn)) void spawner_process_run(int control, char **arguments);

uint64_t spawner_now_ns(void);

/* --- spawner_child.c -------------------------------------------------------------------------- */

/* Carries out a start or says why not; with fewer descriptors than the request has bits they could
 * not be taken. Returns 0, or -ENOMEM if nothing can be said. */
int spawner_child_start(struct spawner_process *process, struct channel *channel,
                        const struct spawner_request *request, const struct passed *passed);

/* Of the channel's child with that slot, if there is one. */
void spawner_child_stop(struct spawner_process *process, struct channel *channel,
                        const struct spawner_request *request);

/* Reads what a starting child has to say, if it has anything. */
void spawner_child_read_errors(struct child *child);

/* Waits for all that have ended. */
void spawner_children_reap(struct spawner_process *process);

/* Ends those whose time is over. Returns when the next one's is, or UINT64_MAX. */
uint64_t spawner_children_check(struct spawner_process *process);

/* Says what is to be said on a channel, as far as it takes it. */
void spawner_children_tell(struct spawner_process *process, struct channel *channel);

/* Kills those of a channel, which is about to be closed; of all channels if NULL. */
void spawner_children_drop(struct spawner_process *process, const struct channel *channel);

/* --- spawner_exec.c --------------------------------------------------------------------------- */

/* What a child that could not become the program says to the spawner. */
struct spawner_failure {
        int step; /* enum program_step */
        int error;
};

/* Turns a new process into the program; what prevents it goes to errors. Never returns. */
__attribute__((noreturn)) void spawner_exec(const struct spawner_process *process,
                                            const struct spawner_request *request,
                                            const struct passed *passed, int errors);
