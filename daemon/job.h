/* A job: work that would stall a worker, done by a thread of libuv's pool beside it. */
#pragma once

#include <uv.h>

struct worker;

struct job {
        void (*run)(struct job *job);  /* in a thread of the pool, at a lower priority */
        void (*done)(struct job *job); /* afterwards, in the worker that began it */
        struct worker *worker;
        uv_work_t request;
};

/* Begins a job whose functions are set. It must stay until it is done, which the worker's end waits
 * for only as long as one of its connections does. Returns 0 or a negative errno. In the worker's
 * thread. */
int job_begin(struct job *job, struct worker *worker);

/* Nobody wants its result any more: unless it has been begun it is not run, only done. In the
 * worker's thread. */
void job_abandon(struct job *job);
