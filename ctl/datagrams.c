/* What became of datagrams. See datagrams.h. */
#include "ctl/datagrams.h"

#include <inttypes.h>
#include <stdio.h>

#include "ctl/details.h"
#include "ctl/reports.h"
#include "ctl/table.h"

static const struct table_column columns[] = {
        {.title = "DATAGRAMS OF", .can_shrink = true}, {.title = "RECEIVED", .is_right = true},
        {.title = "SENT", .is_right = true},           {.title = "DROPPED", .is_right = true},
        {.title = "WHY", .can_shrink = true},
};

uint64_t datagrams_why(const json_t *datagrams, char why[DETAILS_COUNTS_MAX]) {
        return details_counts(json_object_get(datagrams, "dropped"), why);
}

static void add_row(struct table *table, const json_t *element, const char *key,
                    const json_t *datagrams) {
        char why[DETAILS_COUNTS_MAX];

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
