/* The control requests that act: RELOAD, DRAIN, STOP, LOGLEVEL, KICK, LDM. See control.h. */
#include "daemon/control_parts.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/reload.h"
#include "daemon/server.h"
#include "lib/log.h"

#include <stdlib.h>

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

void control_run_reload(struct control_request *request) {
        reload_start(request->server, on_reloaded, request);
}

void control_run_drain(struct control_request *request) {
        server_drain(request->server);
        control_answer(request);
}

void control_run_stop(struct control_request *request) {
        struct server *server = request->server;

        control_answer(request);
        server_stop(server);
}

void control_run_log_level(struct control_request *request) {
        const char *name = control_option_string(request, "level");
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
        struct control_request *request = control_request_of(visit);
        uint64_t cid = control_option_number(request, "cid", 0);

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
        return client_tell_lame_duck(connection->client);
}

static void lame_duck_worker(struct visit *visit, struct worker *worker) {
        visit_one(visit, worker, tell_lame_duck);
}

static void act_done(struct visit *visit) {
        struct control_request *request = control_request_of(visit);

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
        if (control_option_number(request, "cid", 0) == 0) {
                control_answer_error(request, 400, "expected {\"cid\": N}");
                return;
        }
        control_visit(request, run, act_done);
}

void control_run_kick(struct control_request *request) {
        run_on_client(request, kick_worker);
}

void control_run_lame_duck(struct control_request *request) {
        run_on_client(request, lame_duck_worker);
}
