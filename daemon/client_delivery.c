/* Delivery to a client, in the publisher's thread. See client.h. */
#include "daemon/client_parts.h"

#include "lib/writer.h"

#include <errno.h>
#include <stdlib.h>

/* Payloads from this length on are referred to rather than copied. */
#define SHARE_MIN 4096
/* How much of a run is copied in one piece. */
#define COPY_MAX (16 * 1024)

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
                        struct bytes payload, const struct message *run) {
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
        outbox_commit(&stage->outbox, (size_t)(end - start));
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

static bool is_shared(const struct message *message, size_t payload_length) {
        return message->block && payload_length >= SHARE_MIN;
}

int client_stage_messages(struct stage *stage, struct subscription *subscription,
                          const struct message *message, bool headers) {
        size_t skipped = headers ? 0 : message->header_size;
        struct bytes payload = {message->payload.data + skipped, message->payload.length - skipped};
        struct writer_message line = {
                .subject = message->subject,
                .sid = subscription_sid(subscription),
                .reply = message->reply,
                .header_size = headers ? message->header_size : 0,
                .size = payload.length,
        };

        stage->n_messages += message->count;
        stage->n_payload_bytes += message->count * payload.length;
        return is_shared(message, payload.length)
                       ? stage_shared(stage, &line, message->block, payload)
                       : stage_copies(stage, &line, payload, message);
}

/* How much of a run makes a good piece: one message that is shared, or what fits COPY_MAX. */
static size_t piece_of(const struct message *message) {
        size_t n = COPY_MAX / (message->stride + 1);

        if (message->count == 1 || n <= 1 || is_shared(message, message->payload.length))
                return 1;
        return n < message->count ? n : message->count;
}

size_t client_deliver(struct receiver *receiver, struct worker *worker,
                      struct subscription *subscription, const struct message *message) {
        struct client *client = container_of(receiver, struct client, receiver);
        struct connection *connection = client->connection;
        struct stage *stage = connection_output(worker, connection);
        struct message piece = *message;
        bool is_last;

        if (!stage)
                return 0;
        piece.count = subscription_count(subscription, piece_of(message), &is_last);
        if (piece.count == 0)
                return 0;
        if (client_stage_messages(stage, subscription, &piece,
                                  atomic_load_explicit(&client->headers, memory_order_relaxed)) <
            0) {
                connection_condemn_output(worker, connection);
                return 0;
        }
        pressure_note(&worker->pressure, connection);
        connection_output_done(worker, stage);
        if (is_last && worker == client->worker)
                client_end_subscription(client, subscription);
        else if (is_last)
                client_post_expiry(client, subscription_sid(subscription));
        return piece.count;
}
