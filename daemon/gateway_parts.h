/* What the gateways have in common; see gateway.h. For the connection's own worker. */
#pragma once

#include "daemon/client.h"
#include "daemon/config_gateway.h"
#include "daemon/connection.h"
#include "daemon/framing.h"
#include "daemon/gateway_losses.h"
#include "daemon/handler.h"

/* What a gateway does with its input. */
struct gateway_kind {
        /* Takes a frame. */
        void (*take)(struct connection *connection, const struct frame *frame);
        /* What came is not one, as the text tells. NULL: it is silent about that. */
        void (*refuse)(struct connection *connection, const char *text);
        /* The input has ended, or is unusable from here on. */
        void (*end)(struct connection *connection, const char *reason);
};

struct gateway {
        const struct gateway_kind *kind;
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
int gateway_open(struct connection *connection, struct gateway *gateway,
                 const struct gateway_kind *kind);

/* Frees what it has, and the connection's client. */
void gateway_deinit(struct connection *connection);

/* Finds out the subject of the peer, if that is not the same as before: for streams when it is
 * known who it is, for strangers with each datagram. Returns 0 or -ENOMEM. */
int gateway_find_subject(struct connection *connection);

/* Whether an input may be taken, as far as it is one of a peer without a connection; then its
 * subject is known. */
bool gateway_admits(struct connection *connection);

/* Takes frames off the input, until one is too much for now. Returns what handler->input does. */
size_t gateway_take(struct connection *connection, struct bytes *input);

/* The input has ended: the same for what is left. */
void gateway_finish(struct connection *connection, struct bytes rest);

/* Publishes a frame. reply: where answers are awaited; length 0: nowhere. */
enum client_outcome gateway_publish(struct connection *connection, const struct frame *frame,
                                    struct bytes reply);

/* Sends a message, or an answer; block as for framing_append(). */
void gateway_append(struct connection *connection, bool has_cr, struct block *block,
                    struct bytes bytes);

/* Writes the error that stands for an answer. */
#define GATEWAY_ERROR_MAX (HANDLER_COMPLAINT_MAX + 8)
struct bytes gateway_error(char line[GATEWAY_ERROR_MAX], const char *text);

/* Sends it, unless it is more than the peer may be told. */
void gateway_append_error(struct connection *connection, bool has_cr, struct bytes line);

/* As handler->complain. */
void gateway_complain(struct connection *connection, const char *text);

/* Something was lost: counts it, and has the log say so now and then. */
void gateway_lose(struct connection *connection, enum gateway_loss why);

/* Functions of handlers that are the same for several. */
void gateway_renewed(struct connection *connection);
void gateway_oversized(struct connection *connection);
void gateway_changed(struct connection *connection);
void gateway_closed(struct connection *connection);
