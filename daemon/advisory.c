/* Advisories. See advisory.h. */
#include "daemon/advisory.h"

#include "daemon/bus.h"
#include "daemon/client_parts.h"
#include "daemon/control.h"
#include "daemon/instance.h"
#include "daemon/report.h"
#include "daemon/subject_index.h"
#include "lib/base62.h"

#include <stdio.h>
#include <stdlib.h>

#define TYPE_PREFIX "io.nats.server.advisory.v1."
#define ID_LENGTH   22

/* A subject with two names in it, of an account or of the server. */
#define SUBJECT_MAX 128

/* Whether anybody has asked for a subject of the system account, and for this one. */
static bool is_awaited(const struct client *client, const char *subject) {
        struct bus *bus = client->worker->instance->system_bus;

        return subject_index_count(bus->index) > CONTROL_N_SUBJECTS &&
               bus_reaches_onward(bus, client->worker, bytes_from_string(subject));
}

static json_t *make_id(struct worker *worker) {
        char id[ID_LENGTH];

        for (size_t i = 0; i < ID_LENGTH; i += 11)
                base62_write(id + i, 11, worker_random(worker));
        return json_stringn(id, ID_LENGTH);
}

static void set_text(json_t *object, const char *key, const char *text) {
        if (text && *text)
                json_object_set_new(object, key, report_text(text));
}

static json_t *client_object(const struct client *client, const char *user, uint64_t stop_ns) {
        const struct connection *connection = client->connection;
        const struct peer *peer = &connection->peer;
        json_t *object = json_pack(
                "{s:o, s:s, s:I, s:s, s:s, s:s}", "start", report_time(connection->start_ns),
                "host", peer->ip[0] ? peer->ip : "localhost", "id", (json_int_t)connection->id,
                "acc", client->bus->account, "kind", "Client", "client_type", "nats");

        set_text(object, "user", user);
        set_text(object, "name", client->name);
        set_text(object, "lang", client->lang);
        set_text(object, "ver", client->version);
        if (client->rtt_ns > 0)
                json_object_set_new(object, "rtt", json_integer((json_int_t)client->rtt_ns));
        if (stop_ns > 0)
                json_object_set_new(object, "stop", report_time(stop_ns));
        return object;
}

static json_t *traffic_object(uint64_t n_messages, uint64_t n_bytes) {
        return json_pack("{s:I, s:I}", "msgs", (json_int_t)n_messages, "bytes",
                         (json_int_t)n_bytes);
}

/* What the client sent, and what it got. */
static void add_traffic(json_t *advisory, struct connection *connection) {
        uint64_t n_messages, n_bytes;

        json_object_set_new(advisory, "sent",
                            traffic_object(counter_read(&connection->in_messages),
                                           counter_read(&connection->in_bytes)));
        pthread_mutex_lock(&connection->lock);
        n_messages = connection->out_messages;
        n_bytes = connection->out_bytes;
        pthread_mutex_unlock(&connection->lock);
        json_object_set_new(advisory, "received", traffic_object(n_messages, n_bytes));
}

static json_t *make_advisory(struct client *client, const char *type, const char *user,
                             const char *reason) {
        struct worker *worker = client->worker;
        uint64_t now_ns = real_time_ns();
        json_t *advisory = json_pack("{s:s, s:o, s:o, s:o, s:o}", "type", type, "id",
                                     make_id(worker), "timestamp", report_time(now_ns), "server",
                                     report_server(worker->instance), "client",
                                     client_object(client, user, reason ? now_ns : 0));

        if (!reason)
                return advisory;
        add_traffic(advisory, client->connection);
        json_object_set_new(advisory, "reason", json_string(reason));
        return advisory;
}

/* Publishes the object, and frees it. It may be that a message is being delivered. */
static void tell(struct client *client, const char *subject, json_t *advisory) {
        struct bus *bus = client->worker->instance->system_bus;
        struct message message = {.subject = bytes_from_string(subject), .count = 1, .bus = bus};
        char *payload = report_payload(advisory, &message.payload.length);

        json_decref(advisory);
        if (!payload)
                return;
        message.payload.data = payload;
        (void)bus_publish_onward(bus, client->worker, &message);
        free(payload);
}

void advisory_connect(struct client *client) {
        char subject[SUBJECT_MAX];

        snprintf(subject, sizeof(subject), "$SYS.ACCOUNT.%s.CONNECT", client->bus->account);
        if (is_awaited(client, subject))
                tell(client, subject,
                     make_advisory(client, TYPE_PREFIX "client_connect", client->user, NULL));
}

void advisory_disconnect(struct client *client, const char *reason) {
        char subject[SUBJECT_MAX];

        snprintf(subject, sizeof(subject), "$SYS.ACCOUNT.%s.DISCONNECT", client->bus->account);
        if (is_awaited(client, subject))
                tell(client, subject,
                     make_advisory(client, TYPE_PREFIX "client_disconnect", client->user, reason));
}

void advisory_refusal(struct client *client) {
        const struct credentials *credentials = &client_claimed(client)->credentials;
        const char *user = credentials->user ? credentials->user : credentials->nkey;
        char subject[SUBJECT_MAX];

        snprintf(subject, sizeof(subject), "$SYS.SERVER.%s.CLIENT.AUTH.ERR",
                 client->worker->instance->id);
        if (is_awaited(client, subject))
                tell(client, subject,
                     make_advisory(client, TYPE_PREFIX "client_disconnect", user,
                                   REASON_AUTHENTICATION));
}
