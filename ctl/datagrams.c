/* What became of datagrams. See datagrams.h. */
#include "ctl/datagrams.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/reports.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
        {.title = "DATAGRAMS OF", .can_shrink = true}, {.title = "RECEIVED", .is_right = true},
        {.title = "SENT", .is_right = true},           {.title = "DROPPED", .is_right = true},
        {.title = "WHY", .can_shrink = true},
};

uint64_t datagrams_why(const json_t *datagrams, char why[DATAGRAMS_WHY_MAX]) {
        const json_t *dropped = json_object_get(datagrams, "dropped");
        uint64_t total = 0;
        const char *name;
        json_t *value;

        why[0] = '\0';
        json_object_foreach((json_t *)dropped, name, value) {
                uint64_t n = (uint64_t)json_integer_value(value);
                size_t length = strlen(why);

                if (n == 0)
                        continue;
                total += n;
                snprintf(why + length, DATAGRAMS_WHY_MAX - length, "%s%" PRIu64 " %s",
                         length > 0 ? ", " : "", n, name);
        }
        return total;
}

static void add_row(struct table *table, const json_t *element, const char *key,
                    const json_t *datagrams) {
        char why[DATAGRAMS_WHY_MAX];

        if (json_is_string(json_object_get(element, key)))
                table_add(table, report_text(element, key));
        else
                table_add_format(table, "%" PRIu64, report_number(element, key));
        table_add_count(table, report_number(datagrams, "received"));
        table_add_count(table, report_number(datagrams, "sent"));
        table_add_count(table, datagrams_why(datagrams, why));
        table_add(table, why);
}

int datagrams_print(struct context *context, const json_t *list, const char *key,
                    const char *noun) {
        struct table table = TABLE_INIT(columns);
        const json_t *datagrams;
        json_t *element;
        size_t i;

        json_array_foreach(list, i, element) {
                datagrams = json_object_get(element, "datagrams");
                if (datagrams)
                        add_row(&table, element, key, datagrams);
        }
        if (table.n_cells == 0)
                return EXIT_DONE;
        putc('\n', context->out);
        return report_table(context, &table, noun);
}
