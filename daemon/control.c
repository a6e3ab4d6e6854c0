/* The control subjects. See control.h. */
#include "daemon/control.h"

#include "daemon/bus.h"
#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "daemon/server.h"
#include "daemon/subject_index.h"
#include "lib/log.h"
#include "lib/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Elements of a list in one answer, if the request does not say. */
#define DEFAULT_LIMIT 1024
/* The most, so that an answer fits a message. */
#define MAX_LIMIT 2048

struct control_row {
        const char *name; /* the last token of the subject */
        bool is_bare;     /* the answer is no `data` in an envelope, but beside it */
        bool is_action;   /* only to this server by its id, not to all */
        void (*run)(struct control_request *request); /* in the server's thread */
};

/* --- answers -------------------------------------------------------------------------------- */

/* An answer on its way to the worker of whoever asked. */
struct answer {
        struct task task;
        struct worker *worker;
        struct bus *bus;
        uint64_t id; /* of the connection that asked */
        uint32_t slot;
        char *reply, *json; /* owned */
};

static struct answer *answer_free(struct answer *answer) {
        if (!answer)
                return NULL;
        free(answer->reply);
        free(answer->json);
        free(answer);
        return NULL;
}

/* The answer is for the asker alone: others may subscribe to its inbox, too. */
static void answer_publish(struct task *task) {
        struct answer *answer = container_of(task, struct answer, task);
        struct connection *asker = instance_find(answer->worker->instance, answer->slot);
        struct message message = {.subject = bytes_from_string(answer->reply),
                                  .payload = bytes_from_string(answer->json),
                                  .bus = answer->bus};
        struct client *client = asker && asker->id == answer->id ? asker->state : NULL;

        if (client)
                (void)bus_publish_to(answer->bus, answer->worker, &message, &client->receiver);
        answer_free(answer);
}

static struct control_request *request_free(struct control_request *request) {
        if (request->control)
                atomic_fetch_sub(&request->control->n_requests, 1);
        json_decref(request->options);
        json_decref(request->data);
        free(request->reply);
        free(request->payload);
        free(request);
        return NULL;
}

/* Sends the JSON object to whoever asked, and frees the request. */
static void request_finish(struct control_request *request, json_t *object) {
        struct answer *answer = request->reply ? calloc(1, sizeof(*answer)) : NULL;

        if (answer) {
                *answer = (struct answer){.task.run = answer_publish,
                                          .worker = request->asker_worker,
                                          .bus = request->bus,
                                          .id = request->asker_id,
                                          .slot = request->asker_slot,
                                          .reply = request->reply,
                                          .json = json_dumps(object, JSON_COMPACT)};
                request->reply = NULL;
                if (!answer->json || mailbox_post(&answer->worker->mailbox, &answer->task) < 0)
                        answer_free(answer);
        }
        json_decref(object);
        request_free(request);
}

void control_answer(struct control_request *request) {
        json_t *object = json_object();

        json_object_set_new(object, "server", report_server(request->server));
        if (request->row->is_bare)
                json_object_update(object, request->data);
        else if (request->data)
                json_object_set(object, "data", request->data);
        request_finish(request, object);
}

void control_answer_error(struct control_request *request, int code, const char *format, ...) {
        json_t *object = json_object();
        va_list arguments;
        char *text;

        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        json_object_set_new(object, "server", report_server(request->server));
        json_object_set_new(object, "error",
                            json_pack("{s:i, s:s}", "code", code, "description", text ? text : ""));
        free(text);
        request_finish(request, object);
}

/* --- options -------------------------------------------------------------------------------- */

static const char *option_string(const struct control_request *request, const char *key) {
        return json_string_value(json_object_get(request->options, key));
}

static uint64_t option_number(const struct control_request *request, const char *key,
                              uint64_t otherwise) {
        json_t *value = json_object_get(request->options, key);

        return json_is_integer(value) && json_integer_value(value) >= 0
                       ? (uint64_t)json_integer_value(value)
                       : otherwise;
}

