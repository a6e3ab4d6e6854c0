/* A client: one peer on the bus. See client.h. */
#include "daemon/client_parts.h"

#include "daemon/block.h"
#include "daemon/bus.h"
#include "daemon/closed_log.h"
#include "daemon/config.h"
#include "daemon/connect.h"
#include "daemon/control.h"
#include "daemon/handler.h"
#include "daemon/headers.h"
#include "daemon/info.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/transport.h"
#include "lib/log.h"
#include "lib/subject.h"
#include "lib/writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* How many bytes of messages are taken as one at most, so that what comes with each is done once
 * for all. */
#define MAX_RUN (16 * 1024)
/* How much of a line a log line shows. */
#define TRACE_MAX 256

/* --- to the client -------------------------------------------------------------------------- */

void client_write(struct client *client, struct bytes bytes) {
        connection_write(client->worker, client->connection, bytes);
}

void client_error(struct client *client, const char *format, ...) {
        const struct handler *handler = client->connection->handler;
        char text[HANDLER_COMPLAINT_MAX + 1];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        log_debug("client %llu: %s", client_id(client), text);
        if (handler->complain)
                handler->complain(client->connection, text);
}

/* Ends the connection; of a datagram peer that has none, just what it sent. */
static void client_leave(struct client *client, const char *reason) {
        client->has_violated = true;
        if (client->is_counted || !client->connection->transport->is_connectionless)
                connection_end(client->connection, reason);
}

void client_fail(struct client *client, const char *text, const char *reason) {
        client_error(client, "%s", text);
        client_leave(client, reason);
}

