/* The transports of connected sockets: byte streams, and records. See transport.h. */
#include "daemon/transport.h"

#include "daemon/connection.h"
#include "daemon/outbox.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Ranges in one system call. */
#define SEND_RANGES 64
/* Frames in one system call. */
#define SEND_FRAMES 64
/* What of a Unix socket's send buffer is not for a frame. */
#define RECORD_OVERHEAD 32
/* What shares the socket, a program, may have made it one that waits: each call says that it does
 * not. */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

static ssize_t stream_receive(struct connection *connection, struct iovec *iov, size_t n_iov) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n;

        do {
                n = n_iov == 1 ? recv(connection->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT)
                               : recvmsg(connection->fd, &message, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static ssize_t stream_send_once(int fd, struct iovec *iov, size_t n_iov) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n;

        do {
                n = n_iov == 1 ? send(fd, iov->iov_base, iov->iov_len, SEND_FLAGS)
                               : sendmsg(fd, &message, SEND_FLAGS);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static ssize_t stream_send(struct connection *connection, struct outbox *outbox) {
        ssize_t n_sent = 0;

        while (!outbox_is_empty(outbox)) {
                struct iovec iov[SEND_RANGES];
                size_t n_iov = outbox_peek(outbox, iov, SEND_RANGES), n_offered = 0;
                ssize_t n;

                for (size_t i = 0; i < n_iov; i++)
                        n_offered += iov[i].iov_len;
                n = stream_send_once(connection->fd, iov, n_iov);
                if (n == -EAGAIN)
                        break;
                if (n < 0)
                        return n;
                outbox_consume(outbox, (size_t)n);
                n_sent += n;
                /* The socket is full; asking it again would only tell so. */
                if ((size_t)n < n_offered)
                        break;
        }
        return n_sent;
}

static void stream_end_output(struct connection *connection) {
        (void)shutdown(connection->fd, SHUT_WR);
}

static bool stream_is_delivered(int fd) {
        int n_left = 0;

        /* Of TCP, what was not acknowledged; of a Unix socket, what was not read. */
        return ioctl(fd, SIOCOUTQ, &n_left) < 0 || n_left == 0;
}

static bool stream_has_input(int fd) {
        int n_unread = 0;

        return ioctl(fd, FIONREAD, &n_unread) == 0 && n_unread > 0;
}

const struct transport transport_stream = {
        .name = "stream",
        .receive = stream_receive,
        .send = stream_send,
        .end_output = stream_end_output,
        .is_delivered = stream_is_delivered,
        .has_input = stream_has_input,
};

/* --- records ------------------------------------------------------------------------------ */

/* Whether the peer has ended: an empty record looks the same to recvmsg(2). */
static bool record_is_end(int fd) {
        struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};

        return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLRDHUP | POLLHUP)) &&
               !stream_has_input(fd);
}

static ssize_t record_receive(struct connection *connection, struct iovec *iov, size_t n_iov) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n;

        do {
                n = recvmsg(connection->fd, &message, MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (message.msg_flags & MSG_TRUNC)
                return -EMSGSIZE;
        if (n == 0 && !record_is_end(connection->fd))
                return -EAGAIN;
        return n;
}

/* Sends as many frames as the socket takes. Returns how many, or -errno if not even one. */
static int record_send_frames(int fd, struct mmsghdr *messages, unsigned n_messages) {
        int n;

        do {
                n = sendmmsg(fd, messages, n_messages, SEND_FLAGS);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static ssize_t record_send(struct connection *connection, struct outbox *outbox) {
        ssize_t n_sent = 0;

        while (!outbox_is_empty(outbox)) {
                struct mmsghdr messages[SEND_FRAMES] = {0};
                struct iovec iov[SEND_RANGES];
                unsigned n_frames =
                        outbox_peek_frames(outbox, messages, SEND_FRAMES, iov, SEND_RANGES);
                size_t before = outbox->n_bytes;
                int n;

                if (n_frames == 0)
                        break;
                n = record_send_frames(connection->fd, messages, n_frames);
                if (n == -EAGAIN)
                        break;
                if (n < 0)
                        return n;
                outbox_consume_frames(outbox, (unsigned)n);
                n_sent += (ssize_t)(before - outbox->n_bytes);
                if ((unsigned)n < n_frames)
                        break;
        }
        return n_sent;
}

/* The kernel takes a frame if it fits the send buffer, with a little for itself (unix(7)). */
static size_t record_max_frame(int fd) {
        int size = 0;
        socklen_t length = sizeof(size);

        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 || size <= RECORD_OVERHEAD)
                return 0;
        return (size_t)(size - RECORD_OVERHEAD);
}

const struct transport transport_record = {
        .name = "record",
        .keeps_boundaries = true,
        .max_frame = record_max_frame,
        .receive = record_receive,
        .send = record_send,
        .end_output = stream_end_output,
        .is_delivered = stream_is_delivered,
        .has_input = stream_has_input,
};
