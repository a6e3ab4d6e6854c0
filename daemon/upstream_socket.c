/* The socket of an upstream, and its bytes. See upstream.h and upstream_parts.h. */
#include "daemon/upstream_parts.h"

#include "daemon/connection.h"
#include "daemon/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* --- life
 * -----------------------------------------------------------------------------------------
 */

void upstream_socket_release(struct upstream_socket *socket) {
        if (--socket->n_uses > 0)
                return;
        tls_free(socket->tls);
        free(socket);
}

static void on_handle_closed(uv_handle_t *handle) {
        upstream_socket_release(handle->data);
}

void upstream_socket_close(struct upstream *upstream, bool is_abort) {
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
        socket->fd = -1;
}

/* Takes the descriptor, also on failure. */
static int adopt(struct upstream *upstream, int fd, const struct address_socket *address) {
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
        socket->connection = upstream->connection;
        socket->fd = fd;
        socket->family = address->family;
        socket->type = address->type;
        socket->n_uses = 1;
        upstream->socket = socket;
        return 0;
}

int upstream_socket_open(struct upstream *upstream, const struct address_socket *address) {
        static const int one = 1;
        int fd = socket(address->family, address->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return -errno;
        if (address->family != AF_UNIX && address->type == SOCK_STREAM) {
                (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
                (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        }
        return adopt(upstream, fd, address);
}

int upstream_socket_name(const struct upstream_socket *socket) {
        const struct sockaddr any = {.sa_family = AF_UNIX};

        if (socket->family != AF_UNIX || socket->type != SOCK_DGRAM)
                return 0;
        return bind(socket->fd, &any, sizeof(any.sa_family)) < 0 ? -errno : 0;
}

int upstream_fd(const struct upstream *upstream) {
        return upstream->socket ? upstream->socket->fd : -1;
}

bool upstream_is_secured(const struct upstream *upstream) {
        return upstream->socket && upstream->socket->tls;
}

/* --- polling
 * --------------------------------------------------------------------------------------
 */

static void on_poll(uv_poll_t *poll, int status, int events) {
        struct upstream_socket *socket = poll->data;

        if (!socket->upstream)
                return;
        worker_enter(socket->connection->worker);
        if (status < 0)
                socket->polled = socket->wanted = events = 0;
        else if (socket->polled != socket->wanted)
                events = socket->wanted;
        upstream_on_ready(socket->upstream, events);
}

void upstream_await(struct upstream *upstream, int events) {
        struct upstream_socket *socket = upstream->socket;

        if (!socket)
                return;
        socket->wanted = events;
        if (socket->tls)
                events = upstream_tls_events(socket, events);
        if (events == socket->polled)
                return;
        socket->polled = events;
        if (events == 0)
                (void)uv_poll_stop(&socket->poll);
        else
                (void)uv_poll_start(&socket->poll, events, on_poll);
}

/* --- bytes
 * ----------------------------------------------------------------------------------------
 */

/* Whether the target has ended: an empty record looks the same to recv(2). */
static bool is_end_of_records(int fd) {
        struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};

        return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLRDHUP | POLLHUP));
}

ssize_t upstream_receive(struct upstream *upstream, char *bytes, size_t n_bytes) {
        const struct upstream_socket *socket = upstream->socket;
        bool is_stream = socket->type == SOCK_STREAM;
        ssize_t n;

        if (socket->tls)
                return upstream_tls_receive(upstream->socket, bytes, n_bytes);
        do {
                n = recv(socket->fd, bytes, n_bytes, is_stream ? 0 : MSG_TRUNC);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t)n > n_bytes)
                return -EMSGSIZE;
        if (n == 0 && socket->type == SOCK_SEQPACKET && !is_end_of_records(socket->fd))
                return -EAGAIN;
        return n;
}

bool upstream_has_buffered(const struct upstream *upstream) {
        return upstream->socket->tls && upstream_tls_has_buffered(upstream->socket);
}

ssize_t upstream_send(struct upstream *upstream, struct bytes bytes) {
        const struct upstream_socket *socket = upstream->socket;
        ssize_t n;

        if (socket->tls)
                return upstream_tls_send(upstream->socket, bytes);
        do {
                n = send(socket->fd, bytes.data, bytes.length, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

void upstream_end_output(struct upstream *upstream) {
        if (upstream->socket->tls)
                upstream_tls_end_output(upstream->socket);
        (void)shutdown(upstream->socket->fd, SHUT_WR);
}
