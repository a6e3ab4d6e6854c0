/* access: WHOAMI, and ACCESS for what a user may. */
#include "ctl/access.h"

#include <inttypes.h>
#include <string.h>

#include "ctl/control.h"
#include "ctl/reports.h"
#include "ctl/session.h"
#include "ctl/table.h"

#define REQUEST_MS 5000

static const struct table_column columns[] = {
        {.title = ""},
        {.title = ""},
};

/* --- whoami --------------------------------------------------------------------------------- */

static void add_user(struct table *table, const json_t *data) {
        const json_t *by = json_object_get(data, "rule_by"), *condition;
        char conditions[128] = "";
        size_t i, n = 0;

        table_add(table, "User:");
        if (!*report_text(data, "authorized_user")) {
                table_add(table, "none; no rule of \"users\" fits");
                return;
        }
        json_array_foreach(by, i, condition) {
                if (n < sizeof(conditions) && json_is_string(condition))
                        n += (size_t)snprintf(conditions + n, sizeof(conditions) - n, "%s%s",
                                              n > 0 ? ", " : "", json_string_value(condition));
        }
        table_add_format(table, "%s, by %s (%s)", report_text(data, "authorized_user"), conditions,
                         report_text(data, "rule"));
}

static void add_text(struct table *table, const char *title, const char *text) {
        if (!*text)
                return;
        table_add(table, title);
        table_add(table, text);
}

static void add_process(struct table *table, const json_t *data) {
        if (!json_object_get(data, "uid"))
                return;
        table_add(table, "Process:");
        if (json_object_get(data, "pid"))
                table_add_format(table, "uid %" PRIu64 ", gid %" PRIu64 ", pid %" PRIu64,
                                 report_number(data, "uid"), report_number(data, "gid"),
                                 report_number(data, "pid"));
        else
                table_add_format(table, "uid %" PRIu64, report_number(data, "uid"));
}

static int whoami(struct context *context) {
        struct table table = TABLE_INIT(columns);
        json_t *data;
        int code = control_request(context, "PING.WHOAMI", NULL, REQUEST_MS, &data);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        add_user(&table, data);
        add_text(&table, "Role:", *report_text(data, "role") ? report_text(data, "role") : "none");
        add_text(&table, "Account:", report_text(data, "account"));
        add_text(&table, "Listener:", report_text(data, "listener"));
        add_process(&table, data);
        add_text(&table, "Program:", report_text(data, "exe"));
        add_text(&table, "Unit:", report_text(data, "unit"));
        code = report_table(context, &table, NULL);
        json_decref(data);
        return code;
}

/* --- check ---------------------------------------------------------------------------------- */

static const char *verdict_of(const json_t *data) {
        if (!json_is_true(json_object_get(data, "allowed")))
                return "denied";
        return json_is_true(json_object_get(data, "filtered")) ? "allowed in part" : "allowed";
}

/* The daemon's reason may begin with the verdict, unless that is not all there is to it. */
static void say_decision(struct context *context, const json_t *data) {
        const char *verdict = verdict_of(data), *why = report_text(data, "why");

        if (strncmp(why, verdict, strlen(verdict)) == 0)
                (void)context_say(context, "%s", why);
        else
                (void)context_say(context, "%s: %s", verdict, why);
}

static int check(struct context *context) {
        const char *user = context_argument(context, 1), *action = context_argument(context, 2);
        const char *subject = context_argument(context, 3);
        json_t *data, *options;
        int code;

        if (!subject)
                return context_fail(context, EXIT_USAGE,
                                    "access check: USER pub|sub SUBJECT was expected");
        code = session_open(context);
        if (code)
                return code;
        options = json_pack("{s:s, s:s, s:s, s:s*}", "user", user, "action", action, "subject",
                            subject, "queue", context->options->queue);
        code = control_request(context, "PING.ACCESS", options, REQUEST_MS, &data);
        if (code)
                return code;
        code = json_is_true(json_object_get(data, "allowed")) ? EXIT_DONE : EXIT_FAILED;
        if (context->options->json)
                (void)context_print_json(context, json_incref(data));
        else
                say_decision(context, data);
        json_decref(data);
        return code;
}

int access_run(struct context *context) {
        const char *action = context_argument(context, 0);
        int code;

        if (strcmp(action, "check") == 0)
                return check(context);
        if (strcmp(action, "whoami") != 0)
                return context_fail(context, EXIT_USAGE,
                                    "access \"%s\": whoami or check was expected", action);
        code = session_open(context);
        return code ? code : whoami(context);
}