static bool option_bool(const struct control_request *request, const char *key) {
        return json_is_true(json_object_get(request->options, key));
}

/* Whether the request is meant for this server (protocol.md 8.2). */
static bool filter_matches(const struct control_request *request) {
        const char *name = option_string(request, "server_name");
        const char *own = request->server->instance.name;

        if (!name)
                return !option_string(request, "cluster");
        return option_bool(request, "exact_match") ? strcmp(own, name) == 0
                                                   : strstr(own, name) != NULL;
}

/* --- simple reports --------------------------------------------------------------------------- */

static void run_varz(struct control_request *request) {
        request->data = report_varz(request->server);
        control_answer(request);
}

static void run_statsz(struct control_request *request) {
        request->data = json_pack("{s:o}", "statsz", report_statsz(request->server));
        control_answer(request);
}

static void run_idz(struct control_request *request) {
        struct instance *instance = &request->server->instance;

        request->data = json_pack("{s:s, s:s, s:s}", "name", instance->name, "host", "localhost",
                                  "id", instance->id);
        control_answer(request);
}

static void run_healthz(struct control_request *request) {
        request->data = json_pack("{s:s}", "status", "ok");
        control_answer(request);
}

static void run_listenerz(struct control_request *request) {
        request->data = report_listeners(request->server);
        control_answer(request);
}

/* --- lists that the workers contribute to --------------------------------------------------------
 */

static void request_visit(struct control_request *request,
                          void (*run)(struct visit *visit, struct worker *worker),
                          void (*done)(struct visit *visit)) {
        request->visit.run = run;
        request->visit.done = done;
        workers_visit(&request->server->workers, &request->visit, &request->server->mailbox);
}

static struct control_request *request_of(struct visit *visit) {
        return container_of(visit, struct control_request, visit);
}

static bool wants_connection(const struct control_request *request, uint64_t id) {
        uint64_t cid = option_number(request, "cid", 0);

        return cid == 0 || cid == id;
}

static void connz_worker(struct visit *visit, struct worker *worker) {
        struct control_request *request = request_of(visit);
        json_t *list = json_object_get(request->data, "connections");

        if (option_number(request, "state", 0) == 1)
                return;
        LIST_FOREACH (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN &&
                    wants_connection(request, connection->id))
                        json_array_append_new(
                                list, report_connection(connection,
                                                        option_bool(request, "subscriptions")));
        }
}

static void connz_closed(const struct closed_connection *closed, void *context) {
        struct control_request *request = context;

        if (wants_connection(request, closed->id))
                json_array_append_new(json_object_get(request->data, "connections"),
                                      report_closed(closed));
}

static void connz_done(struct visit *visit) {
        struct control_request *request = request_of(visit);
        json_t *all = json_object_get(request->data, "connections"), *page;
        const char *sort = option_string(request, "sort");
        size_t total;

        if (option_number(request, "state", 0) >= 1)
                closed_log_visit(&request->server->closed, connz_closed, request);
        total = json_array_size(all);
        page = report_sort(all, sort && sort[0] ? sort : "cid", request->offset, request->limit);
        if (!page) {
                control_answer_error(request, 500, "invalid sorting option: %s", sort);
                return;
        }
        json_object_set_new(request->data, "num_connections",
                            json_integer((json_int_t)json_array_size(page)));
        json_object_set_new(request->data, "total", json_integer((json_int_t)total));
        json_object_set_new(request->data, "connections", page);
        control_answer(request);
}

/* The head of a list: who, when, and which part. */
static json_t *list_head(struct control_request *request) {
        uint64_t limit = option_number(request, "limit", DEFAULT_LIMIT);

        request->offset = option_number(request, "offset", 0);
        request->limit = limit > 0 && limit < MAX_LIMIT ? limit : MAX_LIMIT;
        return json_pack("{s:s, s:o, s:I, s:I}", "server_id", request->server->instance.id, "now",
                         report_now(), "offset", (json_int_t)request->offset, "limit",
                         (json_int_t)request->limit);
}