void client_acknowledge(struct client *client) {
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

void client_refresh_info(struct client *client) {
        /* Of datagram peers the one that is there for a datagram only is told nothing. */
        bool is_ready = client->connection->transport->is_connectionless ? client->is_counted
                                                                         : client->has_ponged;

        if (client->protocol >= 1 && is_ready &&
            client->told_generation != atomic_load(&client->worker->instance->generation))
                client_send_info(client);
}

/* --- publishing ------------------------------------------------------------------------------- */

static bool is_control(struct bytes subject) {
        static const char control[] = "$SYS.REQ.";
        size_t n = sizeof(control) - 1;

        return subject.length > n && memcmp(subject.data, control, n) == 0;
}

/* Where a message goes: control subjects are those of the system account, where it is asked for the
 * role; for who has none at all nobody is there, and so nobody can pose as the server either. But
 * anyone may ask who he is. */
static struct bus *client_bus(struct client *client, struct bytes subject) {
        if (!is_control(subject))
                return client->bus;
        if (client->role == ROLE_NONE && control_role_of(subject) != ROLE_NONE)
                return NULL;
        return client->worker->instance->system_bus;
}

/* Tells a requester that nobody heard it (protocol.md 6.6). */
static void client_no_responders(struct client *client, struct bytes reply) {
        static const char status[] = "NATS/1.0 503\r\n\r\n\r\n";
        struct subscription *subscription =
                bus_find_plain(client->bus, client->worker, reply, &client->receiver);
        size_t size = sizeof(status) - 3; /* without the last CR LF */
        struct message message = {
                .subject = reply, .header_size = size, .payload = {status, size}, .count = 1};
        struct stage *stage;

        if (!subscription || (atomic_load(&subscription->is_filtered) &&
                              client_filters(client, client->worker, subscription, reply)))
                return;
        stage = connection_output(client->worker, client->connection);
        if (stage && client->form->stage(client, stage, subscription, &message) >= 0)
                connection_output_done(client->worker, stage);
}

/* Whether a message cannot go as it came. */
static bool client_must_seal(const struct client *client, const struct message *message) {
        struct bytes block = {message->payload.data, message->header_size};

        return client->signature || (block.length > 0 && headers_are_forged(block));
}

/* Gives a message, by itself, the headers that sockd vouches for, and takes those of the client
 * out. Returns the block that it is in then, a reference, or NULL if there is no memory. */
static struct block *client_seal(const struct client *client, struct message *message) {
        struct bytes headers = {message->payload.data, message->header_size};
        struct bytes rest = {headers.data + headers.length,
                             message->payload.length - headers.length};
        struct bytes lines = bytes_from_string(client->signature ? client->signature : "");
        struct block *block = block_new(headers_max(headers, lines) + rest.length + 2);
        char *end;

        if (!block)
                return NULL;
        message->header_size = headers_write(block->data, headers, lines);
        rest.length += 2; /* CR LF */
        end = bytes_copy(block->data + message->header_size, rest);
        message->payload = (struct bytes){block->data, (size_t)(end - block->data) - 2};
        message->block = block;
        return block;
}

static size_t client_send(struct client *client, struct bus *bus, struct message *message) {
        const struct receiver *except = client->echo ? NULL : &client->receiver;
        struct block *block;
        size_t n;

        if (!client_must_seal(client, message))
                return bus_publish(bus, client->worker, message, except);
        block = client_seal(client, message);
        if (!block) {
                log_error("no memory for the headers of a message of client %llu",
                          client_id(client));
                return 0;
        }
        n = bus_publish(bus, client->worker, message, except);
        block_unref(block);
        return n;
}

/* Counts what was published, whatever becomes of it. */
static void client_count_published(struct client *client, const struct message *message) {
        size_t n_bytes = message->count * message->payload.length;

        counter_add(&client->connection->in_messages, message->count);
        counter_add(&client->connection->in_bytes, n_bytes);
        counter_add(&client->worker->stats.in_messages, message->count);
        counter_add(&client->worker->stats.in_bytes, n_bytes);
}

/* Answers each message of a run: what is wrong with its subject, and +OK or that it is denied. */
static void client_answer_publish(struct client *client, const struct message *message,
                                  const struct permissions_decision *denial) {
        bool is_wrong = client->pedantic && !subject_is_literal(message->subject);

        for (size_t i = 0; (is_wrong || client->verbose) && i < message->count; i++) {
                if (is_wrong)
                        client_error(client, ERROR_INVALID_PUBLISH);
                if (!denial)
                        client_acknowledge(client);
        }
        if (denial)
                client_deny_publish(client, message, *denial);
}

enum client_outcome client_publish(struct client *client, struct message *message) {
        struct bus *bus = client_bus(client, message->subject);
        struct permissions_decision decision;
        size_t n_permitted;

        if (bus && message->count > 1)
                message->count = bus_limit_run(bus, client->worker, message);
        /* Of control subjects the role decides. */
        n_permitted = is_control(message->subject)
                              ? message->count
                              : client_permit_publish(client, message, &decision);
        if (n_permitted > 0)
                message->count = n_permitted;
        message->count = connection_admit(client->connection, message->count,
                                          message->count * message->payload.length);
        if (message->count == 0)
                return CLIENT_DROPPED;
        client_count_published(client, message);
        client_answer_publish(client, message, n_permitted > 0 ? NULL : &decision);
        if (n_permitted == 0)
                return CLIENT_DENIED;
        return bus && client_send(client, bus, message) > 0 ? CLIENT_PUBLISHED : CLIENT_UNHEARD;
}

/* Returns how many of the run were dealt with. */
static size_t client_pub(struct client *client, const struct operation *operation) {
        struct message message = {
                .subject = operation->subject,
                .reply = operation->reply,
                .header_size = operation->header_size,
                .payload = operation->payload,
                .count = operation->count,
                .stride = operation->stride,
                .block = client->connection->input_block,
                .bus = client->bus,
                .publisher = client->connection,
        };
        enum client_outcome outcome = client_publish(client, &message);

        if (outcome == CLIENT_UNHEARD && client->no_responders && message.reply.length > 0)
                client_no_responders(client, message.reply);
        return outcome == CLIENT_DROPPED ? operation->count : message.count;
}

/* --- CONNECT ---------------------------------------------------------------------------------- */

/* A password is not to be found in the input block until that is written over. */
static void client_wipe(struct bytes arguments) {
        explicit_bzero((void *)(uintptr_t)arguments.data, arguments.length);
}

static void client_connect(struct client *client, const struct operation *operation) {
        enum connect_result result;

        client->has_spoken = true;
        result = connect_apply(client, operation->arguments);
        if (result == CONNECT_MALFORMED ||
            credentials_are_given(&client_claimed(client)->credentials))
                client_wipe(operation->arguments);
        switch (result) {
        case CONNECT_OK:
                client_login(client);
                break;
        case CONNECT_MALFORMED:
                client_violation(client, PARSER_VIOLATION);
                break;
        case CONNECT_COOKIE:
                client_send_info(client); /* with a good one */
                client_error(client, ERROR_COOKIE);
                client->has_violated = true;
                break;
        case CONNECT_FORBIDDEN:
        case CONNECT_PROTOCOL:
        case CONNECT_NO_RESPONDERS:
                break;
        }
}

void client_connected(struct client *client) {
        uint64_t first = client_first_ping_ms(client);

        switch (connect_judge(client)) {
        case CONNECT_OK:
        case CONNECT_MALFORMED:
        case CONNECT_COOKIE:
                break;
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
        client->connection->is_confidential = false;
        if (client->connection->transport->is_connectionless) {
                client->is_connected = true;
                client_send_info(client);
                return;
        }
        client_announce(client);
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

size_t client_operation(struct client *client, const struct operation *operation) {
        if (log_is_enabled(LOG_LEVEL_TRACE))
                client_trace(client, operation);
        if (operation->verb != VERB_PING && operation->verb != VERB_PONG)
                client->used_ms = client->connection->last_input_ms;
        switch (operation->verb) {
        case VERB_PUB:
        case VERB_HPUB:
                return client_pub(client, operation);
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
                client_leave(client, REASON_PARSE_ERROR);
                break;
        case VERB_OK:
        case VERB_NONE:
                break;
        }
        return 1;
}

void client_violation(struct client *client, enum parser_result result) {
        const char *text = ERROR_UNKNOWN_OPERATION, *reason = REASON_VIOLATION;

        if (result == PARSER_CONTROL_LINE) {
                text = ERROR_CONTROL_LINE;
                reason = REASON_CONTROL_LINE;
        } else if (result == PARSER_PAYLOAD) {
                text = ERROR_MAX_PAYLOAD;
                reason = REASON_MAX_PAYLOAD;
        }
        counter_add(&client->worker->stats.protocol_errors, 1);
        client->has_violated = true;
        connection_note_malformed(client->connection);
        if (client->connection->transport->keeps_boundaries)
                client_error(client, "%s", text);
        else
                client_fail(client, text, reason);
}

/* Whether each operation is answered, is written anew, or has its line in a trace. */
static bool client_wants_each(const struct client *client) {
        return client->verbose || client->pedantic || client->signature ||
               log_is_enabled(LOG_LEVEL_TRACE);
}

void client_begin_input(struct client *client) {
        client->worker->pressure = (struct pressure){.n_deliveries = 0};
        client->parser.max_run = client_wants_each(client) ? 0 : MAX_RUN;
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

void client_adopt_limits(struct client *client) {
        const struct config_server *server = &client->worker->config->server;

        client->parser.max_control_line = server->max_control_line;
        client->parser.max_payload = client_limit(client->max_payload, server->max_payload);
        client->connection->rate = client->usage ? &client->usage->rate : NULL;
}

void client_changed(struct client *client) {
        client_identify_again(client);
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

/* What a client is before its CONNECT. A datagram peer has none, mostly, and is sent nothing that
 * it did not ask for. */
static void client_begin(struct client *client) {
        const struct connection *connection = client->connection;
        bool is_asked =
                connection->handler->speaks_nats && !connection->transport->is_connectionless;

        client->verbose = client->pedantic = is_asked;
        client->echo = true;
        client->no_responders = false;
        client->parser.headers = false;
        atomic_store_explicit(&client->headers, false, memory_order_relaxed);
        client->protocol = 0;
        client->names_account = false;
        client_drop_claim(client);
        client->connection->is_confidential = connection->handler->speaks_nats;
        client_draw_nonce(client);
}

/* What it has said is forgotten. */
static void client_begin_again(struct client *client) {
        free(client->name);
        free(client->lang);
        free(client->version);
        client->name = client->lang = client->version = NULL;
        client->is_connected = false;
        client->has_spoken = false;
        client_begin(client);
}

void client_renew(struct client *client) {
        if (client->has_spoken)
                client_begin_again(client);
        atomic_store_explicit(&client->denied_publishes.value, 0, memory_order_relaxed);
        atomic_store_explicit(&client->denied_subscriptions.value, 0, memory_order_relaxed);
        client_identify_next(client);
}

/* Counts the client as one of the server's. Returns whether there was room. */
static bool client_count(struct client *client) {
        struct instance *instance = client->worker->instance;

        client->is_counted = true;
        atomic_fetch_add(&client->bus->n_clients, 1);
        /* Datagram peers need no descriptor, and have a limit of their own. */
        if (client->connection->transport->is_connectionless) {
                atomic_fetch_add(&instance->n_sessions, 1);
        } else if (atomic_fetch_add(&instance->n_connections, 1) >=
                   atomic_load(&instance->max_connections)) {
                static struct log_limit limit = {.burst = 1, .interval_ms = 10000};

                log_limited(&limit, LOG_LEVEL_WARNING, "max_connections is reached");
                return false;
        }
        atomic_fetch_add(&instance->n_total, 1);
        log_debug("client %llu: connected", client_id(client));
        return true;
}

bool client_settle(struct client *client) {
        struct connection *connection = client->connection;
        int r = connection_keep(connection);

        if (r == 0 && (client->is_counted || client_count(client)))
                return true;
        client_error(client, r == 0            ? ERROR_MAX_CONNECTIONS
                             : r == -ESHUTDOWN ? ERROR_SHUTDOWN
                                               : ERROR_MAX_SESSIONS);
        if (r == 0)
                connection_end(connection, REASON_MAX_CONNECTIONS);
        return false;
}

/* It has so long to log in, or to be asked for the first time whether it is there. */
static void client_start_clock(struct client *client) {
        const struct config_server *server = &client->worker->config->server;

        connection_set_deadline(client->connection, client->must_login ? server->auth_timeout_ms
                                                                       : server->ping_interval_ms);
}

struct client *client_new(struct connection *connection) {
        struct client *client = calloc(1, sizeof(*client));

        if (!client)
                return NULL;
        connection->client = client;
        client->receiver.deliver = client_deliver;
        client->form = &client_form_nats;
        client->connection = connection;
        client->worker = connection->worker;
        client->bus = connection->worker->instance->bus;
        client_begin(client);
        client_identify(client);
        return client;
}

bool client_take_place(struct client *client) {
        enum refusal why = client->connection->place.refusal;

        if (why != REFUSAL_NONE) {
                client_fail(client, refusal_text(why), REASON_REFUSED);
                return false;
        }
        if (client_count(client) && client_user_has_room(client))
                return true;
        client_fail(client, ERROR_MAX_CONNECTIONS, REASON_MAX_CONNECTIONS);
        return false;
}

int client_open(struct connection *connection) {
        struct client *client = client_new(connection);

        if (!client)
                return -ENOMEM;
        if (connection->transport->is_connectionless)
                return 0;
        client_send_info(client);
        if (client_take_place(client))
                client_start_clock(client);
        return 0;
}

void client_secured(struct client *client) {
        client_identify(client);
        client_start_clock(client);
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
                .account = client->bus->account,
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
        closed.user = client->user ? strdup(client->user) : NULL;
        closed_log_add(client->worker->instance->closed, &closed);
}

void client_close(struct client *client) {
        client_renounce(client, client->connection->reason);
        client_give_up_turn(client);
        if (client->is_counted) {
                client_log_end(client);
                client_remember(client);
                atomic_fetch_sub(&client->bus->n_clients, 1);
        }
        client_end_subscriptions(client);
        sid_table_deinit(&client->subscriptions);
        client_leave_user(client);
        if (client->is_counted)
                atomic_fetch_sub(client->connection->transport->is_connectionless
                                         ? &client->worker->instance->n_sessions
                                         : &client->worker->instance->n_connections,
                                 1);
}

struct client *client_free(struct client *client) {
        if (!client)
                return NULL;
        free(client->name);
        free(client->lang);
        free(client->version);
        free(client->user);
        free(client->signature);
        free(client->ground);
        client_drop_claim(client);
        client_free_permissions(client);
        free(client);
        return NULL;
}
