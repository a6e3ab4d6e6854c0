/* The default handler. See handler_bus.h. */
#include "daemon/handler_bus.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/transport.h"
#include "lib/writer.h"

#include <string.h>

static int bus_opened(struct connection *connection) {
        return client_open(connection);
}

/* What is wrong with a frame ends with it; so does what is incomplete. */
static void bus_end_frame(struct client *client, struct bytes *input) {
        bool is_incomplete = input->length > 0 || client->parser.pending != VERB_NONE;

        if (is_incomplete && !client->has_violated &&
            client->connection->state_of_life == CONNECTION_OPEN)
                client_violation(client, PARSER_VIOLATION);
        client->parser.pending = VERB_NONE;
        client->parser.needed = 0;
        client->has_violated = false;
        input->length = 0;
}

static void bus_renewed(struct connection *connection) {
        client_renew(connection->client);
}

static void bus_oversized(struct connection *connection) {
        struct client *client = connection->client;

        client_violation(client, PARSER_PAYLOAD);
        client->has_violated = false;
}

static void bus_secured(struct connection *connection) {
        client_secured(connection->client);
}

static size_t bus_input(struct connection *connection, struct bytes *input) {
        struct client *client = connection->client;
        enum parser_result result = PARSER_MORE;
        struct operation operation;

        client_begin_input(client);
        if (client->is_refused) {
                /* It will be told so. Whether it waits for that shows meanwhile. */
                explicit_bzero((void *)(uintptr_t)input->data, input->length);
                input->length = 0;
                return 0;
        }
        if (client->must_login && client->parser.pending == VERB_NONE && input->length > 0 &&
            input->data[0] != 'C' && input->data[0] != 'c')
                client_refuse_operation(client);
        while (connection->state_of_life == CONNECTION_OPEN && connection->paused == 0 &&
               !client->has_violated &&
               (result = parser_next(&client->parser, input, &operation)) == PARSER_OPERATION) {
                size_t n_left = operation.count - client_operation(client, &operation);

                input->data -= n_left * operation.stride;
                input->length += n_left * operation.stride;
                if (client->worker->pressure.n_work > CLIENT_WORK_MAX) {
                        connection_yield(connection, input);
                        break;
                }
        }
        if (result != PARSER_OPERATION && result != PARSER_MORE)
                client_violation(client, result);
        if (connection->transport->keeps_boundaries && connection->paused == 0)
                bus_end_frame(client, input);
        client_end_input(client);
        return connection->paused == 0 ? client->parser.needed : 0;
}

/* A PING is for the answer, which nobody would get. */
static bool bus_is_void(struct bytes input) {
        const struct bytes ping = BYTES("PING\r\n");

        while (input.length >= ping.length && memcmp(input.data, ping.data, ping.length) == 0) {
                input.data += ping.length;
                input.length -= ping.length;
        }
        return input.length == 0;
}

static void bus_deadline(struct connection *connection) {
        client_deadline(connection->client);
}

/* PING and PONG do not count: they come by themselves. */
static uint64_t bus_used_ms(struct connection *connection) {
        const struct client *client = connection->client;
        uint64_t delivered_ms = connection_delivered_ms(connection);

        return client->used_ms > delivered_ms ? client->used_ms : delivered_ms;
}

static void bus_changed(struct connection *connection) {
        client_changed(connection->client);
}

static void bus_closed(struct connection *connection) {
        client_close(connection->client);
}

static void bus_release(struct connection *connection) {
        connection->client = client_free(connection->client);
}

static void bus_complain(struct connection *connection, const char *text) {
        char line[WRITER_ERROR_MAX(HANDLER_COMPLAINT_MAX)];
        char *end = writer_error(line, bytes_from_string(text));
        struct bytes bytes = {line, (size_t)(end - line)};

        if (connection_may_complain(connection, bytes.length))
                connection_write(connection->worker, connection, bytes);
}

const struct handler handler_bus = {
        .name = "bus",
        .speaks_nats = true,
        .opened = bus_opened,
        .secured = bus_secured,
        .input = bus_input,
        .is_void = bus_is_void,
        .complain = bus_complain,
        .renewed = bus_renewed,
        .oversized = bus_oversized,
        .deadline = bus_deadline,
        .used_ms = bus_used_ms,
        .changed = bus_changed,
        .closed = bus_closed,
        .release = bus_release,
};