static void run_connz(struct control_request *request) {
        request->data = list_head(request);
        json_object_set_new(request->data, "connections", json_array());
        request_visit(request, connz_worker, connz_done);
}

/* Whether a subscription, the next one, is in the part that was asked for. */
static bool subsz_is_next(struct control_request *request) {
        return request->n_seen++ >= request->offset &&
               request->n_seen <= request->offset + request->limit;
}

static void subsz_subscription(struct control_request *request, struct connection *connection,
                               const struct subscription *subscription, const char *test) {
        json_t *list = json_object_get(request->data, "subscriptions_list");
        struct bytes subject;
        char *text;

        if (!test && !subsz_is_next(request))
                return;
        text = report_subject(subscription, &subject.length);
        subject.data = text;
        if (text && (!test ||
                     (subject_matches(subject, bytes_from_string(test)) && subsz_is_next(request))))
                json_array_append_new(list, report_subscription(connection, subscription, subject));
        free(text);
}

/* Whether the page has nothing of a client with so many subscriptions. */
static bool subsz_skips(const struct control_request *request, uint64_t count) {
        return request->n_seen + count <= request->offset ||
               request->n_seen >= request->offset + request->limit;
}

static void subsz_connection(struct control_request *request, struct connection *connection) {
        const struct client *client = connection->state;
        const char *test = option_string(request, "test");
        struct subscription *subscription = NULL;
        size_t bucket = 0;

        if (test && !test[0])
                test = NULL;
        if (!test && subsz_skips(request, client->subscriptions.count)) {
                request->n_seen += client->subscriptions.count;
                return;
        }
        while ((subscription = sid_table_next(&client->subscriptions, &bucket, subscription)))
                subsz_subscription(request, connection, subscription, test);
}

static void subsz_worker(struct visit *visit, struct worker *worker) {
        struct control_request *request = request_of(visit);
        uint64_t cid = option_number(request, "cid", 0);

        LIST_FOREACH (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN &&
                    (cid == 0 || cid == connection->id))
                        subsz_connection(request, connection);
        }
}

static void subsz_done(struct visit *visit) {
        struct control_request *request = request_of(visit);

        json_object_set_new(request->data, "total", json_integer((json_int_t)request->n_seen));
        control_answer(request);
}

static void run_subsz(struct control_request *request) {
        request->data = list_head(request);
        json_object_set_new(
                request->data, "num_subscriptions",
                json_integer((json_int_t)subject_index_count(request->server->bus.index)));
        if (!option_bool(request, "subscriptions")) {
                control_answer(request);
                return;
        }
        json_object_set_new(request->data, "subscriptions_list", json_array());
        request_visit(request, subsz_worker, subsz_done);
}

/* --- actions ---------------------------------------------------------------------------------- */

static json_t *list_lines(const struct config_errors *lines) {
        json_t *list = json_array();

        for (size_t i = 0; i < lines->n_lines; i++)
                json_array_append_new(list, json_string(lines->lines[i]));
        return list;
}

static void on_reloaded(void *context, const struct config_errors *errors,
                        const struct config_errors *warnings) {
        struct control_request *request = context;
        size_t length = 1;
        char *text;

        if (errors->n_lines == 0) {
                if (warnings->n_lines > 0)
                        request->data = json_pack("{s:o}", "warnings", list_lines(warnings));
                control_answer(request);
                return;
        }
        for (size_t i = 0; i < errors->n_lines; i++)
                length += strlen(errors->lines[i]) + 1;
        text = calloc(1, length);
        for (size_t i = 0; text && i < errors->n_lines; i++) {
                if (i > 0)
                        strcat(text, "\n");
                strcat(text, errors->lines[i]);
        }
        control_answer_error(request, 500, "%s", text ? text : "no memory");
        free(text);
}

