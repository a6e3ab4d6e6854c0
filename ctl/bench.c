/* bench: makes the workers, lets them run, looks at them now and then.
 *
 * All connections are open and all subscriptions in effect before the clock starts; only one
 * thread, this one, ever prints.
 */
#include "ctl/bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/bench_report.h"
#include "ctl/bench_worker.h"
#include "ctl/session.h"

#define WORKERS_MAX      1000
#define N_PUBLISH        1000000
#define N_REQUEST        100000
#define STALL_MS         10000
#define WINDOW_BYTES     ((uint64_t)8 << 20)
#define MESSAGE_OVERHEAD 64     /* a line of the protocol, about */
#define TIMED_ALL        200000 /* up to so many messages, all are timed */
#define TIMED_INTERVAL   16
#define PROGRESS_NS      100000000

/* What is given must have an effect. */
static int check_options(struct context *context) {
        const struct options *options = context->options;

        if (options->request && options->n_publishers != OPTIONS_UNSET)
                return context_fail(context, EXIT_USAGE,
                                    "--pubs does not go with --request, where --clients send");
        if (!options->request && options->n_clients != OPTIONS_UNSET)
                return context_fail(context, EXIT_USAGE,
                                    "--clients goes with --request only; else --pubs send");
        if (options->duration_ms == 0)
                return context_fail(context, EXIT_USAGE,
                                    "--duration \"0s\": at least 1ms was expected");
        if (options->duration_ms > 0 && options->n_messages != OPTIONS_UNSET)
                return context_fail(context, EXIT_USAGE,
                                    "either --msgs or --duration was expected");
        if (options->request && options->n_subscribers == 0 && !options->subject)
                return context_fail(context, EXIT_USAGE,
                                    "without responders (--subs 0), --subject must name a service");
        return EXIT_DONE;
}

/* Fills in what the options leave open; room for the subject is the caller's. */
static int plan(struct context *context, struct bench *bench, char *subject, size_t n_subject) {
        const struct options *options = context->options;
        uint64_t n_senders =
                options_number(options->request ? options->n_clients : options->n_publishers, 1);
        uint64_t n_receivers = options_number(options->n_subscribers, 1);
        int code = check_options(context);

        if (code)
                return code;
        if (n_senders + n_receivers > WORKERS_MAX)
                return context_fail(context, EXIT_USAGE,
                                    "%" PRIu64 " connections: no more than %d were expected",
                                    n_senders + n_receivers, WORKERS_MAX);
        snprintf(subject, n_subject, "bench.%d", (int)getpid());
        memset(bench, 0, sizeof(*bench));
        bench->subject = options->subject ? options->subject : subject;
        bench->size = options->size;
        bench->n_messages =
                options_number(options->n_messages, options->request ? N_REQUEST : N_PUBLISH);
        if (options->duration_ms >= 0)
                bench->n_messages = UINT64_MAX;
        if (n_receivers > 0 && bench->size >= sizeof(uint64_t))
                bench->interval = bench->n_messages <= TIMED_ALL ? 1 : TIMED_INTERVAL;
        bench->window = WINDOW_BYTES / (bench->size + MESSAGE_OVERHEAD) + 1;
        bench->stall_ms = context_timeout(context, STALL_MS);
        bench->n_expected = options->duration_ms >= 0 ? UINT64_MAX : bench->n_messages;
        bench->n_senders = n_senders;
        bench->n_receivers = n_receivers;
        return EXIT_DONE;
}

static int make_worker(struct context *context, struct bench *bench, enum bench_role role) {
        struct context own = *context;
        struct bench_worker *worker = &bench->workers[bench->n_workers];
        int code;

        memset(worker, 0, sizeof(*worker));
        worker->bench = bench;
        worker->role = role;
        own.connection = NULL;
        code = session_open(&own);
        worker->connection = own.connection;
        bench->n_workers++;
        if (code)
                return code;
        if (bench->size > sockd_max_payload(worker->connection))
                return session_fail(&own, SOCKD_TOO_LARGE, bench->subject);
        worker->latency = calloc(1, sizeof(*worker->latency));
        worker->payload = calloc(1, bench->size + 1);
        if (!worker->latency || !worker->payload)
                return context_fail(context, EXIT_FAILED, "out of memory");
        return EXIT_DONE;
}

static int make_receivers(struct context *context, struct bench *bench) {
        const struct options *options = context->options;
        enum bench_role role = options->request ? BENCH_RESPONDER : BENCH_SUBSCRIBER;

        for (size_t i = 0; i < bench->n_receivers; i++) {
                struct context own = *context;
                int result, code = make_worker(context, bench, role);

                if (code)
                        return code;
                own.connection = bench->workers[bench->n_workers - 1].connection;
                result = sockd_subscribe(own.connection, bench->subject,
                                         options->request ? "bench" : NULL, 0, NULL);
                if (result == 0)
                        result = sockd_flush(own.connection, bench->stall_ms);
                if (result)
                        return session_fail(&own, result, bench->subject);
        }
        return EXIT_DONE;
}

