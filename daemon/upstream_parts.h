/* What the parts of an upstream need of each other: upstream.c (its targets and its life),
 * upstream_socket.c (its bytes) and upstream_tls.c.
 */
#pragma once

#include "daemon/job.h"
#include "daemon/upstream.h"

#include <uv.h>

struct tls;

/* A socket and its poll handle, which is freed later than the upstream ends. */
struct upstream_socket {
        uv_poll_t poll;
        struct upstream *upstream;     /* NULL: it is closed */
        struct connection *connection; /* whose it is; pinned while a step is computed */
        int fd;
        int family, type;   /* of address_socket */
        int wanted, polled; /* what is waited for, and what is polled for to learn of it */
        unsigned n_uses;    /* by handle and job: when it may be freed */

        struct tls *tls; /* owned; NULL: none */
        struct job job;  /* that computes a step of the handshake */
        bool is_working; /* tls is another thread's */
};

/* Makes a socket for an address, for the upstream, which has none. Returns 0 or a negative errno.
 */
int upstream_socket_open(struct upstream *upstream, const struct address_socket *address);

/* Gives a Unix socket a name, if it needs one to be answered; once it is connected, as nobody but
 * the target can send to it then. Returns 0 or a negative errno. */
int upstream_socket_name(const struct upstream_socket *socket);

/* Closes the upstream's socket, if it has one. */
void upstream_socket_close(struct upstream *upstream, bool is_abort);

/* One use of it has ended. */
void upstream_socket_release(struct upstream_socket *socket);

/* What has been waited for has come: events, 0: the socket is broken. */
void upstream_on_ready(struct upstream *upstream, int events);

/* Begins the TLS handshake. upstream_on_secured() follows, unless it is closed. Returns 0 or a
 * negative errno. */
int upstream_secure(struct upstream *upstream);
void upstream_continue_securing(struct upstream *upstream, int events);

/* The handshake is over; failure: why it failed, NULL: it did not. */
void upstream_on_secured(struct upstream *upstream, const char *failure);

/* The way of bytes within TLS; as the functions of upstream.h. */
ssize_t upstream_tls_receive(struct upstream_socket *socket, char *bytes, size_t n_bytes);
ssize_t upstream_tls_send(struct upstream_socket *socket, struct bytes bytes);
void upstream_tls_end_output(struct upstream_socket *socket);
bool upstream_tls_has_buffered(const struct upstream_socket *socket);

/* What to poll for when that is wanted. */
int upstream_tls_events(const struct upstream_socket *socket, int wanted);
