/* The transport of connected byte streams. See transport.h. */
#include "daemon/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static ssize_t stream_receive(int fd, struct iovec *iov, size_t n_iov) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n;

        do {
                n = n_iov == 1 ? recv(fd, iov->iov_base, iov->iov_len, 0)
                               : recvmsg(fd, &message, 0);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static ssize_t stream_send(int fd, struct iovec *iov, size_t n_iov) {
        struct msghdr message = {.msg_iov = iov, .msg_iovlen = n_iov};
        ssize_t n;

        do {
                n = n_iov == 1 ? send(fd, iov->iov_base, iov->iov_len, MSG_NOSIGNAL)
                               : sendmsg(fd, &message, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : n;
}

static void stream_end_output(int fd) {
        (void)shutdown(fd, SHUT_WR);
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
