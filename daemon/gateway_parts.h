/* What the gateways have in common; see gateway.h. For the connection's own worker. */
#pragma once

#include "daemon/client.h"
#include "daemon/config_gateway.h"
#include "daemon/connection.h"
#include "daemon/framing.h"
#include "daemon/gateway_losses.h"

struct gateway {
        const struct config_gateway *settings; /* of the connection's; borrowed */
        struct framer framer;
        char *subject; /* owned; NULL: not known yet */
        size_t subject_length, subject_room;
};

static inline struct gateway *gateway_of(const struct connection *connection) {
        return connection->state;
}

/* Begins the gateway of a connection that has just come, whose state it becomes, and its client.
 * Returns 0 or a negative errno, after which the caller frees the gateway. */
int gateway_open(struct connection *connection, struct gateway *gateway);

/* Frees what it has, and the connection's client. */
void gateway_deinit(struct connection *connection);

/* Finds out the subject of the peer, if that is not the same as before: for streams when it is
 * known who it is, for strangers with each datagram. Returns 0 or -ENOMEM. */
int gateway_find_subject(struct connection *connection);

/* Whether an input may be taken, as far as it is one of a peer without a connection. */
bool gateway_admits(struct connection *connection);

/* Takes frames off the input, and calls `take` for each, until one is too much for now. */
void gateway_take(struct connection *connection, struct bytes *input,
                  void (*take)(struct connection *connection, const struct frame *frame));

/* The input has ended: the same for what is left. */
void gateway_finish(struct connection *connection, struct bytes rest,
                    void (*take)(struct connection *connection, const struct frame *frame));

/* Publishes a frame. reply: where answers are awaited; length 0: nowhere. */
enum client_outcome gateway_publish(struct connection *connection, const struct frame *frame,
                                    struct bytes reply);

/* Something was lost: counts it, and has the log say so now and then. */
void gateway_lose(struct connection *connection, enum gateway_loss why);

/* Functions of handlers that are the same for all. */
void gateway_renewed(struct connection *connection);
void gateway_oversized(struct connection *connection);
void gateway_changed(struct connection *connection);
void gateway_closed(struct connection *connection);
