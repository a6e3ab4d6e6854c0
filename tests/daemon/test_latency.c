/* Latency: percentiles are near the values they stand for, however small or large those are. */
#include "daemon/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct latency latency;

static int set_up(void **state) {
        memset(&latency, 0, sizeof(latency));
        return 0;
}

/* Whether a percentile is within an eighth of what it stands for. */
static void assert_near(uint64_t expected, uint64_t actual) {
        assert_in_range(actual, expected - expected / 8, expected + expected / 8);
}

static void test_nothing_has_no_percentile(void **state) {
        assert_int_equal(latency_count(&latency), 0);
        assert_int_equal(latency_percentile(&latency, 0.5), 0);
}

static void test_each_value_alone_is_told_within_an_eighth(void **state) {
        for (uint64_t ns = 0; ns < UINT64_C(1) << 43; ns = ns + ns / 7 + 1) {
                memset(&latency, 0, sizeof(latency));
                latency_add(&latency, ns);
                assert_int_equal(latency_count(&latency), 1);
                assert_near(ns, latency_percentile(&latency, 0.5));
                assert_near(ns, latency_percentile(&latency, 0.99));
        }
}

static void test_percentiles_of_many(void **state) {
        for (uint64_t i = 1; i <= 1000; i++)
                latency_add(&latency, i * 1000);
        assert_int_equal(latency_count(&latency), 1000);
        assert_near(500000, latency_percentile(&latency, 0.5));
        assert_near(900000, latency_percentile(&latency, 0.9));
        assert_near(990000, latency_percentile(&latency, 0.99));
        assert_near(1000000, latency_percentile(&latency, 1.0));
}

static void test_one_that_is_slow_is_not_the_median(void **state) {
        for (unsigned i = 0; i < 99; i++)
                latency_add(&latency, 2000);
        latency_add(&latency, 5000000000);
        assert_near(2000, latency_percentile(&latency, 0.5));
        assert_near(2000, latency_percentile(&latency, 0.99));
        assert_near(5000000000, latency_percentile(&latency, 1.0));
}

static void test_what_is_too_long_counts_as_the_longest(void **state) {
        latency_add(&latency, UINT64_MAX);
        latency_add(&latency, LATENCY_MAX_NS);
        assert_int_equal(latency_count(&latency), 2);
        assert_near(LATENCY_MAX_NS, latency_percentile(&latency, 0.5));
}

#define TEST(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_nothing_has_no_percentile),
                TEST(test_each_value_alone_is_told_within_an_eighth),
                TEST(test_percentiles_of_many),
                TEST(test_one_that_is_slow_is_not_the_median),
                TEST(test_what_is_too_long_counts_as_the_longest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
