/* The table of a client's subscriptions: found by sid while others come and go. */
#include "daemon/sid_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_SIDS 5000

static struct receiver nobody;

static struct subscription *add(struct sid_table *table, const char *sid) {
        struct subscription *subscription =
                subscription_new(&nobody, bytes_from_string(sid), BYTES("queue"));

        assert_non_null(subscription);
        assert_int_equal(sid_table_add(table, subscription), 0);
        return subscription;
}

static void drop(struct sid_table *table, struct subscription *subscription) {
        sid_table_remove(table, subscription);
        subscription_free(subscription);
}

static void test_an_empty_table_has_nothing(void **state) {
        /* Zeroes are an empty table, which needs no memory. */
        struct sid_table table = {.count = 0};
        size_t bucket = 9;

        assert_null(sid_table_find(&table, BYTES("1")));
        assert_null(sid_table_next(&table, &bucket, NULL));
        sid_table_deinit(&table);
        assert_null(table.buckets);
}

static void test_one_subscription_needs_no_memory(void **state) {
        /* It stands in the table itself, until there is another one. */
        struct sid_table table = {.count = 0};
        struct subscription *one = add(&table, "1"), *two;

        assert_int_equal(table.mask, 0);
        assert_ptr_equal(table.bucket, one);
        two = add(&table, "2");
        assert_int_equal(table.mask, 1);
        assert_ptr_equal(sid_table_find(&table, BYTES("1")), one);
        assert_ptr_equal(sid_table_find(&table, BYTES("2")), two);
        drop(&table, one);
        drop(&table, two);
        sid_table_deinit(&table);
        assert_int_equal(table.mask, 0);
        assert_null(sid_table_find(&table, BYTES("1")));
}

static void test_sids_are_compared_in_full(void **state) {
        /* A prefix, the queue behind it, or another spelling of a number are not the same. */
        struct sid_table table = {.count = 0};
        struct subscription *one = add(&table, "1"), *ten = add(&table, "10");
        struct subscription *zero = add(&table, "01"), *word = add(&table, "abc");

        assert_ptr_equal(sid_table_find(&table, BYTES("1")), one);
        assert_ptr_equal(sid_table_find(&table, BYTES("10")), ten);
        assert_ptr_equal(sid_table_find(&table, BYTES("01")), zero);
        assert_ptr_equal(sid_table_find(&table, BYTES("abc")), word);
        assert_null(sid_table_find(&table, BYTES("ABC")));
        assert_null(sid_table_find(&table, BYTES("ab")));
        assert_null(sid_table_find(&table, BYTES("1queue")));
        assert_int_equal(table.count, 4);
        drop(&table, one);
        drop(&table, ten);
        drop(&table, zero);
        drop(&table, word);
        sid_table_deinit(&table);
}

static void test_sids_are_found_while_others_come_and_go(void **state) {
        /* Against a plain array, through many sizes of the table. */
        static struct subscription *all[N_SIDS];
        struct sid_table table = {.count = 0};
        size_t n = 0;
        char sid[16];

        srand(1);
        for (unsigned round = 0; round < 20 * N_SIDS; round++) {
                unsigned i = (unsigned)rand() % N_SIDS;

                snprintf(sid, sizeof(sid), "%u", i);
                assert_ptr_equal(sid_table_find(&table, bytes_from_string(sid)), all[i]);
                if (all[i]) {
                        drop(&table, all[i]);
                        all[i] = NULL;
                        n--;
                } else {
                        all[i] = add(&table, sid);
                        n++;
                }
                assert_int_equal(table.count, n);
        }
        for (unsigned i = 0; i < N_SIDS; i++)
                if (all[i])
                        drop(&table, all[i]);
        sid_table_deinit(&table);
}

static void test_iteration_visits_each_once(void **state) {
        /* In no order. */
        static unsigned char seen[1000];
        struct sid_table table = {.count = 0};
        struct subscription *subscription = NULL;
        size_t bucket, n = 0;
        char sid[16];

        memset(seen, 0, sizeof(seen));
        for (unsigned i = 0; i < sizeof(seen); i++) {
                snprintf(sid, sizeof(sid), "%u", i);
                add(&table, sid);
        }
        while ((subscription = sid_table_next(&table, &bucket, subscription))) {
                uint64_t number;

                assert_int_equal(bytes_parse_number(subscription_sid(subscription), 9, &number), 0);
                assert_true(number < sizeof(seen));
                assert_int_equal(seen[number]++, 0);
                n++;
        }
        assert_int_equal(n, sizeof(seen));
        while ((subscription = sid_table_next(&table, &bucket, NULL)))
                drop(&table, subscription);
        sid_table_deinit(&table);
}

static void test_what_was_visited_may_be_removed(void **state) {
        /* A client's subscriptions are ended on the way through the table. */
        struct sid_table table = {.count = 0};
        struct subscription *subscription, *next;
        size_t bucket, n = 0;
        char sid[16];

        for (unsigned i = 0; i < 1000; i++) {
                snprintf(sid, sizeof(sid), "%u", i);
                add(&table, sid);
        }
        for (subscription = sid_table_next(&table, &bucket, NULL); subscription;
             subscription = next) {
                next = sid_table_next(&table, &bucket, subscription);
                drop(&table, subscription);
                n++;
        }
        assert_int_equal(n, 1000);
        assert_int_equal(table.count, 0);
        assert_null(sid_table_find(&table, BYTES("1")));
        sid_table_deinit(&table);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_an_empty_table_has_nothing),
                cmocka_unit_test(test_one_subscription_needs_no_memory),
                cmocka_unit_test(test_sids_are_compared_in_full),
                cmocka_unit_test(test_sids_are_found_while_others_come_and_go),
                cmocka_unit_test(test_iteration_visits_each_once),
                cmocka_unit_test(test_what_was_visited_may_be_removed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
