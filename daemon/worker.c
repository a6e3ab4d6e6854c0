/* Workers. See worker.h. */
#include "daemon/worker.h"

#include "daemon/block.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/introduction.h"
#include "daemon/listener.h"
#include "daemon/program.h"
#include "lib/log.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* It is quiet when less than this goes through the heap in such a time; less is not worth giving
 * back. */
#define TRIM_BYTES (1024 * 1024)
#define TRIM_MS    1000
/* What malloc keeps until then, and what it may keep: memory that comes and goes with each batch
 * must not go through the kernel, which clears it page by page. */
#define KEEP_MAX  (32 * 1024 * 1024)
#define BLOCK_MAX (2 * 1024 * 1024)

/* How many stages are looked at, at a time. */
#define FLUSH_STAGES 64

void worker_enter(struct worker *worker) {
        if (worker->is_online)
                return;
        worker->is_online = true;
        reclaim_thread_online();
}

static void worker_enter_by_mail(void *owner) {
        worker_enter(owner);
}

void worker_defer(struct worker *worker, struct task *task) {
        list_append(&worker->deferred, &task->link);
}

uint64_t worker_random(struct worker *worker) {
        /* xorshift64* */
        worker->random ^= worker->random >> 12;
        worker->random ^= worker->random << 25;
        worker->random ^= worker->random >> 27;
        return worker->random * UINT64_C(0x2545f4914f6cdd1d);
}

static void worker_forget_copies(struct worker *worker) {
        for (size_t i = 0; worker->has_copies && i < WORKER_COPIES; i++) {
                struct worker_copy *copy = &worker->copies[i];

                copy->source = block_unref(copy->source);
                copy->block = block_unref(copy->block);
        }
        worker->has_copies = false;
}

struct block *worker_input(struct worker *worker) {
        if (worker->input && !block_is_exclusive(worker->input))
                worker->input = block_unref(worker->input);
        if (!worker->input)
                worker->input = block_new(WORKER_INPUT_SIZE);
        return worker->input;
}

struct block *worker_copy(struct worker *worker, struct block *source, struct bytes bytes) {
        struct worker_copy *copy = &worker->copies[((uintptr_t)bytes.data / 256) % WORKER_COPIES];

        if (copy->source == source && copy->data == bytes.data &&
            copy->block->capacity >= bytes.length)
                return copy->block;
        copy->source = block_unref(copy->source);
        copy->block = block_unref(copy->block);
        copy->block = block_new(bytes.length);
        if (!copy->block)
                return NULL;
        copy->source = block_ref(source);
        copy->data = bytes.data;
        worker->has_copies = true;
        bytes_copy(copy->block->data, bytes);
        return copy->block;
}

static bool worker_run_deferred(struct worker *worker) {
        struct list_link tasks;

        if (list_is_empty(&worker->deferred))
                return false;
        list_init(&tasks);
        list_move(&tasks, &worker->deferred);
        while (!list_is_empty(&tasks)) {
                struct task *task = container_of(tasks.next, struct task, link);

                list_unlink(&task->link);
                task->run(task);
        }
        return true;
}

void worker_flush(struct worker *worker) {
        struct stage *stages[FLUSH_STAGES];
        unsigned n, n_flushed;

        while ((n = stages_next(&worker->stages, stages, FLUSH_STAGES)) > 0)
                for (unsigned i = 0; i < n; i += n_flushed)
                        n_flushed = connections_flush(worker, stages + i, n - i);
}

/* Flushes all that the batch staged, then runs what waited for that. */
static void worker_settle(struct worker *worker) {
        do {
                worker_flush(worker);
        } while (worker_run_deferred(worker));
}

static void worker_end_batch(uv_prepare_t *prepare) {
        struct worker *worker = container_of(prepare, struct worker, prepare);

        if (!list_is_empty(&worker->held)) {
                worker_enter(worker);
                connection_check_held(worker);
        }
        if (!worker->is_online)
                return;
        worker_settle(worker);
        worker_forget_copies(worker);
        reclaim_flush(&worker->reclaim);
        reclaim_thread_offline();
        worker->is_online = false;
}

static void worker_ignore_timer(uv_timer_t *timer) {
        /* The end of the batch looks at the held connections. */
}

static void worker_on_trim(uv_timer_t *timer) {
        struct worker *worker = container_of(timer, struct worker, trim_timer);

        if (worker->n_turned - worker->n_looked < TRIM_BYTES) {
                stages_shrink(&worker->stages);
                (void)malloc_trim(0);
                worker->n_turned = 0;
        } else {
                (void)uv_timer_start(timer, worker_on_trim, TRIM_MS, 0);
        }
        worker->n_looked = worker->n_turned;
}

void worker_turn_over(struct worker *worker, size_t n_bytes) {
        worker->n_turned += n_bytes;
        if (worker->n_turned >= TRIM_BYTES && !worker->is_stopping &&
            !uv_is_active((uv_handle_t *)&worker->trim_timer))
                (void)uv_timer_start(&worker->trim_timer, worker_on_trim, TRIM_MS, 0);
}

