/* How long a listener rests whose programs accept by themselves. */
#include "daemon/exec_wait.h"

#include "daemon/program_counts.h"
#include "daemon/program_end.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct program_end good = {.step = PROGRAM_RAN, .pid = 7};
static const struct program_end bad = {.step = PROGRAM_RAN, .pid = 7, .status = 1};
static const struct program_end missing = {.step = PROGRAM_EXECUTE, .error = ENOENT, .pid = 7};
static const struct program_end slow = {
        .step = PROGRAM_RAN, .pid = 7, .status = 1, .elapsed_us = 1000000};

static struct program_repeats repeats;

static int set_up(void **state) {
        memset(&repeats, 0, sizeof(repeats));
        return 0;
}

static uint64_t pause_after(const struct program_end *end, bool is_awaited) {
        return exec_wait_pause_ms(end, is_awaited, &repeats);
}

static void test_who_ran_for_a_while_is_started_at_once(void **state) {
        assert_int_equal(pause_after(&slow, true), 0);
        assert_int_equal(pause_after(&slow, false), 0);
}

static void test_after_failures_the_time_doubles_up_to_a_limit(void **state) {
        assert_int_equal(pause_after(&bad, true), 100);
        assert_int_equal(pause_after(&missing, true), 200);
        assert_int_equal(pause_after(&bad, true), 400);
        for (int i = 0; i < 100; i++)
                assert_true(pause_after(&bad, true) <= 30000);
        assert_int_equal(pause_after(&bad, true), 30000);
}

static void test_a_success_forgets_failures(void **state) {
        (void)pause_after(&bad, true);
        (void)pause_after(&bad, true);
        assert_int_equal(pause_after(&good, false), 10);
        assert_int_equal(pause_after(&bad, true), 100);
}

static void test_who_serves_one_each_rests_briefly(void **state) {
        for (int i = 0; i < 1000; i++)
                assert_int_equal(pause_after(&good, i % 3 != 0), 10);
}

static void test_who_accepts_nobody_rests_longer_each_time(void **state) {
        for (int i = 0; i < EXEC_WAIT_IDLE_MAX; i++)
                assert_int_equal(pause_after(&good, true), 10);
        assert_int_equal(pause_after(&good, true), 20);
        assert_int_equal(pause_after(&good, true), 40);
        for (int i = 0; i < 100; i++)
                assert_true(pause_after(&good, true) <= 1000);
        assert_int_equal(pause_after(&good, true), 1000);
        assert_int_equal(pause_after(&good, false), 10);
        assert_int_equal(pause_after(&good, true), 10);
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup(test, set_up)
        const struct CMUnitTest tests[] = {
                WITH(test_who_ran_for_a_while_is_started_at_once),
                WITH(test_after_failures_the_time_doubles_up_to_a_limit),
                WITH(test_a_success_forgets_failures),
                WITH(test_who_serves_one_each_rests_briefly),
                WITH(test_who_accepts_nobody_rests_longer_each_time),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
