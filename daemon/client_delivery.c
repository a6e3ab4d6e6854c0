/* Delivery to a client, in the publisher's thread. See client.h. */
#include "daemon/client_parts.h"

#include "lib/writer.h"

#include <errno.h>
#include <stdlib.h>

/* Payloads from this length on are referred to rather than copied. */
#define SHARE_MIN 4096

/* Ends a subscription that has had its last message, in the client's own thread. */
struct expiry {
        struct task task;
        struct client *client; /* what is posted comes before it is freed */
        size_t sid_length;
        char sid[];
};

static void client_on_expiry(struct task *task) {
        struct expiry *expiry = container_of(task, struct expiry, task);

        client_expire(expiry->client, (struct bytes){expiry->sid, expiry->sid_length});
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

int client_stage_message(struct stage *stage, struct subscription *subscription,
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
        bool is_shared = message->block && payload.length >= SHARE_MIN;
        size_t room = writer_message_line_max(&line) + (is_shared ? 0 : payload.length + 2);
        char *start = outbox_reserve(&stage->outbox, room), *end;
        int r;

        if (!start)
                return -ENOMEM;
        end = writer_message_line(start, &line);
        if (!is_shared)
                end = bytes_copy(bytes_copy(end, payload), BYTES("\r\n"));
        outbox_commit(&stage->outbox, (size_t)(end - start));
        stage->n_messages++;
        stage->n_payload_bytes += payload.length;
        if (!is_shared)
                return 0;
        r = outbox_append_shared(&stage->outbox, message->block, payload);
        return r < 0 ? r : outbox_append(&stage->outbox, BYTES("\r\n"));
}

bool client_deliver(struct receiver *receiver, struct worker *worker,
                    struct subscription *subscription, const struct message *message) {
        struct client *client = container_of(receiver, struct client, receiver);
        struct connection *connection = client->connection;
        struct stage *stage = connection_output(worker, connection);
        bool is_last;

        if (!stage || !subscription_count(subscription, &is_last))
                return false;
        if (client_stage_message(stage, subscription, message,
                                 atomic_load_explicit(&client->headers, memory_order_relaxed)) <
            0) {
                connection_condemn_output(worker, connection);
                return false;
        }
        pressure_note(&worker->pressure, connection);
        connection_output_done(worker, stage);
        if (!is_last)
                return true;
        if (worker == client->worker)
                client_end_subscription(client, subscription);
        else
                client_post_expiry(client, subscription_sid(subscription));
        return true;
}
