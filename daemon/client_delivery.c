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
static ssize_t stage_copies(struct stage *stage, const struct writer_message *line,
                            struct bytes payload, size_t count, size_t stride) {
        size_t each = writer_message_line_max(line) + payload.length + 2, line_length;
        char *start, *end;

        if (count > COPY_MAX / each)
                count = each < COPY_MAX ? COPY_MAX / each : 1;
        start = outbox_reserve(&stage->outbox, count * each);
        if (!start)
                return -ENOMEM;
        end = writer_message_line(start, line);
        line_length = (size_t)(end - start);
        payload.length += 2; /* CR LF */
        end = bytes_copy(end, payload);
        for (size_t i = 1; i < count; i++) {
                payload.data += stride;
                end = bytes_copy(end, (struct bytes){start, line_length});
                end = bytes_copy(end, payload);
        }
        outbox_commit(&stage->outbox, (size_t)(end - start));
        return (ssize_t)count;
}

/* Appends one message that refers to its payload. */
static ssize_t stage_shared(struct stage *stage, const struct writer_message *line,
                            struct block *block, struct bytes payload) {
        char *start = outbox_reserve(&stage->outbox, writer_message_line_max(line)), *end;

        if (!start)
                return -ENOMEM;
        end = writer_message_line(start, line);
        outbox_commit(&stage->outbox, (size_t)(end - start));
        payload.length += 2; /* CR LF */
        return outbox_append_shared(&stage->outbox, block, payload) < 0 ? -ENOMEM : 1;
}

ssize_t client_stage_messages(struct stage *stage, struct subscription *subscription,
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
        ssize_t n = message->block && payload.length >= SHARE_MIN
                            ? stage_shared(stage, &line, message->block, payload)
                            : stage_copies(stage, &line, payload, message->count, message->stride);

        if (n > 0) {
                stage->n_messages += (size_t)n;
                stage->n_payload_bytes += (size_t)n * payload.length;
        }
        return n;
}

/* Stages all of a run, and lets go on the way what has become enough. */
static int client_stage_run(struct client *client, struct worker *worker,
                            struct subscription *subscription, struct message run) {
        bool headers = atomic_load_explicit(&client->headers, memory_order_relaxed);

        while (run.count > 0) {
                struct stage *stage = connection_output(worker, client->connection);
                ssize_t n;

                if (!stage)
                        return 0; /* it ends */
                n = client_stage_messages(stage, subscription, &run, headers);
                if (n < 0)
                        return (int)n;
                connection_output_done(worker, stage);
                run.count -= (size_t)n;
                run.payload.data += (size_t)n * run.stride;
        }
        return 0;
}

size_t client_deliver(struct receiver *receiver, struct worker *worker,
                      struct subscription *subscription, const struct message *message) {
        struct client *client = container_of(receiver, struct client, receiver);
        struct connection *connection = client->connection;
        struct message run = *message;
        bool is_last;

        if (!connection_output(worker, connection))
                return 0;
        run.count = subscription_count(subscription, message->count, &is_last);
        if (run.count == 0)
                return 0;
        if (client_stage_run(client, worker, subscription, run) < 0) {
                connection_condemn_output(worker, connection);
                return 0;
        }
        pressure_note(&worker->pressure, connection);
        if (is_last && worker == client->worker)
                client_end_subscription(client, subscription);
        else if (is_last)
                client_post_expiry(client, subscription_sid(subscription));
        return run.count;
}
