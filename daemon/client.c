/* A client: one peer on the bus. See client.h. */
#include "daemon/client.h"

#include "daemon/bus.h"
#include "daemon/closed_log.h"
#include "daemon/config.h"
#include "daemon/connect.h"
#include "daemon/connection.h"
#include "daemon/identity.h"
#include "daemon/info.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "lib/log.h"
#include "lib/subject.h"
#include "lib/writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Payloads from this length on are referred to rather than copied. */
#define SHARE_MIN 4096
/* The first PING of ours, which measures the round trip, after CONNECT. */
#define FIRST_PING_MS 2000
/* A round trip older than this is measured again. */
#define RTT_MAX_AGE_NS (UINT64_C(3600) * 1000000000)
/* How much of a line a log line shows. */
#define TRACE_MAX 256

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t real_time_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned long long client_id(const struct client *client) {
        return (unsigned long long)client->connection->id;
}

/* --- to the client -------------------------------------------------------------------------- */

static void client_write(struct client *client, struct bytes bytes) {
        connection_write(client->worker, client->connection, bytes);
}

__attribute__((format(printf, 2, 3))) static void client_error(struct client *client,
                                                               const char *format, ...) {
        char text[1024], line[WRITER_ERROR_MAX(sizeof(text))], *end;
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        log_debug("client %llu: -ERR '%s'", client_id(client), text);
        end = writer_error(line, bytes_from_string(text));
        client_write(client, (struct bytes){line, (size_t)(end - line)});
}

/* Says what was wrong and ends the connection. */
static void client_fail(struct client *client, const char *text, const char *reason) {
        client_error(client, "%s", text);
        connection_end(client->connection, reason);
}

static void client_acknowledge(struct client *client) {
        if (client->verbose)
                client_write(client, WRITER_OK);
}

static void client_send_info(struct client *client) {
        char *line = info_line(client);

        client->told_generation = atomic_load(&client->worker->instance->generation);
        if (!line) {
                connection_close(client->connection, REASON_WRITE_ERROR);
                return;
        }
        client_write(client, bytes_from_string(line));
        free(line);
}

/* Later INFOs go to those who understand them and have had their first PONG (protocol.md 2.3). */
static void client_refresh_info(struct client *client) {
        if (client->protocol >= 1 && client->has_ponged &&
            client->told_generation != atomic_load(&client->worker->instance->generation))
                client_send_info(client);
}

/* --- delivery, in the publisher's thread ------------------------------------------------------ */

/* Ends a subscription that has had its last message, in the client's own thread. */
struct expiry {
        struct task task;
        struct client *client; /* what is posted comes before it is freed */
        size_t sid_length;
        char sid[];
};

static void client_end_subscription(struct client *client, struct subscription *subscription);

static void client_expire(struct client *client, struct bytes sid) {
        struct subscription *subscription = sid_table_find(&client->subscriptions, sid);

        /* The sid may have been used again meanwhile. */
        if (subscription && subscription_is_exhausted(subscription))
                client_end_subscription(client, subscription);
}

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

