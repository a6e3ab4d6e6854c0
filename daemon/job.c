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

static void job_done(uv_work_t *request, int status) {
        struct job *job = container_of(request, struct job, request);

        worker_enter(job->worker);
        job->done(job);
}

int job_begin(struct job *job, struct worker *worker) {
        job->worker = worker;
        return uv_queue_work(&worker->loop, &job->request, job_run, job_done);
}

void job_abandon(struct job *job) {
        (void)uv_cancel((uv_req_t *)&job->request);
}
