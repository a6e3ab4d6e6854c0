/* ping, reload, drain, stop, log-level and version: one request each, or none. */
#include "ctl/actions.h"

#include <errno.h>
#include <string.h>

#include "ctl/control.h"
#include "ctl/reports.h"
#include "ctl/session.h"

#define PING_MS   5000
#define ACTION_MS 5000
#define RELOAD_MS 60000

int action_ping(struct context *context) {
        uint64_t round_trip_ns;
        int result =
                sockd_ping(context->connection, context_timeout(context, PING_MS), &round_trip_ns);

        if (result)
                return session_fail(context, result, NULL);
        if (context->options->json)
                return context_print_json(context, json_pack("{s:s,s:I}", "server_name",
                                                             sockd_server_name(context->connection),
                                                             "rtt_ns", (json_int_t)round_trip_ns));
        return context_say(context, "%s answers in %.3f ms", sockd_server_name(context->connection),
                           (double)round_trip_ns / 1e6);
}

/* What is done without a word for people is {"done": verb} for programs. */
static int act(struct context *context, const char *subject, int timeout_ms, const char *said) {
        int code = control_request(context, subject, NULL, timeout_ms, NULL);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, json_pack("{s:s}", "done", context->verb));
        return context_say(context, "%s", said);
}

int action_reload(struct context *context) {
        json_t *data, *warnings, *line;
        size_t i;
        int code = control_request(context, "ID.RELOAD", NULL, RELOAD_MS, &data);

        if (code)
                return code;
        warnings = json_incref(json_object_get(data, "warnings"));
        json_decref(data);
        if (context->options->json)
                return context_print_json(context, json_pack("{s:s,s:o*}", "done", context->verb,
                                                             "warnings", warnings));
        json_array_foreach(warnings, i, line)
                context_warn(context, "%s", json_is_string(line) ? json_string_value(line) : "?");
        json_decref(warnings);
        fprintf(context->out, "configuration reloaded\n");
        return context_flush(context, NULL);
}

int action_drain(struct context *context) {
        return act(context, "ID.DRAIN", ACTION_MS,
                   "draining: new clients are refused, the present ones are asked to leave");
}

int action_stop(struct context *context) {
        return act(context, "ID.STOP", ACTION_MS, "stopping");
}

int action_log_level(struct context *context) {
        const char *level = context_argument(context, 0);
        json_t *data;
        int code;

        code = control_request(context, "ID.LOGLEVEL",
                               level ? json_pack("{s:s}", "level", level) : NULL, ACTION_MS, &data);
        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        code = context_say(context, "%s", report_text(data, "level"));
        json_decref(data);
        return code;
}

static json_t *describe_server(struct context *context) {
        return json_pack("{s:s,s:s,s:s}", "name", sockd_server_name(context->connection),
                         "sockd_version", sockd_server_sockd_version(context->connection),
                         "nats_version", sockd_server_version(context->connection));
}

/* The server's version is told if one can be reached; that it cannot is no failure here, unless
 * somebody asked for a particular one. */
int action_version(struct context *context) {
        bool is_asked = context->options->server != NULL;
        struct context quiet = *context;
        int code;

        quiet.err = fopen("/dev/null", "w");
        quiet.out = quiet.err;
        if (!quiet.err)
                return context_fail(context, EXIT_FAILED, "/dev/null: %s", strerror(errno));
        if (!context->options->json)
                fprintf(context->out, "sockctl %s\n", PACKAGE_VERSION);
        code = session_open(is_asked ? context : &quiet);
        fclose(quiet.err);
        if (!is_asked)
                context->connection = quiet.connection;
        if (code && is_asked)
                return code;
        if (context->options->json)
                return context_print_json(
                        context, json_pack("{s:s,s:o*}", "sockctl", PACKAGE_VERSION, "server",
                                           code ? NULL : describe_server(context)));
        if (code)
                return context_say(context, "no daemon to ask");
        if (*sockd_server_sockd_version(context->connection))
                return context_say(context, "sockd %s on %s, as NATS %s",
                                   sockd_server_sockd_version(context->connection),
                                   sockd_server_name(context->connection),
                                   sockd_server_version(context->connection));
        return context_say(context, "nats-server %s", sockd_server_version(context->connection));
}
