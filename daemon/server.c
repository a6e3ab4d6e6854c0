/* The server. See server.h. */
#include "daemon/server.h"

#include "daemon/config_errors.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/reload.h"
#include "daemon/spawner.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* How long queues are flushed when the server stops, and how often it is looked whether they are
 * empty. */
#define STOP_MS      2000
#define STOP_TICK_MS 10
/* How often replies that have been awaited for too long are forgotten. */
#define PATIENCE_TICK_MS 10000
/* How often the status shown by systemctl is renewed. */
#define STATUS_MS 5000
/* More connections at a time cannot be. */
#define SLOTS_MAX (1u << 22)
/* Descriptors that are not connections. */
#define RESERVED_DESCRIPTORS   64
#define DESCRIPTORS_PER_WORKER 8
/* Its input, output and errors. */
#define DESCRIPTORS_PER_PROGRAM 3

unsigned server_count_connections(const struct server *server) {
        unsigned n = 0;

        for (unsigned i = 0; i < server->workers.count; i++)
                n += atomic_load_explicit(&server->workers.all[i].n_connections,
                                          memory_order_relaxed);
        return n;
}

/* --- limits --------------------------------------------------------------------------------- */

static uint64_t raise_descriptor_limit(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 1024;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        return limit.rlim_cur;
}

/* "*" stands for two sockets; each worker has one of a datagram listener, too. Of programs no more
 * run at a time than may. */
static uint64_t count_reserved(const struct config *config) {
        uint64_t n_workers = config->server.workers;
        uint64_t reserved = RESERVED_DESCRIPTORS + n_workers * DESCRIPTORS_PER_WORKER;
        uint64_t n_programs = 0;

        for (size_t i = 0; i < config->n_listeners; i++)
                reserved += address_is_datagram(&config->listeners[i].address) ? 2 * (n_workers + 1)
                                                                               : 2;
        for (size_t i = 0; i < config->services.n; i++)
                n_programs += config->services.all[i]->concurrency;
        for (size_t i = 0; i < config->n_listeners; i++)
                if (config->listeners[i].handler.made &&
                    config->listeners[i].handler.made->kind == HANDLER_EXEC)
                        n_programs += config->listeners[i].handler.made->exec.concurrency;
        if (n_programs > config->programs.max_running)
                n_programs = config->programs.max_running;
        return reserved + n_programs * DESCRIPTORS_PER_PROGRAM;
}

void server_limit_connections(struct server *server, const struct config *config) {
        uint64_t reserved = count_reserved(config);
        uint64_t possible =
                server->max_descriptors > reserved + 1 ? server->max_descriptors - reserved : 1;
        uint64_t max = config->server.max_connections;

        if (max > possible && max != server->max_connections_warned)
                reload_warn(server,
                            "max_connections is %llu, but the limit of %llu descriptors "
                            "(LimitNOFILE=, ulimit -Hn) allows only %llu",
                            (unsigned long long)max, (unsigned long long)server->max_descriptors,
                            (unsigned long long)possible);
        server->max_connections_warned = max > possible ? max : 0;
        atomic_store(&server->instance.max_connections, max > possible ? possible : max);
}

void server_limit_programs(struct server *server, const struct config *config) {
        int r = spawner_limit(server->options.spawner, config->programs.max_running,
                              config->programs.max_starts);

        if (r < 0)
                reload_warn(server, "the limits on programs stay as they are: %s", strerror(-r));
}

/* --- stopping ------------------------------------------------------------------------------- */

/* A task for every worker, which frees itself. */
struct order {
        struct visit visit;
        struct server *server;
};

static void order_done(struct visit *visit) {
        free(container_of(visit, struct order, visit));
}

static void server_order(struct server *server,
                         void (*run)(struct visit *visit, struct worker *worker)) {
        struct order *order = calloc(1, sizeof(*order));

        if (!order) {
                log_error("no memory to reach the workers");
                return;
        }
        order->server = server;
        order->visit.run = run;
        order->visit.done = order_done;
        workers_visit(&server->workers, &order->visit, &server->mailbox);
}

