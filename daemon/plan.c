/* Plans of listeners. See plan.h. */
#include "daemon/plan.h"

#include "daemon/config_errors.h"
#include "daemon/listener.h"
#include "daemon/reload.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One socket. */
struct plan_entry {
        const struct config_listener *config; /* borrowed */
        struct address_socket socket;         /* as it is asked for; without length if inherited */
        struct listener *listener; /* a reference; NULL: one of ours is in the way until it goes */
        bool is_beside;            /* it was bound beside that one */
        bool is_changed;           /* what runs has new properties already */
        struct config_listener former; /* the ones that it had; borrowed */
};

/* Adds a socket, with a reference to its listener (also on failure), if it has one. */
static int plan_add(struct plan *plan, const struct config_listener *config,
                    const struct address_socket *socket, struct listener *listener) {
        size_t n = plan->n_entries + 1;
        struct plan_entry *entries = realloc(plan->entries, n * sizeof(*entries));

        if (!entries) {
                listener_unref(listener);
                return -ENOMEM;
        }
        entries[n - 1] = (struct plan_entry){.config = config, .listener = listener};
        if (socket)
                entries[n - 1].socket = *socket;
        plan->entries = entries;
        plan->n_entries = n;
        return 0;
}

static bool plan_has(const struct plan *plan, const struct listener *listener) {
        for (size_t i = 0; i < plan->n_entries; i++)
                if (plan->entries[i].listener == listener)
                        return true;
        return false;
}

/* The one that takes over the socket of a running listener, or NULL. */
static struct listener *plan_heir(const struct plan *plan, const struct listener *listener) {
        for (size_t i = 0; i < plan->n_entries; i++) {
                struct listener *planned = plan->entries[i].listener;

                if (planned && planned->taken_from == listener)
                        return planned;
        }
        return NULL;
}

/* Whether the socket of a running listener stays. */
static bool plan_keeps(const struct plan *plan, const struct listener *listener) {
        return plan_has(plan, listener) || plan_heir(plan, listener);
}

static bool is_same_socket(const struct address_socket *a, const struct address_socket *b) {
        return a->length == b->length && memcmp(&a->socket, &b->socket, a->length) == 0;
}

/* Whether a running listener is bound to what is asked for. */
static bool listener_serves(const struct listener *listener, const struct config_listener *config,
                            const struct address_socket *socket) {
        if (listener->is_activated)
                return strcmp(listener->name, config->name) == 0;
        if (listener->family == AF_INET6 && listener->v6only != listener_wants_v6only(config))
                return false;
        return listener->address.scheme == config->address.scheme &&
               listener_is_reachable(listener) &&
               (is_same_socket(&listener->requested, socket) ||
                is_same_socket(&listener->bound, socket));
}

/* Whether the new configuration still has a listener of that name and address: its socket is not
 * for another name. */
static bool is_claimed(const struct plan *plan, const struct listener *listener) {
        for (size_t i = 0; i < plan->config->n_listeners; i++) {
                const struct config_listener *config = &plan->config->listeners[i];

                if (strcmp(config->name, listener->name) == 0 &&
                    address_is_equal(&config->address, &listener->address))
                        return true;
        }
        return false;
}

/* The running listener for a socket: the one of that name, or one that was renamed. What the kernel
 * is to choose a port for is known by its name only. */
static struct listener *find_running(const struct plan *plan, const struct config_listener *config,
                                     const struct address_socket *socket) {
        bool is_anonymous = !address_is_unix(&config->address) && config->address.port == 0;
        struct listener *renamed = NULL;

        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i];

                if (!listener_serves(listener, config, socket) || plan_keeps(plan, listener))
                        continue;
                if (strcmp(listener->name, config->name) == 0)
                        return listener;
                if (!is_claimed(plan, listener))
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

/* --- conflicts ------------------------------------------------------------------------------ */

static bool is_in_the_way(const struct listener *listener, const struct config_listener *config,
                          const struct address_socket *socket) {
        return listener && address_socket_overlaps(&listener->bound, listener->v6only, socket,
                                                   listener_wants_v6only(config));
}

/* Whether a running listener can share its port with what is to follow it. A socket that the
 * service manager opened is his. */
static bool can_make_room(const struct plan *plan, const struct listener *listener) {
        return listener->family != AF_UNIX && !listener->is_activated &&
               !plan_keeps(plan, listener);
}

/* Whether it may be enough to wait for what goes. */
static bool may_follow(const struct plan *plan, const struct config_listener *config,
                       const struct address_socket *socket) {
        for (size_t i = 0; i < plan->server->n_listeners; i++)
                if (can_make_room(plan, plan->server->listeners[i]) &&
                    is_in_the_way(plan->server->listeners[i], config, socket))
                        return true;
        return false;
}

