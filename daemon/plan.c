/* Plans of listeners. See plan.h. */
#include "daemon/plan.h"

#include "daemon/config_errors.h"
#include "daemon/listener.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int plan_add(struct plan *plan, struct listener *listener,
                    const struct config_listener *config) {
        size_t n = plan->n_listeners + 1;
        struct listener **listeners = realloc(plan->listeners, n * sizeof(*listeners));
        const struct config_listener **configs;

        if (listeners)
                plan->listeners = listeners;
        configs = realloc(plan->configs, n * sizeof(*configs));
        if (configs)
                plan->configs = configs;
        if (!listeners || !configs) {
                listener_unref(listener);
                return -ENOMEM;
        }
        plan->listeners[n - 1] = listener;
        plan->configs[n - 1] = config;
        plan->n_listeners = n;
        return 0;
}

static bool plan_has(const struct plan *plan, const struct listener *listener) {
        for (size_t i = 0; i < plan->n_listeners; i++)
                if (plan->listeners[i] == listener)
                        return true;
        return false;
}

/* Whether a running listener is bound to what is asked for. */
static bool listener_serves(const struct listener *listener, const struct config_listener *config,
                            const struct address_socket *socket) {
        if (listener->is_activated)
                return strcmp(listener->name, config->name) == 0;
        return listener->address.scheme == config->address.scheme &&
               listener_is_reachable(listener) && listener->requested.length == socket->length &&
               memcmp(&listener->requested.socket, &socket->socket, socket->length) == 0;
}

/* The running listener for a socket: the one of that name, or one that was renamed. What the kernel
 * chose a port for is known by its name only. */
static struct listener *find_running(const struct plan *plan, const struct config_listener *config,
                                     const struct address_socket *socket) {
        bool is_anonymous = !address_is_unix(&config->address) && config->address.port == 0;
        struct listener *renamed = NULL;

        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i];

                if (!listener_serves(listener, config, socket) || plan_has(plan, listener))
                        continue;
                if (strcmp(listener->name, config->name) == 0)
                        return listener;
                renamed = listener;
        }
        return is_anonymous ? NULL : renamed;
}

static int plan_complain(struct plan *plan, const struct config_listener *config, int error,
                         char *reason) {
        (void)config_errors_add(plan->errors, "listener \"%s\": %s", config->name,
                                reason ? reason : strerror(-error));
        free(reason);
        return error;
}

/* Says that it is one of our own sockets that is in the way, if it is: it would have to be closed
 * before it is known whether the new one can be had. */
static char *explain_conflict(const struct plan *plan, const struct config_listener *config,
                              char *reason) {
        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                const struct listener *listener = plan->server->listeners[i];
                char *text;

                if (listener->port == 0 || listener->port != config->address.port ||
                    asprintf(&text,
                             "port %u is held by the running listener \"%s\" on %s; changing that "
                             "needs a restart",
                             (unsigned)listener->port, listener->name, listener->text) < 0)
                        continue;
                free(reason);
                return text;
        }
        return reason;
}

/* A socket for which this machine lacks IPv6 is left out: nobody could reach it, and a
 * configuration of both families is to do everywhere. */
static int plan_leave_out(const struct config_listener *config, const struct address_socket *socket,
                          char *reason) {
        char text[ADDRESS_TEXT_MAX];

        address_format_socket(config->address.scheme, &socket->socket.any, socket->length, text);
        log_warning("listener \"%s\": %s is left out: %s", config->name, text,
                    reason ? reason : "this machine has no IPv6");
        free(reason);
        return 0;
}

/* Plans one socket of a listener: the one that runs, or a new one. *portp: the port that the kernel
 * chose for another address of the same listener. */
static int plan_socket(struct plan *plan, const struct config_listener *config,
                       const struct address_socket *socket, uint16_t *portp) {
        struct listener *running = find_running(plan, config, socket), *listener = NULL;
        char *reason = NULL;
        int r = 0;

        if (running && running->v6only != config->v6only)
                return plan_complain(plan, config, -EBUSY,
                                     strdup("v6only cannot change while it runs; restart sockd"));
        if (!running)
                r = listener_bind(&listener, config, socket, *portp, &reason);
        else if (strcmp(running->name, config->name) != 0)
                r = listener_take_over(&listener, config, running, &reason);
        else
                listener = listener_ref(running);
        if (r == -EADDRINUSE)
                reason = explain_conflict(plan, config, reason);
        if (r == LISTENER_NO_IPV6)
                return plan_leave_out(config, socket, reason);
        if (r < 0)
                return plan_complain(plan, config, r, reason);
        listener->requested = *socket;
        *portp = listener->port;
        return plan_add(plan, listener, config);
}

