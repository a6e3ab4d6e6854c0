/* What the parts of forwarding need of each other: forward.c (beginning and end), forward_relay.c
 * and forward_carry.c, the two ways of the bytes of a stream, and forward_datagram.c. By the
 * connection's worker.
 */
#pragma once

#include "daemon/connection.h"
#include "daemon/relay.h"
#include "daemon/upstream.h"

/* Who moves the bytes. */
enum forward_way {
        FORWARD_NOBODY, /* there is no upstream yet */
        FORWARD_RELAY,
        FORWARD_CARRY,
        FORWARD_DATAGRAMS,
};

struct forward {
        struct connection *connection;
        struct upstream upstream;
        enum forward_way way;
        bool is_orderly; /* both directions have come to their ends */

        struct relay relay; /* of a relay */
        /* It has ended its input, which is not read at the moment. */
        bool has_client_left, has_target_left;
        bool is_target_broken; /* it takes nothing any more, but what it has said is moved */

        /* Of carrying: what comes from that side has ended, and the other one was told so. */
        bool is_client_ended, is_target_told, is_target_ended, is_client_told;
        int awaited; /* events of the upstream */

        bool is_one_way; /* of datagrams: the upstream is for peers that cannot be answered */
};

/* Begins to connect to a target. */
void forward_connect(struct forward *forward);

/* Counts what a target has got; stages what the client gets. */
void forward_count_input(struct connection *connection, size_t n_bytes);
void forward_deliver(struct connection *connection, struct bytes bytes);

/* Both directions have come to their ends. */
void forward_end(struct forward *forward);

/* From the socket of a stream to that of another, without looking into the bytes. */
void forward_relay_start(struct forward *forward);
void forward_relay_client_ready(struct forward *forward, int events);
void forward_relay_target_ready(struct forward *forward, int events);

/* Through memory, the usual way of input and output, where one side is within TLS, or has records.
 */
void forward_carry_start(struct forward *forward);
void forward_carry_input(struct forward *forward, struct bytes *input);
void forward_carry_finished(struct forward *forward);
void forward_carry_writable(struct forward *forward);
void forward_carry_target_ready(struct forward *forward, int events);

/* Datagrams, each by itself. */
void forward_datagram_start(struct forward *forward);
void forward_datagram_input(struct forward *forward, struct bytes frame);
void forward_datagram_target_ready(struct forward *forward, int events);
