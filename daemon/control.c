/* The control subjects. See control.h. */
#include "daemon/control_parts.h"

#include "daemon/bus.h"
#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/report.h"
#include "daemon/server.h"
#include "lib/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct control_row {
        const char *name; /* the last token of the subject */
        bool is_bare;     /* the answer is no `data` in an envelope, but beside it */
        enum role role;   /* that is needed; actions, which are the admin's, go to one server by its
                           * id, not to all */
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
        char *reply, *payload; /* owned; CR LF is behind the payload */
        size_t n_payload;
};

static struct answer *answer_free(struct answer *answer) {
        if (!answer)
                return NULL;
        free(answer->reply);
        free(answer->payload);
        free(answer);
        return NULL;
}

/* The answer is for the asker alone: others may subscribe to its inbox, too. */
static void answer_publish(struct task *task) {
        struct answer *answer = container_of(task, struct answer, task);
        struct connection *asker = instance_find(answer->worker->instance, answer->slot);
        struct message message = {.subject = bytes_from_string(answer->reply),
                                  .payload = {answer->payload, answer->n_payload},
                                  .count = 1,
                                  .bus = answer->bus};
        struct client *client = asker && asker->id == answer->id ? asker->client : NULL;

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
                                          .reply = request->reply};
                request->reply = NULL;
                answer->payload = report_payload(object, &answer->n_payload);
                if (!answer->payload || mailbox_post(&answer->worker->mailbox, &answer->task) < 0)
                        answer_free(answer);
        }
        json_decref(object);
        request_free(request);
}

void control_answer(struct control_request *request) {
        json_t *object = json_object();

        json_object_set_new(object, "server", report_server(&request->server->instance));
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
        json_object_set_new(object, "server", report_server(&request->server->instance));
        json_object_set_new(object, "error",
                            json_pack("{s:i, s:s}", "code", code, "description", text ? text : ""));
        free(text);
        request_finish(request, object);
}

/* --- options -------------------------------------------------------------------------------- */

const char *control_option_string(const struct control_request *request, const char *key) {
        return json_string_value(json_object_get(request->options, key));
}

uint64_t control_option_number(const struct control_request *request, const char *key,
                               uint64_t otherwise) {
        json_t *value = json_object_get(request->options, key);

        return json_is_integer(value) && json_integer_value(value) >= 0
                       ? (uint64_t)json_integer_value(value)
                       : otherwise;
}

bool control_option_bool(const struct control_request *request, const char *key) {
        return json_is_true(json_object_get(request->options, key));
}

/* Whether the request is meant for this server (protocol.md 8.2). */
static bool filter_matches(const struct control_request *request) {
        const char *name = control_option_string(request, "server_name");
        const char *own = request->server->instance.name;

        if (!name)
                return !control_option_string(request, "cluster");
        return control_option_bool(request, "exact_match") ? strcmp(own, name) == 0
                                                           : strstr(own, name) != NULL;
}

/* --- visiting the workers ------------------------------------------------------------------- */

void control_visit(struct control_request *request,
                   void (*run)(struct visit *visit, struct worker *worker),
                   void (*done)(struct visit *visit)) {
        request->visit.run = run;
        request->visit.done = done;
        workers_visit(&request->server->workers, &request->visit, &request->server->mailbox);
}

/* --- dispatching --------------------------------------------------------------------------- */

static const struct control_row rows[] = {
        {"STATSZ", true, ROLE_LOCAL, control_run_statsz},
        {"IDZ", true, ROLE_LOCAL, control_run_idz},
        {"VARZ", false, ROLE_LOCAL, control_run_varz},
        {"CONNZ", false, ROLE_MONITOR, control_run_connz},
        {"SUBSZ", false, ROLE_MONITOR, control_run_subsz},
        {"ACCOUNTZ", false, ROLE_MONITOR, control_run_accountz},
        {"HEALTHZ", false, ROLE_LOCAL, control_run_healthz},
        {"LISTENERZ", false, ROLE_MONITOR, control_run_listenerz},
        {"SERVICEZ", false, ROLE_MONITOR, control_run_servicez},
        {"WHOAMI", false, ROLE_NONE, control_run_whoami},
        {"ACCESS", false, ROLE_MONITOR, control_run_access},
        {"RELOAD", false, ROLE_ADMIN, control_run_reload},
        {"DRAIN", false, ROLE_ADMIN, control_run_drain},
        {"STOP", false, ROLE_ADMIN, control_run_stop},
        {"LOGLEVEL", false, ROLE_ADMIN, control_run_log_level},
        {"KICK", false, ROLE_ADMIN, control_run_kick},
        {"LDM", false, ROLE_ADMIN, control_run_lame_duck},
};

