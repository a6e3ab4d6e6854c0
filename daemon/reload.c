/* The difference of two configurations. See reload.h. */
#include "daemon/reload.h"

#include "daemon/config_errors.h"
#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/plan.h"
#include "daemon/schedule.h"
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int reload_listeners(struct server *server, const struct config *config,
                     struct config_errors *errors) {
        struct plan plan;
        int r = plan_make(&plan, server, config, errors);

        if (r >= 0)
                plan_carry_out(&plan);
        plan_deinit(&plan);
        return r;
}

int reload_services(struct server *server, const struct config *config) {
        struct services_plan plan;
        int r = services_plan_make(&plan, &server->services, config);

        if (r >= 0)
                services_plan_carry_out(&plan);
        services_plan_deinit(&plan);
        return r;
}

/* --- a reload ------------------------------------------------------------------------------- */

struct reload {
        struct visit visit;
        struct server *server;
        struct config *config; /* a reference */
        bool changes_info;     /* clients are to be told */
        struct config_errors warnings;
        reload_done_fn *done;
        void *context;
};

void reload_warn(struct server *server, const char *format, ...) {
        va_list arguments;
        char *text;
        int n;

        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0)
                return;
        log_warning("%s", text);
        if (server->reload)
                (void)config_errors_add(&server->reload->warnings, "%s", text);
        free(text);
}

static void reload_worker(struct visit *visit, struct worker *worker) {
        struct reload *reload = container_of(visit, struct reload, visit);

        config_unref(worker->config);
        worker->config = config_ref(reload->config);
        LIST_FOREACH_SAFE (link, &worker->endpoints)
                endpoint_changed(container_of(link, struct endpoint, link));
        LIST_FOREACH_SAFE (link, &worker->listeners)
                listener_changed(container_of(link, struct listener, link));
}

static void reload_clients(struct visit *visit, struct worker *worker) {
        LIST_FOREACH_SAFE (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life != CONNECTION_OPEN)
                        continue;
                connection_limit_time(connection);
                connection->handler->changed(connection);
        }
}

static void log_errors(const struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_lines; i++)
                log_error("%s", errors->lines[i]);
        if (errors->n_lines > 0)
                log_error("failed to reload: nothing was changed");
}

static void reload_finish(struct reload *reload, const struct config_errors *errors) {
        struct server *server = reload->server;

        log_errors(errors);
        server->reload = NULL;
        if (server->state < SERVER_STOPPING)
                systemd_ready(&server->systemd);
        reload->done(reload->context, errors, &reload->warnings);
        config_errors_deinit(&reload->warnings);
        config_unref(reload->config);
        free(reload);
        if (server->reload_again)
                server_reload(server);
}

static void reload_done(struct visit *visit) {
        struct reload *reload = container_of(visit, struct reload, visit);
        const struct config_errors none = {.n_lines = 0};

        log_info("configuration reloaded");
        reload_finish(reload, &none);
}

/* When all workers have the configuration, their clients may learn of it: whoever acts on that will
 * find it in force everywhere. */
static void reload_tell(struct visit *visit) {
        struct reload *reload = container_of(visit, struct reload, visit);

        if (reload->changes_info)
                atomic_fetch_add(&reload->server->instance.generation, 1);
        reload->visit.run = reload_clients;
        reload->visit.done = reload_done;
        workers_visit(&reload->server->workers, &reload->visit, &reload->server->mailbox);
}

/* A socket that is kept stays in the groups that it has joined. */
static void warn_of_groups(struct server *server, const struct config_listener *before,
                           const struct config *now) {
        for (size_t i = 0; i < now->n_listeners; i++) {
                const struct config_listener *listener = &now->listeners[i];

                if (strcmp(before->name, listener->name) == 0 &&
                    config_listener_same_socket(before, listener) &&
                    !config_listener_same_groups(before, listener))
                        reload_warn(server,
                                    "listener \"%s\": join or interface has changed; a restart is "
                                    "needed for that",
                                    listener->name);
        }
}

