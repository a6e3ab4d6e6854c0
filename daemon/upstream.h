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

struct upstream {
        const struct upstream_owner *owner;
        struct connection *connection; /* whose it is; with its settings */
        enum upstream_phase phase;
        struct upstream_socket *socket; /* owned; NULL: none */
        uint64_t due_ms;                /* loop time; when the attempt has failed */

        /* Which target, and address of it, is tried. */
        struct target_turn turn;
        unsigned n_turned, n_sockets;
        bool has_asked; /* what its name stands for */
        struct resolver_wait wait;

        /* Why the last attempt has failed. */
        int error;
        const char *failed_target; /* borrowed from the settings; NULL: none was tried */
};

/* Begins to connect. The owner may be told of the outcome before this returns. */
void upstream_open(struct upstream *upstream, struct connection *connection,
                   const struct upstream_owner *owner);

/* Closes it, in whatever phase it is. is_abort: the target is to see that it was no orderly end,
 * where that is possible. */
void upstream_close(struct upstream *upstream, bool is_abort);

/* The connection's deadline has come, which is the upstream's until it is open. */
void upstream_deadline(struct upstream *upstream);

/* The socket; -1: there is none. */
int upstream_fd(const struct upstream *upstream);

/* The target that it is connected to, for people. */
const char *upstream_target(const struct upstream *upstream);

/* Has the owner told of these events of libuv; 0: of none. */
void upstream_await(struct upstream *upstream, int events);
