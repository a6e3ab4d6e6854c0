/* The socket of a handle, and its two buffers.
 *
 * The socket is non-blocking; all waiting is one poll(2) towards a deadline, so that a peer which
 * neither sends nor takes anything cannot hold a call longer than it was told. The output leaves
 * before anything is waited for: what the peer has not been told, it cannot answer.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/address.h"

#define READ_LEAST ((size_t)16 << 10)

static int64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sockd_deadline(int timeout_ms) {
        return timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
}

/* Returns 0 when an event is there, SOCKD_TIMEOUT or -errno. A signal does not end the wait. */
static int wait_for(int descriptor, short events, int64_t deadline_ms) {
        struct pollfd pollfd = {.fd = descriptor, .events = events};

        for (;;) {
                int64_t left = deadline_ms == INT64_MAX ? -1 : deadline_ms - now_ms();
                int n;

                if (deadline_ms != INT64_MAX && left < 0)
                        left = 0;
                n = poll(&pollfd, 1, left > INT_MAX ? INT_MAX : (int)left);
                if (n > 0)
                        return 0;
                if (n == 0 && left <= INT_MAX)
                        return SOCKD_TIMEOUT;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

/* A Unix socket whose backlog is full refuses a non-blocking connect(2) with EAGAIN, and nothing
 * tells when to try again; a blocking one waits, for as long as SO_SNDTIMEO says. */
static int connect_unix(int descriptor, const struct address_socket *address, int64_t deadline_ms) {
        struct timeval limit = {0};

        if (deadline_ms != INT64_MAX) {
                int64_t left = deadline_ms - now_ms();

                if (left < 1)
                        left = 1;
                limit.tv_sec = (time_t)(left / 1000);
                limit.tv_usec = (suseconds_t)(left % 1000 * 1000);
        }
        if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
                return -errno;
        while (connect(descriptor, &address->socket.any, address->length) < 0)
                if (errno != EINTR)
                        return errno == EAGAIN ? SOCKD_TIMEOUT : -errno;
        return 0;
}

static int connect_internet(int descriptor, const struct address_socket *address,
                            int64_t deadline_ms) {
        int error = 0, result, on = 1;
        socklen_t length = sizeof(error);

        if (setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
                return -errno;
        if (fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        if (connect(descriptor, &address->socket.any, address->length) == 0)
                return 0;
        if (errno != EINPROGRESS && errno != EINTR)
                return -errno;
        result = wait_for(descriptor, POLLOUT, deadline_ms);
        if (result)
                return result;
        if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                return -errno;
        return -error;
}

static int connect_one(const struct address_socket *address, int64_t deadline_ms,
                       int *descriptorp) {
        int descriptor, result;

        descriptor = socket(address->family, address->type | SOCK_CLOEXEC, 0);
        if (descriptor < 0)
                return -errno;
        if (address->family == AF_UNIX)
                result = connect_unix(descriptor, address, deadline_ms);
        else
                result = connect_internet(descriptor, address, deadline_ms);
        if (result) {
                close(descriptor);
                return result;
        }
        *descriptorp = descriptor;
        return 0;
}

/* Tries the addresses in the resolver's order until one takes the connection; else the failure of
 * the last one is told. */
static int connect_any(struct sockd *sockd, const struct address_socket *sockets, size_t n,
                       int64_t deadline_ms) {
        int result = -EADDRNOTAVAIL;

        for (size_t i = 0; i < n; i++) {
                result = connect_one(&sockets[i], deadline_ms, &sockd->descriptor);
                if (result == 0 || result == SOCKD_TIMEOUT)
                        break;
        }
        return result;
}

int sockd_stream_open(struct sockd *sockd, const char *text, int64_t deadline_ms) {
        struct address address;
        struct address_socket *sockets;
        const char *reason;
        size_t n;
        int result;

        if (address_parse(&address, text, &reason) < 0)
                return sockd_fail(sockd, -EINVAL, "\"%s\": %s", text, reason);
        if (address.scheme != ADDRESS_UNIX && address.scheme != ADDRESS_TCP)
                return sockd_fail(sockd, -EPROTONOSUPPORT,
                                  "%s: only unix: and tcp: addresses can be connected to", text);
        result = address_resolve(&address, false, &sockets, &n, &reason);
        if (result < 0)
                return sockd_fail(sockd, result, "%s: %s", text,
                                  result == -EADDRNOTAVAIL ? reason : strerror(-result));
        result = connect_any(sockd, sockets, n, deadline_ms);
        free(sockets);
        if (result)
                return sockd_fail(sockd, result, "%s: %s", text,
                                  result < 0 ? strerror(-result) : "no answer in time");
        return 0;
}

/* Returns SOCKD_CLOSED, and sets is_deaf, when the peer takes nothing more; what it has said until
 * then can still be received. */
static int send_bytes(struct sockd *sockd, const char *bytes, size_t n) {
        int result;

        if (sockd->failure)
                return sockd->failure;
        while (n > 0 && !sockd->is_deaf) {
                ssize_t n_sent = send(sockd->descriptor, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n_sent >= 0) {
                        bytes += n_sent;
                        n -= (size_t)n_sent;
                } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                        result =
                                wait_for(sockd->descriptor, POLLOUT, sockd_deadline(SOCKD_SEND_MS));
                        if (result)
                                return sockd_fail(sockd, result < 0 ? result : -ETIMEDOUT,
                                                  "the server takes no more data");
                } else if (errno == EPIPE || errno == ECONNRESET) {
                        sockd->is_deaf = true;
                } else if (errno != EINTR) {
                        return sockd_fail(sockd, -errno, "sending: %s", strerror(errno));
                }
        }
        return sockd->is_deaf ? SOCKD_CLOSED : 0;
}

static int send_output(struct sockd *sockd) {
        size_t n = sockd->n_output;

        sockd->n_output = 0;
        return send_bytes(sockd, sockd->output, n);
}

/* For a sender that was told SOCKD_CLOSED: looks for the reason in what the peer said before. */
static int explain(struct sockd *sockd, int result) {
        struct sockd_operation operation;

        if (result != SOCKD_CLOSED || sockd->failure)
                return result;
        while ((result = sockd_scan(sockd, &operation, 0)) == 0)
                if (operation.type == SOCKD_OPERATION_MESSAGE)
                        sockd_scan_keep(sockd, &operation);
        if (result != SOCKD_DENIED && result != SOCKD_REFUSED)
                return sockd_fail(sockd, SOCKD_CLOSED, "the server closed the connection");
        sockd->failure = SOCKD_CLOSED;
        return result;
}

int sockd_stream_send(struct sockd *sockd) {
        return explain(sockd, send_output(sockd));
}

int sockd_stream_append(struct sockd *sockd, const void *bytes, size_t n) {
        int result;

        if (n > SOCKD_OUTPUT_SIZE - sockd->n_output) {
                result = sockd_stream_send(sockd);
                if (result)
                        return result;
                if (n > SOCKD_OUTPUT_FULL)
                        return explain(sockd, send_bytes(sockd, bytes, n));
        }
        if (n > 0)
                memcpy(sockd->output + sockd->n_output, bytes, n);
        sockd->n_output += n;
        return 0;
}

/* Moves what is there to the front of the buffer. */
static void make_compact(struct sockd *sockd) {
        if (sockd->start == 0)
                return;
        memmove(sockd->input, sockd->input + sockd->start, sockd->end - sockd->start);
        sockd->scan -= sockd->start;
        sockd->end -= sockd->start;
        sockd->start = 0;
}

/* Room for at least one more read, and in the end for an operation of n_wanted bytes at scan. The
 * buffer doubles as bytes arrive, however large the peer says that the operation will be. */
static int make_room(struct sockd *sockd, size_t n_wanted) {
        size_t n_limit = SOCKD_INPUT_MAX + sockd->max_payload;
        size_t size = sockd->input_size;
        char *input;

        if (sockd->start == sockd->end)
                sockd->start = sockd->scan = sockd->end = 0;
        if (n_wanted > n_limit)
                return sockd_fail(sockd, SOCKD_VIOLATION,
                                  "the server sends a message larger than its own limit");
        if (size - sockd->end >= READ_LEAST)
                return 0;
        make_compact(sockd);
        if (size - sockd->end >= READ_LEAST)
                return 0;
        if (size >= n_limit + READ_LEAST) {
                snprintf(sockd->error, sizeof(sockd->error), "too many messages wait to be read");
                return -ENOBUFS;
        }
        input = realloc(sockd->input, size * 2);
        if (!input)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        sockd->input = input;
        sockd->input_size = size * 2;
        return 0;
}

/* Whether input is there without asking the kernel twice: a read that did not fill its room left
 * nothing behind, so the next one waits first; after one that did, it reads at once. */
static int wait_for_input(struct sockd *sockd, int64_t deadline_ms) {
        int result;

        if (!sockd->is_drained)
                return 0;
        result = wait_for(sockd->descriptor, POLLIN, deadline_ms);
        if (result < 0)
                return sockd_fail(sockd, result, "waiting: %s", strerror(-result));
        return result;
}

int sockd_stream_receive(struct sockd *sockd, size_t n_wanted, int64_t deadline_ms) {
        size_t n_room;
        ssize_t n;
        int result;

        result = send_output(sockd);
        if (result && !sockd->is_deaf)
                return result;
        result = make_room(sockd, n_wanted);
        if (result)
                return result;
        for (;;) {
                result = wait_for_input(sockd, deadline_ms);
                if (result)
                        return result;
                n_room = sockd->input_size - sockd->end;
                n = recv(sockd->descriptor, sockd->input + sockd->end, n_room, MSG_DONTWAIT);
                sockd->is_drained = n < 0 || (size_t)n < n_room;
                if (n > 0)
                        break;
                if (n == 0 || errno == ECONNRESET)
                        return sockd_fail(sockd, SOCKD_CLOSED, "the server closed the connection");
                if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                        return sockd_fail(sockd, -errno, "receiving: %s", strerror(errno));
        }
        sockd->end += (size_t)n;
        return 0;
}
