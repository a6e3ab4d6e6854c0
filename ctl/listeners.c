/* listeners: LISTENERZ, for the list and for one of them. See listeners.h. */
#include "ctl/listeners.h"

#include <string.h>

#include "ctl/control.h"
#include "ctl/datagrams.h"
#include "ctl/details.h"
#include "ctl/reports.h"
#include "ctl/session.h"
#include "ctl/table.h"

#define REQUEST_MS 5000

static const struct table_column columns[] = {
        {.title = "NAME", .can_shrink = true},
        {.title = "ADDRESS", .can_shrink = true},
        {.title = "HANDLER", .can_shrink = true},
        {.title = "TLS"},
        {.title = "NOW", .is_right = true},
        {.title = "TOTAL", .is_right = true},
        {.title = "OPENED BY"},
};

/* In the words of the configuration: "required,verify". */
static void add_tls(struct table *table, const json_t *tls) {
        bool is_first = json_is_true(json_object_get(tls, "first"));
        bool is_required = json_is_true(json_object_get(tls, "required"));

        if (!tls)
                table_add(table, NULL);
        else
                table_add_format(table, "%s%s%s",
                                 is_first      ? "first"
                                 : is_required ? "required"
                                               : "optional",
                                 json_is_true(json_object_get(tls, "verify")) ? ",verify" : "",
                                 json_is_true(json_object_get(tls, "map")) ? ",map" : "");
}

static void add_listener(struct table *table, const json_t *listener) {
        table_add(table, report_text(listener, "name"));
        table_add(table, report_text(listener, "address"));
        table_add(table, report_text(listener, "handler"));
        add_tls(table, json_object_get(listener, "tls"));
        table_add_count(table, report_number(listener, "connections"));
        table_add_count(table, report_number(listener, "total_connections"));
        table_add(table,
                  json_is_true(json_object_get(listener, "activated")) ? "systemd" : "sockd");
}

static const struct table_column limits_columns[] = {
        {.title = "LIMITS OF", .can_shrink = true},
        {.title = "REFUSED", .is_right = true},
        {.title = "ENDED", .is_right = true},
        {.title = "WHY", .can_shrink = true},
};

/* Adds a listener that has not admitted somebody, or let him go. */
static void add_limits(struct table *table, const json_t *listener) {
        char refused[DETAILS_COUNTS_MAX], expired[DETAILS_COUNTS_MAX];
        uint64_t n_refused = details_counts(json_object_get(listener, "refused"), refused);
        uint64_t n_expired = details_counts(json_object_get(listener, "expired"), expired);

        if (n_refused + n_expired == 0)
                return;
        table_add(table, report_text(listener, "address"));
        table_add_count(table, n_refused);
        table_add_count(table, n_expired);
        table_add_format(table, "%s%s%s", refused, *refused && *expired ? ", " : "", expired);
}

static int print_limits(struct context *context, const json_t *listeners) {
        struct table table = TABLE_INIT(limits_columns);
        json_t *listener;
        size_t i;

        json_array_foreach(listeners, i, listener) {
                add_limits(&table, listener);
        }
        if (table.n_cells == 0)
                return EXIT_DONE;
        putc('\n', context->out);
        return report_table(context, &table, "limited listener");
}

static const struct table_column losses_columns[] = {
        {.title = "GATEWAY", .can_shrink = true},
        {.title = "LOST", .is_right = true},
        {.title = "WHY", .can_shrink = true},
};

/* What gateways did not publish, answer or tell. */
static int print_losses(struct context *context, const json_t *listeners) {
        struct table table = TABLE_INIT(losses_columns);
        char why[DETAILS_COUNTS_MAX];
        json_t *listener;
        size_t i;

        json_array_foreach(listeners, i, listener) {
                uint64_t n = details_counts(json_object_get(listener, "lost"), why);

                if (n == 0)
                        continue;
                table_add(&table, report_text(listener, "address"));
                table_add_count(&table, n);
                table_add(&table, why);
        }
        if (table.n_cells == 0)
                return EXIT_DONE;
        putc('\n', context->out);
        return report_table(context, &table, "gateway");
}

