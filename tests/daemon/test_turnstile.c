/* Turns: how many are inside, in which order the others follow, and what becomes of those who leave
 * before. Mailboxes are real, and of this thread's loop. */
#include "daemon/turnstile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct guest {
        struct turn turn;
        unsigned n_told;
};

static uv_loop_t loop;
static struct mailbox mailbox;
static struct turnstile turnstile;
static struct guest guests[4];
static char order[16];

static void on_come(struct turn *turn) {
        struct guest *guest = container_of(turn, struct guest, turn);

        guest->n_told++;
        snprintf(order + strlen(order), sizeof(order) - strlen(order), "%d", (int)(guest - guests));
}

static int set_up(void **state) {
        assert_int_equal(uv_loop_init(&loop), 0);
        assert_int_equal(mailbox_init(&mailbox, &loop), 0);
        turnstile_init(&turnstile);
        memset(guests, 0, sizeof(guests));
        for (size_t i = 0; i < 4; i++)
                guests[i].turn.come = on_come;
        *order = '\0';
        return 0;
}

static int tear_down(void **state) {
        mailbox_close(&mailbox);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        mailbox_deinit(&mailbox);
        turnstile_deinit(&turnstile);
        return uv_loop_close(&loop);
}

static enum turn_state take(size_t i, unsigned max, size_t max_waiting) {
        turnstile_set_max(&turnstile, max);
        return turn_take(&guests[i].turn, &turnstile, max_waiting, &mailbox);
}

/* As the caller has to. */
static void tell(size_t i) {
        guests[i].turn.task.run(&guests[i].turn.task);
}

static void run(void) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
}

static void test_who_fits_is_inside_at_once(void **state) {
        assert_int_equal(take(0, 2, 9), TURN_CALLED);
        assert_int_equal(take(1, 2, 9), TURN_CALLED);
        assert_int_equal(take(2, 2, 9), TURN_WAITING);
        tell(0);
        tell(1);
        run();
        assert_string_equal(order, "01");
        assert_int_equal(turnstile_count_waiting(&turnstile), 1);
        assert_false(turn_give(&guests[0].turn));
        run();
        assert_string_equal(order, "012");
}

static void test_others_follow_in_order(void **state) {
        take(0, 1, 9);
        tell(0);
        for (size_t i = 1; i < 4; i++)
                assert_int_equal(take(i, 1, 9), TURN_WAITING);
        for (size_t i = 0; i < 4; i++) {
                assert_false(turn_give(&guests[i].turn));
                run();
        }
        assert_string_equal(order, "0123");
        assert_int_equal(turnstile.n_inside, 0);
}

static void test_when_more_may_go_in_the_first_ones_do(void **state) {
        take(0, 1, 9);
        tell(0);
        for (size_t i = 1; i < 4; i++)
                assert_int_equal(take(i, 1, 9), TURN_WAITING);
        turnstile_set_max(&turnstile, 3);
        run();
        assert_string_equal(order, "012");
        assert_int_equal(turnstile_count_waiting(&turnstile), 1);
}

static void test_when_fewer_may_be_inside_none_has_to_leave(void **state) {
        take(0, 2, 9);
        take(1, 2, 9);
        tell(0);
        tell(1);
        assert_int_equal(take(2, 1, 9), TURN_WAITING);
        assert_false(turn_give(&guests[0].turn));
        run();
        assert_string_equal(order, "01");
        assert_false(turn_give(&guests[1].turn));
        run();
        assert_string_equal(order, "012");
}

static void test_not_more_wait_than_may(void **state) {
        take(0, 1, 1);
        assert_int_equal(take(1, 1, 1), TURN_WAITING);
        assert_int_equal(take(2, 1, 1), TURN_OUT);
        assert_int_equal(take(3, 1, 0), TURN_OUT);
        assert_false(turn_give(&guests[2].turn));
        assert_int_equal(turnstile.n_inside, 1);
        assert_int_equal(turnstile_count_waiting(&turnstile), 1);
}

static void test_who_waits_may_leave(void **state) {
        take(0, 1, 9);
        tell(0);
        take(1, 1, 9);
        take(2, 1, 9);
        assert_false(turn_give(&guests[1].turn));
        assert_false(turn_give(&guests[0].turn));
        run();
        assert_string_equal(order, "02");
}

static void test_who_leaves_when_called_makes_place_and_is_told_once(void **state) {
        take(0, 1, 9);
        tell(0);
        take(1, 1, 9);
        take(2, 1, 9);
        assert_false(turn_give(&guests[0].turn)); /* 1 is called */
        assert_true(turn_give(&guests[1].turn));  /* and leaves before it hears of it */
        run();
        assert_int_equal(guests[1].n_told, 1);
        assert_int_equal(guests[1].turn.state, TURN_OUT);
        assert_int_equal(guests[2].turn.state, TURN_INSIDE);
        assert_int_equal(turnstile.n_inside, 1);
}

static void test_a_turn_that_was_never_taken_can_be_given(void **state) {
        assert_false(turn_give(&guests[0].turn));
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                WITH(test_who_fits_is_inside_at_once),
                WITH(test_others_follow_in_order),
                WITH(test_when_more_may_go_in_the_first_ones_do),
                WITH(test_when_fewer_may_be_inside_none_has_to_leave),
                WITH(test_not_more_wait_than_may),
                WITH(test_who_waits_may_leave),
                WITH(test_who_leaves_when_called_makes_place_and_is_told_once),
                WITH(test_a_turn_that_was_never_taken_can_be_given),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
