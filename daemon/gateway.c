/* What the gateways have in common. See gateway_parts.h. */
#include "daemon/gateway_parts.h"

#include "daemon/block.h"
#include "daemon/listener.h"
#include "daemon/message.h"
#include "daemon/peer_facts.h"
#include "daemon/stage.h"
#include "daemon/subject_template.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What is shorter is copied, with a CR LF behind it, to where there is room for that. */
#define COPY_MAX 4096

static size_t max_frame(const struct connection *connection);
static void refuse_frame(struct connection *connection, enum framing_result result,
                         const char *detail);

/* --- life ----------------------------------------------------------------------------------- */

int gateway_open(struct connection *connection, struct gateway *gateway,
                 const struct gateway_kind *kind) {
        connection->state = gateway;
        gateway->kind = kind;
        gateway->settings = &connection->settings->gateway;
        gateway->framer.framing = gateway->settings->framing;
        gateway->framer.is_whole = connection->transport->keeps_boundaries;
        return client_open_plain(connection);
}

void gateway_deinit(struct connection *connection) {
        struct gateway *gateway = gateway_of(connection);

        framing_deinit(&gateway->framer);
        free(gateway->subject);
        connection->client = client_free(connection->client);
}

void gateway_renewed(struct connection *connection) {
        client_renew(connection->client);
}

void gateway_oversized(struct connection *connection) {
        refuse_frame(connection, FRAMING_TOO_LONG, ": longer than what can be received at once");
}

void gateway_changed(struct connection *connection) {
        client_changed(connection->client);
        /* He may be another user now. */
        if (gateway_of(connection)->subject && !connection->session &&
            connection->state_of_life == CONNECTION_OPEN)
                (void)gateway_find_subject(connection);
}

void gateway_closed(struct connection *connection) {
        client_close(connection->client);
}

/* --- losses --------------------------------------------------------------------------------- */

/* How much of the log's line is of a subject. */
#define DETAIL_MAX 256

/* Which limit a frame has passed, and where it is set. */
static void write_limit(const struct connection *connection, char text[DETAIL_MAX]) {
        size_t max_payload = connection->client->parser.max_payload, max = max_frame(connection);
        bool is_own = max_payload < connection->worker->config->server.max_payload;

        snprintf(text, DETAIL_MAX, ": %s is %zu bytes",
                 max < max_payload ? "max_line"
                 : is_own          ? "the payload of its limits"
                                   : "max_payload",
                 max);
}

static void write_subject(const struct connection *connection, char text[DETAIL_MAX]) {
        const struct gateway *gateway = gateway_of(connection);
        char subject[DETAIL_MAX - 8];

        bytes_quote(subject, sizeof(subject),
                    (struct bytes){gateway->subject, gateway->subject_length});
        snprintf(text, DETAIL_MAX, ": \"%s\"", subject);
}

/* What else is to be known of a loss. */
static void write_detail(const struct connection *connection, enum gateway_loss why,
                         char text[DETAIL_MAX]) {
        *text = '\0';
        if (why == LOSS_TOO_LONG)
                write_limit(connection, text);
        else if (gateway_of(connection)->subject &&
                 (why == LOSS_NO_RESPONDERS || why == LOSS_TIMEOUT || why == LOSS_BUSY))
                write_subject(connection, text);
}

