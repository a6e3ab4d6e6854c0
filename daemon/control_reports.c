/* The control requests that ask: VARZ, CONNZ, SUBSZ, STATSZ, IDZ, HEALTHZ, LISTENERZ, SERVICEZ,
 * ACCOUNTZ. See control.h.
 */
#include "daemon/control_parts.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/report.h"
#include "daemon/report_sort.h"
#include "daemon/server.h"
#include "daemon/subject_index.h"
#include "lib/subject.h"

#include <stdlib.h>

/* Elements of a list in one answer, if the request does not say. */
#define DEFAULT_LIMIT 1024
/* The most, so that an answer fits a message. */
#define MAX_LIMIT 2048

void control_run_varz(struct control_request *request) {
        request->data = report_varz(request->server);
        control_answer(request);
}

void control_run_statsz(struct control_request *request) {
        request->data = json_pack("{s:o}", "statsz", report_statsz(request->server));
        control_answer(request);
}

void control_run_idz(struct control_request *request) {
        struct instance *instance = &request->server->instance;

        request->data = json_pack("{s:s, s:s, s:s}", "name", instance->name, "host", "localhost",
                                  "id", instance->id);
        control_answer(request);
}

void control_run_healthz(struct control_request *request) {
        request->data = json_pack("{s:s}", "status", "ok");
        control_answer(request);
}

void control_run_listenerz(struct control_request *request) {
        request->data = report_listeners(request->server);
        control_answer(request);
}

void control_run_accountz(struct control_request *request) {
        const char *name = control_option_string(request, "account");

        request->data = name && name[0] ? report_account(request->server, name)
                                        : report_accounts(request->server);
        if (request->data)
                control_answer(request);
        else
                control_answer_error(request, 500, "Account %s does not exist", name);
}

/* --- lists that the workers contribute to --------------------------------------------------- */

static bool wants_connection(const struct control_request *request, uint64_t id) {
        uint64_t cid = control_option_number(request, "cid", 0);

        return cid == 0 || cid == id;
}

/* Whether a connection is of the account that is asked for, if any is. */
static bool wants_account(const struct control_request *request, const char *key,
                          const char *account) {
        const char *wanted = control_option_string(request, key);

        return !wanted || !wanted[0] || (account && strcmp(wanted, account) == 0);
}

static const char *account_of(const struct connection *connection) {
        const struct client *client = connection->client;

        return client->bus->account;
}

static void connz_worker(struct visit *visit, struct worker *worker) {
        struct control_request *request = control_request_of(visit);
        json_t *list = json_object_get(request->data, "connections");

        if (control_option_number(request, "state", 0) == 1)
                return;
        LIST_FOREACH (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN &&
                    wants_connection(request, connection->id) &&
                    wants_account(request, "acc", account_of(connection)))
                        json_array_append_new(
                                list,
                                report_connection(connection,
                                                  control_option_bool(request, "subscriptions")));
        }
}

static void connz_closed(const struct closed_connection *closed, void *context) {
        struct control_request *request = context;

        if (wants_connection(request, closed->id) && wants_account(request, "acc", closed->account))
                json_array_append_new(json_object_get(request->data, "connections"),
                                      report_closed(closed));
}

static void connz_done(struct visit *visit) {
        struct control_request *request = control_request_of(visit);
        json_t *all = json_object_get(request->data, "connections"), *page;
        const char *sort = control_option_string(request, "sort");
        size_t total;

        if (control_option_number(request, "state", 0) >= 1)
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
        uint64_t limit = control_option_number(request, "limit", DEFAULT_LIMIT);

        request->offset = control_option_number(request, "offset", 0);
        request->limit = limit > 0 && limit < MAX_LIMIT ? limit : MAX_LIMIT;
        return json_pack("{s:s, s:o, s:I, s:I}", "server_id", request->server->instance.id, "now",
                         report_now(), "offset", (json_int_t)request->offset, "limit",
                         (json_int_t)request->limit);
}

void control_run_connz(struct control_request *request) {
        request->data = list_head(request);
        json_object_set_new(request->data, "connections", json_array());
        control_visit(request, connz_worker, connz_done);
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
        const struct client *client = connection->client;
        const char *test = control_option_string(request, "test");
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
        struct control_request *request = control_request_of(visit);
        uint64_t cid = control_option_number(request, "cid", 0);

        LIST_FOREACH (link, &worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->state_of_life == CONNECTION_OPEN &&
                    (cid == 0 || cid == connection->id) &&
                    wants_account(request, "account", account_of(connection)))
                        subsz_connection(request, connection);
        }
}

static void subsz_done(struct visit *visit) {
        struct control_request *request = control_request_of(visit);

        json_object_set_new(request->data, "total", json_integer((json_int_t)request->n_seen));
        control_answer(request);
}

void control_run_servicez(struct control_request *request) {
        struct services *services = &request->server->services;
        uint64_t end;
        json_t *list = json_array();

        request->data = list_head(request);
        end = request->offset + request->limit;
        for (uint64_t i = request->offset; i < end && i < services->n; i++)
                json_array_append_new(list, report_service(services->all[i]));
        json_object_set_new(request->data, "total", json_integer((json_int_t)services->n));
        json_object_set_new(request->data, "services", list);
        control_answer(request);
}

void control_run_subsz(struct control_request *request) {
        request->data = list_head(request);
        json_object_set_new(
                request->data, "num_subscriptions",
                json_integer((json_int_t)accounts_count_subscriptions(&request->server->accounts)));
        if (!control_option_bool(request, "subscriptions")) {
                control_answer(request);
                return;
        }
        json_object_set_new(request->data, "subscriptions_list", json_array());
        control_visit(request, subsz_worker, subsz_done);
}
