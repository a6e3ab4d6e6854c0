/* The transport of connected byte streams. See transport.h. */
#include "daemon/transport.h"

#include <errno.h>

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

const struct transport transport_stream = {
        .name = "stream",
        .receive = stream_receive,
        .send = stream_send,
        .end_output = stream_end_output,
};
