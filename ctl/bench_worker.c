/* Publishers, subscribers, requesters, responders.
 *
 * Nothing may be lost, and a server closes subscribers that fall too far behind; so publishers keep
 * no more than a window of messages under way to the slowest subscriber. The window is a fraction
 * of what a server lets gather (64 MiB), and large enough that it never empties the pipe.
 *
 * A message that tells its time carries CLOCK_MONOTONIC in its first eight bytes; in the others
 * they are zero. Reading a clock takes about as long as passing a small message on, so in long runs
 * only a sample is timed.
 */
#include "ctl/bench_worker.h"

#include <string.h>
#include <time.h>

#define BATCH    64 /* messages between two looks at the others */
#define SLICE_MS 100

uint64_t bench_now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void set_done(struct bench_worker *worker, uint64_t n) {
        atomic_store_explicit(&worker->n_done, n, memory_order_relaxed);
}

static uint64_t get_done(const struct bench_worker *worker) {
        return atomic_load_explicit(&worker->n_done, memory_order_relaxed);
}

static bool is_stopped(const struct bench *bench) {
        return atomic_load_explicit(&bench->is_stopped, memory_order_relaxed);
}

uint64_t bench_count(const struct bench *bench, enum bench_role role) {
        uint64_t n = 0;

        for (size_t i = 0; i < bench->n_workers; i++)
                if (bench->workers[i].role == role)
                        n += get_done(&bench->workers[i]);
        return n;
}

/* Messages that the slowest subscriber has not got yet; 0 without subscribers. */
static uint64_t count_under_way(const struct bench *bench) {
        uint64_t least = UINT64_MAX, n_published = bench_count(bench, BENCH_PUBLISHER);

        for (size_t i = 0; i < bench->n_workers; i++) {
                const struct bench_worker *worker = &bench->workers[i];

                if (worker->role == BENCH_SUBSCRIBER && get_done(worker) < least)
                        least = get_done(worker);
        }
        return least < n_published ? n_published - least : 0;
}

/* Waits until there is room in the window. What is buffered leaves first, or nobody would ever
 * receive it. */
static int await_window(struct bench_worker *worker) {
        const struct timespec pause = {.tv_nsec = 100000};
        const struct bench *bench = worker->bench;

        if (bench->window == 0 || count_under_way(bench) < bench->window)
                return 0;
        while (count_under_way(bench) >= bench->window && !is_stopped(bench)) {
                int result = sockd_send(worker->connection);

                if (result)
                        return result;
                nanosleep(&pause, NULL);
        }
        return 0;
}

/* Between two batches: tells what is done, and whether to go on. */
static bool may_go_on(struct bench_worker *worker, uint64_t n) {
        const struct bench *bench = worker->bench;

        set_done(worker, n);
        if (is_stopped(bench))
                return false;
        return bench->deadline_ns == UINT64_MAX || bench_now_ns() < bench->deadline_ns;
}

static void stamp(const struct bench_worker *worker, uint64_t n) {
        uint64_t interval = worker->bench->interval, time_ns = 0;

        if (interval == 0)
                return;
        if (n % interval == 0)
                time_ns = bench_now_ns();
        memcpy(worker->payload, &time_ns, sizeof(time_ns));
}

static int publish(struct bench_worker *worker) {
        const struct bench *bench = worker->bench;
        struct sockd_message message = {
                .subject = bench->subject,
                .n_subject = strlen(bench->subject),
                .payload = worker->payload,
                .n_payload = bench->size,
        };
        uint64_t n;
        int result = 0;

        for (n = 0; n < worker->quota; n++) {
                if (n % BATCH == 0) {
                        if (!may_go_on(worker, n))
                                break;
                        result = await_window(worker);
                        if (result)
                                return result;
                }
                stamp(worker, n);
                result = sockd_publish_message(worker->connection, &message);
                if (result)
                        return result;
        }
        result = sockd_flush(worker->connection, bench->stall_ms);
        set_done(worker, n);
        return result;
}