/* Appends one message, in the form that the client gets it. */
static int stage_message(struct stage *stage, struct subscription *subscription,
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

static bool client_deliver(struct receiver *receiver, struct worker *worker,
                           struct subscription *subscription, const struct message *message) {
        struct client *client = container_of(receiver, struct client, receiver);
        struct connection *connection = client->connection;
        struct stage *stage = connection_output(worker, connection);
        bool is_last;

        if (!stage || !subscription_count(subscription, &is_last))
                return false;
        if (stage_message(stage, subscription, message,
                          atomic_load_explicit(&client->headers, memory_order_relaxed)) < 0) {
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

/* --- publishing ------------------------------------------------------------------------------- */

/* Where a message goes: control subjects are those of the system account, which is open to those
 * with a role; for others nobody is there, and so nobody can pose as the server either. */
static struct bus *client_bus(struct client *client, struct bytes subject) {
        static const char control[] = "$SYS.REQ.";
        size_t n = sizeof(control) - 1;

        if (subject.length <= n || memcmp(subject.data, control, n) != 0)
                return client->bus;
        return client->role == ROLE_ADMIN ? client->worker->instance->system_bus : NULL;
}

/* Tells a requester that nobody heard it (protocol.md 6.6). */
static void client_no_responders(struct client *client, struct bytes reply) {
        static const char status[] = "NATS/1.0 503\r\n\r\n";
        struct subscription *subscription =
                bus_find_plain(client->bus, client->worker, reply, &client->receiver);
        struct message message = {
                .subject = reply, .header_size = sizeof(status) - 1, .payload = BYTES(status)};
        struct stage *stage;

        if (!subscription)
                return;
        stage = connection_output(client->worker, client->connection);
        if (stage && stage_message(stage, subscription, &message, true) >= 0)
                connection_output_done(client->worker, stage);
}

static void client_publish(struct client *client, const struct operation *operation) {
        struct message message = {
                .subject = operation->subject,
                .reply = operation->reply,
                .header_size = operation->header_size,
                .payload = operation->payload,
                .block = client->connection->input_block,
                .bus = client->bus,
                .publisher = client->connection,
        };
        struct bus *bus = client_bus(client, message.subject);
        unsigned n_taken = 0;

        counter_add(&client->connection->in_messages, 1);
        counter_add(&client->connection->in_bytes, message.payload.length);
        counter_add(&client->worker->stats.in_messages, 1);
        counter_add(&client->worker->stats.in_bytes, message.payload.length);
        if (client->pedantic && !subject_is_literal(message.subject))
                client_error(client, ERROR_INVALID_PUBLISH);
        client_acknowledge(client);
        if (bus)
                n_taken = bus_publish(bus, client->worker, &message,
                                      client->echo ? NULL : &client->receiver);
        if (n_taken == 0 && client->no_responders && message.reply.length > 0)
                client_no_responders(client, message.reply);
}

/* --- subscribing ------------------------------------------------------------------------------ */

static void client_count_subscriptions(struct client *client) {
        atomic_store_explicit(&client->n_subscriptions, client->subscriptions.count,
                              memory_order_relaxed);
}

static void client_end_subscription(struct client *client, struct subscription *subscription) {
        sid_table_remove(&client->subscriptions, subscription);
        bus_unsubscribe(client->bus, &client->worker->reclaim, subscription);
        client_count_subscriptions(client);
}

/* Whether one more subscription may be had; says so if not. */
static bool client_may_subscribe(struct client *client, const struct operation *operation) {
        uint64_t max = client->worker->config->server.max_subscriptions;
        char subject[512];

        if (!subject_is_valid(operation->subject)) {
                client_error(client, ERROR_INVALID_SUBJECT);
                return false;
        }
        if (bytes_equal(operation->queue, BYTES("_sys_"))) {
                client_error(client,
                             "Permissions Violation for Subscription to \"%s\" using queue "
                             "\"_sys_\"",
                             bytes_quote(subject, sizeof(subject), operation->subject));
                return false;
        }
        if (max > 0 && client->subscriptions.count >= max) {
                client_error(client, ERROR_MAX_SUBSCRIPTIONS);
                return false;
        }
        return true;
}

static int client_add_subscription(struct client *client, const struct operation *operation) {
        struct subscription *subscription =
                subscription_new(&client->receiver, operation->sid, operation->queue);
        int r;

        if (!subscription)
                return -ENOMEM;
        r = sid_table_add(&client->subscriptions, subscription);
        if (r < 0) {
                subscription_free(subscription);
                return r;
        }
        r = bus_subscribe(client->bus, &client->worker->reclaim, operation->subject, subscription);
        if (r < 0) {
                sid_table_remove(&client->subscriptions, subscription);
                subscription_free(subscription);
                return r;
        }
        client_count_subscriptions(client);
        return 0;
}

static void client_subscribe(struct client *client, const struct operation *operation) {
        client_expire(client, operation->sid);
        if (sid_table_find(&client->subscriptions, operation->sid)) {
                client_acknowledge(client);
                return;
        }
        if (!client_may_subscribe(client, operation))
                return;
        if (client_add_subscription(client, operation) < 0) {
                log_warning("client %llu: no memory for a subscription", client_id(client));
                client_error(client, ERROR_MAX_SUBSCRIPTIONS);
                return;
        }
        client_acknowledge(client);
}

static void client_unsubscribe(struct client *client, const struct operation *operation) {
        struct subscription *subscription = sid_table_find(&client->subscriptions, operation->sid);

        if (subscription) {
                atomic_store(&subscription->max, operation->max);
                if (operation->max == 0 || subscription_is_exhausted(subscription)) {
                        client_end_subscription(client, subscription);
                        client->needs_fence = true;
                }
        }
        client_acknowledge(client);
}

/* --- liveness --------------------------------------------------------------------------------- */

static void client_pong(struct client *client) {
        client_write(client, WRITER_PONG);
        if (!client->has_ponged) {
                client->has_ponged = true;
                client_refresh_info(client);
        }
}

static void client_on_fence(struct fence *fence) {
        struct client *client = container_of(fence, struct client, fence);
        struct connection *connection = client->connection;

        client_pong(client);
        connection_resume(connection, PAUSE_FENCE);
        connection_unpin(connection);
}

/* After a PONG no message of a subscription that was ended before may come, also none that another
 * worker has just staged. */
static void client_ping(struct client *client) {
        if (!client->needs_fence || client->worker->workers->count == 1) {
                client_pong(client);
                return;
        }
        client->needs_fence = false;
        client->fence.done = client_on_fence;
        connection_pin(client->connection);
        connection_pause(client->connection, PAUSE_FENCE);
        worker_fence(client->worker, &client->fence);
}

static void client_ponged(struct client *client) {
        client->n_pings_out = 0;
        if (client->ping_sent_ns == 0)
                return;
        client->rtt_ns = now_ns() - client->ping_sent_ns;
        client->ping_sent_ns = 0;
}

/* Whether the client has shown that it lives, so that a PING can be left out. */
static bool client_is_active(const struct client *client) {
        uint64_t idle_ms = uv_now(&client->worker->loop) - client->connection->last_input_ms;

        return client->has_measured && now_ns() - client->rtt_measured_ns < RTT_MAX_AGE_NS &&
               idle_ms < client->worker->config->server.ping_interval_ms;
}

void client_deadline(struct client *client) {
        const struct config_server *server = &client->worker->config->server;
        uint64_t age_ms = (real_time_ns() - client->connection->start_ns) / 1000000;

        /* Libraries expect nothing else before their first PONG (protocol.md 1.1). */
        if (!client->has_ponged && age_ms < FIRST_PING_MS) {
                connection_set_deadline(client->connection, FIRST_PING_MS - age_ms);
                return;
        }
        connection_set_deadline(client->connection, server->ping_interval_ms);
        /* What is not read cannot answer. */
        if (client_is_active(client) || client->connection->paused != 0)
                return;
        if (client->n_pings_out + 1 > server->ping_max) {
                counter_add(&client->worker->stats.stale_connections, 1);
                log_info("client %llu: stale: %u PINGs were not answered", client_id(client),
                         client->n_pings_out);
                client_fail(client, ERROR_STALE_CONNECTION, REASON_STALE);
                return;
        }
        client->n_pings_out++;
        client->has_measured = true;
        client->ping_sent_ns = client->rtt_measured_ns = now_ns();
        client_write(client, WRITER_PING);
}

/* --- CONNECT ---------------------------------------------------------------------------------- */

static void client_connect(struct client *client, const struct operation *operation) {
        uint64_t interval = client->worker->config->server.ping_interval_ms;
        uint64_t first = interval < FIRST_PING_MS ? interval : FIRST_PING_MS;

        switch (connect_apply(client, operation->arguments)) {
        case CONNECT_OK:
                break;
        case CONNECT_MALFORMED:
                client_violation(client, PARSER_VIOLATION);
                return;
        case CONNECT_FORBIDDEN:
                client_fail(client, ERROR_AUTHORIZATION, REASON_AUTHENTICATION);
                return;
        case CONNECT_PROTOCOL:
                client_fail(client, ERROR_CLIENT_PROTOCOL, REASON_CLIENT_PROTOCOL);
                return;
        case CONNECT_NO_RESPONDERS:
                client_fail(client, ERROR_NO_RESPONDERS, REASON_NO_RESPONDERS);
                return;
        }
        client_acknowledge(client);
        if (client->is_connected)
                return;
        client->is_connected = true;
        connection_set_deadline(client->connection,
                                first + worker_random(client->worker) % (first / 5 + 1));
}

/* --- all operations --------------------------------------------------------------------------- */

static void client_trace(const struct client *client, const struct operation *operation) {
        char arguments[TRACE_MAX];

        if (operation->verb == VERB_CONNECT) {
                /* It may hold a password. */
                log_trace("client %llu: [CONNECT ...]", client_id(client));
                return;
        }
        bytes_quote(arguments, sizeof(arguments), operation->arguments);
        log_trace("client %llu: [%s%s%s]", client_id(client), verb_name(operation->verb),
                  arguments[0] ? " " : "", arguments);
}

void client_operation(struct client *client, const struct operation *operation) {
        if (log_is_enabled(LOG_LEVEL_TRACE))
                client_trace(client, operation);
        switch (operation->verb) {
        case VERB_PUB:
        case VERB_HPUB:
                client_publish(client, operation);
                break;
        case VERB_SUB:
                client_subscribe(client, operation);
                break;
        case VERB_UNSUB:
                client_unsubscribe(client, operation);
                break;
        case VERB_PING:
                client_ping(client);
                break;
        case VERB_PONG:
                client_ponged(client);
                break;
        case VERB_CONNECT:
                client_connect(client, operation);
                break;
        case VERB_INFO:
                if (!connect_is_object(operation->arguments))
                        client_violation(client, PARSER_VIOLATION);
                break;
        case VERB_ERR:
                connection_end(client->connection, REASON_PARSE_ERROR);
                break;
        case VERB_OK:
        case VERB_NONE:
                break;
        }
}

void client_violation(struct client *client, enum parser_result result) {
        counter_add(&client->worker->stats.protocol_errors, 1);
        if (result == PARSER_CONTROL_LINE)
                client_fail(client, ERROR_CONTROL_LINE, REASON_CONTROL_LINE);
        else if (result == PARSER_PAYLOAD)
                client_fail(client, ERROR_MAX_PAYLOAD, REASON_MAX_PAYLOAD);
        else
                client_fail(client, ERROR_UNKNOWN_OPERATION, REASON_VIOLATION);
}

void client_begin_input(struct client *client) {
        client->worker->pressure = (struct pressure){.n_deliveries = 0};
}

/* A publisher is held back when that delays nobody else: when all its receivers are behind, or one
 * is about to be closed for it. */
void client_end_input(struct client *client) {
        const struct pressure *pressure = &client->worker->pressure;

        if (pressure->n_congested > 0 &&
            (pressure->n_congested == pressure->n_deliveries || pressure->is_critical))
                connection_hold(client->connection, pressure->congested, pressure->has_several);
}

/* --- beginning and end ------------------------------------------------------------------------ */

static void client_adopt_limits(struct client *client) {
        client->parser.max_control_line = client->worker->config->server.max_control_line;
        client->parser.max_payload = client->worker->config->server.max_payload;
}

void client_changed(struct client *client) {
        client_adopt_limits(client);
        client_refresh_info(client);
}

bool client_tell_lame_duck(struct client *client) {
        if (client->protocol < 1 || !client->has_ponged)
                return false;
        client->is_leaving = true;
        client_send_info(client);
        return true;
}

int client_open(struct connection *connection) {
        struct client *client = calloc(1, sizeof(*client));
        struct worker *worker = connection->worker;
        struct instance *instance = worker->instance;

        if (!client)
                return -ENOMEM;
        connection->state = client;
        client->receiver.deliver = client_deliver;
        client->connection = connection;
        client->worker = worker;
        client->bus = instance->bus;
        client->verbose = client->pedantic = client->echo = true;
        client->role = identity_role(&connection->peer);
        client_adopt_limits(client);
        client_send_info(client);
        client->is_counted = true;
        if (atomic_fetch_add(&instance->n_connections, 1) >=
            atomic_load(&instance->max_connections)) {
                static struct log_limit limit = {.burst = 1, .interval_ms = 10000};

                log_limited(&limit, LOG_LEVEL_WARNING, "max_connections is reached");
                client_fail(client, ERROR_MAX_CONNECTIONS, REASON_MAX_CONNECTIONS);
                return 0;
        }
        atomic_fetch_add(&instance->n_total, 1);
        log_debug("client %llu: connected", client_id(client));
        connection_set_deadline(connection, worker->config->server.ping_interval_ms);
        return 0;
}

/* One line for an end that somebody may want to know of. */
static void client_log_end(const struct client *client) {
        static struct log_limit limit = {.burst = 20, .interval_ms = 10000};
        const char *reason = client->connection->reason;

        if (strncmp(reason, "Slow Consumer", strlen("Slow Consumer")) != 0) {
                log_debug("client %llu: disconnected: %s", client_id(client), reason);
                return;
        }
        counter_add(&client->worker->stats.slow_consumers, 1);
        log_limited(&limit, LOG_LEVEL_WARNING, "client %llu%s%s: closed: %s", client_id(client),
                    client->name ? " " : "", client->name ? client->name : "", reason);
}

/* Leaves word of the client for those who ask later. */
static void client_remember(struct client *client) {
        struct connection *connection = client->connection;
        struct closed_connection closed = {
                .id = connection->id,
                .start_ns = connection->start_ns,
                .stop_ns = real_time_ns(),
                .peer = connection->peer,
                .reason = connection->reason,
                .listener = strdup(connection->listener->name),
                .in_messages = counter_read(&connection->in_messages),
                .in_bytes = counter_read(&connection->in_bytes),
                .n_subscriptions = client->subscriptions.count,
        };

        pthread_mutex_lock(&connection->lock);
        closed.out_messages = connection->out_messages;
        closed.out_bytes = connection->out_bytes;
        pthread_mutex_unlock(&connection->lock);
        closed.name = client->name ? strdup(client->name) : NULL;
        closed.lang = client->lang ? strdup(client->lang) : NULL;
        closed.version = client->version ? strdup(client->version) : NULL;
        closed_log_add(client->worker->instance->closed, &closed);
}

void client_close(struct client *client) {
        struct subscription *subscription, *next;
        size_t bucket = 0;

        client_log_end(client);
        client_remember(client);
        subscription = sid_table_next(&client->subscriptions, &bucket, NULL);
        for (; subscription; subscription = next) {
                next = sid_table_next(&client->subscriptions, &bucket, subscription);
                client_end_subscription(client, subscription);
        }
        sid_table_deinit(&client->subscriptions);
        if (client->is_counted)
                atomic_fetch_sub(&client->worker->instance->n_connections, 1);
}

struct client *client_free(struct client *client) {
        if (!client)
                return NULL;
        free(client->name);
        free(client->lang);
        free(client->version);
        free(client);
        return NULL;
}
