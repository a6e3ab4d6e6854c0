/* Counting sources: exactly, however many there are, and nothing is left behind. */
#include "daemon/source_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MANY 20000

static struct source_counts counts;
static struct source_count *entries[MANY];

static int tear_down(void **state) {
        source_counts_deinit(&counts);
        return 0;
}

static struct source_count *take(const struct source_key *key) {
        struct source_count *count = source_counts_take(&counts, key);

        assert_non_null(count);
        return count;
}

static struct source_key address(unsigned i) {
        struct in6_addr host = {.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 10}};

        host.s6_addr[13] = (uint8_t)(i >> 16);
        host.s6_addr[14] = (uint8_t)(i >> 8);
        host.s6_addr[15] = (uint8_t)i;
        return source_key_of_address(&host);
}

static void test_each_source_has_its_own_count(void **state) {
        struct source_key one = address(1), other = address(2);
        struct source_count *a = take(&one), *b = take(&other);

        assert_ptr_not_equal(a, b);
        assert_ptr_equal(take(&one), a);
        assert_int_equal(a->n, 2);
        assert_int_equal(b->n, 1);
        source_counts_give(&counts, a);
        assert_int_equal(a->n, 1);
        assert_int_equal(counts.n_sources, 2);
        source_counts_give(&counts, a);
        assert_int_equal(counts.n_sources, 1);
        source_counts_give(&counts, b);
}

static void test_users_are_no_addresses(void **state) {
        /* Though their numbers be the same. */
        struct in6_addr host;
        struct source_key user = source_key_of_user(1000), key;

        memcpy(host.s6_addr, user.value, sizeof(host.s6_addr));
        key = source_key_of_address(&host);
        assert_ptr_not_equal(take(&user), take(&key));
        assert_int_equal(counts.n_sources, 2);
        user = source_key_of_user(1001);
        assert_int_equal(take(&user)->n, 1);
}

static void test_many_sources_are_counted_exactly(void **state) {
        for (unsigned round = 1; round <= 3; round++)
                for (unsigned i = 0; i < MANY; i++) {
                        struct source_key key = address(i);

                        entries[i] = take(&key);
                        assert_int_equal(entries[i]->n, round);
                }
        assert_int_equal(counts.n_sources, MANY);
        assert_true(counts.n_buckets <= 2 * MANY);
        for (unsigned i = 0; i < MANY; i++)
                for (unsigned round = 0; round < 3; round++)
                        source_counts_give(&counts, entries[i]);
        assert_int_equal(counts.n_sources, 0);
}

static void test_nothing_is_left_behind(void **state) {
        struct source_key key = address(7);

        source_counts_give(&counts, take(&key));
        assert_int_equal(counts.n_buckets, 0);
        assert_null(counts.buckets);
        source_counts_give(&counts, NULL);
        source_counts_give(&counts, take(&key));
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_each_source_has_its_own_count),
                TEST(test_users_are_no_addresses),
                TEST(test_many_sources_are_counted_exactly),
                TEST(test_nothing_is_left_behind),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
