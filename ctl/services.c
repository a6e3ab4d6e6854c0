/* services: SERVICEZ as a table. See services.h. */
#include "ctl/services.h"

#include <inttypes.h>

#include "ctl/control.h"
#include "ctl/reports.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
        {.title = "NAME", .can_shrink = true},    {.title = "SUBJECT", .can_shrink = true},
        {.title = "ACCOUNT", .can_shrink = true}, {.title = "KIND"},
        {.title = "REQUESTS", .is_right = true},  {.title = "ERRORS", .is_right = true},
        {.title = "RUNNING", .is_right = true},   {.title = "WAITING", .is_right = true},
        {.title = "P50", .is_right = true},       {.title = "P90", .is_right = true},
        {.title = "P99", .is_right = true},
};

/* A duration with two digits or more; none as long as no request was answered by
 * the service. */
static void add_latency(struct table *table, const json_t *service, const char *name) {
        uint64_t ns = report_number(json_object_get(service, "latency"), name);

        if (ns == 0)
                table_add(table, NULL);
        else if (ns < 10000)
                table_add_format(table, "%.1fus", (double)ns / 1e3);
        else if (ns < 1000000)
                table_add_format(table, "%.0fus", (double)ns / 1e3);
        else if (ns < 10000000)
                table_add_format(table, "%.1fms", (double)ns / 1e6);
        else if (ns < 1000000000)
                table_add_format(table, "%.0fms", (double)ns / 1e6);
        else
                table_add_format(table, "%.1fs", (double)ns / 1e9);
}

/* What only services with programs have. */
static void add_count(struct table *table, const json_t *service, const char *name) {
        if (json_object_get(service, name))
                table_add_count(table, report_number(service, name));
        else
                table_add(table, NULL);
}

static void add_service(struct table *table, const json_t *service) {
        table_add(table, report_text(service, "name"));
        table_add(table, report_text(service, "subject"));
        table_add(table, report_text(service, "account"));
        table_add(table, report_text(service, "kind"));
        table_add_count(table, report_number(service, "requests"));
        table_add_count(table, report_number(service, "errors"));
        add_count(table, service, "running");
        add_count(table, service, "waiting");
        add_latency(table, service, "p50");
        add_latency(table, service, "p90");
        add_latency(table, service, "p99");
}

int services_run(struct context *context) {
        struct table table = TABLE_INIT(columns);
        json_t *data, *service;
        size_t i;
        int code = control_request_list(context, "PING.SERVICEZ", json_object(), "services", &data);

        if (code)
                return code;
        if (context->options->json)
                return context_print_json(context, data);
        json_array_foreach(json_object_get(data, "services"), i, service)
                add_service(&table, service);
        json_decref(data);
        return report_table(context, &table, "service");
}