static void *worker_run(void *argument) {
        struct worker *worker = argument;

        reclaim_thread_begin();
        reclaim_thread_offline();
        (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
        /* The last batch had no end of its own: what it deferred others may wait for. */
        worker_settle(worker);
        reclaim_thread_end();
        return NULL;
}

static int worker_init_loop(struct worker *worker) {
        int r = uv_loop_init(&worker->loop);

        if (r < 0)
                return r;
        worker->mailbox.before = worker_enter_by_mail;
        worker->mailbox.owner = worker;
        r = mailbox_init(&worker->mailbox, &worker->loop);
        if (r < 0) {
                (void)uv_loop_close(&worker->loop);
                return r;
        }
        (void)uv_prepare_init(&worker->loop, &worker->prepare);
        (void)uv_prepare_start(&worker->prepare, worker_end_batch);
        uv_unref((uv_handle_t *)&worker->prepare);
        timers_init(&worker->timers, &worker->loop, connection_on_timer);
        (void)uv_timer_init(&worker->loop, &worker->held_timer);
        (void)uv_timer_init(&worker->loop, &worker->trim_timer);
        uv_unref((uv_handle_t *)&worker->trim_timer);
        (void)uv_timer_init(&worker->loop, &worker->line_timer);
        uv_unref((uv_handle_t *)&worker->line_timer);
        return 0;
}

static int worker_init(struct worker *worker, struct workers *workers, unsigned index,
                       struct instance *instance, struct config *config) {
        int r;

        memset(worker, 0, sizeof(*worker));
        worker->index = index;
        worker->workers = workers;
        worker->instance = instance;
        worker->config = config_ref(config);
        stages_init(&worker->stages);
        list_init(&worker->deferred);
        job_line_init(&worker->quick_jobs, 0);
        job_line_init(&worker->long_jobs, workers->n_long_jobs);
        list_init(&worker->connections);
        list_init(&worker->handshakes);
        list_init(&worker->introductions);
        list_init(&worker->held);
        list_init(&worker->listeners);
        list_init(&worker->endpoints);
        list_init(&worker->strangers);
        list_init(&worker->guests);
        if (getrandom(&worker->random, sizeof(worker->random), 0) < 0)
                worker->random = index;
        worker->random |= 1;
        r = worker_init_loop(worker);
        if (r < 0)
                config_unref(worker->config);
        return r;
}

static void worker_deinit(struct worker *worker) {
        uv_loop_close(&worker->loop);
        mailbox_deinit(&worker->mailbox);
        timers_deinit(&worker->timers);
        worker_forget_copies(worker);
        block_unref(worker->input);
        stages_deinit(&worker->stages);
        for (unsigned i = 0; i < WORKER_DEPTH_MAX; i++)
                match_cache_deinit(&worker->matches[i]);
        permissions_cache_deinit(&worker->permissions);
        pipe_pool_deinit(&worker->pipes);
        reclaim_flush(&worker->reclaim);
        config_unref(worker->config);
}

int workers_start(struct workers *workers, unsigned count, struct instance *instance,
                  struct config *config) {
        (void)mallopt(M_TRIM_THRESHOLD, KEEP_MAX);
        (void)mallopt(M_MMAP_THRESHOLD, BLOCK_MAX);
        workers->all = calloc(count, sizeof(*workers->all));
        workers->count = workers->n_running = 0;
        workers->n_long_jobs = jobs_prepare(count);
        program_line_init(&workers->line);
        if (!workers->all)
                return -ENOMEM;
        for (; workers->count < count; workers->count++) {
                struct worker *worker = &workers->all[workers->count];
                int r = worker_init(worker, workers, workers->count, instance, config);

                if (r < 0)
                        return r;
        }
        for (; workers->n_running < count; workers->n_running++) {
                struct worker *worker = &workers->all[workers->n_running];
                int r = pthread_create(&worker->thread, NULL, worker_run, worker);

                if (r != 0)
                        return -r;
        }
        return 0;
}

/* Closes what keeps the loop running, once the connections are gone. */
static void worker_finish(struct worker *worker) {
        programs_close(worker);
        timers_close(&worker->timers);
        uv_close((uv_handle_t *)&worker->held_timer, NULL);
        uv_close((uv_handle_t *)&worker->trim_timer, NULL);
        uv_close((uv_handle_t *)&worker->line_timer, NULL);
        uv_close((uv_handle_t *)&worker->prepare, NULL);
        mailbox_close(&worker->mailbox);
}

struct stop {
        struct task task;
        struct worker *worker;
};

/* The loop may end when the last connection has been freed. */
static void worker_wait_empty(struct worker *worker) {
        if (worker->is_stopping && list_is_empty(&worker->connections) &&
            list_is_empty(&worker->strangers))
                worker_finish(worker);
}

static void worker_stop(struct task *task) {
        struct stop *stop = container_of(task, struct stop, task);
        struct worker *worker = stop->worker;

        free(stop);
        worker->is_stopping = true;
        LIST_FOREACH_SAFE (link, &worker->listeners)
                listener_stop_here(container_of(link, struct listener, link));
        introductions_end(worker);
        LIST_FOREACH_SAFE (link, &worker->endpoints)
                endpoint_stop_here(container_of(link, struct endpoint, link));
        LIST_FOREACH_SAFE (link, &worker->guests) {
                struct worker_guest *guest = container_of(link, struct worker_guest, link);

                guest->stop(guest);
        }
        LIST_FOREACH_SAFE (link, &worker->connections)
                connection_close(container_of(link, struct connection, link), REASON_SHUTDOWN);
        worker_wait_empty(worker);
}

void worker_connection_freed(struct worker *worker) {
        worker_wait_empty(worker);
}

void workers_stop(struct workers *workers) {
        for (unsigned i = 0; i < workers->n_running; i++) {
                struct stop *stop = calloc(1, sizeof(*stop));

                if (!stop)
                        abort(); /* nothing can be ended in order any more */
                stop->worker = &workers->all[i];
                stop->task.run = worker_stop;
                if (mailbox_post(&workers->all[i].mailbox, &stop->task) < 0)
                        free(stop);
        }
        for (unsigned i = 0; i < workers->n_running; i++)
                pthread_join(workers->all[i].thread, NULL);
        /* Those that never ran have handles to close as well. */
        for (unsigned i = workers->n_running; i < workers->count; i++) {
                worker_finish(&workers->all[i]);
                (void)uv_run(&workers->all[i].loop, UV_RUN_DEFAULT);
        }
}

void workers_deinit(struct workers *workers) {
        for (unsigned i = 0; i < workers->count; i++)
                worker_deinit(&workers->all[i]);
        program_line_deinit(&workers->line);
        free(workers->all);
        workers->all = NULL;
        workers->count = 0;
}

struct worker *workers_choose(struct workers *workers, struct worker *preferred) {
        struct worker *best = preferred ? preferred : &workers->all[0];
        unsigned n_best = atomic_load_explicit(&best->n_connections, memory_order_relaxed);

        for (unsigned i = 0; i < workers->count; i++) {
                struct worker *worker = &workers->all[i];
                unsigned n = atomic_load_explicit(&worker->n_connections, memory_order_relaxed);

                if (n < n_best) {
                        best = worker;
                        n_best = n;
                }
        }
        return best;
}

static void visit_next(struct visit *visit);

static void visit_worker(struct task *task) {
        struct visit *visit = container_of(task, struct visit, task);

        visit->run(visit, &visit->workers->all[visit->next++]);
        visit_next(visit);
}

static void visit_done(struct task *task) {
        struct visit *visit = container_of(task, struct visit, task);

        visit->done(visit);
}

static void visit_next(struct visit *visit) {
        visit->task.run = visit_worker;
        while (visit->next < visit->workers->count) {
                if (mailbox_post(&visit->workers->all[visit->next].mailbox, &visit->task) == 0)
                        return;
                visit->next++;
        }
        visit->task.run = visit_done;
        if (mailbox_post(visit->home, &visit->task) < 0)
                visit->done(visit); /* everything is being torn down, by this thread */
}

void workers_visit(struct workers *workers, struct visit *visit, struct mailbox *home) {
        visit->workers = workers;
        visit->home = home;
        visit->next = 0;
        visit_next(visit);
}

/* A fence's way through one other worker: posted, deferred behind its flush, and back. */
struct fence_step {
        struct task task;
        struct fence *fence;
        struct worker *worker;
};

static void fence_return(struct task *task) {
        struct fence *fence = container_of(task, struct fence, task);

        fence->done(fence);
}

static void fence_pass(struct fence *fence) {
        if (atomic_fetch_sub_explicit(&fence->n_left, 1, memory_order_acq_rel) != 1)
                return;
        fence->task.run = fence_return;
        (void)mailbox_post(&fence->worker->mailbox, &fence->task);
}

static void fence_flushed(struct task *task) {
        struct fence_step *step = container_of(task, struct fence_step, task);

        fence_pass(step->fence);
        free(step);
}

static void fence_arrive(struct task *task) {
        struct fence_step *step = container_of(task, struct fence_step, task);

        step->task.run = fence_flushed;
        worker_defer(step->worker, &step->task);
}

static void fence_send(struct fence *fence, struct worker *worker) {
        struct fence_step *step = calloc(1, sizeof(*step));

        if (step) {
                step->fence = fence;
                step->worker = worker;
                step->task.run = fence_arrive;
                if (mailbox_post(&worker->mailbox, &step->task) == 0)
                        return;
                free(step);
        }
        fence_pass(fence);
}

void worker_fence(struct worker *worker, struct fence *fence) {
        struct workers *workers = worker->workers;

        fence->worker = worker;
        atomic_init(&fence->n_left, workers->count);
        for (unsigned i = 0; i < workers->count; i++)
                if (&workers->all[i] != worker)
                        fence_send(fence, &workers->all[i]);
        fence_pass(fence); /* for ourselves */
}

void worker_watch_held(struct worker *worker) {
        if (list_is_empty(&worker->held))
                (void)uv_timer_stop(&worker->held_timer);
        else if (!uv_is_active((uv_handle_t *)&worker->held_timer))
                (void)uv_timer_start(&worker->held_timer, worker_ignore_timer, 1, 1);
}