/* detail: what else there is to tell; NULL: that is found out. */
static void lose(struct connection *connection, enum gateway_loss why, const char *detail) {
#define ROW(why, words) [why] = {.limit = {.burst = 20, .interval_ms = 10000}, .text = (words) }
        static struct {
                struct log_limit limit;
                const char *text;
        } rows[N_GATEWAY_LOSSES] = {
                ROW(LOSS_TOO_LONG, "a message was longer than it may be"),
                ROW(LOSS_INCOMPLETE, "the input ended within a message"),
                ROW(LOSS_NO_MEMORY, "there is no memory for a message"),
                ROW(LOSS_NO_RESPONDERS, "nobody answers what is asked"),
                ROW(LOSS_TIMEOUT, "a question was not answered in time"),
                ROW(LOSS_BUSY, "more is asked at once than may be"),
                ROW(LOSS_TOO_LARGE, "what was to be sent was too large"),
        };
#undef ROW
        struct listener *listener = connection->listener;
        char text[DETAIL_MAX];

        atomic_fetch_add_explicit(&listener->losses.n[why], 1, memory_order_relaxed);
        /* Of what is denied the client tells. */
        if (!rows[why].text || !log_is_enabled(LOG_LEVEL_WARNING) ||
            !log_limit_pass(&rows[why].limit))
                return;
        if (!detail)
                write_detail(connection, why, text);
        log_warning("client %llu: listener \"%s\": %s%s", (unsigned long long)connection->id,
                    listener->name, rows[why].text, detail ? detail : text);
}

void gateway_lose(struct connection *connection, enum gateway_loss why) {
        lose(connection, why, NULL);
}

/* --- the subject ---------------------------------------------------------------------------- */

/* The values of variables, and the text of those that are numbers. */
struct values {
        struct bytes of[N_SUBJECT_VARIABLES];
        char numbers[N_SUBJECT_VARIABLES][BYTES_NUMBER_MAX];
};

static void set_text(struct values *values, enum subject_variable variable, const char *text) {
        if (text)
                values->of[variable] = bytes_from_string(text);
}

static void set_number(struct values *values, enum subject_variable variable, uint64_t number) {
        char *text = values->numbers[variable];

        values->of[variable] =
                (struct bytes){text, (size_t)(bytes_format_number(text, number) - text)};
}

/* What the kernel says of a process. Only what is used is asked for. */
static void fill_process(struct values *values, struct connection *connection,
                         const struct subject_template *template) {
        const struct peer *peer = &connection->peer;
        const struct peer_facts *facts;

        if (subject_template_uses(template, VARIABLE_PEER_UID) && connection_has_uid(connection))
                set_number(values, VARIABLE_PEER_UID, peer->uid);
        if (peer->has_credentials) {
                set_number(values, VARIABLE_PEER_GID, peer->gid);
                set_number(values, VARIABLE_PEER_PID, (uint64_t)peer->pid);
        }
        if (!subject_template_uses(template, VARIABLE_PEER_UNIT))
                return;
        facts = connection_facts(connection);
        if (facts)
                set_text(values, VARIABLE_PEER_UNIT, facts->unit);
}

static void fill(struct values *values, struct connection *connection,
                 const struct subject_template *template) {
        const struct peer *peer = &connection->peer;

        connection_show_peer(connection);
        set_text(values, VARIABLE_PEER_ADDRESS, peer->ip);
        if (peer->ip[0])
                set_number(values, VARIABLE_PEER_PORT, peer->port);
        fill_process(values, connection, template);
        set_text(values, VARIABLE_PEER_USER, connection->client->user);
        set_text(values, VARIABLE_LISTENER, connection->listener->name);
}

static int keep_subject(struct gateway *gateway, struct bytes subject) {
        if (subject.length > gateway->subject_room || !gateway->subject) {
                char *larger = realloc(gateway->subject, subject.length);

                if (!larger)
                        return -ENOMEM;
                gateway->subject = larger;
                gateway->subject_room = subject.length;
        }
        bytes_copy(gateway->subject, subject);
        gateway->subject_length = subject.length;
        return 0;
}

int gateway_find_subject(struct connection *connection) {
        struct gateway *gateway = gateway_of(connection);
        const struct subject_template *template = gateway->settings->subject;
        struct values values = {.of = {{NULL, 0}}};
        char text[SUBJECT_TEMPLATE_MAX];

        if (gateway->subject && !subject_template_uses_peer(template))
                return 0;
        fill(&values, connection, template);
        return keep_subject(
                gateway, (struct bytes){text, subject_template_write(template, values.of, text)});
}

/* --- input ---------------------------------------------------------------------------------- */

