/* The programs of a service. See service_pool.h. */
#include "daemon/service_pool.h"

#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/config_program.h"
#include "daemon/message.h"
#include "daemon/service_persistent.h"
#include "daemon/service_program.h"
#include "lib/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS UINT64_C(1000000)

/* Lines of standard error in a while. */
#define ERRORS_BURST       100
#define ERRORS_INTERVAL_MS 10000

static struct service_pool *pool_of(struct service *service) {
        return container_of(service, struct service_pool, service);
}

/* --- requests that are over ------------------------------------------------------------------- */

/* It is not under way any more. */
static void forget(struct service_pool *pool, uint64_t n_bytes) {
        atomic_fetch_sub(&pool->n_bytes, n_bytes);
        atomic_fetch_sub(&pool->n_under_way, 1);
}

void service_pool_finish(struct service_pool *pool, struct service_request *request,
                         const struct service_answer *answer) {
        service_finish(&pool->service, pool->worker, &request->asker, request->reply, answer,
                       request->began_ns);
        forget(pool, request->n_bytes);
        free(request);
}

void service_pool_fail(struct service_pool *pool, struct service_request *request,
                       enum service_error error, const char *format, ...) {
        char text[SERVICE_TEXT_MAX];
        const struct service_answer answer = {.error = error, .text = text};
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        service_pool_finish(pool, request, &answer);
}

/* --- requests that come: the thread of their publisher ---------------------------------------- */

/* Whether there is room for one more; it is counted then. */
static bool admit(struct service_pool *pool, struct worker *worker, uint64_t n_bytes) {
        unsigned max = pool->config->concurrency + pool->config->backlog;
        bool fits = atomic_fetch_add(&pool->n_under_way, 1) < max;

        fits &= atomic_fetch_add(&pool->n_bytes, n_bytes) + n_bytes <=
                worker->config->server.max_pending;
        if (!fits)
                forget(pool, n_bytes);
        return fits;
}

static void pool_receive(struct task *task);

/* Hands a request over. Returns 0 or a negative errno. */
static int hand_over(struct service_pool *pool, const struct service_asker *asker,
                     const struct message *message, uint64_t began_ns) {
        struct service_request *request = service_request_new(pool, asker, message, began_ns);
        int r;

        if (!request)
                return -ENOMEM;
        request->task.run = pool_receive;
        r = mailbox_post(&pool->worker->mailbox, &request->task);
        if (r < 0)
                free(request);
        return r;
}

/* Answers what is not taken. */
static void refuse(struct service *service, struct worker *worker,
                   const struct service_asker *asker, const struct message *message,
                   uint64_t began_ns, enum service_error error, const char *text) {
        const struct service_answer answer = {.error = error, .text = text};

        service_finish(service, worker, asker, message->reply, &answer, began_ns);
}

static void pool_take(struct service *service, struct worker *worker,
                      const struct message *message) {
        struct service_pool *pool = pool_of(service);
        const struct service_asker asker = service_asker_of(message);
        uint64_t began_ns = service_now_ns();
        size_t n_bytes = message->payload.length - message->header_size;

        if (memchr(message->subject.data, '\0', message->subject.length)) {
                refuse(service, worker, &asker, message, began_ns, SERVICE_BAD_REQUEST,
                       "a subject with a NUL cannot be told to a program");
                return;
        }
        if (!admit(pool, worker, n_bytes)) {
                refuse(service, worker, &asker, message, began_ns, SERVICE_BUSY,
                       "too many requests wait");
                return;
        }
        if (hand_over(pool, &asker, message, began_ns) < 0) {
                forget(pool, n_bytes);
                refuse(service, worker, &asker, message, began_ns, SERVICE_UNAVAILABLE,
                       "there is no memory for the request, or sockd ends");
        }
}

/* --- requests that wait ----------------------------------------------------------------------- */

static struct service_request *first_of(struct service_pool *pool) {
        return container_of(pool->backlog.next, struct service_request, link);
}

/* How long a request has to wait yet at most, in milliseconds; 0: it has waited for too long. */
static uint64_t patience_ms(const struct service_pool *pool,
                            const struct service_request *request) {
        uint64_t waited_ms = (service_now_ns() - request->began_ns) / NS_PER_MS;
        uint64_t timeout_ms = pool->config->program->timeout_ms;

        return waited_ms < timeout_ms ? timeout_ms - waited_ms : 0;
}

