/* Sorting by one field, which the table names: numbers as they are, times and durations by what
 * they say, as their texts (protocol.md, A.1 and A.3) are not in the order of characters. */
#include "daemon/report_sort.h"

#include <stdlib.h>
#include <string.h>

/* In which way a field is compared. */
enum sort_as { SORT_INTEGER, SORT_TEXT, SORT_TIME, SORT_DURATION };

static const struct sort_row {
        const char *key, *field;
        int direction; /* 1: smallest first */
        enum sort_as as;
} sort_rows[] = {
        {"cid", "cid", 1, SORT_INTEGER},
        {"start", "start", 1, SORT_TIME},
        {"uptime", "start", -1, SORT_TIME},
        {"subs", "subscriptions", -1, SORT_INTEGER},
        {"pending", "pending_bytes", -1, SORT_INTEGER},
        {"msgs_to", "out_msgs", -1, SORT_INTEGER},
        {"msgs_from", "in_msgs", -1, SORT_INTEGER},
        {"bytes_to", "out_bytes", -1, SORT_INTEGER},
        {"bytes_from", "in_bytes", -1, SORT_INTEGER},
        {"last", "last_activity", -1, SORT_TIME},
        {"idle", "last_activity", 1, SORT_TIME},
        {"rtt", "rtt", -1, SORT_DURATION},
        {"stop", "stop", -1, SORT_TIME},
        {"reason", "reason", 1, SORT_TEXT},
};

struct sort_element {
        json_t *object; /* borrowed */
        const struct sort_row *row;
};

static int compare_integers(json_t *a, json_t *b) {
        return (json_integer_value(a) > json_integer_value(b)) -
               (json_integer_value(a) < json_integer_value(b));
}

/* Times as reports have them, RFC 3339 in UTC: the `Z` stands where another one may have more
 * digits. */
static int compare_times(const char *a, const char *b) {
        while (*a && *a == *b) {
                a++;
                b++;
        }
        return (*a == 'Z' ? 0 : *a) - (*b == 'Z' ? 0 : *b);
}

/* Nanoseconds of a duration as reports have it, "1m2.5s". */
static double duration_of(const char *text) {
        static const struct {
                const char *name;
                double ns;
        } units[] = {{"ns", 1},  {"\xc2\xb5s", 1e3}, {"ms", 1e6},
                     {"s", 1e9}, {"m", 6e10},        {"h", 3.6e12}};
        double ns = 0;

        while (*text) {
                char *end;
                double value = strtod(text, &end);
                size_t i = 0;

                while (i < 6 && strncmp(end, units[i].name, strlen(units[i].name)) != 0)
                        i++;
                if (end == text || i == 6)
                        break;
                ns += value * units[i].ns;
                text = end + strlen(units[i].name);
        }
        return ns;
}

static int compare_durations(const char *a, const char *b) {
        double a_ns = duration_of(a), b_ns = duration_of(b);

        return (a_ns > b_ns) - (a_ns < b_ns);
}

static int compare_values(json_t *a, json_t *b, enum sort_as as) {
        const char *a_text = json_string_value(a), *b_text = json_string_value(b);

        if (as == SORT_INTEGER)
                return compare_integers(a, b);
        if (!a_text || !b_text)
                return !a_text - !b_text;
        if (as == SORT_TIME)
                return compare_times(a_text, b_text);
        if (as == SORT_DURATION)
                return compare_durations(a_text, b_text);
        return strcmp(a_text, b_text);
}

static int compare_elements(const void *left, const void *right) {
        const struct sort_element *a = left, *b = right;
        const struct sort_row *row = a->row;
        int order =
                row->direction * compare_values(json_object_get(a->object, row->field),
                                                json_object_get(b->object, row->field), row->as);

        return order ? order
                     : compare_integers(json_object_get(a->object, "cid"),
                                        json_object_get(b->object, "cid"));
}

json_t *report_sort(json_t *connections, const char *key, size_t offset, size_t limit) {
        size_t n = json_array_size(connections);
        const struct sort_row *row = NULL;
        struct sort_element *elements;
        json_t *page;

        for (size_t i = 0; i < sizeof(sort_rows) / sizeof(sort_rows[0]); i++)
                if (strcmp(sort_rows[i].key, key) == 0)
                        row = &sort_rows[i];
        elements = row ? calloc(n + 1, sizeof(*elements)) : NULL;
        page = elements ? json_array() : NULL;
        if (!page) {
                free(elements);
                return NULL;
        }
        for (size_t i = 0; i < n; i++)
                elements[i] = (struct sort_element){json_array_get(connections, i), row};
        qsort(elements, n, sizeof(*elements), compare_elements);
        for (size_t i = offset; i < n && i - offset < limit; i++)
                json_array_append(page, elements[i].object);
        free(elements);
        return page;
}