/* Another listener of the new configuration that is in the way, else a running one. */
static const struct listener *find_conflict(const struct plan *plan,
                                            const struct config_listener *config,
                                            const struct address_socket *socket) {
        for (size_t i = 0; i < plan->n_entries; i++)
                if (plan->entries[i].config != config &&
                    is_in_the_way(plan->entries[i].listener, config, socket))
                        return plan->entries[i].listener;
        for (size_t i = 0; i < plan->server->n_listeners; i++)
                if (!can_make_room(plan, plan->server->listeners[i]) &&
                    is_in_the_way(plan->server->listeners[i], config, socket))
                        return plan->server->listeners[i];
        return NULL;
}

/* Says that it is one of our own sockets that is in the way, if it is. */
static char *explain_conflict(const struct plan *plan, const struct config_listener *config,
                              const struct address_socket *socket, char *reason) {
        const struct listener *other = find_conflict(plan, config, socket);
        char text[ADDRESS_TEXT_MAX], *explanation;
        int n;

        if (!other)
                return reason;
        address_format_socket(config->address.scheme, &socket->socket.any, socket->length, text);
        if (plan_has(plan, other))
                n = asprintf(&explanation,
                             "cannot bind to %s: listener \"%s\" of this configuration has %s",
                             text, other->name, other->text);
        else
                n = asprintf(&explanation,
                             "cannot bind to %s: the running listener \"%s\" has %s, which the "
                             "service manager opened; changing that needs a restart",
                             text, other->name, other->text);
        if (n < 0)
                return reason;
        free(reason);
        return explanation;
}

static int plan_complain_bind(struct plan *plan, const struct config_listener *config,
                              const struct address_socket *socket, int error, char *reason) {
        if (error == -EADDRINUSE)
                reason = explain_conflict(plan, config, socket, reason);
        return plan_complain(plan, config, error, reason);
}

static void plan_share(struct plan *plan, bool shares) {
        for (size_t i = 0; i < plan->server->n_listeners; i++)
                if (can_make_room(plan, plan->server->listeners[i]))
                        listener_share(plan->server->listeners[i], shares);
}

/* Binds what was in conflict with a running listener, now that it is known which of them stay. The
 * kernel alone cannot be asked about those: it remembers that a port was shared once, and then does
 * not look at who shares it. */
static int plan_bind_beside(struct plan *plan) {
        int r = 0;

        for (size_t i = 0; i < plan->n_entries; i++) {
                struct plan_entry *entry = &plan->entries[i];
                char *reason = NULL;
                int failed = -EADDRINUSE;

                if (entry->listener)
                        continue;
                entry->is_beside = true;
                if (!find_conflict(plan, entry->config, &entry->socket))
                        failed = listener_bind_beside(&entry->listener, entry->config,
                                                      &entry->socket, &reason);
                if (failed != 0)
                        r = plan_complain_bind(plan, entry->config, &entry->socket,
                                               failed < 0 ? failed : -EADDRNOTAVAIL, reason);
        }
        return r;
}

/* Has them listen, last of all: clients that came would be lost if the plan were given up. */
static int plan_listen_beside(struct plan *plan) {
        for (size_t i = 0; i < plan->n_entries; i++) {
                struct plan_entry *entry = &plan->entries[i];
                char *reason = NULL;
                int r;

                if (!entry->is_beside)
                        continue;
                r = listener_listen(entry->listener, entry->config, &reason);
                if (r < 0)
                        return plan_complain_bind(plan, entry->config, &entry->socket, r, reason);
        }
        return 0;
}

/* --- planning ------------------------------------------------------------------------------- */

/* A socket for which this machine lacks IPv6 is left out: nobody could reach it, and a
 * configuration of both families is to do everywhere. */
