/* Guesses: who fails waits, who has not failed does not, and nobody for ever. */
#include "daemon/guesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)
#define START  (1000 * SECOND)

static struct guesses guesses;

/* Begins an attempt, of which it is told how long it would wait. */
static enum guess_state begin(uint32_t source, uint64_t now_ns, uint64_t *wait_msp) {
        struct guess_turn turn = {0, 0};
        enum guess_state guess = guesses_begin(&guesses, source, now_ns, &turn);

        if (guess == GUESS_TURN)
                *wait_msp = guesses_wait_ms(&guesses, source, &turn, now_ns);
        return guess;
}

static int set_up(void **state) {
        return guesses_init(&guesses);
}

static int tear_down(void **state) {
        guesses_deinit(&guesses);
        guesses = (struct guesses){.returned_ns = NULL};
        return 0;
}

static void test_who_has_not_failed_does_not_wait(void **state) {
        uint64_t wait_ms;

        for (unsigned i = 0; i < 10000; i++)
                assert_int_equal(begin(1, START, &wait_ms), GUESS_FREE);
        (void)guesses_fail(&guesses, 2, START);
        assert_int_equal(begin(1, START, &wait_ms), GUESS_FREE);
}

static void test_a_few_failures_are_nothing(void **state) {
        uint64_t wait_ms;

        assert_int_equal(guesses_fail(&guesses, 1, START), 0);
        for (unsigned i = 1; i < 20; i++) {
                assert_int_equal(begin(1, START, &wait_ms), GUESS_TURN);
                assert_int_equal(wait_ms, 0);
        }
        assert_int_equal(begin(1, START, &wait_ms), GUESS_TURN);
        assert_int_equal(wait_ms, 100);
}

/* However many connections try at once, each has its turn, and the last ones none. */
static void test_many_at_once_wait_for_one_another(void **state) {
        uint64_t wait_ms, last_ms = 0;
        unsigned n = 0;

        (void)guesses_fail(&guesses, 1, START);
        while (begin(1, START, &wait_ms) == GUESS_TURN) {
                assert_in_range(wait_ms, last_ms, GUESSES_WAIT_MAX_MS + 2000);
                last_ms = wait_ms;
                n++;
        }
        assert_in_range(n, 200, 320);
        assert_int_equal(begin(1, START, &wait_ms), GUESS_CROWD);
        /* It does not become worse. */
        for (unsigned i = 0; i < 1000; i++)
                (void)begin(1, START, &wait_ms);
        assert_int_equal(begin(1, START + 33 * SECOND, &wait_ms), GUESS_TURN);
        assert_in_range(wait_ms, 0, 2000);
}

/* One connection after the other is slower and slower, but not without end. */
static void test_who_goes_on_waits_longer(void **state) {
        uint64_t now_ns = START, wait_ms = 0;
        unsigned n = 0;

        (void)guesses_fail(&guesses, 1, now_ns);
        for (; n < 100; n++) {
                assert_int_equal(begin(1, now_ns, &wait_ms), GUESS_TURN);
                now_ns += wait_ms * 1000000;
        }
        assert_in_range(wait_ms, 90, 100);
        for (; n < 1000; n++) {
                assert_int_equal(begin(1, now_ns, &wait_ms), GUESS_TURN);
                now_ns += wait_ms * 1000000;
        }
        assert_in_range(wait_ms, 1900, 2000);
        /* And a while later all is forgotten. */
        now_ns += 600 * SECOND;
        assert_int_equal(begin(1, now_ns, &wait_ms), GUESS_FREE);
}

static void test_who_is_right_gives_the_turn_back(void **state) {
        uint64_t wait_ms;

        for (unsigned i = 0; i < 20; i++)
                (void)guesses_fail(&guesses, 1, START);
        for (unsigned i = 0; i < 1000; i++) {
                assert_int_equal(begin(1, START, &wait_ms), GUESS_TURN);
                assert_int_equal(wait_ms, 100);
                guesses_return(&guesses, 1, START);
        }
        assert_false(guesses_must_wait(&guesses, 1, START));
        assert_true(guesses_has_failed(&guesses, 1, START));
}

/* Those behind it come earlier, each of them by one turn. */
static void test_who_is_right_lets_others_move_up(void **state) {
        struct guess_turn turns[50];
        uint64_t wait_ms;

        for (unsigned i = 0; i < 20; i++)
                (void)guesses_fail(&guesses, 1, START);
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(guesses_begin(&guesses, 1, START, &turns[i]), GUESS_TURN);
        for (unsigned i = 0; i < 50; i++) {
                assert_int_equal(guesses_wait_ms(&guesses, 1, &turns[i], START), 100);
                guesses_return(&guesses, 1, START);
        }
        /* Nobody has passed anybody: there is as little room as there was. */
        assert_int_equal(begin(1, START, &wait_ms), GUESS_TURN);
        assert_int_equal(wait_ms, 100);
}

/* Somebody who comes and goes does not make his other attempts faster. */
static void test_who_gives_up_lets_nobody_move_up(void **state) {
        struct guess_turn turn, other;

        for (unsigned i = 0; i < 30; i++)
                (void)guesses_fail(&guesses, 1, START);
        assert_int_equal(guesses_begin(&guesses, 1, START, &turn), GUESS_TURN);
        for (unsigned i = 0; i < 100; i++) {
                assert_int_equal(guesses_begin(&guesses, 1, START, &other), GUESS_TURN);
                assert_int_equal(guesses_wait_ms(&guesses, 1, &other, START), 1200);
                guesses_give_up(&guesses, 1);
        }
        assert_int_equal(guesses_wait_ms(&guesses, 1, &turn, START), 1100);
        assert_int_equal(guesses_wait_ms(&guesses, 1, &turn, START + SECOND), 100);
        assert_int_equal(guesses_wait_ms(&guesses, 1, &turn, START + 2 * SECOND), 0);
}

/* Its place may have become another's meanwhile. */
static void test_a_turn_may_come_back_too_late(void **state) {
        uint64_t wait_ms;

        guesses_return(&guesses, 1, START);
        assert_int_equal(begin(1, START, &wait_ms), GUESS_FREE);
        assert_int_equal(guesses_fail(&guesses, 1, START), 0);
        assert_true(guesses_has_failed(&guesses, 1, START));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_who_has_not_failed_does_not_wait, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_few_failures_are_nothing, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many_at_once_wait_for_one_another, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_goes_on_waits_longer, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_who_is_right_gives_the_turn_back, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_is_right_lets_others_move_up, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_gives_up_lets_nobody_move_up, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_turn_may_come_back_too_late, set_up,
                                                tear_down),
        };

        return cmocka_run_group_tests_name("guesses", tests, NULL, NULL);
}