/* Whether programs have the socket of a listener at times. */
static bool is_lent(struct listener *listener) {
        struct config_handler *settings = listener_settings(listener);
        bool waits = settings && settings->kind == HANDLER_EXEC && settings->exec.waits;

        config_handler_unref(settings);
        return waits;
}

/* Datagram listeners end last of all, with their sessions; those whose sockets programs have, with
 * the programs. */
static void server_close_listeners(struct server *server, bool all) {
        size_t n_kept = 0;

        for (size_t i = 0; i < server->n_listeners; i++) {
                struct listener *listener = server->listeners[i];

                if (!all && (listener->transport->is_connectionless || is_lent(listener))) {
                        server->listeners[n_kept++] = listener;
                        continue;
                }
                listener_stop(listener);
                listener_unref(listener);
        }
        server->n_listeners = n_kept;
}

static void end_connections(struct visit *visit, struct worker *worker) {
        LIST_FOREACH_SAFE (link, &worker->connections)
                connection_end(container_of(link, struct connection, link), REASON_SHUTDOWN);
}

static void server_finish(struct server *server) {
        if (server->state == SERVER_STOPPED)
                return;
        server->state = SERVER_STOPPED;
        uv_stop(&server->loop);
}

/* Whether programs of listeners still run, or are about to. */
static bool has_programs(const struct server *server) {
        uint64_t n_started = 0, n_ended = 0;

        for (unsigned i = 0; i < server->workers.count; i++) {
                n_ended += counter_read(&server->workers.all[i].stats.exec_over);
                n_started += counter_read(&server->workers.all[i].stats.exec_asked);
        }
        return n_started > n_ended;
}

static void server_on_stop_tick(uv_timer_t *timer) {
        struct server *server = timer->data;

        if ((server_count_connections(server) == 0 && !has_programs(server)) ||
            uv_now(&server->loop) >= server->stop_due_ms)
                server_finish(server);
}

void server_stop(struct server *server) {
        if (server->state >= SERVER_STOPPING) {
                server_finish(server);
                return;
        }
        server->state = SERVER_STOPPING;
        log_info("stopping");
        systemd_stopping(&server->systemd);
        server_close_listeners(server, true);
        server_order(server, end_connections);
        server->stop_due_ms = uv_now(&server->loop) + STOP_MS;
        (void)uv_timer_start(&server->timer, server_on_stop_tick, 0, STOP_TICK_MS);
}

/* --- lame duck ------------------------------------------------------------------------------ */

static void begin_lame_duck(struct visit *visit, struct worker *worker) {
        LIST_FOREACH_SAFE (link, &worker->listeners) {
                struct listener *listener = container_of(link, struct listener, link);

                if (!listener->loan)
                        listener_stop_here(listener);
        }
        LIST_FOREACH_SAFE (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN)
                        connection->handler->changed(connection);
        }
}

/* One order to end a connection of one worker. */
struct farewell {
        struct task task;
        struct worker *worker;
};

static void end_one_connection(struct task *task) {
        struct farewell *farewell = container_of(task, struct farewell, task);

        LIST_FOREACH (link, &farewell->worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN) {
                        connection_end(connection, REASON_SHUTDOWN);
                        break;
                }
        }
        free(farewell);
}

static void server_end_one(struct server *server) {
        struct farewell *farewell = calloc(1, sizeof(*farewell));
        struct worker *worker = NULL;

        /* In turns, as long as they have any. */
        for (unsigned i = 0; i < server->workers.count; i++) {
                worker = &server->workers.all[server->next_worker++ % server->workers.count];
                if (atomic_load(&worker->n_connections) > 0)
                        break;
        }
        if (!farewell)
                return;
        farewell->worker = worker;
        farewell->task.run = end_one_connection;
        if (mailbox_post(&worker->mailbox, &farewell->task) < 0)
                free(farewell);
}

/* Ends so many connections that the last goes when the time is over. */
static void server_on_lame_duck_tick(uv_timer_t *timer) {
        struct server *server = timer->data;
        uint64_t now = uv_now(&server->loop);
        uint64_t left = server->lame_duck_end_ms > now ? server->lame_duck_end_ms - now : 1;
        unsigned n = server_count_connections(server);
        uint64_t pause;

        if (n == 0 || now >= server->lame_duck_end_ms) {
                server_stop(server);
                return;
        }
        pause = left / n < 1000 ? left / n : 1000;
        for (unsigned i = 0; i < (pause == 0 ? n / left + 1 : 1); i++)
                server_end_one(server);
        (void)uv_timer_start(&server->timer, server_on_lame_duck_tick, pause ? pause : 1, 0);
}

