/* Jobs. See job.h. */
#include "daemon/job.h"

#include "daemon/worker.h"
#include "lib/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A worker with something to send goes before. */
#define JOB_NICE 10
/* Up to so many workers have two long jobs at a time, so that a very long one leaves a place. */
#define WORKERS_FEW 4
/* What libuv has by itself, and what it has at most. */
#define THREADS_DEFAULT 4
#define THREADS_MAX     1024

void job_line_init(struct job_line *line, unsigned max) {
        list_init(&line->under_way);
        list_init(&line->waiting);
        line->n_under_way = 0;
        line->max = max;
        line->is_advancing = false;
}

unsigned jobs_prepare(unsigned n_workers) {
        unsigned n_long = n_workers <= WORKERS_FEW ? 2 : 1;
        unsigned n_threads = 2 * n_long * n_workers;
        char text[16];

        if (n_threads > THREADS_MAX)
                n_threads = THREADS_MAX;
        if (n_threads > THREADS_DEFAULT) {
                snprintf(text, sizeof(text), "%u", n_threads);
                (void)setenv("UV_THREADPOOL_SIZE", text, 0);
        }
        return n_long;
}

static void job_run(uv_work_t *request) {
        struct job *job = container_of(request, struct job, request);

        /* Of Linux: of this thread alone. */
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), JOB_NICE);
        job->run(job);
}

static bool is_under_way(const struct job_line *line, uint32_t source) {
        LIST_FOREACH (link, &line->under_way)
                if (container_of(link, struct job, link)->source == source)
                        return true;
        return false;
}

/* The first of that source, or NULL. */
static struct job *find_waiting(struct job_line *line, uint32_t source) {
        LIST_FOREACH (link, &line->waiting) {
                struct job *job = container_of(link, struct job, link);

                if (job->source == source)
                        return job;
        }
        return NULL;
}

/* The next whose turn it is, or NULL. Where there is no limit, only those of `source`, of which one
 * has come or ended, can have waited for it. */
static struct job *find_next(struct job_line *line, uint32_t source) {
        if (line->max == 0)
                return is_under_way(line, source) ? NULL : find_waiting(line, source);
        if (line->n_under_way >= line->max)
                return NULL;
        LIST_FOREACH (link, &line->waiting) {
                struct job *job = container_of(link, struct job, link);

                if (!is_under_way(line, job->source))
                        return job;
        }
        return NULL;
}

static void job_done(uv_work_t *request, int status);

static bool begin(struct job *job) {
        if (job->is_wanted && !job->is_wanted(job))
                return false;
        return uv_queue_work(&job->worker->loop, &job->request, job_run, job_done) == 0;
}

/* Begins those whose turn it is. What is done with one that is dropped may begin another, whose
 * turn is seen to here as well. */
static void advance(struct job_line *line, uint32_t source) {
        struct job *job;

        if (line->is_advancing && line->max > 0)
                return;
        line->is_advancing = true;
        while ((job = find_next(line, source)) != NULL) {
                list_unlink(&job->link);
                if (begin(job)) {
                        list_append(&line->under_way, &job->link);
                        line->n_under_way++;
                } else {
                        job->is_dropped = true;
                        job->done(job);
                }
        }
        line->is_advancing = false;
}

/* Others have their turn before this source has another. */
static void stand_behind(struct job_line *line, uint32_t source) {
        struct list_link again;

        list_init(&again);
        LIST_FOREACH_SAFE (link, &line->waiting) {
                if (container_of(link, struct job, link)->source != source)
                        continue;
                list_unlink(link);
                list_append(&again, link);
        }
        list_move(&line->waiting, &again);
}

static void job_done(uv_work_t *request, int status) {
        struct job *job = container_of(request, struct job, request);
        struct job_line *line = job->line;
        uint32_t source = job->source;

        worker_enter(job->worker);
        list_unlink(&job->link);
        line->n_under_way--;
        if (line->max > 0)
                stand_behind(line, source);
        job->done(job);
        advance(line, source);
}

void job_begin(struct job *job, struct worker *worker, struct job_line *line, uint32_t source) {
        list_init(&job->link);
        job->worker = worker;
        job->line = line;
        job->source = source;
        list_append(&line->waiting, &job->link);
        advance(line, source);
}