bool gateway_admits(struct connection *connection) {
        struct gateway *gateway = gateway_of(connection);

        if (!connection->session)
                return true;
        if (!client_admits_datagram(connection->client))
                return false;
        /* Of who stays it is known already. */
        if ((!connection->is_kept || !gateway->subject) && gateway_find_subject(connection) < 0) {
                gateway_lose(connection, LOSS_NO_MEMORY);
                return false;
        }
        return true;
}

/* How long a frame may be. */
static size_t max_frame(const struct connection *connection) {
        const struct gateway *gateway = gateway_of(connection);
        size_t max = connection->client->parser.max_payload;

        return gateway->framer.framing == FRAMING_LINE && gateway->settings->max_line < max
                       ? gateway->settings->max_line
                       : max;
}

/* detail: as of lose(). */
static void refuse_frame(struct connection *connection, enum framing_result result,
                         const char *detail) {
        const struct gateway_kind *kind = gateway_of(connection)->kind;
        bool is_long = result == FRAMING_TOO_LONG;

        lose(connection, is_long ? LOSS_TOO_LONG : LOSS_NO_MEMORY, detail);
        if (kind->refuse)
                kind->refuse(connection, is_long ? ERROR_MAX_PAYLOAD : "Out of Memory");
}

/* Whether the input goes on behind what is not a frame. */
static bool is_usable(const struct connection *connection, enum framing_result result) {
        bool is_line = gateway_of(connection)->framer.framing == FRAMING_LINE;

        return result == FRAMING_TOO_LONG && (is_line || connection->transport->keeps_boundaries);
}

/* Takes what there is of one frame. Returns whether there may be another. */
static bool take_frame(struct connection *connection, struct bytes *input) {
        struct gateway *gateway = gateway_of(connection);
        struct frame frame;
        enum framing_result result = framing_next(&gateway->framer, input, &frame);

        if (result == FRAMING_MORE)
                return false;
        if (result == FRAMING_FRAME) {
                gateway->kind->take(connection, &frame);
                return true;
        }
        refuse_frame(connection, result, NULL);
        if (is_usable(connection, result))
                return true;
        gateway->kind->end(connection, REASON_MAX_PAYLOAD);
        input->length = 0;
        return false;
}

/* What no message is made of counts as one against the rate; of datagrams all counts anyway. */
static void charge_loss(struct connection *connection) {
        struct framer *framer = &gateway_of(connection)->framer;

        if (framer->n_lost > 0 && !connection->session)
                (void)connection_admit(connection, 1, framer->n_lost);
        framer->n_lost = 0;
}

size_t gateway_take(struct connection *connection, struct bytes *input) {
        struct gateway *gateway = gateway_of(connection);
        struct client *client = connection->client;

        if (!gateway_admits(connection)) {
                input->length = 0;
                return 0;
        }
        gateway->framer.max = max_frame(connection);
        client_begin_input(client);
        while (connection->state_of_life == CONNECTION_OPEN && connection->paused == 0 &&
               take_frame(connection, input)) {
                if (client->worker->pressure.n_work > CLIENT_WORK_MAX) {
                        connection_yield(connection, input);
                        break;
                }
        }
        client_end_input(client);
        charge_loss(connection);
        return connection->paused == 0 ? gateway->framer.needed : 0;
}

void gateway_finish(struct connection *connection, struct bytes rest) {
        struct gateway *gateway = gateway_of(connection);
        enum framing_result result;
        struct frame frame;

        if (rest.length > 0)
                gateway_lose(connection, LOSS_INCOMPLETE);
        gateway->framer.max = max_frame(connection);
        client_begin_input(connection->client);
        result = framing_finish(&gateway->framer, &frame);
        if (result == FRAMING_FRAME)
                gateway->kind->take(connection, &frame);
        else if (result != FRAMING_MORE)
                refuse_frame(connection, result, NULL);
        client_end_input(connection->client);
        gateway->kind->end(connection, REASON_CLIENT_CLOSED);
}

/* --- publishing ----------------------------------------------------------------------------- */