static void server_on_grace_tick(uv_timer_t *timer) {
        struct server *server = timer->data;

        if (server_count_connections(server) == 0 && !has_programs(server))
                server_stop(server);
        else if (uv_now(&server->loop) >= server->stop_due_ms)
                server_on_lame_duck_tick(timer);
}

void server_drain(struct server *server) {
        const struct config_server *config = &server->config->server;

        if (server->state != SERVER_RUNNING)
                return;
        server->state = SERVER_LAME_DUCK;
        log_info("lame duck mode: no new connections; clients are asked to leave");
        server_close_listeners(server, false);
        atomic_store(&server->instance.is_lame_duck, true);
        atomic_fetch_add(&server->instance.generation, 1);
        server_order(server, begin_lame_duck);
        server->stop_due_ms = uv_now(&server->loop) + config->lame_duck_grace_ms;
        server->lame_duck_end_ms = uv_now(&server->loop) + config->lame_duck_duration_ms;
        (void)uv_timer_start(&server->timer, server_on_grace_tick, 0, 100);
}

/* --- signals and heartbeat ------------------------------------------------------------------- */

static void server_on_reloaded(void *context, const struct config_errors *errors,
                               const struct config_errors *warnings) {
        /* Nobody waits for an answer to a signal, and the log has it. */
}

void server_reload(struct server *server) {
        if (server->state != SERVER_RUNNING) {
                log_warning("the configuration is not read again: the server is about to end");
                return;
        }
        server->reload_again = server->reload != NULL;
        if (!server->reload)
                reload_start(server, server_on_reloaded, server);
}

static void server_on_signal(uv_signal_t *handle, int number) {
        struct server *server = handle->data;

        if (number == SIGHUP)
                server_reload(server);
        else if (number == SIGUSR1)
                (void)log_open(server->config->log.target);
        else if (number == SIGUSR2)
                server_drain(server);
        else
                server_stop(server);
}

static int server_watch_signals(struct server *server) {
        static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                int r = uv_signal_init(&server->loop, &server->signals[i]);

                if (r >= 0)
                        r = uv_signal_start(&server->signals[i], server_on_signal, numbers[i]);
                if (r < 0)
                        return r;
                server->signals[i].data = server;
        }
        return 0;
}

/* The line that systemctl status shows. */
static void server_tell_status(struct server *server) {
        if (server->state == SERVER_RUNNING)
                systemd_status(&server->systemd, "Serving %u clients on %zu listeners%s",
                               server_count_connections(server), server->n_listeners,
                               spawner_is_running(server->options.spawner)
                                       ? ""
                                       : "; programs cannot be started: restart sockd");
}

/* Who dies may leave us others. */
static void server_on_orphan(uv_signal_t *handle, int number) {
        struct server *server = handle->data;

        if (!spawner_kill_left(server->options.spawner))
                (void)uv_signal_stop(handle);
}

/* Ends all programs, which the spawner can end no more. */
static void server_end_programs(struct server *server) {
        int r = uv_signal_start(&server->orphans, server_on_orphan, SIGCHLD);

        if (r < 0)
                log_error("not all programs may end: %s", uv_strerror(r));
        server_on_orphan(&server->orphans, SIGCHLD);
}

/* It never says anything but that it has ended. */
static void server_on_spawner(uv_poll_t *poll, int status, int events) {
        struct server *server = poll->data;
        int ended = spawner_collect(server->options.spawner);

        uv_close((uv_handle_t *)poll, NULL);
        if (WIFSIGNALED(ended))
                log_error("the spawner was ended by signal %d (%s); sockd goes on, but has to be "
                          "restarted to run programs",
                          WTERMSIG(ended), strsignal(WTERMSIG(ended)));
        else
                log_error("the spawner has ended with status %d; sockd goes on, but has to be "
                          "restarted to run programs",
                          WEXITSTATUS(ended));
        server_tell_status(server);
        server_end_programs(server);
}

