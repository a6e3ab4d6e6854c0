/* Percentiles within 1.6 % and never beyond the maximum. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ctl/histogram.h"

static void assert_near(uint64_t value, uint64_t expected) {
        assert_in_range(value, expected, expected + expected / 64 + 1);
}

static void test_percentiles_are_near(void **state) {
        struct histogram *histogram = calloc(1, sizeof(*histogram));

        for (uint64_t i = 1; i <= 100000; i++)
                histogram_add(histogram, i * 1000);
        assert_near(histogram_percentile(histogram, 0.5), 50000000);
        assert_near(histogram_percentile(histogram, 0.99), 99000000);
        assert_int_equal(histogram_percentile(histogram, 1), 100000000);
        assert_int_equal(histogram->n, 100000);
        free(histogram);
}

static void test_extremes_have_buckets(void **state) {
        struct histogram *histogram = calloc(1, sizeof(*histogram));

        assert_int_equal(histogram_percentile(histogram, 0.5), 0);
        histogram_add(histogram, 0);
        assert_int_equal(histogram_percentile(histogram, 0.5), 0);
        histogram_add(histogram, UINT64_MAX);
        assert_int_equal(histogram_percentile(histogram, 1), UINT64_MAX);
        for (uint64_t value = 1; value < UINT64_MAX / 2; value *= 2) {
                struct histogram *one = calloc(1, sizeof(*one));

                histogram_add(one, value);
                histogram_add(one, value);
                histogram_add(one, UINT64_MAX);
                assert_near(histogram_percentile(one, 0.5), value);
                histogram_merge(histogram, one);
                free(one);
        }
        assert_int_equal(histogram->maximum, UINT64_MAX);
        free(histogram);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_percentiles_are_near),
                cmocka_unit_test(test_extremes_have_buckets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