static void run_reload(struct control_request *request) {
        reload_start(request->server, on_reloaded, request);
}

static void run_drain(struct control_request *request) {
        server_drain(request->server);
        control_answer(request);
}

static void run_stop(struct control_request *request) {
        struct server *server = request->server;

        control_answer(request);
        server_stop(server);
}

static void run_log_level(struct control_request *request) {
        const char *name = option_string(request, "level");
        int level = name ? log_level_parse(name) : (int)log_get_level();

        if (level < 0) {
                control_answer_error(request, 400,
                                     "unknown log level \"%s\": expected error, warning, info, "
                                     "debug or trace",
                                     name);
                return;
        }
        if (name)
                log_set_level((enum log_level)level);
        request->data = json_pack("{s:s}", "level", log_level_name(log_get_level()));
        control_answer(request);
}

/* Calls act for the connection that the request names. */
static void visit_one(struct visit *visit, struct worker *worker,
                      bool (*act)(struct connection *connection)) {
        struct control_request *request = request_of(visit);
        uint64_t cid = option_number(request, "cid", 0);

        LIST_FOREACH_SAFE (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->id != cid || connection->state_of_life != CONNECTION_OPEN)
                        continue;
                request->n_seen += 1;
                request->offset += act(connection);
        }
}

static bool kick(struct connection *connection) {
        connection_end(connection, REASON_KICKED);
        return true;
}

static void kick_worker(struct visit *visit, struct worker *worker) {
        visit_one(visit, worker, kick);
}

static bool tell_lame_duck(struct connection *connection) {
        return client_tell_lame_duck(connection->state);
}

static void lame_duck_worker(struct visit *visit, struct worker *worker) {
        visit_one(visit, worker, tell_lame_duck);
}

static void act_done(struct visit *visit) {
        struct control_request *request = request_of(visit);

        if (request->n_seen == 0)
                control_answer_error(request, 500, "no such client id");
        else if (request->offset == 0)
                control_answer_error(request, 500,
                                     "client does not support Lame Duck Mode or is not ready to "
                                     "receive the notification");
        else
                control_answer(request);
}

static void run_on_client(struct control_request *request,
                          void (*run)(struct visit *visit, struct worker *worker)) {
        if (option_number(request, "cid", 0) == 0) {
                control_answer_error(request, 400, "expected {\"cid\": N}");
                return;
        }
        request_visit(request, run, act_done);
}

static void run_kick(struct control_request *request) {
        run_on_client(request, kick_worker);
}

static void run_lame_duck(struct control_request *request) {
        run_on_client(request, lame_duck_worker);
}

/* --- dispatching --------------------------------------------------------------------------------
 */

static const struct control_row rows[] = {
        {"STATSZ", true, false, run_statsz},        {"IDZ", true, false, run_idz},
        {"VARZ", false, false, run_varz},           {"CONNZ", false, false, run_connz},
        {"SUBSZ", false, false, run_subsz},         {"HEALTHZ", false, false, run_healthz},
        {"LISTENERZ", false, false, run_listenerz}, {"RELOAD", false, true, run_reload},
        {"DRAIN", false, true, run_drain},          {"STOP", false, true, run_stop},
        {"LOGLEVEL", false, true, run_log_level},   {"KICK", false, true, run_kick},
        {"LDM", false, true, run_lame_duck},
};

static bool bytes_are(struct bytes bytes, const char *text) {
        return bytes_equal(bytes, bytes_from_string(text));
}

/* The row of `$SYS.REQ.SERVER.PING`, `$SYS.REQ.SERVER.PING.X` or `$SYS.REQ.SERVER.{id}.X`. */
static const struct control_row *row_of(struct bytes subject) {
        struct bytes token, who = {NULL, 0}, what = {NULL, 0};

        for (unsigned i = 0; subject_next_token(&subject, &token); i++) {
                if (i == 3)
                        who = token;
                if (i == 4)
                        what = token;
        }
        if (!what.data)
                return &rows[0];
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (bytes_are(what, rows[i].name))
                        return rows[i].is_action && bytes_are(who, "PING") ? NULL : &rows[i];
        return NULL;
}

