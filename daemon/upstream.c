/* The way to a target. See upstream.h. */
#include "daemon/upstream.h"

#include "daemon/config_handler.h"
#include "daemon/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* How soon a Unix socket is tried again whose queue of connections is full, of which nothing else
 * tells. */
#define RETRY_MS 10

/* A socket and its poll handle, which is freed later than the upstream ends. */
struct upstream_socket {
        uv_poll_t poll;
        struct upstream *upstream; /* NULL: it is closed */
        int fd, polled;
};

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

int upstream_fd(const struct upstream *upstream) {
        return upstream->socket ? upstream->socket->fd : -1;
}

const char *upstream_target(const struct upstream *upstream) {
        return targets_of(upstream)->all[current_target(upstream)].text;
}

/* --- the socket ----------------------------------------------------------------------------------
 */

static void on_handle_closed(uv_handle_t *handle) {
        free(handle->data);
}

static void close_socket(struct upstream *upstream, bool is_abort) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};
        struct upstream_socket *socket = upstream->socket;

        if (!socket)
                return;
        upstream->socket = NULL;
        socket->upstream = NULL;
        if (is_abort)
                (void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        uv_close((uv_handle_t *)&socket->poll, on_handle_closed);
        (void)close(socket->fd);
}

/* Takes the descriptor, also on failure. */
static int adopt_socket(struct upstream *upstream, int fd) {
        struct upstream_socket *socket = calloc(1, sizeof(*socket));
        int r = socket ? uv_poll_init(&upstream->connection->worker->loop, &socket->poll, fd)
                       : -ENOMEM;

        if (r < 0) {
                (void)close(fd);
                free(socket);
                return r;
        }
        socket->poll.data = socket;
        socket->upstream = upstream;
        socket->fd = fd;
        upstream->socket = socket;
        return 0;
}

static int open_socket(struct upstream *upstream, const struct address_socket *address) {
        static const int one = 1;
        int fd = socket(address->family, address->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (address->family != AF_UNIX && address->type == SOCK_STREAM) {
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        }
        return adopt_socket(upstream, fd);
}

static void on_poll(uv_poll_t *poll, int status, int events);

void upstream_await(struct upstream *upstream, int events) {
        struct upstream_socket *socket = upstream->socket;

        if (!socket || events == socket->polled)
                return;
        socket->polled = events;
        if (events == 0)
                (void)uv_poll_stop(&socket->poll);
        else
                (void)uv_poll_start(&socket->poll, events, on_poll);
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

static void become_open(struct upstream *upstream) {
        set_deadline(upstream, 0);
        upstream->phase = UPSTREAM_OPEN;
        upstream_await(upstream, 0);
        targets_note(targets_of(upstream), current_target(upstream), true, now_ms(upstream));
        upstream->owner->opened(upstream);
}

/* Nothing is left to be tried. */
static void give_up(struct upstream *upstream) {
        upstream_close(upstream, false);
        upstream->owner->failed(upstream);
}

/* The present address is no good; the next one is tried. */
static void fail_attempt(struct upstream *upstream, int error) {
        close_socket(upstream, false);
        upstream->error = error;
        upstream->failed_target = upstream_target(upstream);
        upstream->n_sockets++;
}

/* Whether an error is ours, so that no other target would be any better. */
static bool is_own(int error) {
        return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* A target has accepted. Returns whether that leads anywhere. */
static bool on_connected(struct upstream *upstream) {
        if (!introduce(upstream)) {
                fail_attempt(upstream, -EPIPE);
                return false;
        }
        become_open(upstream);
        return true;
}

/* Connects to one address. Returns 0, -EINPROGRESS, -EAGAIN: it is to be tried again, or another
 * negative errno. */
static int try_address(struct upstream *upstream, const struct address_socket *address) {
        int r = upstream->socket ? 0 : open_socket(upstream, address);

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
                fail_attempt(upstream, r);
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
        targets_note(targets_of(upstream), current_target(upstream), false, now_ms(upstream));
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
                        if (is_own(upstream->error))
                                break;
                } else if (r == TARGET_UNKNOWN && ask(upstream)) {
                        return;
                } else if (r == TARGET_END || has_asked) {
                        if (r == TARGET_UNKNOWN)
                                fail_attempt(upstream, -EADDRNOTAVAIL);
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
                fail_attempt(upstream, -error);
        if (error != 0 || !on_connected(upstream))
                advance(upstream);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct upstream_socket *socket = poll->data;
        struct upstream *upstream = socket->upstream;

        if (!upstream)
                return;
        worker_enter(upstream->connection->worker);
        if (status < 0)
                socket->polled = 0;
        if (upstream->phase == UPSTREAM_CONNECTING)
                finish_attempt(upstream);
        else
                upstream->owner->ready(upstream, status < 0 ? 0 : events);
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
        close_socket(upstream, is_abort);
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
                fail_attempt(upstream, -EAGAIN);
                advance(upstream);
                break;
        case UPSTREAM_CONNECTING:
                fail_attempt(upstream, -ETIMEDOUT);
                advance(upstream);
                break;
        case UPSTREAM_CLOSED:
        case UPSTREAM_OPEN:
                break;
        }
}
