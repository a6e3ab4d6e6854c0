/* The threads of a benchmark: each has a connection of its own and plays one part. */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/histogram.h"
#include "lib/sockd.h"

enum bench_role { BENCH_PUBLISHER, BENCH_SUBSCRIBER, BENCH_REQUESTER, BENCH_RESPONDER };

struct bench;

struct bench_worker {
        struct bench *bench; /* borrowed */
        enum bench_role role;
        pthread_t thread;
        bool is_started;
        struct sockd *connection;  /* own; the thread's once it runs */
        uint64_t quota;            /* messages to publish or to request */
        int result;                /* of the library; not 0: it has failed */
        uint64_t end_ns;           /* when its part was done */
        struct histogram *latency; /* own */
        char *payload;             /* own; publishers and requesters */

        /* Read by the others, so on a cache line of its own. */
        alignas(128) _Atomic uint64_t n_done;
};

struct bench {
        const char *subject;
        size_t size;          /* of a payload */
        uint64_t n_messages;  /* UINT64_MAX: until deadline_ns */
        uint64_t deadline_ns; /* UINT64_MAX: none */
        uint64_t interval;    /* one message in so many tells its time; 0: none does */
        uint64_t window;      /* messages that may be under way to a subscriber */
        size_t n_receivers;   /* subscribers or responders */
        int stall_ms;         /* without progress for so long, it has failed */

        struct bench_worker *workers; /* own */
        size_t n_workers;
        uint64_t start_ns;

        _Atomic uint64_t n_expected; /* for each subscriber; UINT64_MAX: not known yet */
        _Atomic size_t n_senders;    /* publishers and requesters that still run */
        _Atomic bool is_stopped;     /* somebody failed, or responders are not needed any more */

        pthread_mutex_t mutex;
        pthread_cond_t ended;
        size_t n_running; /* under the mutex */
};

uint64_t bench_now_ns(void);

/* Body of a worker's thread; data is its struct bench_worker. */
void *bench_worker_run(void *data);

/* What all workers of a role have done so far. */
uint64_t bench_count(const struct bench *bench, enum bench_role role);