static void measure(const struct bench_worker *worker, const struct sockd_message *message) {
        uint64_t time_ns, now_ns;

        if (worker->bench->interval == 0 || message->n_payload < sizeof(time_ns))
                return;
        memcpy(&time_ns, message->payload, sizeof(time_ns));
        if (time_ns == 0)
                return;
        now_ns = bench_now_ns();
        histogram_add(worker->latency, now_ns > time_ns ? now_ns - time_ns : 0);
}

/* Until all have arrived, however many that will turn out to be. */
static int subscribe(struct bench_worker *worker) {
        struct bench *bench = worker->bench;
        struct sockd_message message;
        uint64_t n = 0;
        int waited_ms = 0;

        while (n < atomic_load_explicit(&bench->n_expected, memory_order_acquire)) {
                int result = sockd_next(worker->connection, &message, SLICE_MS);

                if (result == SOCKD_TIMEOUT) {
                        waited_ms += SLICE_MS;
                        if (is_stopped(bench) || waited_ms >= bench->stall_ms)
                                return SOCKD_TIMEOUT;
                        continue;
                }
                if (result)
                        return result;
                waited_ms = 0;
                measure(worker, &message);
                set_done(worker, ++n);
        }
        return 0;
}

static int request(struct bench_worker *worker) {
        const struct bench *bench = worker->bench;
        struct sockd_message answer;

        for (uint64_t n = 0; n < worker->quota && may_go_on(worker, n); n++) {
                uint64_t start_ns = bench_now_ns();
                int result = sockd_request(worker->connection, bench->subject, NULL, 0,
                                           worker->payload, bench->size, &answer, bench->stall_ms);

                if (result)
                        return result;
                histogram_add(worker->latency, bench_now_ns() - start_ns);
                set_done(worker, n + 1);
        }
        return 0;
}

static int respond(struct bench_worker *worker) {
        struct sockd_message message;
        uint64_t n = 0;

        while (!is_stopped(worker->bench)) {
                int result = sockd_next(worker->connection, &message, SLICE_MS);

                if (result == SOCKD_TIMEOUT)
                        continue;
                if (result == 0 && message.reply) {
                        message.subject = message.reply;
                        message.n_subject = message.n_reply;
                        message.reply = NULL;
                        result = sockd_publish_message(worker->connection, &message);
                }
                if (result)
                        return result;
                set_done(worker, ++n);
        }
        return 0;
}

static int play(struct bench_worker *worker) {
        switch (worker->role) {
        case BENCH_PUBLISHER:
                return publish(worker);
        case BENCH_SUBSCRIBER:
                return subscribe(worker);
        case BENCH_REQUESTER:
                return request(worker);
        case BENCH_RESPONDER:
                return respond(worker);
        }
        return 0;
}

/* The last sender knows how many messages there are, and that no more requests come. */
static void end_sending(struct bench_worker *worker) {
        struct bench *bench = worker->bench;

        if (worker->role != BENCH_PUBLISHER && worker->role != BENCH_REQUESTER)
                return;
        if (atomic_fetch_sub(&bench->n_senders, 1) != 1)
                return;
        if (worker->role == BENCH_REQUESTER)
                atomic_store(&bench->is_stopped, true);
        else
                atomic_store_explicit(&bench->n_expected, bench_count(bench, BENCH_PUBLISHER),
                                      memory_order_release);
}

void *bench_worker_run(void *data) {
        struct bench_worker *worker = data;
        struct bench *bench = worker->bench;

        worker->result = play(worker);
        worker->end_ns = bench_now_ns();
        if (worker->result)
                atomic_store(&bench->is_stopped, true);
        end_sending(worker);
        pthread_mutex_lock(&bench->mutex);
        bench->n_running--;
        pthread_cond_signal(&bench->ended);
        pthread_mutex_unlock(&bench->mutex);
        return NULL;
}
