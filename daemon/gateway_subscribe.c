/* The gateway that tells messages. See gateway.h.
 *
 * A peer of a stream gets them from the beginning on, until it ends; what it sends is thrown away.
 * A datagram peer subscribes by sending one, whatever is in it, and is sent messages until it has
 * been silent for session_timeout.
 */
#include "daemon/gateway.h"
#include "daemon/gateway_parts.h"
#include "daemon/message.h"
#include "daemon/stage.h"

#include <errno.h>
#include <stdlib.h>

/* It has one subscription. */
#define SID BYTES("1")

/* --- messages: the publisher's thread ------------------------------------------------------- */

static enum framing framing_of(const struct client *client) {
        return client->connection->settings->gateway.framing;
}

/* Without headers. */
static struct bytes payload_of(const struct message *message) {
        return (struct bytes){message->payload.data + message->header_size,
                              message->payload.length - message->header_size};
}

static int form_stage(struct client *client, struct stage *stage, struct subscription *subscription,
                      const struct message *message) {
        enum framing framing = framing_of(client);
        struct bytes payload = payload_of(message);
        int r = 0;

        stage->n_messages += message->count;
        stage->n_payload_bytes += message->count * payload.length;
        for (size_t i = 0; i < message->count && r == 0; i++) {
                r = framing_append(framing, &stage->outbox, false, message->block, payload);
                payload.data += message->stride;
        }
        return r;
}

static size_t form_length(struct client *client, const struct subscription *subscription,
                          const struct message *message) {
        return framing_length(framing_of(client), payload_of(message));
}

static void form_too_large(struct client *client, struct worker *worker) {
        gateway_lose(client->connection, LOSS_TOO_LARGE);
}

static const struct client_form form = {
        .stage = form_stage,
        .length = form_length,
        .too_large = form_too_large,
};

/* --- subscribing ---------------------------------------------------------------------------- */

/* Whether it has its subscription; it is told why not. */
static bool subscribe(struct connection *connection) {
        const struct gateway *gateway = gateway_of(connection);
        struct client *client = connection->client;
        const struct operation operation = {
                .verb = VERB_SUB,
                .subject = {gateway->subject, gateway->subject_length},
                .queue =
                        bytes_from_string(gateway->settings->queue ? gateway->settings->queue : ""),
                .sid = SID,
                .count = 1,
        };

        client->form = &form;
        (void)client_operation(client, &operation);
        return client->subscriptions.count > 0;
}

static void subscribe_begun(struct connection *connection) {
        if (gateway_find_subject(connection) < 0) {
                gateway_lose(connection, LOSS_NO_MEMORY);
                connection_end(connection, REASON_READ_ERROR);
        } else if (!subscribe(connection)) {
                gateway_lose(connection, LOSS_DENIED);
                connection_end(connection, REASON_DENIED);
        }
}

static size_t subscribe_input(struct connection *connection, struct bytes *input) {
        size_t n_admitted = connection_admit(connection, 1, input->length);

        input->length = 0;
        if (n_admitted > 0 && connection->session && connection->client->subscriptions.count == 0 &&
            gateway_admits(connection) && !subscribe(connection))
                gateway_lose(connection, LOSS_DENIED);
        return 0;
}

/* A reload may have ended its subscription. */
static void subscribe_changed(struct connection *connection) {
        const struct client *client = connection->client;

        client_changed(connection->client);
        if (!connection->session && gateway_of(connection)->subject && !client->must_login &&
            client->subscriptions.count == 0)
                connection_end(connection, REASON_DENIED);
}

/* --- the handler ---------------------------------------------------------------------------- */

static int subscribe_opened(struct connection *connection) {
        static const struct gateway_kind kind = {.end = connection_end};
        struct gateway *gateway = calloc(1, sizeof(*gateway));
        int r = gateway ? gateway_open(connection, gateway, &kind) : -ENOMEM;

        if (r < 0)
                free(gateway);
        return r;
}

static void subscribe_release(struct connection *connection) {
        struct gateway *gateway = gateway_of(connection);

        gateway_deinit(connection);
        free(gateway);
}

const struct handler handler_subscribe = {
        .name = "subscribe",
        .opened = subscribe_opened,
        .begun = subscribe_begun,
        .secured = client_secured_plain,
        .input = subscribe_input,
        .complain = gateway_complain,
        .renewed = gateway_renewed,
        .oversized = gateway_oversized,
        .deadline = client_deadline_plain,
        .changed = subscribe_changed,
        .closed = gateway_closed,
        .release = subscribe_release,
};
