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
        bool (*is_wanted)(struct job *job); /* when its turn comes; NULL: always */

        bool is_dropped; /* it was not wanted, or could not be begun: it was not run */
        uint32_t source;
        uv_work_t request;
        struct list_link link; /* the worker's that are under way, or wait */
};

/* Begins a job whose functions are set when no other one of its source is under way in this worker,
 * so that a source with many of them is in nobody's way. One that is dropped is done without having
 * been run. It must stay until it is done, which the worker's end waits for only as long as one of
 * its connections does. In the worker's thread. */
void job_begin(struct job *job, struct worker *worker, uint32_t source);
