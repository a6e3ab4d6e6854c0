/* Details. See details.h. */
#include "ctl/details.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/datagrams.h"
#include "ctl/reports.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
        {.title = "", .is_right = true},
        {.title = ""},
};

uint64_t details_counts(const json_t *counts, char text[DETAILS_COUNTS_MAX]) {
        uint64_t total = 0;
        const char *name;
        json_t *value;

        text[0] = '\0';
        json_object_foreach((json_t *)counts, name, value) {
                uint64_t n = (uint64_t)json_integer_value(value);
                size_t length = strlen(text);

                if (n == 0)
                        continue;
                total += n;
                snprintf(text + length, DETAILS_COUNTS_MAX - length, "%s%" PRIu64 " %s",
                         length > 0 ? ", " : "", n, name);
        }
        return total;
}

static void add_value(struct table *table, const json_t *value, const char *name) {
        char *text;

        table_add_format(table, "%s:", name);
        if (json_is_string(value)) {
                table_add(table, json_string_value(value));
                return;
        }
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        table_add(table, text);
        free(text);
}

static void add_datagrams(struct table *table, const json_t *datagrams) {
        char why[DETAILS_COUNTS_MAX];
        uint64_t n_dropped = datagrams_why(datagrams, why);

        table_add(table, "datagrams:");
        table_add_format(table, "%" PRIu64 " received, %" PRIu64 " sent, %" PRIu64 " dropped%s%s",
                         report_number(datagrams, "received"), report_number(datagrams, "sent"),
                         n_dropped, n_dropped > 0 ? ": " : "", why);
}

static bool is_counts(const json_t *value) {
        const char *name;
        json_t *count;

        json_object_foreach((json_t *)value, name, count) {
                if (!json_is_integer(count))
                        return false;
        }
        return json_is_object(value);
}

static void add_counts(struct table *table, const json_t *counts, const char *name) {
        char text[DETAILS_COUNTS_MAX];

        table_add_format(table, "%s:", name);
        table_add(table, details_counts(counts, text) > 0 ? text : "none");
}

int details_print(struct context *context, json_t *object) {
        struct table table = TABLE_INIT(columns);
        const char *name;
        json_t *value, *element;
        size_t i;

        json_object_foreach(object, name, value) {
                if (strcmp(name, "datagrams") == 0)
                        add_datagrams(&table, value);
                else if (is_counts(value))
                        add_counts(&table, value, name);
                else if (!json_is_array(value))
                        add_value(&table, value, name);
                json_array_foreach(value, i, element) {
                        add_value(&table, element, name);
                }
        }
        return report_table(context, &table, NULL);
}