static bool bytes_are(struct bytes bytes, const char *text) {
        return bytes_equal(bytes, bytes_from_string(text));
}

/* The row of `$SYS.REQ.SERVER.PING`, `$SYS.REQ.SERVER.PING.X` or `$SYS.REQ.SERVER.{id}.X`, or
 * NULL. */
static const struct control_row *row_of(struct bytes subject) {
        struct bytes token, who = {NULL, 0}, what = {NULL, 0};

        for (unsigned i = 0; subject_next_token(&subject, &token); i++) {
                if (i > 4 || (i == 2 && !bytes_are(token, "SERVER")))
                        return NULL;
                if (i == 3)
                        who = token;
                if (i == 4)
                        what = token;
        }
        if (!what.data)
                return bytes_are(who, "PING") ? &rows[0] : NULL;
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                if (bytes_are(what, rows[i].name))
                        return rows[i].role == ROLE_ADMIN && bytes_are(who, "PING") ? NULL
                                                                                    : &rows[i];
        return NULL;
}

int control_role_of(struct bytes subject) {
        const struct control_row *row = row_of(subject);

        return row ? (int)row->role : -ENOENT;
}

static void request_deny(struct control_request *request) {
        const char *path = request->server->config->path;

        control_answer_error(request, 403,
                             "this needs the role \"%s\", which \"users\" in %s can give you",
                             role_name(request->row->role), path ? path : "a configuration file");
}

/* In the server's thread. */
static void request_run(struct task *task) {
        struct control_request *request = container_of(task, struct control_request, task);
        json_error_t error;

        if (request->asker_role < request->row->role) {
                request_deny(request);
                return;
        }
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

/* Whose request it is. Only clients publish to the system account. */
static const struct client *asker_of(const struct message *message) {
        return message->publisher ? message->publisher->client : NULL;
}

/* How many requests may be under way when one of this client comes: some are left for those with a
 * role, and some of these for the admin. */
static unsigned max_requests(const struct client *asker) {
        if (asker->role == ROLE_NONE)
                return CONTROL_MAX_REQUESTS / 4;
        return asker->role == ROLE_ADMIN ? CONTROL_MAX_REQUESTS : CONTROL_MAX_REQUESTS / 2;
}

/* In the requester's worker. */
static size_t control_deliver(struct receiver *receiver, struct worker *worker,
                              struct subscription *subscription, const struct message *message) {
        struct control *control = container_of(receiver, struct control, receiver);
        const struct control_row *row = row_of(message->subject);
        const struct client *asker = asker_of(message);
        struct bytes payload = {message->payload.data + message->header_size,
                                message->payload.length - message->header_size};
        struct control_request *request;

        if (!row || !asker)
                return 0;
        if (atomic_fetch_add(&control->n_requests, 1) >= max_requests(asker)) {
                atomic_fetch_sub(&control->n_requests, 1);
                return 0;
        }
        request = calloc(1, sizeof(*request));
        if (!request) {
                atomic_fetch_sub(&control->n_requests, 1);
                return 0;
        }
        *request = (struct control_request){.task.run = request_run,
                                            .control = control,
                                            .server = control->server,
                                            .row = row,
                                            .bus = message->bus,
                                            .asker_worker = worker,
                                            .asker_id = message->publisher->id,
                                            .asker_slot = message->publisher->slot,
                                            .asker_role = asker->role,
                                            .n_payload = payload.length};
        request->payload = bytes_duplicate(payload);
        request->reply = message->reply.length > 0 ? bytes_duplicate(message->reply) : NULL;
        if (!request->payload || mailbox_post(&control->server->mailbox, &request->task) < 0)
                request_free(request);
        return 1;
}

static int control_subscribe(struct control *control, size_t i, const char *subject) {
        char sid[BYTES_NUMBER_MAX];
        size_t n = (size_t)(bytes_format_number(sid, i) - sid);
        struct subscription *subscription =
                subscription_new(&control->receiver, (struct bytes){sid, n}, BYTES(""));
        int r;

        if (!subscription)
                return -ENOMEM;
        r = bus_subscribe_own(control->server->instance.system_bus, &control->reclaim,
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
                        bus_unsubscribe_own(control->server->instance.system_bus, &control->reclaim,
                                            control->subscriptions[i]);
        reclaim_flush(&control->reclaim);
}
