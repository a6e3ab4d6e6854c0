/* A job: work that would stall a worker, done by a thread of libuv's pool beside it. */
#pragma once

#include "lib/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct worker;

struct job {
        void (*run)(struct job *job);  /* in a thread of the pool, at a lower priority */
        void (*done)(struct job *job); /* afterwards, in the worker that began it */
        struct worker *worker;
        uv_work_t request;

        /* Of those that are begun in turn. */
        bool (*is_wanted)(struct job *job); /* before it is begun; NULL: always */
        bool is_dropped;                    /* it was not wanted, or could not be begun */
        uint32_t source;
        struct list_link link; /* the worker's that are under way, or wait */
};

/* Begins a job whose functions are set. It must stay until it is done, which the worker's end waits
 * for only as long as one of its connections does. Returns 0 or a negative errno. In the worker's
 * thread. */
int job_begin(struct job *job, struct worker *worker);

/* Begins a job when no other one of its source is under way in this worker, so that a source with
 * many of them is in nobody's way. One that is dropped is done without having been run. In the
 * worker's thread. */
void job_begin_in_turn(struct job *job, struct worker *worker, uint32_t source);

/* Nobody wants its result any more: unless it has been begun it is not run, only done. In the
 * worker's thread. */
void job_abandon(struct job *job);
