/* A job: work that would stall a worker, done by a thread of libuv's pool beside it.
 *
 * Jobs stand in a line of their worker, one for those that take a millisecond and one for those
 * that may take a second. Of each source one is under way at a time, and the sources take turns, so
 * that one with many jobs is in nobody's way; and of the long ones only so many are under way that
 * at least half of the pool's threads are left to the others.
 */
#pragma once

#include "lib/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct worker;

/* The jobs of a worker, of one kind. In the worker's thread. */
struct job_line {
        struct list_link under_way, waiting;
        unsigned n_under_way, max; /* max 0: no limit */
        bool is_advancing;
};

struct job {
        void (*run)(struct job *job);       /* in a thread of the pool, at a lower priority */
        void (*done)(struct job *job);      /* afterwards, in the worker that began it */
        bool (*is_wanted)(struct job *job); /* when its turn comes; NULL: always */

        struct worker *worker;
        struct job_line *line;
        bool is_dropped; /* it was not wanted, or could not be begun: it was not run */
        uint32_t source;
        uv_work_t request;
        struct list_link link; /* of its line */
};

void job_line_init(struct job_line *line, unsigned max);

/* How many long jobs each of so many workers may have under way, and how many threads the pool is
 * to have for that; libuv is told so, unless somebody has already. Before the first job. */
unsigned jobs_prepare(unsigned n_workers);

/* Begins a job whose functions are set when its turn in a line of this worker comes. One that is
 * dropped is done without having been run. It must stay until it is done, which the worker's end
 * waits for only as long as one of its connections does. In the worker's thread. */
void job_begin(struct job *job, struct worker *worker, struct job_line *line, uint32_t source);
