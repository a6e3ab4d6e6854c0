/* The line of those who wait for programs: who asks, when, and what becomes of those who leave.
 * Mailboxes and timers are real, and of this thread's loops: the first three are of one worker, the
 * last one is of another. */
#include "daemon/program_line.h"

#include "daemon/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_WORKERS 2

struct guest {
        struct program_place place;
        unsigned n_told;
};

static struct workers workers;
static struct worker all[N_WORKERS];
static struct guest guests[4];
static char order[16];

static void on_come(struct program_place *place) {
        struct guest *guest = container_of(place, struct guest, place);

        guest->n_told++;
        snprintf(order + strlen(order), sizeof(order) - strlen(order), "%d", (int)(guest - guests));
}

static int set_up(void **state) {
        memset(all, 0, sizeof(all));
        memset(guests, 0, sizeof(guests));
        workers = (struct workers){.all = all, .count = N_WORKERS};
        program_line_init(&workers.line);
        for (size_t i = 0; i < N_WORKERS; i++) {
                all[i].workers = &workers;
                assert_int_equal(uv_loop_init(&all[i].loop), 0);
                assert_int_equal(mailbox_init(&all[i].mailbox, &all[i].loop), 0);
                assert_int_equal(uv_timer_init(&all[i].loop, &all[i].line_timer), 0);
        }
        for (size_t i = 0; i < 4; i++) {
                guests[i].place.worker = &all[i == 3];
                guests[i].place.come = on_come;
        }
        *order = '\0';
        return 0;
}

static int tear_down(void **state) {
        int r = 0;

        for (size_t i = 0; i < N_WORKERS; i++) {
                mailbox_close(&all[i].mailbox);
                uv_close((uv_handle_t *)&all[i].line_timer, NULL);
                (void)uv_run(&all[i].loop, UV_RUN_DEFAULT);
                mailbox_deinit(&all[i].mailbox);
                r |= uv_loop_close(&all[i].loop);
        }
        program_line_deinit(&workers.line);
        return r;
}

static void run(void) {
        for (size_t i = 0; i < N_WORKERS; i++)
                (void)uv_run(&all[i].loop, UV_RUN_NOWAIT);
}

/* All go into the line, the first one refused. */
static void fill(size_t n) {
        for (size_t i = 0; i < n; i++)
                program_line_wait(&guests[i].place, i == 0);
        run();
        assert_string_equal(order, "");
}

static void test_the_first_one_asks_when_a_program_has_ended(void **state) {
        fill(3);
        program_line_go_on(&workers.line);
        program_line_go_on(&workers.line);
        run();
        assert_string_equal(order, "0");
}

static void test_it_asks_after_a_while(void **state) {
        fill(2);
        while (*order == '\0')
                (void)uv_run(&all[0].loop, UV_RUN_ONCE);
        assert_string_equal(order, "0");
}

static void test_it_stays_the_first_one_when_it_is_refused(void **state) {
        fill(3);
        program_line_go_on(&workers.line);
        run();
        program_line_wait(&guests[0].place, true);
        run();
        program_line_go_on(&workers.line);
        run();
        assert_string_equal(order, "00");
}

static void test_an_end_while_it_asks_is_not_missed(void **state) {
        fill(1);
        program_line_go_on(&workers.line);
        run();
        program_line_go_on(&workers.line);
        program_line_wait(&guests[0].place, true);
        run();
        assert_string_equal(order, "00");
}

static void test_others_follow_in_order_whatever_their_worker(void **state) {
        fill(4);
        program_line_go_on(&workers.line);
        for (size_t i = 0; i < 4; i++) {
                run();
                assert_false(program_line_is_empty(&workers.line));
                assert_false(program_line_leave(&guests[i].place));
        }
        assert_string_equal(order, "0123");
        assert_true(program_line_is_empty(&workers.line));
}

static void test_a_newcomer_is_called_if_nobody_waits_any_more(void **state) {
        program_line_wait(&guests[1].place, false);
        run();
        assert_string_equal(order, "1");
}

static void test_who_waits_may_leave_without_a_word_to_others(void **state) {
        fill(3);
        assert_false(program_line_leave(&guests[1].place));
        run();
        assert_string_equal(order, "");
        assert_false(program_line_leave(&guests[0].place));
        run();
        assert_string_equal(order, "2");
}

static void test_who_leaves_when_called_is_told_once(void **state) {
        fill(2);
        program_line_go_on(&workers.line);
        assert_true(program_line_leave(&guests[0].place));
        run();
        assert_int_equal(guests[0].n_told, 1);
        assert_int_equal(guests[0].place.state, PROGRAM_PLACE_NONE);
        assert_int_equal(guests[1].place.state, PROGRAM_PLACE_ASKING);
}

static void test_who_is_not_in_the_line_can_leave(void **state) {
        fill(1);
        assert_false(program_line_leave(&guests[1].place));
        assert_int_equal(workers.line.n_waiting, 1);
}

int main(void) {
#define WITH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                WITH(test_the_first_one_asks_when_a_program_has_ended),
                WITH(test_it_asks_after_a_while),
                WITH(test_it_stays_the_first_one_when_it_is_refused),
                WITH(test_an_end_while_it_asks_is_not_missed),
                WITH(test_others_follow_in_order_whatever_their_worker),
                WITH(test_a_newcomer_is_called_if_nobody_waits_any_more),
                WITH(test_who_waits_may_leave_without_a_word_to_others),
                WITH(test_who_leaves_when_called_is_told_once),
                WITH(test_who_is_not_in_the_line_can_leave),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
