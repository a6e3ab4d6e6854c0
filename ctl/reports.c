/* status, accounts and subs: a request each, and its answer as lines or columns.
 *
 * A member that the server does not tell is left out, not invented; so a nats-server can be looked
 * at as well.
 */
#include "ctl/reports.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "ctl/control.h"
#include "ctl/table.h"
#include "lib/text.h"
#include "lib/units.h"

#define REQUEST_MS 5000

const char *report_text(const json_t *object, const char *name) {
        const char *text = json_string_value(json_object_get(object, name));

        return text ? text : "";
}

uint64_t report_number(const json_t *object, const char *name) {
        json_int_t number = json_integer_value(json_object_get(object, name));

        return number > 0 ? (uint64_t)number : 0;
}

int report_table(struct context *context, struct table *table, const char *noun) {
        bool has_legend = !context->options->no_legend;
        size_t n_rows = table->n_cells / table->n_columns;
        struct table_style style = {
                .has_titles = has_legend && noun && n_rows > 0,
                .has_color = context_has_color(context),
                .width = context->is_terminal ? table_terminal_width(STDOUT_FILENO) : 0,
        };
        int result = table_print(table, context->out, &style);

        table_deinit(table);
        if (result < 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        if (has_legend && noun)
                fprintf(context->out, "%s%zu %s%s\n", n_rows > 0 ? "\n" : "", n_rows, noun,
                        n_rows == 1 ? "" : "s");
        return context_flush(context, NULL);
}

static const struct table_column status_columns[] = {
        {.title = "", .is_right = true},
        {.title = ""},
};

static void add_version(struct table *table, const json_t *data) {
        const char *sockd_version = report_text(data, "sockd_version");

        table_add(table, "Version:");
        if (*sockd_version)
                table_add_format(table, "sockd %s, as NATS %s", sockd_version,
                                 report_text(data, "version"));
        else
                table_add_format(table, "nats-server %s", report_text(data, "version"));
        if (!json_object_get(data, "pid"))
                return;
        table_add(table, "Process:");
        table_add_format(table, "%" PRIu64 ", %" PRIu64 " worker%s", report_number(data, "pid"),
                         report_number(data, "workers"),
                         report_number(data, "workers") == 1 ? "" : "s");
}

static void add_load(struct table *table, const json_t *data) {
        char memory[UNITS_TEXT_MAX];

        table_add(table, "Memory:");
        table_add_format(table, "%s, processor %.1f%%",
                         units_format_size_approximate(memory, report_number(data, "mem")),
                         json_number_value(json_object_get(data, "cpu")));
        if (!json_object_get(data, "open_files"))
                return;
        table_add(table, "Files:");
        table_add_format(table, "%" PRIu64 " of %" PRIu64, report_number(data, "open_files"),
                         report_number(data, "max_open_files"));
}

static void add_clients(struct table *table, const json_t *data) {
        /* Datagram peers need no connection. */
        uint64_t n_sessions = report_number(data, "sessions");
        char sessions[64] = "";

        if (n_sessions > 0)
                snprintf(sessions, sizeof(sessions), ", %" PRIu64 " datagram session%s", n_sessions,
                         n_sessions == 1 ? "" : "s");
        table_add(table, "Clients:");
        table_add_format(table, "%" PRIu64 " of %" PRIu64 "%s, %" PRIu64 " since the start",
                         report_number(data, "connections") - n_sessions,
                         report_number(data, "max_connections"), sessions,
                         report_number(data, "total_connections"));
        table_add(table, "Subscriptions:");
        table_add_format(table, "%" PRIu64, report_number(data, "subscriptions"));
        table_add(table, "Slow consumers:");
        table_add_format(table, "%" PRIu64, report_number(data, "slow_consumers"));
        if (report_number(data, "denied_publishes") + report_number(data, "denied_subscriptions") >
            0) {
                table_add(table, "Denied:");
                table_add_format(table, "%" PRIu64 " publishes, %" PRIu64 " subscriptions",
                                 report_number(data, "denied_publishes"),
                                 report_number(data, "denied_subscriptions"));
        }
        if (report_number(data, "refused_logins") > 0) {
                table_add(table, "Refused logins:");
                table_add_format(table, "%" PRIu64, report_number(data, "refused_logins"));
        }
        if (report_number(data, "unreachable_targets") > 0) {
                table_add(table, "Without target:");
                table_add_format(table, "%" PRIu64, report_number(data, "unreachable_targets"));
        }
}

static void add_programs(struct table *table, const json_t *data) {
        const json_t *programs = json_object_get(data, "programs");
        const json_t *available = json_object_get(programs, "available");
        char failed[64] = "", late[64] = "", refused[64] = "";

        if (json_is_false(available)) {
                table_add(table, "Programs:");
                table_add(table, "cannot be started: restart sockd");
                return;
        }
        if (report_number(programs, "configured") == 0)
                return;
        if (report_number(programs, "failed") > 0)
                snprintf(failed, sizeof(failed), ", %" PRIu64 " not started",
                         report_number(programs, "failed"));
        if (report_number(programs, "late") > 0)
                snprintf(late, sizeof(late), ", %" PRIu64 " late", report_number(programs, "late"));
        if (report_number(programs, "refused") > 0)
                snprintf(refused, sizeof(refused), ", %" PRIu64 " refused",
                         report_number(programs, "refused"));
        table_add(table, "Programs:");
        table_add_format(table, "%" PRIu64 " of %" PRIu64 " run, %" PRIu64 " ended%s%s%s",
                         report_number(programs, "running"), report_number(programs, "max_running"),
                         report_number(programs, "ended"), late, failed, refused);
}

static void add_traffic(struct table *table, const json_t *data, const char *label,
                        const char *messages, const char *bytes) {
        char n[TABLE_COUNT_MAX], size[UNITS_TEXT_MAX];

        units_format_size_approximate(size, report_number(data, bytes));
        table_add(table, label);
        table_add_format(table, "%s message%s, %s%s",
                         table_format_count(n, report_number(data, messages)),
                         report_number(data, messages) == 1 ? "" : "s", size,
                         strpbrk(size, "KMGT") ? "" : " bytes");
}

static void add_configuration(struct table *table, const json_t *data) {
        char payload[UNITS_TEXT_MAX], pending[UNITS_TEXT_MAX];

        table_add(table, "Limits:");
        table_add_format(table, "payload %s, pending %s for each client",
                         units_format_size(payload, report_number(data, "max_payload")),
                         units_format_size(pending, report_number(data, "max_pending")));
        if (json_object_get(data, "config_file")) {
                const char *file = report_text(data, "config_file");
                const char *time = report_text(data, "config_load_time");

                table_add(table, "Configuration:");
                table_add_format(table, "%s%s%s", *file ? file : "no file",
                                 *time ? ", loaded " : "", time);
        }
        if (json_object_get(data, "log_level")) {
                table_add(table, "Log level:");
                table_add(table, report_text(data, "log_level"));
        }
}

static void print_state(struct context *context, const json_t *data) {
        bool is_lame_duck = json_is_true(json_object_get(data, "lame_duck"));
        const char *start = "", *end = "";
        char text[256];

        if (context_has_color(context)) {
                start = is_lame_duck ? "\033[33m" : "\033[32m";
                end = "\033[0m";
        }
        snprintf(text, sizeof(text), "%s is %s, up %s", report_text(data, "server_name"),
                 is_lame_duck ? "draining (lame duck)" : "running", report_text(data, "uptime"));
        text_make_printable(text, strlen(text));
        fprintf(context->out, "%s●%s %s\n", start, end, text);
}

static int print_status(struct context *context, const json_t *data) {
        struct table table = TABLE_INIT(status_columns);
        struct table_style style = {.has_titles = false};
        int result;

        print_state(context, data);
        add_version(&table, data);
        add_load(&table, data);
        add_clients(&table, data);
        add_programs(&table, data);
        add_traffic(&table, data, "Received:", "in_msgs", "in_bytes");
        add_traffic(&table, data, "Sent:", "out_msgs", "out_bytes");
        add_configuration(&table, data);
        result = table_print(&table, context->out, &style);
        table_deinit(&table);
        if (result < 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        return context_flush(context, NULL);
}

int report_status(struct context *context) {
        json_t *data;
        int code = control_request(context, "PING.VARZ", NULL, REQUEST_MS, &data);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        code = print_status(context, data);
        json_decref(data);
        return code;
}

static const struct table_column sub_columns[] = {
        {.title = "SUBJECT", .can_shrink = true}, {.title = "QUEUE", .can_shrink = true},
        {.title = "CLIENT", .is_right = true},    {.title = "SID", .is_right = true},
        {.title = "MESSAGES", .is_right = true},  {.title = "OF", .is_right = true},
        {.title = "ACCOUNT", .can_shrink = true},
};

static void add_sub(struct table *table, const json_t *sub) {
        table_add(table, report_text(sub, "subject"));
        table_add(table, report_text(sub, "qgroup"));
        table_add_format(table, "%" PRIu64, report_number(sub, "cid"));
        table_add(table, report_text(sub, "sid"));
        table_add_count(table, report_number(sub, "msgs"));
        if (report_number(sub, "max") > 0)
                table_add_count(table, report_number(sub, "max"));
        else
                table_add(table, NULL);
        table_add(table, report_text(sub, "account"));
}

int report_subs(struct context *context) {
        struct table table = TABLE_INIT(sub_columns);
        const char *test = context_argument(context, 0);
        json_t *data, *sub, *options;
        size_t i;
        int code;

        options = json_pack("{s:b,s:s*}", "subscriptions", 1, "test", test);
        code = control_request_list(context, "PING.SUBSZ", options, "subscriptions_list", &data);
        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        json_array_foreach(json_object_get(data, "subscriptions_list"), i, sub)
                add_sub(&table, sub);
        json_decref(data);
        return report_table(context, &table, "subscription");
}

static const struct table_column account_columns[] = {
        {.title = "NAME", .can_shrink = true},  {.title = "CLIENTS", .is_right = true},
        {.title = "SUBS", .is_right = true},    {.title = "EXPORTS", .is_right = true},
        {.title = "IMPORTS", .is_right = true}, {.title = "IS"},
};

static void add_account(struct table *table, const json_t *account) {
        table_add(table, report_text(account, "account_name"));
        table_add_count(table, report_number(account, "client_connections"));
        table_add_count(table, report_number(account, "subscriptions"));
        table_add_count(table, report_number(account, "num_exports"));
        table_add_count(table, report_number(account, "num_imports"));
        table_add(table, json_is_true(json_object_get(account, "is_system")) ? "system" : NULL);
}

/* What a nats-server says, which tells no more than names. */
static void add_account_name(struct table *table, const json_t *name) {
        table_add(table, json_string_value(name));
        for (size_t i = 1; i < table->n_columns; i++)
                table_add(table, NULL);
}

int report_accounts(struct context *context) {
        struct table table = TABLE_INIT(account_columns);
        json_t *data, *details, *element;
        size_t i;
        int code = control_request(context, "PING.ACCOUNTZ", NULL, REQUEST_MS, &data);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        details = json_object_get(data, "account_details");
        json_array_foreach(details, i, element) {
                add_account(&table, element);
        }
        if (!details)
                json_array_foreach(json_object_get(data, "accounts"), i, element)
                        add_account_name(&table, element);
        json_decref(data);
        return report_table(context, &table, "account");
}