static const struct table_column programs_columns[] = {
        {.title = "PROGRAMS OF", .can_shrink = true}, {.title = "RUNNING", .is_right = true},
        {.title = "WAITING", .is_right = true},       {.title = "STARTED", .is_right = true},
        {.title = "FAILED", .is_right = true},        {.title = "LATE", .is_right = true},
        {.title = "NOT STARTED", .is_right = true},   {.title = "ALSO", .can_shrink = true},
};

/* What few have: "2 stopped, 1 cut". */
static void add_other_programs(struct table *table, const json_t *programs) {
        static const char *const names[] = {"stopped", "delayed", "cut"};
        char text[DETAILS_COUNTS_MAX];
        json_t *others = json_object();

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                json_object_set(others, names[i], json_object_get(programs, names[i]));
        table_add(table, details_counts(others, text) > 0 ? text : NULL);
        json_decref(others);
}

static void add_programs(struct table *table, const json_t *listener, const json_t *programs) {
        table_add(table, report_text(listener, "name")); /* for an address there is no room */
        table_add_count(table, report_number(programs, "running"));
        table_add_count(table, report_number(programs, "waiting"));
        table_add_count(table, report_number(programs, "started"));
        table_add_count(table, report_number(programs, "failed"));
        table_add_count(table, report_number(programs, "late"));
        table_add_count(table, report_number(programs, "not_started"));
        add_other_programs(table, programs);
}

static int print_programs(struct context *context, const json_t *listeners) {
        struct table table = TABLE_INIT(programs_columns);
        json_t *listener;
        size_t i;

        json_array_foreach(listeners, i, listener) {
                const json_t *programs = json_object_get(listener, "programs");

                if (programs)
                        add_programs(&table, listener, programs);
        }
        if (table.n_cells == 0)
                return EXIT_DONE;
        putc('\n', context->out);
        return report_table(context, &table, "exec listener");
}

static int print_list(struct context *context, const json_t *listeners) {
        struct table table = TABLE_INIT(columns);
        json_t *listener;
        size_t i;
        int code;

        json_array_foreach(listeners, i, listener) {
                add_listener(&table, listener);
        }
        code = report_table(context, &table, "listener");
        if (code == EXIT_DONE)
                code = datagrams_print(context, listeners, "address", "datagram listener");
        if (code == EXIT_DONE)
                code = print_limits(context, listeners);
        if (code == EXIT_DONE)
                code = print_losses(context, listeners);
        if (code == EXIT_DONE)
                code = print_programs(context, listeners);
        return code;
}

/* Each socket of a listener: there are several if its address stands for several. */
static int print_details(struct context *context, const json_t *listeners) {
        json_t *listener;
        int code = EXIT_DONE;
        size_t i;

        json_array_foreach(listeners, i, listener) {
                if (i > 0)
                        putc('\n', context->out);
                if (code == EXIT_DONE)
                        code = details_print(context, listener);
        }
        return code;
}

/* Leaves those of that name in the list. */
static void select_name(json_t *listeners, const char *name) {
        for (size_t i = json_array_size(listeners); i-- > 0;)
                if (strcmp(report_text(json_array_get(listeners, i), "name"), name) != 0)
                        json_array_remove(listeners, i);
}

/* name: NULL for all. */
static int run(struct context *context, const char *name) {
        json_t *data, *listeners;
        int code = control_request(context, "PING.LISTENERZ", NULL, REQUEST_MS, &data);

        if (code)
                return code;
        listeners = json_object_get(data, "listeners");
        if (name)
                select_name(listeners, name);
        if (name && json_array_size(listeners) == 0) {
                json_decref(data);
                return context_fail(context, EXIT_NOT_FOUND,
                                    "no listener \"%s\"; `sockctl listeners` lists them", name);
        }
        if (context->options->json)
                return context_print_json(context, data);
        code = name ? print_details(context, listeners) : print_list(context, listeners);
        json_decref(data);
        return code;
}

int listeners_run(struct context *context) {
        const char *action = context_argument(context, 0), *name = context_argument(context, 1);
        int code;

        if (action && (strcmp(action, "show") != 0 || !name))
                return context_fail(context, EXIT_USAGE, "listeners: show NAME was expected");
        code = session_open(context);
        return code ? code : run(context, name);
}