/* Whether there are bytes behind a frame that CR LF may be written to: nobody's. */
static bool has_room_behind(const struct frame *frame, const struct block *block) {
        const char *end = frame->bytes.data + frame->bytes.length;

        if (!block || !(frame->block || frame->is_last))
                return false;
        return block->data + block->capacity - end >= 2;
}

static enum client_outcome publish_in_place(struct client *client, struct message *message) {
        char *end = (char *)(uintptr_t)message->payload.data + message->payload.length;

        bytes_copy(end, BYTES("\r\n"));
        return client_publish(client, message);
}

/* Publishes a copy that has CR LF behind it. */
static enum client_outcome publish_short(struct client *client, struct message *message) {
        char copy[COPY_MAX + 2];

        bytes_copy(bytes_copy(copy, message->payload), BYTES("\r\n"));
        message->payload.data = copy;
        message->block = NULL;
        return client_publish(client, message);
}

/* The same in a block, to which all receivers refer. */
static enum client_outcome publish_long(struct client *client, struct message *message) {
        struct block *block = block_new(message->payload.length + 2);
        enum client_outcome outcome;

        if (!block) {
                gateway_lose(client->connection, LOSS_NO_MEMORY);
                return CLIENT_DROPPED;
        }
        bytes_copy(bytes_copy(block->data, message->payload), BYTES("\r\n"));
        message->payload.data = block->data;
        message->block = block;
        outcome = client_publish(client, message);
        block_unref(block);
        return outcome;
}

enum client_outcome gateway_publish(struct connection *connection, const struct frame *frame,
                                    struct bytes reply) {
        const struct gateway *gateway = gateway_of(connection);
        struct client *client = connection->client;
        struct block *block = frame->block ? frame->block : connection->input_block;
        struct message message = {
                .subject = {gateway->subject, gateway->subject_length},
                .reply = reply,
                .payload = frame->bytes,
                .count = 1,
                .block = block,
                .bus = client->bus,
                .publisher = connection,
        };
        enum client_outcome outcome;

        if (frame->has_cr)
                outcome = client_publish(client, &message);
        else if (message.payload.length <= COPY_MAX)
                outcome = publish_short(client, &message);
        else if (has_room_behind(frame, block))
                outcome = publish_in_place(client, &message);
        else
                outcome = publish_long(client, &message);
        if (outcome == CLIENT_DENIED)
                gateway_lose(connection, LOSS_DENIED);
        return outcome;
}

/* --- output --------------------------------------------------------------------------------- */

/* Returns the stage that it went to; NULL: it did not. */
static struct stage *append(struct connection *connection, bool has_cr, struct block *block,
                            struct bytes bytes) {
        struct stage *stage = connection_output(connection->worker, connection);
        enum framing framing = gateway_of(connection)->framer.framing;

        if (!stage)
                return NULL;
        if (framing_append(framing, &stage->outbox, has_cr, block, bytes) == 0)
                return stage;
        connection_condemn_output(connection->worker, connection);
        return NULL;
}

void gateway_append(struct connection *connection, bool has_cr, struct block *block,
                    struct bytes bytes) {
        struct stage *stage = append(connection, has_cr, block, bytes);

        if (!stage)
                return;
        stage->n_messages++;
        stage->n_payload_bytes += bytes.length;
        connection_output_done(connection->worker, stage);
}

struct bytes gateway_error(char line[GATEWAY_ERROR_MAX], const char *text) {
        int n = snprintf(line, GATEWAY_ERROR_MAX, "-ERR '%.*s'", HANDLER_COMPLAINT_MAX, text);

        return (struct bytes){line, (size_t)n};
}

void gateway_append_error(struct connection *connection, bool has_cr, struct bytes line) {
        enum framing framing = gateway_of(connection)->framer.framing;
        struct stage *stage = NULL;

        if (connection_may_complain(connection, framing_length(framing, line)))
                stage = append(connection, has_cr, NULL, line);
        if (stage)
                connection_output_done(connection->worker, stage);
}

void gateway_complain(struct connection *connection, const char *text) {
        char line[GATEWAY_ERROR_MAX];

        gateway_append_error(connection, false, gateway_error(line, text));
}
