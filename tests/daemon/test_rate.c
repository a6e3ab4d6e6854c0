/* Rates: what a source may send, at once and in the long run. */
#include "daemon/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct rate rate;

static int tear_down(void **state) {
        rate_deinit(&rate);
        rate = (struct rate){.bytes = 0};
        return 0;
}

/* How many messages of `size` bytes are admitted in a row at a time. */
static unsigned admitted(uint32_t source, uint64_t size, uint64_t now_ns) {
        unsigned n = 0;

        while (n < 10000 && rate_admit(&rate, source, size, now_ns))
                n++;
        return n;
}

static void test_without_a_limit_there_is_none(void **state) {
        assert_false(rate_is_limited(&rate));
        assert_int_equal(rate_set(&rate, 0, 0, 0), 0);
        assert_false(rate_is_limited(&rate));
}

static void test_messages_come_at_the_rate_after_a_burst(void **state) {
        assert_int_equal(rate_set(&rate, 100, 0, 20), 0);
        assert_true(rate_is_limited(&rate));
        assert_int_equal(admitted(1, 5, 10 * SECOND), 20);
        assert_int_equal(admitted(1, 5, 10 * SECOND + SECOND / 10), 10);
        assert_int_equal(admitted(1, 5, 10 * SECOND + SECOND / 10), 0);
        /* What was not used is not saved for longer than the burst. */
        assert_int_equal(admitted(1, 5, 1000 * SECOND), 20);
}

static void test_a_burst_is_a_second_by_default(void **state) {
        assert_int_equal(rate_set(&rate, 50, 0, 0), 0);
        assert_int_equal(admitted(1, 5, SECOND), 50);
}

static void test_bytes_are_limited_as_well(void **state) {
        assert_int_equal(rate_set(&rate, 0, 100000, 0), 0);
        assert_int_equal(admitted(1, 10000, SECOND), 10);
        assert_int_equal(admitted(1, 10000, SECOND + SECOND / 2), 5);
        /* The largest datagram comes through, however low the rate. */
        assert_int_equal(rate_set(&rate, 0, 10, 0), 0);
        assert_true(rate_admit(&rate, 2, 65507, SECOND));
        assert_false(rate_admit(&rate, 2, 65507, SECOND));
}

static void test_debts_are_told(void **state) {
        assert_int_equal(rate_debt_ns(&rate, 1, SECOND), 0);
        assert_int_equal(rate_set(&rate, 100, 0, 10), 0);
        assert_int_equal(rate_charge(&rate, 1, 10, 0, SECOND), 0);
        assert_int_equal(rate_debt_ns(&rate, 1, SECOND), 0);
        (void)rate_charge(&rate, 1, 100, 0, SECOND);
        assert_int_equal(rate_debt_ns(&rate, 1, SECOND), SECOND);
        assert_int_equal(rate_debt_ns(&rate, 2, SECOND), 0);
        assert_int_equal(rate_debt_ns(&rate, 1, 2 * SECOND), 0);
}

static void test_what_is_refused_costs_nothing(void **state) {
        assert_int_equal(rate_set(&rate, 1000, 100000, 10), 0);
        assert_int_equal(admitted(1, 60000, SECOND), 1);
        for (unsigned i = 0; i < 100; i++)
                assert_false(rate_admit(&rate, 1, 60000, SECOND));
        assert_int_equal(admitted(1, 1, SECOND), 9);
}

static void test_sources_have_their_own(void **state) {
        assert_int_equal(rate_set(&rate, 10, 0, 10), 0);
        assert_int_equal(admitted(1, 1, SECOND), 10);
        assert_int_equal(admitted(2, 1, SECOND), 10);
        assert_int_equal(admitted(1, 1, SECOND), 0);
}

static void test_many_sources_are_told_apart(void **state) {
        assert_int_equal(rate_set(&rate, 10, 0, 10), 0);
        for (uint32_t source = 0; source < 2 * RATE_SETS; source++)
                assert_int_equal(admitted(source, 1, SECOND), 10);
        for (uint32_t source = 0; source < 2 * RATE_SETS; source++)
                assert_int_equal(admitted(source, 1, SECOND), 0);
}

static void test_a_flood_of_sources_takes_from_the_quietest(void **state) {
        assert_int_equal(rate_set(&rate, 10, 0, 10), 0);
        assert_int_equal(admitted(7, 1, SECOND), 10);
        for (uint32_t i = 1; i < RATE_IN_SET; i++)
                assert_int_equal(rate_admit_messages(&rate, 7 + i * RATE_SETS, 3, SECOND), 3);
        /* One more than there is room for: that of one who has sent much stays. */
        assert_int_equal(admitted(7 + 100 * RATE_SETS, 1, SECOND), 10);
        assert_int_equal(admitted(7, 1, SECOND), 0);
}

static void test_of_many_messages_the_first_are_admitted(void **state) {
        assert_int_equal(rate_set(&rate, 10, 0, 5), 0);
        assert_int_equal(rate_admit_messages(&rate, 1, 3, SECOND), 3);
        assert_int_equal(rate_admit_messages(&rate, 1, 40, SECOND), 2);
        assert_int_equal(rate_admit_messages(&rate, 1, 40, SECOND), 0);
        assert_int_equal(rate_admit_messages(&rate, 1, 40, SECOND + SECOND / 10), 1);
        assert_int_equal(rate_set(&rate, 0, 10, 0), 0);
        assert_int_equal(rate_admit_messages(&rate, 1, 40, SECOND), 40);
}

static void test_what_has_come_is_charged_in_full(void **state) {
        /* A stream is not cut, but waits until it is in order again. */
        assert_int_equal(rate_set(&rate, 100, 0, 10), 0);
        assert_int_equal(rate_charge(&rate, 1, 10, 0, SECOND), 0);
        assert_int_equal(rate_charge(&rate, 1, 50, 0, SECOND), SECOND / 2);
        assert_int_equal(rate_charge(&rate, 1, 10, 0, SECOND + SECOND / 2), SECOND / 10);
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_without_a_limit_there_is_none),
                TEST(test_messages_come_at_the_rate_after_a_burst),
                TEST(test_a_burst_is_a_second_by_default),
                TEST(test_bytes_are_limited_as_well),
                TEST(test_debts_are_told),
                TEST(test_what_is_refused_costs_nothing),
                TEST(test_sources_have_their_own),
                TEST(test_many_sources_are_told_apart),
                TEST(test_a_flood_of_sources_takes_from_the_quietest),
                TEST(test_of_many_messages_the_first_are_admitted),
                TEST(test_what_has_come_is_charged_in_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