static void drop_late(struct service_pool *pool) {
        char timeout[UNITS_TEXT_MAX];

        while (!list_is_empty(&pool->backlog) && patience_ms(pool, first_of(pool)) == 0) {
                struct service_request *request = first_of(pool);

                list_unlink(&request->link);
                service_pool_fail(
                        pool, request, SERVICE_LATE, "waited longer than %s",
                        units_format_duration(timeout, pool->config->program->timeout_ms));
        }
}

/* Takes the next one that waits. */
static struct service_request *next_request(struct service_pool *pool) {
        struct service_request *request = first_of(pool);

        list_unlink(&request->link);
        return request;
}

static void pool_settle(struct service_pool *pool);

/* The seat of a program that can take a request: one that runs already, if there is one. */
static struct service_seat *find_seat(const struct service_pool *pool) {
        struct service_seat *found = NULL;

        for (unsigned i = 0; i < pool->config->concurrency; i++) {
                struct service_seat *seat = &pool->seats[i];

                if (service_seat_is_free(seat, pool) && (!found || seat->run))
                        found = seat;
        }
        return found;
}

/* Gives the next request to a program. Returns whether there is one that can take it. */
static bool give(struct service_pool *pool) {
        struct service_seat *seat;

        if (!pool->seats) {
                if (atomic_load(&pool->n_running) >= pool->config->concurrency)
                        return false;
                service_program_run(pool, next_request(pool));
                return true;
        }
        seat = find_seat(pool);
        if (seat)
                service_seat_give(seat, pool, next_request(pool));
        return seat != NULL;
}

/* When somebody has waited for too long, or a program may be started again. */
static void set_deadline(struct service_pool *pool) {
        uint64_t ms;

        if (list_is_empty(&pool->backlog)) {
                deadline_clear(&pool->deadline);
                return;
        }
        ms = patience_ms(pool, first_of(pool));
        for (unsigned i = 0; pool->seats && i < pool->config->concurrency; i++) {
                uint64_t due_ms = service_seat_due_ms(&pool->seats[i], pool);

                if (due_ms < ms)
                        ms = due_ms;
        }
        deadline_set(&pool->deadline, ms + 1);
}

void service_pool_go_on(struct service_pool *pool) {
        drop_late(pool);
        while (!list_is_empty(&pool->backlog) && give(pool))
                ;
        if (pool->is_stopped)
                return;
        set_deadline(pool);
        pool_settle(pool);
}

static void pool_on_deadline(struct deadline *deadline) {
        service_pool_go_on(container_of(deadline, struct service_pool, deadline));
}

