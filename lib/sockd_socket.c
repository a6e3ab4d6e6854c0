/* The socket of a handle: what kind it is, and how it is opened.
 *
 * It is non-blocking; all waiting is one poll(2) towards a deadline, so that a peer which neither
 * sends nor takes anything cannot hold a call longer than it was told.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "lib/address.h"

/* What one record can hold: of UDP, all that there is; on Unix sockets, what sockd takes. */
#define DATAGRAM_MAX ((size_t)65507)
#define RECORD_MAX   ((size_t)128 << 10)
/* Small operations share a record up to this length: of UDP, what is not cut on its way. */
#define DATAGRAM_FULL ((size_t)1400)
#define RECORD_FULL   ((size_t)60 << 10)

static const struct sockd_transport stream = {.full = SOCKD_OUTPUT_FULL};
static const struct sockd_transport seqpacket = {
        .keeps_boundaries = true,
        .full = RECORD_FULL,
        .max = RECORD_MAX,
};
static const struct sockd_transport unix_datagram = {
        .keeps_boundaries = true,
        .is_connectionless = true,
        .full = RECORD_FULL,
        .max = DATAGRAM_MAX,
};
static const struct sockd_transport udp = {
        .keeps_boundaries = true,
        .is_connectionless = true,
        .is_lossy = true,
        .full = DATAGRAM_FULL,
        .max = DATAGRAM_MAX,
};

static const struct sockd_transport *transport_of(int family, int type) {
        if (type == SOCK_SEQPACKET)
                return &seqpacket;
        if (type != SOCK_DGRAM)
                return &stream;
        return family == AF_UNIX ? &unix_datagram : &udp;
}

int64_t sockd_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sockd_deadline(int timeout_ms) {
        return timeout_ms < 0 ? INT64_MAX : sockd_now() + timeout_ms;
}

int sockd_wait(int descriptor, short events, int64_t deadline_ms) {
        struct pollfd pollfd = {.fd = descriptor, .events = events};

        for (;;) {
                int64_t left = deadline_ms == INT64_MAX ? -1 : deadline_ms - sockd_now();
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
                int64_t left = deadline_ms - sockd_now();

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
        result = sockd_wait(descriptor, POLLOUT, deadline_ms);
        if (result)
                return result;
        if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
                return -errno;
        return -error;
}

/* Who sends to a Unix socket without a name cannot be answered. It gets one of the kernel's choice
 * only when it is connected, so that it never takes anything from others. */
static int connect_unix_datagram(int descriptor, const struct address_socket *address) {
        static const struct sockaddr_un any = {.sun_family = AF_UNIX};

        if (connect(descriptor, &address->socket.any, address->length) < 0 ||
            bind(descriptor, (const struct sockaddr *)&any, sizeof(any.sun_family)) < 0)
                return -errno;
        return 0;
}

static int connect_any(int descriptor, const struct address_socket *address, int64_t deadline_ms) {
        if (address->type == SOCK_DGRAM && address->family == AF_UNIX)
                return connect_unix_datagram(descriptor, address);
        if (address->type == SOCK_DGRAM)
                return connect(descriptor, &address->socket.any, address->length) < 0 ? -errno : 0;
        if (address->family == AF_UNIX)
                return connect_unix(descriptor, address, deadline_ms);
        return connect_internet(descriptor, address, deadline_ms);
}

int sockd_socket_open(struct sockd *sockd, const struct address_socket *address,
                      int64_t deadline_ms) {
        int descriptor, result;

        descriptor = socket(address->family, address->type | SOCK_CLOEXEC, 0);
        if (descriptor < 0)
                return -errno;
        result = connect_any(descriptor, address, deadline_ms);
        if (result) {
                close(descriptor);
                return result;
        }
        sockd->descriptor = descriptor;
        sockd->transport = transport_of(address->family, address->type);
        if (sockd->transport == &unix_datagram)
                sockd->server = *address;
        return 0;
}

int sockd_socket_adopt(struct sockd *sockd, int descriptor) {
        int flags = fcntl(descriptor, F_GETFL), type, family;
        socklen_t length = sizeof(int);

        sockd->descriptor = descriptor;
        if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ||
            getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
            getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0)
                return -errno;
        sockd->transport = transport_of(family, type);
        return 0;
}

int sockd_socket_reopen(struct sockd *sockd) {
        if (sockd->transport != &unix_datagram || sockd->server.length == 0)
                return -ENOTCONN;
        return connect(sockd->descriptor, &sockd->server.socket.any, sockd->server.length) < 0
                       ? -errno
                       : 0;
}

int sockd_socket_resolve(struct sockd *sockd, const char *text, struct address_socket **socketsp,
                         size_t *np) {
        struct address address;
        const char *reason;
        int result;

        if (address_parse(&address, text, &reason) < 0)
                return sockd_fail(sockd, -EINVAL, "\"%s\": %s", text, reason);
        sockd->wants_tls = address.scheme == ADDRESS_TLS;
        strcpy(sockd->host, address.host);
        result = address_resolve(&address, false, socketsp, np, &reason);
        if (result < 0)
                return sockd_fail(sockd, result, "%s: %s", text,
                                  result == -EADDRNOTAVAIL ? reason : strerror(-result));
        return 0;
}