static void warn_of_restart(struct server *server, const struct config *now) {
        const struct config *before = server->config;

        if (strcmp(before->server.name, now->server.name) != 0)
                reload_warn(server, "server.name has changed; a restart is needed for that");
        if (before->server.workers != now->server.workers)
                reload_warn(server, "server.workers has changed; a restart is needed for that");
        if (strcmp(before->system_account, now->system_account) != 0)
                reload_warn(server, "system_account has changed; a restart is needed for that");
        for (size_t i = 0; i < before->n_listeners; i++)
                warn_of_groups(server, &before->listeners[i], now);
}

/* A file is opened anew even if it is the same, as it may have been rotated. */
static int reload_log(const struct config *before, const struct config *now,
                      struct config_errors *errors) {
        int r;

        if (strcmp(before->log.target, now->log.target) == 0 &&
            strncmp(now->log.target, "file:", 5) != 0)
                return 0;
        r = log_open(now->log.target);
        if (r < 0)
                (void)config_errors_add(errors, "cannot open the log \"%s\": %s", now->log.target,
                                        strerror(-r));
        return r;
}

/* First what can be undone, then what can fail without a trace, then what cannot fail. */
static int reload_change(struct server *server, const struct config *before,
                         const struct config *now, struct config_errors *errors) {
        struct imports_plan imports;
        struct services_plan services;
        struct plan plan;
        int imported = imports_plan_make(&imports, &server->imports, now);
        int served = services_plan_make(&services, &server->services, now);
        int r = plan_make(&plan, server, now, errors);

        if (r >= 0)
                r = imported;
        if (r >= 0)
                r = served;
        if (r >= 0)
                r = reload_log(before, now, errors);
        if (r >= 0) {
                imports_plan_carry_out(&imports);
                services_plan_carry_out(&services);
                plan_carry_out(&plan);
        }
        plan_deinit(&plan);
        services_plan_deinit(&services);
        imports_plan_deinit(&imports);
        return r;
}

/* Applies what was read. */
static int reload_apply(struct reload *reload, struct config_errors *errors) {
        struct server *server = reload->server;
        struct config *before = server->config, *now = reload->config;
        int r = reload_change(server, before, now, errors);

        if (r < 0)
                return r;
        for (size_t i = 0; i < now->warnings.n_lines; i++)
                reload_warn(server, "%s", now->warnings.lines[i]);
        warn_of_restart(server, now);
        log_set_level((enum log_level)now->log.level);
        server_limit_connections(server, now);
        server_limit_programs(server, now);
        server_watch_replies(server);
        reload->changes_info = before->server.max_payload != now->server.max_payload;
        server->config = config_ref(now);
        config_unref(before);
        workers_visit(&server->workers, &reload->visit, &server->mailbox);
        return 0;
}

static void refuse(reload_done_fn *done, void *context, const char *why) {
        struct config_errors errors = {.n_lines = 0}, none = {.n_lines = 0};

        (void)config_errors_add(&errors, "%s", why);
        log_errors(&errors);
        done(context, &errors, &none);
        config_errors_deinit(&errors);
}

void reload_start(struct server *server, reload_done_fn *done, void *context) {
        struct config_errors errors = {.n_lines = 0};
        struct reload *reload;
        int r;

        if (server->state != SERVER_RUNNING || server->reload) {
                refuse(done, context,
                       server->reload ? "a reload is under way already"
                                      : "the server is about to end");
                return;
        }
        reload = calloc(1, sizeof(*reload));
        if (!reload) {
                refuse(done, context, "no memory");
                return;
        }
        *reload = (struct reload){.server = server,
                                  .done = done,
                                  .context = context,
                                  .visit.run = reload_worker,
                                  .visit.done = reload_tell};
        server->reload = reload;
        systemd_reloading(&server->systemd);
        schedule_renew_zone();
        r = config_load(&reload->config, server->options.config_path, server->options.listen,
                        server->options.n_listen, &errors);
        if (r >= 0)
                r = reload_apply(reload, &errors);
        if (r < 0) {
                if (errors.n_lines == 0)
                        (void)config_errors_add(&errors, "cannot reload: %s", strerror(-r));
                reload_finish(reload, &errors);
        }
        config_errors_deinit(&errors);
}
