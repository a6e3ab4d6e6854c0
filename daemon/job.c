/* Jobs. See job.h. */
#include "daemon/job.h"

#include "daemon/worker.h"
#include "lib/list.h"

#include <sys/resource.h>
#include <unistd.h>

/* A worker with something to send goes before. */
#define JOB_NICE 10

static void job_run(uv_work_t *request) {
        struct job *job = container_of(request, struct job, request);

        /* Of Linux: of this thread alone. */
        (void)setpriority(PRIO_PROCESS, (id_t)gettid(), JOB_NICE);
        job->run(job);
}

/* The first in a list of that source, or NULL. */
static struct job *find_job(struct list_link *jobs, uint32_t source) {
        LIST_FOREACH (link, jobs) {
                struct job *job = container_of(link, struct job, link);

                if (job->source == source)
                        return job;
        }
        return NULL;
}

static void begin_next(struct worker *worker, uint32_t source);

static void job_done(uv_work_t *request, int status) {
        struct job *job = container_of(request, struct job, request);
        struct worker *worker = job->worker;
        uint32_t source = job->source;

        worker_enter(worker);
        list_unlink(&job->link);
        job->done(job);
        begin_next(worker, source);
}

static bool begin(struct worker *worker, struct job *job) {
        if (job->is_wanted && !job->is_wanted(job))
                return false;
        return uv_queue_work(&worker->loop, &job->request, job_run, job_done) == 0;
}

/* Begins the next of a source, unless one is under way. */
static void begin_next(struct worker *worker, uint32_t source) {
        struct job *job;

        while (!find_job(&worker->jobs, source) &&
               (job = find_job(&worker->waiting_jobs, source)) != NULL) {
                list_unlink(&job->link);
                if (begin(worker, job)) {
                        list_append(&worker->jobs, &job->link);
                } else {
                        job->is_dropped = true;
                        job->done(job);
                }
        }
}

void job_begin(struct job *job, struct worker *worker, uint32_t source) {
        list_init(&job->link);
        job->worker = worker;
        job->source = source;
        list_append(&worker->waiting_jobs, &job->link);
        begin_next(worker, source);
}
