/* An upstream: the socket that a connection has towards a target of its forward.
 *
 * It tries the targets in their order, each address of a name, until one accepts; each attempt has
 * its time. From then on it is a socket that its owner reads and writes as it likes. All calls come
 * from, and go to, the worker of the connection.
 */
#pragma once

#include "daemon/resolver.h"
#include "daemon/target.h"
#include "lib/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct connection;
struct upstream_socket;

enum upstream_phase {
        UPSTREAM_CLOSED,
        UPSTREAM_RESOLVING,  /* what a name stands for is being found out */
        UPSTREAM_CONNECTING, /* to one address */
        UPSTREAM_RETRYING,   /* the same, whose socket is too busy at the moment */
        UPSTREAM_SECURING,   /* the TLS handshake */
        UPSTREAM_OPEN,
};

struct upstream;

/* What its owner is told. Each may close the upstream, and the connection. */
struct upstream_owner {
        /* It is open. */
        void (*opened)(struct upstream *upstream);
        /* No target could be reached; it is closed. */
        void (*failed)(struct upstream *upstream);
        /* Some of what was waited for has come, events of libuv; 0: the socket is broken, and what
         * is left in it can be taken. */
        void (*ready)(struct upstream *upstream, int events);
};

/* Room for why an attempt has failed. */
#define UPSTREAM_FAILURE_MAX 160

struct upstream {
        const struct upstream_owner *owner;
        struct connection *connection; /* whose it is; with its settings */
        enum upstream_phase phase;
        struct upstream_socket *socket; /* owned; NULL: none */
        uint64_t due_ms;                /* loop time; when the attempt has failed */

        /* Which target, and address of it, is tried. */
        struct target_turn turn;
        unsigned n_turned, n_sockets;
        bool has_asked;   /* what its name stands for */
        bool is_at_limit; /* it has failed for want of what is ours */
        struct resolver_wait wait;

        /* Why the last attempt has failed. */
        char failure[UPSTREAM_FAILURE_MAX];
        const char *failed_target; /* borrowed from the settings; NULL: none was tried */
};

/* Begins to connect. The owner may be told of the outcome before this returns. */
void upstream_open(struct upstream *upstream, struct connection *connection,
                   const struct upstream_owner *owner);

/* Closes it, in whatever phase it is. is_abort: the target is to see that it was no orderly end,
 * where that is possible. */
void upstream_close(struct upstream *upstream, bool is_abort);

/* The target that it is connected to turned out not to be there, for that reason; or it has
 * answered, where no connection tells that it is there. */
void upstream_note_failure(struct upstream *upstream, const char *why);
void upstream_note_answer(struct upstream *upstream);

/* The connection's deadline has come, which is the upstream's until it is open. */
void upstream_deadline(struct upstream *upstream);

/* The socket; -1: there is none. */
int upstream_fd(const struct upstream *upstream);

/* The target that it is connected to, for people. */
const char *upstream_target(const struct upstream *upstream);

/* Has the owner told of these events of libuv; 0: of none. */
void upstream_await(struct upstream *upstream, int events);

/* Whether there is TLS towards the target. */
bool upstream_is_secured(const struct upstream *upstream);

/* Reads, of records one. Returns how many bytes; 0: the target's end; -EAGAIN: there is nothing;
 * -EMSGSIZE: a record did not fit, and is lost; or another negative errno. */
ssize_t upstream_receive(struct upstream *upstream, char *bytes, size_t n_bytes);

/* Whether something was taken from the socket that has not been read: polling does not tell of it.
 */
bool upstream_has_buffered(const struct upstream *upstream);

/* Sends some of the bytes, a record whole. What is offered after -EAGAIN has to begin with the same
 * bytes. Returns how many, -EAGAIN: the socket is full; or another negative errno. */
ssize_t upstream_send(struct upstream *upstream, struct bytes bytes);

/* Tells the target that nothing more comes. */
void upstream_end_output(struct upstream *upstream);