static int server_watch_spawner(struct server *server) {
        int r = uv_poll_init(&server->loop, &server->spawner, server->options.spawner->fd);

        if (r >= 0)
                r = uv_signal_init(&server->loop, &server->orphans);
        if (r < 0)
                return r;
        server->spawner.data = server;
        server->orphans.data = server;
        return uv_poll_start(&server->spawner, UV_READABLE, server_on_spawner);
}

static void beat_worker(struct visit *visit, struct worker *worker) {
        /* That it came here is the point. */
}

static void beat_done(struct visit *visit) {
        struct server *server = container_of(visit, struct server, beat);

        server->is_beating = false;
        systemd_watchdog(&server->systemd);
}

static void server_on_heartbeat(uv_timer_t *timer) {
        struct server *server = timer->data;

        server_tell_status(server);
        if (server->is_beating)
                return; /* a worker is stuck */
        server->is_beating = true;
        server->beat.run = beat_worker;
        server->beat.done = beat_done;
        workers_visit(&server->workers, &server->beat, &server->mailbox);
}

static void server_start_heartbeat(struct server *server) {
        uint64_t interval = STATUS_MS;

        if (!server->systemd.is_notified)
                return;
        if (server->systemd.watchdog_ms > 0 && server->systemd.watchdog_ms / 2 < interval)
                interval = server->systemd.watchdog_ms / 2;
        (void)uv_timer_start(&server->heartbeat, server_on_heartbeat, 0, interval ? interval : 1);
}

static void server_on_patience_tick(uv_timer_t *timer) {
        struct server *server = timer->data;

        (void)imports_expire(&server->imports);
}

void server_watch_replies(struct server *server) {
        if (server->imports.routes && !uv_is_active((uv_handle_t *)&server->patience))
                (void)uv_timer_start(&server->patience, server_on_patience_tick, PATIENCE_TICK_MS,
                                     PATIENCE_TICK_MS);
}

/* --- building and tearing down ---------------------------------------------------------------- */

static int server_init_loop(struct server *server) {
        int r = mailbox_init(&server->mailbox, &server->loop);

        if (r >= 0)
                r = uv_timer_init(&server->loop, &server->timer);
        if (r >= 0)
                r = uv_timer_init(&server->loop, &server->heartbeat);
        if (r >= 0)
                r = uv_timer_init(&server->loop, &server->patience);
        server->patience.data = server;
        server->timer.data = server;
        server->heartbeat.data = server;
        return r;
}

/* Slots for all connections that descriptors allow, and for those that are closed already but not
 * forgotten by all. */
static uint32_t slots_for(const struct server *server) {
        uint64_t n = 2 * server->max_descriptors + 4096;

        for (size_t i = 0; i < server->config->n_listeners; i++)
                if (address_is_datagram(&server->config->listeners[i].address))
                        n += 2 * server->config->listeners[i].max_sessions;

        return n < SLOTS_MAX ? (uint32_t)n : SLOTS_MAX;
}

static int server_init_systemd(struct server *server, struct config_errors *errors) {
        int r = systemd_init(&server->systemd);

        if (r < 0)
                (void)config_errors_add(errors,
                                        "cannot take the sockets of the service manager "
                                        "(LISTEN_FDS, LISTEN_FDNAMES): %s",
                                        strerror(-r));
        return r;
}

/* Makes the accounts, with what they import. */
static int server_init_accounts(struct server *server, const struct config *config) {
        struct instance *instance = &server->instance;
        struct imports_plan plan;
        int r;

        imports_init(&server->imports, &server->accounts);
        services_init(&server->services, instance, &server->workers, &server->mailbox);
        r = accounts_obtain(&server->accounts, CONFIG_DEFAULT_ACCOUNT, &instance->bus);
        if (r >= 0)
                r = accounts_obtain(&server->accounts, config->system_account,
                                    &instance->system_bus);
        if (r < 0)
                return r;
        instance->accounts = &server->accounts;
        r = imports_plan_make(&plan, &server->imports, config);
        if (r >= 0)
                imports_plan_carry_out(&plan);
        imports_plan_deinit(&plan);
        server_watch_replies(server);
        return r;
}

