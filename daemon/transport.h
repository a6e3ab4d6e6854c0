/* How bytes move: what a socket family does differently, as a table of functions.
 *
 * Everything above works on any transport. All functions take a non-blocking descriptor and never
 * wait.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct transport {
        const char *name;
        bool keeps_boundaries; /* what is cut off at the end of an input is an error */

        /* Reads into, or writes from, the ranges. Returns how many bytes; 0 from receive is the
         * peer's end; or -errno, -EAGAIN if the socket is not ready. */
        ssize_t (*receive)(int fd, struct iovec *iov, size_t n_iov);
        ssize_t (*send)(int fd, struct iovec *iov, size_t n_iov);

        /* Tells the peer that nothing more comes. */
        void (*end_output)(int fd);

        /* Whether closing loses nothing of what was sent: the peer, or its system, has it. */
        bool (*is_delivered)(int fd);

        /* Whether there is something to receive. */
        bool (*has_input)(int fd);
};

/* Connected byte streams: TCP, Unix stream. */
extern const struct transport transport_stream;
