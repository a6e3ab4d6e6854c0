/* The order of connections that is asked for (protocol.md, 9.3). */
#include "daemon/report_sort.h"

#include "daemon/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Checks that sorting by a key gives the connections whose cids are the digits of `expected`. */
static void check_order(json_t *connections, const char *key, size_t offset, size_t limit,
                        const char *expected) {
        json_t *page = report_sort(connections, key, offset, limit);
        char cids[16] = "";

        assert_non_null(page);
        for (size_t i = 0; i < json_array_size(page); i++)
                cids[i] = (char)('0' + json_integer_value(
                                               json_object_get(json_array_get(page, i), "cid")));
        if (strcmp(cids, expected) != 0)
                fail_msg("sorted by %s: %s instead of %s", key, cids, expected);
        json_decref(page);
}

static void test_counters_are_sorted_largest_first(void **state) {
        /* But for cid; equal ones by cid. */
        static const struct {
                const char *key, *field;
        } rows[] = {
                {"subs", "subscriptions"}, {"pending", "pending_bytes"}, {"msgs_to", "out_msgs"},
                {"msgs_from", "in_msgs"},  {"bytes_to", "out_bytes"},    {"bytes_from", "in_bytes"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *field = rows[i].field;
                json_t *list =
                        json_pack("[{s:i,s:i},{s:i,s:i},{s:i,s:i},{s:i,s:i}]", "cid", 3, field, 9,
                                  "cid", 1, field, 10, "cid", 4, field, 9, "cid", 2, field, 100);

                check_order(list, rows[i].key, 0, 10, "2134");
                check_order(list, "cid", 0, 10, "1234");
                json_decref(list);
        }
}

static void test_pages_are_cut_after_sorting(void **state) {
        /* From the offset on, at most so many; beyond the end there is nothing. */
        json_t *list =
                json_pack("[{s:i},{s:i},{s:i},{s:i}]", "cid", 3, "cid", 1, "cid", 4, "cid", 2);

        check_order(list, "cid", 0, 2, "12");
        check_order(list, "cid", 1, 2, "23");
        check_order(list, "cid", 3, SIZE_MAX, "4");
        check_order(list, "cid", 4, 1, "");
        check_order(list, "cid", SIZE_MAX, SIZE_MAX, "");
        check_order(list, "cid", 0, 0, "");
        assert_int_equal(json_array_size(list), 4);
        json_decref(list);
        list = json_array();
        check_order(list, "cid", 0, 10, "");
        json_decref(list);
}

static void test_unknown_keys_are_told(void **state) {
        /* They are compared in full. */
        static const char *const keys[] = {"bogus", "", "cids", "CID", "out_msgs"};
        json_t *list = json_array();

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                assert_null(report_sort(list, keys[i], 0, 10));
        json_decref(list);
}

static void test_times_are_sorted_by_time(void **state) {
        /* Not by text: where zeroes were cut the shorter one is the earlier one. `last` and `stop`
         * begin with the latest, `start` with the earliest. */
        static const struct {
                const char *key, *field, *order;
        } rows[] = {
                {"start", "start", "1234"},
                {"last", "last_activity", "4321"},
                {"stop", "stop", "4321"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *field = rows[i].field;
                json_t *list =
                        json_pack("[{s:i,s:s},{s:i,s:s},{s:i,s:s},{s:i,s:s}]", "cid", 3, field,
                                  "2026-11-20T20:36:37.15Z", "cid", 1, field,
                                  "2026-11-20T20:36:37Z", "cid", 4, field, "2026-11-20T20:36:38Z",
                                  "cid", 2, field, "2026-11-20T20:36:37.1Z");

                check_order(list, rows[i].key, 0, 10, rows[i].order);
                json_decref(list);
        }
}

static void test_the_longest_idle_comes_first(void **state) {
        /* `idle` goes down, `uptime` goes up (9.3): one begins with the oldest activity, the other
         * with the youngest connection. */
        json_t *list =
                json_pack("[{s:i,s:s,s:s},{s:i,s:s,s:s}]", "cid", 1, "start",
                          "2026-01-01T00:00:00Z", "last_activity", "2026-11-20T20:36:37Z", "cid", 2,
                          "start", "2026-02-01T00:00:00Z", "last_activity", "2026-11-20T20:36:35Z");

        check_order(list, "idle", 0, 10, "21");
        check_order(list, "uptime", 0, 10, "21");
        json_decref(list);
}

static void test_round_trips_are_sorted_by_duration(void **state) {
        /* Not by text, which has units; the longest comes first. */
        json_t *list =
                json_pack("[{s:i,s:s},{s:i,s:s},{s:i,s:s},{s:i,s:s},{s:i,s:s},{s:i,s:s},"
                          "{s:i,s:s},{s:i,s:s}]",
                          "cid", 1, "rtt", "9ms", "cid", 2, "rtt", "10.5ms", "cid", 3, "rtt",
                          "374\xc2\xb5s", "cid", 4, "rtt", "2s", "cid", 5, "rtt", "850ns", "cid", 6,
                          "rtt", "0s", "cid", 7, "rtt", "1m2.5s", "cid", 8, "rtt", "10.25ms");

        check_order(list, "rtt", 0, 10, "74281356");
        json_decref(list);
}

static void test_reasons_are_sorted_by_text(void **state) {
        /* Equal ones by cid. */
        json_t *list = json_pack("[{s:i,s:s},{s:i,s:s},{s:i,s:s}]", "cid", 1, "reason",
                                 REASON_STALE, "cid", 3, "reason", REASON_CLIENT_CLOSED, "cid", 2,
                                 "reason", REASON_CLIENT_CLOSED);

        check_order(list, "reason", 0, 10, "231");
        json_decref(list);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counters_are_sorted_largest_first),
                cmocka_unit_test(test_pages_are_cut_after_sorting),
                cmocka_unit_test(test_unknown_keys_are_told),
                cmocka_unit_test(test_times_are_sorted_by_time),
                cmocka_unit_test(test_the_longest_idle_comes_first),
                cmocka_unit_test(test_round_trips_are_sorted_by_duration),
                cmocka_unit_test(test_reasons_are_sorted_by_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
