/* Delivery to a client, in the publisher's thread. See client.h. */
#include "daemon/client_parts.h"

#include "daemon/block.h"
#include "daemon/transport.h"
#include "lib/writer.h"

#include <errno.h>
#include <stdlib.h>

/* Payloads from this length on are referred to rather than copied. */
#define SHARE_MIN 4096
/* What was written for one receiver is referred to for others from this length on. */
#define SHARE_RENDERING_MIN 2048

/* Ends a subscription that has had its last message, in the client's own thread. */
struct expiry {
        struct task task;
        struct client *client; /* what is posted comes before it is freed */
        size_t sid_length;
        char sid[];
};

static void client_on_expiry(struct task *task) {
        struct expiry *expiry = container_of(task, struct expiry, task);

        /* The sid may have been used again meanwhile. */
        (void)client_expire(expiry->client, (struct bytes){expiry->sid, expiry->sid_length});
        free(expiry);
}

/* Without memory it stays, and delivers nothing, until its client goes. */
static void client_post_expiry(struct client *client, struct bytes sid) {
        struct expiry *expiry = malloc(sizeof(*expiry) + sid.length);

        if (!expiry)
                return;
        *expiry = (struct expiry){
                .task.run = client_on_expiry, .client = client, .sid_length = sid.length};
        bytes_copy(expiry->sid, sid);
        if (mailbox_post(&client->worker->mailbox, &expiry->task) < 0)
                free(expiry);
}

/* Remembers whether the receivers of this input keep up. */
static void pressure_note(struct pressure *pressure, struct connection *connection) {
        int congestion = atomic_load_explicit(&connection->congestion, memory_order_relaxed);

        if (congestion != CONGESTION_NONE &&
            atomic_load_explicit(&connection->is_laggard, memory_order_relaxed))
                return; /* nobody waits for it */
        pressure->has_several |= pressure->receiver && pressure->receiver != connection;
        pressure->receiver = connection;
        pressure->n_deliveries++;
        if (congestion == CONGESTION_NONE)
                return;
        pressure->n_congested++;
        pressure->congested = connection;
        pressure->is_critical |= congestion == CONGESTION_CRITICAL;
}

/* Appends messages with their payloads, in one piece. */
static int stage_copies(struct stage *stage, const struct writer_message *line,
                        struct bytes payload, const struct message *run, struct bytes *writtenp) {
        size_t each = writer_message_line_max(line) + payload.length + 2, line_length;
        char *start = outbox_reserve(&stage->outbox, run->count * each), *end;

        if (!start)
                return -ENOMEM;
        end = writer_message_line(start, line);
        line_length = (size_t)(end - start);
        payload.length += 2; /* CR LF */
        end = bytes_copy(end, payload);
        for (size_t i = 1; i < run->count; i++) {
                payload.data += run->stride;
                end = bytes_copy(end, (struct bytes){start, line_length});
                end = bytes_copy(end, payload);
        }
        *writtenp = (struct bytes){start, (size_t)(end - start)};
        outbox_commit(&stage->outbox, writtenp->length);
        return 0;
}

/* Appends the same bytes as others get, which are written for the first of them. */
static int stage_rendering(struct stage *stage, const struct writer_message *line,
                           struct bytes payload, const struct message *run,
                           const struct subscription *subscription) {
        struct rendering *rendering = run->rendering;
        struct bytes bytes;
        int r;

        if (rendering && rendering->block && rendering->header_size == line->header_size &&
            bytes_equal(subscription_sid(rendering->subscription), line->sid))
                return rendering->bytes.length < SHARE_RENDERING_MIN
                               ? outbox_append(&stage->outbox, rendering->bytes)
                               : outbox_append_shared(&stage->outbox, rendering->block,
                                                      rendering->bytes);
        r = stage_copies(stage, line, payload, run, &bytes);
        if (r < 0 || !rendering)
                return r;
        block_unref(rendering->block);
        *rendering = (struct rendering){block_ref(stage->outbox.tail), bytes, subscription,
                                        line->header_size};
        return 0;
}

/* Appends one message that refers to its payload. */
static int stage_shared(struct stage *stage, const struct writer_message *line, struct block *block,
                        struct bytes payload) {
        char *start = outbox_reserve(&stage->outbox, writer_message_line_max(line)), *end;

        if (!start)
                return -ENOMEM;
        end = writer_message_line(start, line);
        outbox_commit(&stage->outbox, (size_t)(end - start));
        payload.length += 2; /* CR LF */
        return outbox_append_shared(&stage->outbox, block, payload);
}

