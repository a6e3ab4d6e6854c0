/* A worker: a thread with one event loop, and what its batches need.
 *
 * One iteration of the loop is a batch: sockets are read and operations carried out, which fills
 * stages; then each touched connection is flushed; then the worker passes its quiescent state and
 * waits for the next event. Between iterations it holds no pointer to anything that other threads
 * may free.
 *
 * Unless stated otherwise, everything here is for the worker's own thread.
 */
#pragma once

#include "daemon/job.h"
#include "daemon/mailbox.h"
#include "daemon/match_cache.h"
#include "daemon/permissions_cache.h"
#include "daemon/pipe_pool.h"
#include "daemon/program_line.h"
#include "daemon/reclaim.h"
#include "daemon/stage.h"
#include "daemon/stats.h"
#include "daemon/timers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct block;
struct config;
struct instance;
struct programs;
struct workers;

/* Bytes read at once. */
#define WORKER_INPUT_SIZE (128 * 1024)

/* How deep deliveries that publish further can be nested, and the first one: what comes to an
 * account goes on to others, to a service there, and its answer the same way back. */
#define WORKER_DEPTH_MAX 8

/* A part of a block that was copied to one of its own, because receivers could not take it in
 * time. */
struct worker_copy {
        struct block *source; /* a reference, so that the address stays its own; NULL: none */
        const char *data;     /* where it stands there */
        struct block *block;  /* a reference */
};
#define WORKER_COPIES 64

/* How many sources of TLS handshakes are told apart. */
#define WORKER_HANDSHAKE_SOURCES 1024

/* What the present input costs, and how its receivers keep up. */
struct pressure {
        uint64_t n_work; /* deliveries and nodes of the index looked at, as a measure of time */
        unsigned n_deliveries, n_congested;
        bool is_critical;
        struct connection *congested; /* one of them; valid during the batch */
        struct connection *receiver;  /* the last one; likewise */
        bool has_several;             /* there are others */
};

/* Whoever has something of his own in a worker's loop, beside connections and listeners. */
struct worker_guest {
        struct list_link link;                    /* the worker's guests */
        void (*stop)(struct worker_guest *guest); /* the worker ends: closes it. In its thread */
};

struct worker {
        unsigned index;
        struct workers *workers;   /* all of them; borrowed */
        struct instance *instance; /* what all threads share; borrowed */
        struct config *config;     /* a reference; replaced by a reload */
        pthread_t thread;
        uv_loop_t loop;
        struct mailbox mailbox; /* any thread may post */
        uv_prepare_t prepare;   /* the end of a batch */
        bool is_online;         /* inside a batch */

        struct block *input;                      /* what sockets are read into */
        struct worker_copy copies[WORKER_COPIES]; /* of this batch, by address */
        bool has_copies;
        struct stages stages;
        struct list_link deferred; /* tasks for after the flush */
        struct job_line quick_jobs, long_jobs;
        struct reclaim reclaim;
        struct match_cache matches[WORKER_DEPTH_MAX]; /* what is being delivered stays untouched */
        unsigned depth;
        struct permissions_cache permissions;
        struct pressure pressure;
        uint64_t random;        /* state of worker_random() */
        struct pipe_pool pipes; /* for relays */
        struct stats stats;

        struct timers timers;           /* of its connections */
        struct list_link connections;   /* of this worker */
        _Atomic unsigned n_connections; /* written here, read by whoever chooses a worker */
        struct list_link handshakes;    /* of TLS, that wait for their peers, the oldest first */
        unsigned n_handshakes;          /* of them */
        uint16_t handshake_sources[WORKER_HANDSHAKE_SOURCES]; /* of them, by a hash of where from */
        struct list_link introductions; /* those that a proxy has to tell of, the oldest first */
        unsigned n_introductions;       /* of them */
        struct list_link held;          /* publishers that wait for their receivers */
        uv_timer_t held_timer;
        uv_timer_t trim_timer;       /* gives memory back when it is quiet */
        uint64_t n_turned, n_looked; /* bytes that went through the heap; when last looked at */
        struct list_link listeners;  /* those that this worker accepts on */
        struct list_link endpoints;  /* datagram sockets of this worker */
        struct list_link strangers;  /* connections for unknown datagram peers */
        struct list_link guests;     /* others */
        struct programs *programs;   /* its channel to the spawner; NULL: none was needed yet */
        uv_timer_t line_timer;       /* of the first who waits for a program; see program_line.h */
        bool is_stopping;
};

struct workers {
        struct worker *all;
        unsigned count;       /* made; while the daemon serves, all of them run */
        unsigned n_running;   /* their threads */
        unsigned n_long_jobs; /* that each may have under way */
        struct program_line line;
};

/* Starts `count` threads. Returns 0 or a negative errno, after which workers_stop()
 * ends those that run. */
int workers_start(struct workers *workers, unsigned count, struct instance *instance,
                  struct config *config);

/* Has each worker close its connections and end; waits for them. Any other thread. */
void workers_stop(struct workers *workers);

/* Frees what they held. */
void workers_deinit(struct workers *workers);

/* The worker with the fewest connections; `preferred` if it is one of them. Any thread. */
struct worker *workers_choose(struct workers *workers, struct worker *preferred);

/* Begins a batch, if none has begun. At the start of each callback of the loop. */
void worker_enter(struct worker *worker);

/* Flushes all that the batch has staged so far. */
void worker_flush(struct worker *worker);

/* Runs a task at the end of the batch, when its output has been flushed. */
void worker_defer(struct worker *worker, struct task *task);

/* A random number. */
uint64_t worker_random(struct worker *worker);

/* An input block that nobody else refers to, or NULL if there is no memory. */
struct block *worker_input(struct worker *worker);

/* A block of its own for bytes that lie in `source`; the same one for the same bytes, so that all
 * receivers share it. Borrowed until the end of the batch. NULL if there is no memory. */
struct block *worker_copy(struct worker *worker, struct block *source, struct bytes bytes);

/* Runs `run` in each worker's thread in turn, then `done` in the thread of `home`'s mailbox; the
 * visit is the caller's and must live until done. */
struct visit {
        struct task task;
        struct workers *workers;
        struct mailbox *home;
        unsigned next;
        void (*run)(struct visit *visit, struct worker *worker);
        void (*done)(struct visit *visit);
};
void workers_visit(struct workers *workers, struct visit *visit, struct mailbox *home);

/* Calls `done` in this worker's thread when every other worker has flushed all that it had staged
 * when this was called. The fence is the caller's and must live until then. */
struct fence {
        struct task task; /* posted back when the last worker has passed */
        struct worker *worker;
        _Atomic unsigned n_left;
        void (*done)(struct fence *fence);
};
void worker_fence(struct worker *worker, struct fence *fence);

/* Sees to it that held connections are looked at soon, if there are any. */
void worker_watch_held(struct worker *worker);

/* So many bytes went through the heap, or will have soon. When it becomes quiet, what malloc keeps
 * of them is given back to the system. */
void worker_turn_over(struct worker *worker, size_t n_bytes);

/* One of the worker's connections was freed. */
void worker_connection_freed(struct worker *worker);