static int plan_leave_out(struct plan *plan, const struct config_listener *config,
                          const struct address_socket *socket, char *reason) {
        char text[ADDRESS_TEXT_MAX];

        address_format_socket(config->address.scheme, &socket->socket.any, socket->length, text);
        reload_warn(plan->server, "listener \"%s\": %s is left out: %s", config->name, text,
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

        if (!running)
                r = listener_bind(&listener, config, socket, *portp, &reason);
        else if (strcmp(running->name, config->name) != 0 ||
                 !address_is_equal(&running->address, &config->address))
                r = listener_take_over(&listener, config, running, &reason);
        else
                listener = listener_ref(running);
        if (r == LISTENER_NO_IPV6)
                return plan_leave_out(plan, config, socket, reason);
        if (r == -EADDRINUSE && may_follow(plan, config, socket)) {
                free(reason);
                return plan_add(plan, config, socket, NULL);
        }
        if (r < 0)
                return plan_complain_bind(plan, config, socket, r, reason);
        *portp = listener->port;
        return plan_add(plan, config, socket, listener);
}

/* Plans the sockets that the service manager opened for a listener. Returns how many. */
static int plan_inherited(struct plan *plan, const struct config_listener *config) {
        int n = 0, fd, r;

        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i];

                if (listener->is_activated && strcmp(listener->name, config->name) == 0) {
                        r = plan_add(plan, config, NULL, listener_ref(listener));
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
                r = plan_add(plan, config, NULL, listener);
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

/* Remembers the properties of what runs: its former configuration, but for owner and group, which
 * it may leave open. */
static void entry_remember(struct plan_entry *entry, const struct server *server) {
        const struct listener *running =
                entry->listener->taken_from ? entry->listener->taken_from : entry->listener;
        const struct config *config = server->config;
        struct stat now;

        for (size_t i = 0; i < config->n_listeners; i++) {
                if (strcmp(config->listeners[i].name, running->name) != 0)
                        continue;
                entry->former = config->listeners[i];
                entry->is_changed = true;
        }
        if (running->family != AF_UNIX || running->address.is_abstract ||
            lstat(running->address.path, &now) < 0)
                return;
        entry->former.owner = now.st_uid;
        entry->former.group = now.st_gid;
        entry->former.mode = now.st_mode & 07777;
}

/* Gives it back. */
static void entry_undo(const struct plan_entry *entry) {
        char *reason = NULL;

        if (entry->is_changed && listener_apply(entry->listener, &entry->former, &reason) < 0)
                log_warning("listener \"%s\" cannot be left as it was: %s", entry->former.name,
                            reason ? reason : "no memory");
        free(reason);
}

/* Changes what stays. */
static int plan_change(struct plan *plan) {
        for (size_t i = 0; i < plan->n_entries; i++) {
                struct plan_entry *entry = &plan->entries[i];
                char *reason = NULL;
                int r;

                if (!server_has(plan->server, entry->listener) && !entry->listener->taken_from)
                        continue;
                entry_remember(entry, plan->server);
                r = listener_apply(entry->listener, entry->config, &reason);
                if (r < 0)
                        return plan_complain(plan, entry->config, r, reason);
        }
        return 0;
}

static int plan_all(struct plan *plan) {
        const struct config *config = plan->config;
        int r = 0;

        /* All errors are reported, not just the first. */
        for (size_t i = 0; i < config->n_listeners; i++) {
                int failed = plan_listener(plan, &config->listeners[i]);

                r = failed < 0 ? failed : r;
        }
        if (r < 0 || plan->n_entries > 0)
                return r;
        (void)config_errors_add(plan->errors,
                                "there is nothing left to listen on: all addresses are of IPv6, "
                                "which this machine does not have");
        return -EADDRNOTAVAIL;
}

/* The second half: what follows a running listener on its port. r: how the first half went; all
 * errors of both are reported. */
static int plan_follow(struct plan *plan, int r) {
        int failed;

        plan_share(plan, true);
        failed = plan_bind_beside(plan);
        r = failed < 0 ? failed : r;
        if (r >= 0)
                r = plan_change(plan);
        if (r >= 0)
                r = plan_listen_beside(plan);
        plan_share(plan, false);
        return r;
}

int plan_make(struct plan *plan, struct server *server, const struct config *config,
              struct config_errors *errors) {
        int r;

        *plan = (struct plan){.server = server, .config = config, .errors = errors};
        r = plan_all(plan);
        plan->listeners = calloc(plan->n_entries + 1, sizeof(struct listener *));
        if (!plan->listeners)
                return -ENOMEM;
        return plan_follow(plan, r);
}

/* --- carrying out --------------------------------------------------------------------------- */

/* Stops what is gone. */
static void plan_stop(struct plan *plan) {
        for (size_t i = 0; i < plan->server->n_listeners; i++) {
                struct listener *listener = plan->server->listeners[i], *heir;

                if (plan_has(plan, listener))
                        continue;
                log_info("listener \"%s\" ended on %s", listener->name, listener->text);
                heir = plan_heir(plan, listener);
                if (heir) {
                        listener_inherit(heir);
                        listener_stop(listener); /* who waits there is the heir's */
                } else {
                        listener_retire(listener);
                }
        }
}

/* Starts what is new. */
static void plan_start(struct plan *plan) {
        struct workers *workers = &plan->server->workers;

        for (size_t i = 0; i < plan->n_entries; i++) {
                struct listener *listener = plan->entries[i].listener;

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
        for (size_t i = 0; i < plan->n_entries; i++) {
                plan->listeners[i] = plan->entries[i].listener;
                plan->listeners[i]->requested = plan->entries[i].socket;
        }
        server->listeners = plan->listeners;
        server->n_listeners = plan->n_entries;
        plan->listeners = NULL;
        plan->n_entries = 0;
}

/* Says where those go whom no user fits. */
static void plan_assign(struct plan *plan) {
        for (size_t i = 0; i < plan->n_entries; i++) {
                const struct plan_entry *entry = &plan->entries[i];
                const char *account = entry->config->account;
                struct bus *bus = account ? accounts_find(&plan->server->accounts, account) : NULL;

                atomic_store(&entry->listener->bus, bus);
        }
}

void plan_carry_out(struct plan *plan) {
        plan_assign(plan);
        plan_stop(plan);
        plan_start(plan);
        plan_adopt(plan);
}

void plan_deinit(struct plan *plan) {
        for (size_t i = 0; i < plan->n_entries; i++) {
                entry_undo(&plan->entries[i]);
                listener_unref(plan->entries[i].listener);
        }
        free(plan->entries);
        free(plan->listeners);
}