/* What a subscription gets of a message: a client without headers the payload alone. */
static struct writer_message line_of(const struct client *client,
                                     const struct subscription *subscription,
                                     const struct message *message) {
        bool headers = atomic_load_explicit(&client->headers, memory_order_relaxed);

        return (struct writer_message){
                .subject = message->subject,
                .sid = subscription_sid(subscription),
                .reply = message->reply,
                .header_size = headers ? message->header_size : 0,
                .size = message->payload.length - (headers ? 0 : message->header_size),
        };
}

static int nats_stage(struct client *client, struct stage *stage, struct subscription *subscription,
                      const struct message *message) {
        struct writer_message line = line_of(client, subscription, message);
        struct bytes payload = {message->payload.data + message->payload.length - line.size,
                                line.size};
        int r = 0;

        stage->n_messages += message->count;
        stage->n_payload_bytes += message->count * payload.length;
        if (!message->block || payload.length < SHARE_MIN)
                return stage_rendering(stage, &line, payload, message, subscription);
        for (size_t i = 0; i < message->count && r >= 0; i++) {
                r = stage_shared(stage, &line, message->block, payload);
                payload.data += message->stride;
        }
        return r;
}

static size_t nats_length(struct client *client, const struct subscription *subscription,
                          const struct message *message) {
        struct writer_message line = line_of(client, subscription, message);

        return writer_message_line_length(&line) + line.size + strlen("\r\n");
}

static void nats_too_large(struct client *client, struct worker *worker) {
        connection_write(worker, client->connection, BYTES("-ERR '" ERROR_FRAME_TOO_LARGE "'\r\n"));
}

const struct client_form client_form_nats = {
        .stage = nats_stage,
        .length = nats_length,
        .too_large = nats_too_large,
};

/* Whether a message fits a frame of the transport; its client learns if not. */
static bool client_fits(struct client *client, struct worker *worker,
                        const struct subscription *subscription, const struct message *message) {
        struct connection *connection = client->connection;

        if (connection->max_frame == SIZE_MAX ||
            client->form->length(client, subscription, message) <= connection->max_frame)
                return true;
        connection_note_too_large(connection, message->count);
        client->form->too_large(client, worker);
        return false;
}

/* Stages messages, and ends what leaves by itself. Returns 0 or -ENOMEM, or -EPIPE if the
 * connection takes nothing more. */
static int client_stage_run(struct client *client, struct worker *worker,
                            struct subscription *subscription, const struct message *run) {
        struct connection *connection = client->connection;
        struct message piece = *run;

        if (connection->transport->keeps_boundaries && run->count > 1) {
                piece.count = 1;
                piece.rendering = NULL; /* of others it is all of the run */
        }
        for (size_t left = run->count; left > 0; left -= piece.count) {
                struct stage *stage = connection_output(worker, connection);
                int r = stage ? client->form->stage(client, stage, subscription, &piece) : -EPIPE;

                if (r < 0)
                        return r;
                connection_output_done(worker, stage);
                piece.payload.data += piece.count * piece.stride;
        }
        return 0;
}

size_t client_deliver(struct receiver *receiver, struct worker *worker,
                      struct subscription *subscription, const struct message *message) {
        struct client *client = container_of(receiver, struct client, receiver);
        struct connection *connection = client->connection;
        struct message piece = *message;
        bool is_last;
        int r;

        if (atomic_load_explicit(&subscription->is_filtered, memory_order_relaxed) &&
            client_filters(client, worker, subscription, message->subject))
                return 0;
        if (!connection_output(worker, connection) ||
            !client_fits(client, worker, subscription, message))
                return 0;
        piece.count = subscription_count(subscription, message->count, &is_last);
        if (piece.count == 0)
                return 0;
        if (piece.count < message->count)
                piece.rendering = NULL; /* of others it is more */
        if (message->reply.length > 0)
                client_expect_responses(client, worker, &piece);
        r = client_stage_run(client, worker, subscription, &piece);
        if (r < 0) {
                if (r == -ENOMEM)
                        connection_condemn_output(worker, connection);
                return 0;
        }
        pressure_note(&worker->pressure, connection);
        if (is_last && worker == client->worker)
                client_end_subscription(client, subscription);
        else if (is_last)
                client_post_expiry(client, subscription_sid(subscription));
        return piece.count;
}
