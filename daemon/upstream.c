/* The way to a target. See upstream.h. */
#include "daemon/upstream_parts.h"

#include "daemon/config_handler.h"
#include "daemon/connection.h"
#include "daemon/listener.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* How soon a Unix socket is tried again whose queue of connections is full, of which nothing else
 * tells. */
#define RETRY_MS 10

static void advance(struct upstream *upstream);

static struct targets *targets_of(const struct upstream *upstream) {
        return upstream->connection->settings->forward.targets;
}

static unsigned current_target(const struct upstream *upstream) {
        return upstream->turn.order[upstream->n_turned];
}

static uint64_t now_ms(const struct upstream *upstream) {
        return uv_now(&upstream->connection->worker->loop);
}

const char *upstream_target(const struct upstream *upstream) {
        return targets_of(upstream)->all[current_target(upstream)].text;
}

/* --- attempts ------------------------------------------------------------------------------------
 */

/* Sets the time of the attempt, or of the next look at it. */
static void set_deadline(struct upstream *upstream, uint64_t ms) {
        connection_set_deadline(upstream->connection, ms);
}

/* Tells the target who is there, if it is to know. A new socket has room for that. */
static bool introduce(const struct upstream *upstream) {
        enum proxy_version version = upstream->connection->settings->forward.send_proxy;
        char text[PROXY_TEXT_MAX];
        size_t length;

        if (version == PROXY_NONE)
                return true;
        length = connection_introduce(upstream->connection, version, text);
        return send(upstream->socket->fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* The present target cannot be reached. Of the only one that is told with the failure of all. */
void upstream_note_failure(struct upstream *upstream, const char *why) {
        static struct log_limit limit = {
                .what = "failures of targets", .burst = 20, .interval_ms = 10000};
        struct targets *targets = targets_of(upstream);

        counter_add(&upstream->connection->worker->stats.failed_targets, 1);
        if (!targets_note(targets, current_target(upstream), false, now_ms(upstream)))
                return;
        if (targets->count > 1)
                log_limited(&limit, LOG_LEVEL_WARNING,
                            "listener \"%s\": target %s: %s; it is tried last for %ds",
                            upstream->connection->listener->name, upstream_target(upstream), why,
                            TARGET_REST_MS / 1000);
        else if (upstream->phase == UPSTREAM_OPEN)
                log_limited(&limit, LOG_LEVEL_WARNING, "listener \"%s\": target %s: %s",
                            upstream->connection->listener->name, upstream_target(upstream), why);
}

void upstream_note_answer(struct upstream *upstream) {
        static struct log_limit limit = {.burst = 20, .interval_ms = 10000};

        if (targets_note(targets_of(upstream), current_target(upstream), true, now_ms(upstream)))
                log_limited(&limit, LOG_LEVEL_INFO, "listener \"%s\": target %s is there again",
                            upstream->connection->listener->name, upstream_target(upstream));
}

/* Whether its having a connection says that the target is there. */
static bool is_proof(const struct upstream_socket *socket) {
        return socket->type != SOCK_DGRAM || socket->family == AF_UNIX;
}

static void become_open(struct upstream *upstream) {
        set_deadline(upstream, 0);
        upstream->phase = UPSTREAM_OPEN;
        upstream_await(upstream, 0);
        if (is_proof(upstream->socket))
                upstream_note_answer(upstream);
        upstream->owner->opened(upstream);
}

/* Nothing is left to be tried. */
static void give_up(struct upstream *upstream) {
        upstream_close(upstream, false);
        upstream->owner->failed(upstream);
}

/* The present address is no good; the next one is tried. */
static void fail_attempt(struct upstream *upstream, const char *failure) {
        upstream_socket_close(upstream, false);
        snprintf(upstream->failure, sizeof(upstream->failure), "%s", failure);
        upstream->failed_target = upstream_target(upstream);
        upstream->n_sockets++;
}

/* Whether an error is ours, so that no other target would be any better. */
static bool is_own(int error) {
        return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* A target has accepted. Returns whether that leads anywhere. */
static bool on_connected(struct upstream *upstream) {
        const struct target *target = &targets_of(upstream)->all[current_target(upstream)];
        int r = upstream_socket_name(upstream->socket);

        if (r < 0) {
                fail_attempt(upstream, strerror(-r));
                return false;
        }
        if (!introduce(upstream)) {
                fail_attempt(upstream, "it did not take the PROXY header");
                return false;
        }
        if (target->address.scheme != ADDRESS_TLS) {
                become_open(upstream);
                return true;
        }
        upstream->phase = UPSTREAM_SECURING;
        upstream_await(upstream, 0);
        r = upstream_secure(upstream);
        if (r < 0)
                fail_attempt(upstream, strerror(-r));
        return r == 0;
}

/* Connects to one address. Returns 0, -EINPROGRESS, -EAGAIN: it is to be tried again, or another
 * negative errno. */
static int try_address(struct upstream *upstream, const struct address_socket *address) {
        int r = upstream->socket ? 0 : upstream_socket_open(upstream, address);

        if (r < 0)
                return r;
        r = connect(upstream->socket->fd, &address->socket.any, address->length);
        return r < 0 ? -errno : 0;
}

/* Tries the address that is next. Returns whether there is something to wait for, or it is open. */
static bool attempt(struct upstream *upstream, const struct address_socket *address) {
        uint64_t now = now_ms(upstream);
        int r = try_address(upstream, address);

        switch (r) {
        case 0:
                return on_connected(upstream);
        case -EINPROGRESS:
                upstream->phase = UPSTREAM_CONNECTING;
                upstream_await(upstream, UV_WRITABLE);
                set_deadline(upstream, upstream->due_ms > now ? upstream->due_ms - now : 1);
                return true;
        case -EAGAIN:
                upstream->phase = UPSTREAM_RETRYING;
                set_deadline(upstream, RETRY_MS);
                return true;
        default:
                fail_attempt(upstream, strerror(-r));
                upstream->is_at_limit = is_own(r);
                return false;
        }
}

static void start_clock(struct upstream *upstream) {
        upstream->due_ms =
                now_ms(upstream) + upstream->connection->settings->forward.connect_timeout_ms;
}

static void on_resolved(struct resolver_wait *wait) {
        struct upstream *upstream = container_of(wait, struct upstream, wait);
        struct connection *connection = upstream->connection;

        if (upstream->phase == UPSTREAM_RESOLVING)
                advance(upstream);
        connection_unpin(connection);
}

/* It is not known what a target stands for: has that found out, once. Returns whether that is to be
 * waited for. */
static bool ask(struct upstream *upstream) {
        struct connection *connection = upstream->connection;
        struct config_handler *settings = connection->settings;
        unsigned target = current_target(upstream);

        if (upstream->has_asked)
                return false;
        upstream->has_asked = true;
        resolver_refresh(settings, target, connection->worker);
        upstream->wait.worker = connection->worker;
        upstream->wait.done = on_resolved;
        if (!resolver_await(settings, target, &upstream->wait))
                return false;
        connection_pin(connection);
        upstream->phase = UPSTREAM_RESOLVING;
        set_deadline(upstream, settings->forward.connect_timeout_ms);
        return true;
}

static void next_target(struct upstream *upstream) {
        upstream_note_failure(upstream, upstream->failure);
        upstream->n_turned++;
        upstream->n_sockets = 0;
        upstream->has_asked = false;
}

/* Tries addresses until there is something to wait for. */
static void advance(struct upstream *upstream) {
        struct targets *targets = targets_of(upstream);

        while (upstream->n_turned < upstream->turn.count) {
                unsigned target = current_target(upstream);
                bool has_asked = upstream->has_asked;
                struct address_socket address;
                int r = targets_socket(targets, target, upstream->n_sockets, &address);

                if (r == 0) {
                        resolver_refresh(upstream->connection->settings, target,
                                         upstream->connection->worker);
                        start_clock(upstream);
                        if (attempt(upstream, &address))
                                return;
                        if (upstream->is_at_limit)
                                break;
                } else if (r == TARGET_UNKNOWN && ask(upstream)) {
                        return;
                } else if (r == TARGET_END || has_asked) {
                        if (r == TARGET_UNKNOWN)
                                fail_attempt(upstream, "its name is not known");
                        next_target(upstream);
                }
        }
        give_up(upstream);
}

/* The address whose queue was full, once more. */
static void retry(struct upstream *upstream) {
        struct address_socket address;

        if (targets_socket(targets_of(upstream), current_target(upstream), upstream->n_sockets,
                           &address) != 0 ||
            !attempt(upstream, &address))
                advance(upstream);
}

static void finish_attempt(struct upstream *upstream) {
        int error = 0;
        socklen_t length = sizeof(error);

        if (getsockopt(upstream->socket->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                error = errno;
        if (error != 0)
                fail_attempt(upstream, strerror(error));
        if (error != 0 || !on_connected(upstream))
                advance(upstream);
}

void upstream_on_ready(struct upstream *upstream, int events) {
        if (upstream->phase == UPSTREAM_CONNECTING)
                finish_attempt(upstream);
        else if (upstream->phase == UPSTREAM_SECURING)
                upstream_continue_securing(upstream, events);
        else
                upstream->owner->ready(upstream, events);
}

void upstream_on_secured(struct upstream *upstream, const char *failure) {
        if (!failure) {
                become_open(upstream);
                return;
        }
        fail_attempt(upstream, failure);
        advance(upstream);
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

void upstream_open(struct upstream *upstream, struct connection *connection,
                   const struct upstream_owner *owner) {
        *upstream = (struct upstream){.owner = owner, .connection = connection};
        targets_take_turn(targets_of(upstream), now_ms(upstream), &upstream->turn);
        advance(upstream);
}

void upstream_close(struct upstream *upstream, bool is_abort) {
        bool is_waiting = upstream->phase == UPSTREAM_RESOLVING;

        upstream->phase = UPSTREAM_CLOSED;
        upstream_socket_close(upstream, is_abort);
        if (is_waiting && resolver_leave(upstream->connection->settings, &upstream->wait))
                connection_unpin(upstream->connection);
}

void upstream_deadline(struct upstream *upstream) {
        switch (upstream->phase) {
        case UPSTREAM_RESOLVING:
                /* The answer may come later, for others. */
                if (!resolver_leave(upstream->connection->settings, &upstream->wait))
                        return;
                connection_unpin(upstream->connection);
                advance(upstream);
                break;
        case UPSTREAM_RETRYING:
                if (now_ms(upstream) < upstream->due_ms) {
                        retry(upstream);
                        break;
                }
                fail_attempt(upstream, "its queue of connections is full");
                advance(upstream);
                break;
        case UPSTREAM_CONNECTING:
        case UPSTREAM_SECURING:
                fail_attempt(upstream, "it did not answer in time");
                advance(upstream);
                break;
        case UPSTREAM_CLOSED:
        case UPSTREAM_OPEN:
                break;
        }
}