/* Shares the messages out; the first ones take what does not divide. */
static int make_senders(struct context *context, struct bench *bench) {
        enum bench_role role = context->options->request ? BENCH_REQUESTER : BENCH_PUBLISHER;
        uint64_t n = bench->n_senders;

        for (uint64_t i = 0; i < n; i++) {
                int code = make_worker(context, bench, role);

                if (code)
                        return code;
                bench->workers[bench->n_workers - 1].quota =
                        bench->n_messages == UINT64_MAX
                                ? UINT64_MAX
                                : bench->n_messages / n + (i < bench->n_messages % n);
        }
        return EXIT_DONE;
}

static int make_workers(struct context *context, struct bench *bench) {
        size_t n = bench->n_receivers + bench->n_senders;
        int code;

        bench->workers =
                aligned_alloc(alignof(struct bench_worker), n * sizeof(struct bench_worker));
        if (!bench->workers)
                return context_fail(context, EXIT_FAILED, "out of memory");
        code = make_receivers(context, bench);
        return code ? code : make_senders(context, bench);
}

static int start(struct context *context, struct bench *bench) {
        bench->start_ns = bench_now_ns();
        bench->deadline_ns = UINT64_MAX;
        if (context->options->duration_ms >= 0)
                bench->deadline_ns =
                        bench->start_ns + (uint64_t)context->options->duration_ms * 1000000;
        bench->n_running = bench->n_workers;
        for (size_t i = 0; i < bench->n_workers; i++) {
                struct bench_worker *worker = &bench->workers[i];
                int error = pthread_create(&worker->thread, NULL, bench_worker_run, worker);

                if (error) {
                        pthread_mutex_lock(&bench->mutex);
                        bench->n_running -= bench->n_workers - i;
                        pthread_mutex_unlock(&bench->mutex);
                        atomic_store(&bench->is_stopped, true);
                        return context_fail(context, EXIT_FAILED, "a thread: %s", strerror(error));
                }
                worker->is_started = true;
        }
        return EXIT_DONE;
}

/* Until all threads have ended, with a progress bar for whoever watches. */
static void watch(struct context *context, struct bench *bench) {
        bool is_watched = isatty(fileno(context->err)) && !context->options->json;
        struct timespec next;

        pthread_mutex_lock(&bench->mutex);
        while (bench->n_running > 0) {
                clock_gettime(CLOCK_MONOTONIC, &next);
                next.tv_nsec += PROGRESS_NS;
                if (next.tv_nsec >= 1000000000) {
                        next.tv_nsec -= 1000000000;
                        next.tv_sec++;
                }
                if (pthread_cond_timedwait(&bench->ended, &bench->mutex, &next) == ETIMEDOUT &&
                    is_watched)
                        bench_print_progress(context->err, bench);
        }
        pthread_mutex_unlock(&bench->mutex);
        if (is_watched)
                bench_clear_progress(context->err);
        for (size_t i = 0; i < bench->n_workers; i++)
                if (bench->workers[i].is_started)
                        pthread_join(bench->workers[i].thread, NULL);
}

/* The failure of one stops the others; theirs is then a timeout, so another one tells more. */
static int judge(struct context *context, const struct bench *bench) {
        const struct bench_worker *failed = NULL;
        struct context own = *context;

        for (size_t i = 0; i < bench->n_workers; i++) {
                const struct bench_worker *worker = &bench->workers[i];

                if (worker->result && (!failed || failed->result == SOCKD_TIMEOUT))
                        failed = worker;
        }
        if (!failed)
                return EXIT_DONE;
        own.connection = failed->connection;
        if (failed->role == BENCH_SUBSCRIBER && failed->result == SOCKD_TIMEOUT)
                return context_fail(&own, EXIT_TIMEOUT,
                                    "a subscriber got only %" PRIu64 " messages, and then none for "
                                    "%d ms",
                                    atomic_load(&failed->n_done), bench->stall_ms);
        if (failed->role == BENCH_SUBSCRIBER && failed->result == SOCKD_CLOSED)
                return context_fail(&own, EXIT_FAILED,
                                    "the daemon closed a subscriber after %" PRIu64 " messages",
                                    atomic_load(&failed->n_done));
        return session_fail(&own, failed->result, bench->subject);
}

static void clean_up(struct bench *bench) {
        for (size_t i = 0; i < bench->n_workers; i++) {
                sockd_free(bench->workers[i].connection);
                free(bench->workers[i].latency);
                free(bench->workers[i].payload);
        }
        free(bench->workers);
        pthread_cond_destroy(&bench->ended);
        pthread_mutex_destroy(&bench->mutex);
}

static int init_locks(struct bench *bench) {
        pthread_condattr_t attributes;
        int error = pthread_condattr_init(&attributes);

        if (error)
                return error;
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        error = pthread_cond_init(&bench->ended, &attributes);
        pthread_condattr_destroy(&attributes);
        return error ? error : pthread_mutex_init(&bench->mutex, NULL);
}

int bench_run(struct context *context) {
        struct bench bench;
        char subject[64];
        int code = plan(context, &bench, subject, sizeof(subject));

        if (code)
                return code;
        if (init_locks(&bench) != 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        code = make_workers(context, &bench);
        if (code == EXIT_DONE) {
                code = start(context, &bench);
                watch(context, &bench);
        }
        if (code == EXIT_DONE)
                code = judge(context, &bench);
        if (code == EXIT_DONE)
                code = bench_print_result(context, &bench);
        clean_up(&bench);
        return code;
}