/* Plans the sockets that the service manager opened for a listener. Returns how many. */
static int plan_inherited(struct plan *plan, const struct config_listener *config) {
        int n = 0, fd, r;

        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i];

                if (listener->is_activated && strcmp(listener->name, config->name) == 0) {
                        r = plan_add(plan, listener_ref(listener), config);
                        if (r < 0)
                                return r;
                        n++;
                }
        }
        while ((fd = systemd_take_socket(&plan->server->systemd, config->name)) >= 0) {
                struct listener *listener;
                char *reason = NULL;

                r = listener_adopt(&listener, config, fd, &reason);
                if (r < 0)
                        return plan_complain(plan, config, r, reason);
                r = plan_add(plan, listener, config);
                if (r < 0)
                        return r;
                n++;
        }
        return n;
}

static int plan_listener(struct plan *plan, const struct config_listener *config) {
        struct address_socket *sockets = NULL;
        const char *reason = NULL;
        uint16_t port = 0;
        size_t n = 0;
        int r = plan_inherited(plan, config);

        if (r != 0)
                return r < 0 ? r : 0;
        r = address_resolve(&config->address, true, &sockets, &n, &reason);
        if (r < 0) {
                char text[ADDRESS_TEXT_MAX];

                (void)config_errors_add(plan->errors, "listener \"%s\": cannot resolve %s: %s",
                                        config->name, address_format(&config->address, text),
                                        reason ? reason : strerror(-r));
                return r;
        }
        for (size_t i = 0; i < n && r >= 0; i++)
                r = plan_socket(plan, config, &sockets[i], &port);
        free(sockets);
        return r;
}

static void announce(const struct listener *listener) {
        log_info("listener \"%s\" listening on %s%s", listener->name, listener->text,
                 listener->is_activated ? " (passed by the service manager)" : "");
}

static bool server_has(const struct server *server, const struct listener *listener) {
        for (size_t i = 0; i < server->n_listeners; i++)
                if (server->listeners[i] == listener)
                        return true;
        return false;
}

/* Changes what stays. */
static int plan_change(struct plan *plan) {
        for (size_t i = 0; i < plan->n_listeners; i++) {
                struct listener *listener = plan->listeners[i];
                char *reason = NULL;
                int r;

                if (!server_has(plan->server, listener) && !listener->taken_from)
                        continue;
                r = listener_apply(listener, plan->configs[i], &reason);
                if (r < 0)
                        return plan_complain(plan, plan->configs[i], r, reason);
        }
        return 0;
}

/* Stops what is gone. */
static void plan_stop(struct plan *plan) {
        for (size_t i = 0; i < plan->n_listeners; i++)
                if (plan->listeners[i]->taken_from)
                        listener_inherit(plan->listeners[i]);
        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i];

                if (plan_has(plan, listener))
                        continue;
                log_info("listener \"%s\" ended on %s", listener->name, listener->text);
                listener_stop(listener);
        }
}

/* Starts what is new. */
static void plan_start(struct plan *plan) {
        struct workers *workers = &plan->server->workers;

        for (size_t i = 0; i < plan->n_listeners; i++) {
                struct listener *listener = plan->listeners[i];

                if (server_has(plan->server, listener))
                        continue;
                announce(listener);
                listener_start(listener,
                               &workers->all[plan->server->next_worker++ % workers->count]);
        }
}

/* Hands the listeners over to the server. */
static void plan_adopt(struct plan *plan) {
        struct server *server = plan->server;

        for (size_t i = 0; i < server->n_listeners; i++)
                listener_unref(server->listeners[i]);
        free(server->listeners);
        server->listeners = plan->listeners;
        server->n_listeners = plan->n_listeners;
        plan->listeners = NULL;
        plan->n_listeners = 0;
}

static int plan_all(struct plan *plan, const struct config *config) {
        int r = 0;

        /* All errors are reported, not just the first. */
        for (size_t i = 0; i < config->n_listeners; i++) {
                int failed = plan_listener(plan, &config->listeners[i]);

                r = failed < 0 ? failed : r;
        }
        if (r < 0 || plan->n_listeners > 0)
                return r;
        (void)config_errors_add(plan->errors,
                                "there is nothing left to listen on: all addresses are of IPv6, "
                                "which this machine does not have");
        return -EADDRNOTAVAIL;
}

int plan_make(struct plan *plan, struct server *server, const struct config *config,
              struct config_errors *errors) {
        int r;

        *plan = (struct plan){.server = server, .errors = errors};
        r = plan_all(plan, config);
        return r < 0 ? r : plan_change(plan);
}

void plan_carry_out(struct plan *plan) {
        plan_stop(plan);
        plan_start(plan);
        plan_adopt(plan);
}

void plan_deinit(struct plan *plan) {
        for (size_t i = 0; i < plan->n_listeners; i++)
                listener_unref(plan->listeners[i]);
        free(plan->listeners);
        free(plan->configs);
}