/* With a loop already, so that server_deinit() does whatever happens here. */
static int server_init(struct server *server, const struct server_options *options,
                       struct config *config, struct config_errors *errors) {
        int r;

        server->options = *options;
        server->config = config_ref(config);
        server->max_descriptors = raise_descriptor_limit();
        r = instance_init(&server->instance, config->server.name, slots_for(server));
        if (r >= 0)
                r = server_init_accounts(server, config);
        if (r >= 0)
                r = closed_log_init(&server->closed);
        if (r < 0)
                return r;
        server->instance.closed = &server->closed;
        server->instance.spawner = server->options.spawner;
        server_limit_connections(server, config);
        server_limit_programs(server, config);
        r = control_init(&server->control, server);
        return r < 0 ? r : server_init_systemd(server, errors);
}

static void close_handle(uv_handle_t *handle, void *context) {
        if (!uv_is_closing(handle))
                uv_close(handle, NULL);
}

static void server_deinit(struct server *server) {
        server_close_listeners(server, true);
        free(server->listeners);
        if (server->mailbox.async.loop)
                mailbox_close(&server->mailbox);
        uv_walk(&server->loop, close_handle, NULL);
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
        (void)uv_loop_close(&server->loop);
        control_deinit(&server->control);
        workers_deinit(&server->workers);
        services_deinit(&server->services);
        imports_deinit(&server->imports);
        accounts_deinit(&server->accounts);
        reclaim_drain();
        mailbox_deinit(&server->mailbox);
        closed_log_deinit(&server->closed);
        instance_deinit(&server->instance);
        systemd_deinit(&server->systemd);
        config_unref(server->config);
}

/* Whether each socket that the service manager passed is for a listener. */
static int server_check_inherited(const struct server *server, struct config_errors *errors) {
        int r = 0;

        for (size_t i = 0; i < server->systemd.n_sockets; i++) {
                const char *name = server->systemd.sockets[i].name;
                bool is_known = false;

                for (size_t k = 0; k < server->config->n_listeners; k++)
                        is_known |= strcmp(server->config->listeners[k].name, name) == 0;
                if (is_known)
                        continue;
                (void)config_errors_add(errors,
                                        "the service manager passed a socket named \"%s\", but no "
                                        "listener has that name (FileDescriptorName=)",
                                        name);
                r = -EINVAL;
        }
        return r;
}

/* Starts the threads and the listeners. */
static int server_start(struct server *server, struct config_errors *errors) {
        int r = workers_start(&server->workers, server->config->server.workers, &server->instance,
                              server->config);

        if (r < 0) {
                (void)config_errors_add(errors, "cannot start the workers: %s", strerror(-r));
                return r;
        }
        r = server_check_inherited(server, errors);
        if (r >= 0)
                r = reload_services(server, server->config);
        return r < 0 ? r : reload_listeners(server, server->config, errors);
}

int server_run(const struct server_options *options, struct config *config,
               struct config_errors *errors) {
        struct server *server = calloc(1, sizeof(*server));
        int r = server ? uv_loop_init(&server->loop) : -ENOMEM;

        if (r < 0) {
                free(server);
                (void)config_errors_add(errors, "cannot start: %s", strerror(-r));
                return r;
        }
        r = server_init_loop(server);
        if (r >= 0)
                r = server_init(server, options, config, errors);
        if (r >= 0)
                r = server_watch_signals(server);
        if (r >= 0)
                r = server_watch_spawner(server);
        if (r >= 0)
                r = server_start(server, errors);
        if (r < 0 && errors->n_lines == 0)
                (void)config_errors_add(errors, "cannot start: %s", strerror(-r));
        if (r >= 0) {
                server_start_heartbeat(server);
                systemd_ready(&server->systemd);
                log_info("sockd " PACKAGE_VERSION " with %u worker%s is ready",
                         server->workers.count, server->workers.count == 1 ? "" : "s");
                (void)uv_run(&server->loop, UV_RUN_DEFAULT);
                log_info("stopped");
        }
        workers_stop(&server->workers);
        server_deinit(server);
        free(server);
        return r;
}