static char *copy_text(struct bytes bytes) {
        char *text = malloc(bytes.length + 1);

        if (text)
                *bytes_copy(text, bytes) = '\0';
        return text;
}

/* In the server's thread. */
static void request_run(struct task *task) {
        struct control_request *request = container_of(task, struct control_request, task);
        json_error_t error;

        request->options = request->n_payload == 0
                                   ? json_object()
                                   : json_loadb(request->payload, request->n_payload, 0, &error);
        if (!json_is_object(request->options)) {
                control_answer_error(request, 400, "the payload is not a JSON object: %s",
                                     request->options ? "expected {...}" : error.text);
                return;
        }
        if (!filter_matches(request))
                request_free(request);
        else
                request->row->run(request);
}

/* In the requester's worker. */
static bool control_deliver(struct receiver *receiver, struct worker *worker,
                            struct subscription *subscription, const struct message *message) {
        struct control *control = container_of(receiver, struct control, receiver);
        const struct control_row *row = row_of(message->subject);
        struct bytes payload = {message->payload.data + message->header_size,
                                message->payload.length - message->header_size};
        struct control_request *request;

        if (!row || !message->publisher)
                return false;
        if (atomic_fetch_add(&control->n_requests, 1) >= CONTROL_MAX_REQUESTS) {
                atomic_fetch_sub(&control->n_requests, 1);
                return false;
        }
        request = calloc(1, sizeof(*request));
        if (!request) {
                atomic_fetch_sub(&control->n_requests, 1);
                return false;
        }
        *request = (struct control_request){.task.run = request_run,
                                            .control = control,
                                            .server = control->server,
                                            .row = row,
                                            .bus = message->bus,
                                            .asker_worker = worker,
                                            .asker_id = message->publisher->id,
                                            .asker_slot = message->publisher->slot,
                                            .n_payload = payload.length};
        request->payload = copy_text(payload);
        request->reply = message->reply.length > 0 ? copy_text(message->reply) : NULL;
        if (!request->payload || mailbox_post(&control->server->mailbox, &request->task) < 0)
                request_free(request);
        return true;
}

static int control_subscribe(struct control *control, size_t i, const char *subject) {
        char sid[BYTES_NUMBER_MAX];
        size_t n = (size_t)(bytes_format_number(sid, i) - sid);
        struct subscription *subscription =
                subscription_new(&control->receiver, (struct bytes){sid, n}, BYTES(""));
        int r;

        if (!subscription)
                return -ENOMEM;
        r = bus_subscribe(&control->server->system_bus, &control->reclaim,
                          bytes_from_string(subject), subscription);
        if (r < 0)
                subscription_free(subscription);
        else
                control->subscriptions[i] = subscription;
        return r;
}

int control_init(struct control *control, struct server *server) {
        char own[128];
        int r;

        control->server = server;
        control->receiver.deliver = control_deliver;
        snprintf(own, sizeof(own), "$SYS.REQ.SERVER.%s.*", server->instance.id);
        r = control_subscribe(control, 0, "$SYS.REQ.SERVER.PING");
        if (r >= 0)
                r = control_subscribe(control, 1, "$SYS.REQ.SERVER.PING.*");
        if (r >= 0)
                r = control_subscribe(control, 2, own);
        return r;
}

void control_deinit(struct control *control) {
        for (size_t i = 0; i < CONTROL_N_SUBJECTS; i++)
                if (control->subscriptions[i])
                        bus_unsubscribe(&control->server->system_bus, &control->reclaim,
                                        control->subscriptions[i]);
        reclaim_flush(&control->reclaim);
}