static void pool_receive(struct task *task) {
        struct service_request *request = container_of(task, struct service_request, task);
        struct service_pool *pool = request->pool;

        if (pool->is_stopped) {
                service_pool_fail(pool, request, SERVICE_UNAVAILABLE, "sockd ends");
                return;
        }
        list_append(&pool->backlog, &request->link);
        service_pool_go_on(pool);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void pool_free(struct service_pool *pool) {
        service_deinit(&pool->service);
        config_service_unref(pool->config);
        free(pool->seats);
        free(pool);
}

static void pool_on_closed(struct deadline *deadline) {
        struct service_pool *pool = container_of(deadline, struct service_pool, deadline);

        pool->is_closed = true;
        if (pool->is_retired)
                pool_free(pool);
}

/* Nothing is done any more. Programs that stay end, within grace_ms. */
static void pool_close(struct service_pool *pool, uint64_t grace_ms) {
        pool->is_stopped = true;
        for (unsigned i = 0; pool->seats && i < pool->config->concurrency; i++)
                service_seat_clear(&pool->seats[i], grace_ms);
        list_unlink(&pool->guest.link);
        deadline_close(&pool->deadline);
}

/* The worker ends: nobody is there to hear an answer. */
static void pool_stop(struct worker_guest *guest) {
        struct service_pool *pool = container_of(guest, struct service_pool, guest);

        LIST_FOREACH_SAFE (link, &pool->programs)
                service_program_abandon(container_of(link, struct service_program, link));
        LIST_FOREACH_SAFE (link, &pool->backlog)
                free(container_of(link, struct service_request, link));
        list_init(&pool->backlog);
        pool_close(pool, 0);
}

/* Ends when it has been retired and its last request is over. */
static void pool_settle(struct service_pool *pool) {
        if (pool->is_retired && !pool->is_stopped && atomic_load(&pool->n_under_way) == 0)
                pool_close(pool, pool->config->program->grace_ms);
}

static void pool_open(struct task *task) {
        struct service_pool *pool = container_of(task, struct service_pool, opening);

        if (pool->worker->is_stopping) {
                pool->is_stopped = pool->is_closed = true;
                return;
        }
        pool->guest.stop = pool_stop;
        list_append(&pool->worker->guests, &pool->guest.link);
        deadline_init(&pool->deadline, pool->worker);
        pool->deadline.due = pool_on_deadline;
        pool->deadline.closed = pool_on_closed;
}

/* What waits is answered yet. */
static void pool_retire_here(struct task *task) {
        struct service_pool *pool = container_of(task, struct service_pool, retiring);

        pool->is_retired = true;
        if (pool->is_closed)
                pool_free(pool);
        else if (!pool->is_stopped)
                pool_settle(pool);
}

/* In the server's thread, which alone knows whether the worker is there yet: a mailbox that takes
 * nothing is that of a worker that has ended. */
static void pool_retire_by_server(struct task *task) {
        struct service_pool *pool = container_of(task, struct service_pool, retiring);

        pool->retiring.run = pool_retire_here;
        if (mailbox_post(&pool->worker->mailbox, &pool->retiring) < 0)
                pool_free(pool);
}

static void pool_retire(struct service *service) {
        struct service_pool *pool = pool_of(service);

        pool->retiring.run = pool_retire_by_server;
        if (mailbox_post(pool->home, &pool->retiring) < 0)
                pool_free(pool); /* when all threads have ended */
}

static const struct service_kind program_kind = {"program", pool_take, pool_retire};
static const struct service_kind persistent_kind = {"persistent", pool_take, pool_retire};

/* What the service says of itself. */
static struct service_identity identity_of(const struct config_service *config) {
        return (struct service_identity){.name = config->name,
                                         .version = config->version,
                                         .description = config->description,
                                         .subject = config->subject,
                                         .queue = config->queue};
}

int service_pool_new(struct service **servicep, struct config_service *config, struct bus *bus,
                     struct worker *worker, struct mailbox *home, struct reclaim *reclaim) {
        const struct service_identity identity = identity_of(config);
        struct service_pool *pool = calloc(1, sizeof(*pool));
        int r;

        if (!pool)
                return -ENOMEM;
        pool->config = config_service_ref(config);
        pool->worker = worker;
        pool->home = home;
        pool->errors = (struct log_limit){.burst = ERRORS_BURST, .interval_ms = ERRORS_INTERVAL_MS};
        list_init(&pool->guest.link);
        list_init(&pool->backlog);
        list_init(&pool->programs);
        pool->opening.run = pool_open;
        if (config->is_persistent)
                pool->seats = calloc(config->concurrency, sizeof(*pool->seats));
        r = config->is_persistent && !pool->seats ? -ENOMEM
                                                  : mailbox_post(&worker->mailbox, &pool->opening);
        if (r < 0) {
                config_service_unref(pool->config);
                free(pool->seats);
                free(pool);
                return r;
        }
        r = service_init(&pool->service, config->is_persistent ? &persistent_kind : &program_kind,
                         bus, &identity, reclaim);
        if (r < 0)
                service_retire(&pool->service, reclaim);
        else
                *servicep = &pool->service;
        return r;
}

const struct config_service *service_pool_config(const struct service *service) {
        const struct service_pool *pool = container_of(service, const struct service_pool, service);

        return service->kind->take == pool_take ? pool->config : NULL;
}

void service_pool_count(const struct service *service, unsigned *runningp, unsigned *waitingp) {
        const struct service_pool *pool = container_of(service, const struct service_pool, service);
        unsigned n = atomic_load(&pool->n_under_way);

        *runningp = atomic_load(&pool->n_running);
        *waitingp = n > *runningp ? n - *runningp : 0;
}
