/* Timers: they come in order, when they are due, however they were set before. */
#include "daemon/timers.h"

#include "lib/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define N_TIMERS 1000

struct appointment {
        struct timer timer;
        uint64_t due_ms; /* 0: it is not to come */
        unsigned n_came;
        void (*came)(struct appointment *appointment);
};

static uv_loop_t loop;
static struct timers timers;
static uint64_t last_ms;
static unsigned n_came;

static void on_due(struct timer *timer) {
        struct appointment *appointment = container_of(timer, struct appointment, timer);

        assert_true(appointment->due_ms > 0);
        assert_true(appointment->due_ms <= uv_now(&loop));
        assert_true(appointment->due_ms >= last_ms);
        last_ms = appointment->due_ms;
        appointment->due_ms = 0;
        appointment->n_came++;
        n_came++;
        if (appointment->came)
                appointment->came(appointment);
}

static void set(struct appointment *appointment, uint64_t due_ms) {
        appointment->due_ms = due_ms;
        timers_set(&timers, &appointment->timer, due_ms);
}

static int set_up(void **state) {
        assert_int_equal(uv_loop_init(&loop), 0);
        timers_init(&timers, &loop, on_due);
        last_ms = n_came = 0;
        return 0;
}

/* Also says that nothing keeps the loop running. */
static int tear_down(void **state) {
        assert_int_equal(timers.n_set, 0);
        assert_int_equal(timers.n_timers, 0);
        assert_int_equal(uv_run(&loop, UV_RUN_NOWAIT), 0);
        timers_close(&timers);
        assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
        assert_int_equal(uv_loop_close(&loop), 0);
        timers_deinit(&timers);
        return 0;
}

static void add(struct appointment *appointments, size_t n) {
        for (size_t i = 0; i < n; i++) {
                appointments[i] = (struct appointment){.due_ms = 0};
                assert_int_equal(timers_add(&timers), 0);
        }
}

static void remove_all(struct appointment *appointments, size_t n) {
        for (size_t i = 0; i < n; i++)
                timers_remove(&timers, &appointments[i].timer);
}

static void test_timers_come_in_order(void **state) {
        static struct appointment all[N_TIMERS];
        uint64_t now = uv_now(&loop);

        add(all, N_TIMERS);
        srand(1);
        for (size_t i = 0; i < N_TIMERS; i++)
                set(&all[i], now + 1 + (uint64_t)rand() % 20);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        for (size_t i = 0; i < N_TIMERS; i++)
                assert_int_equal(all[i].n_came, 1);
        remove_all(all, N_TIMERS);
}

static void test_timers_are_set_anew_and_unset(void **state) {
        /* The last word counts. */
        static struct appointment all[N_TIMERS];
        uint64_t now = uv_now(&loop);
        unsigned n_due = 0;

        add(all, N_TIMERS);
        srand(2);
        for (unsigned i = 0; i < 20 * N_TIMERS; i++) {
                unsigned what = (unsigned)rand() % 30;

                set(&all[(unsigned)rand() % N_TIMERS], what > 20 ? 0 : now + 1 + what);
        }
        for (size_t i = 0; i < N_TIMERS; i++)
                n_due += all[i].due_ms > 0;
        assert_int_equal(timers.n_set, n_due);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(n_came, n_due);
        remove_all(all, N_TIMERS);
}

static void test_timer_that_is_removed_does_not_come(void **state) {
        struct appointment all[3];
        uint64_t now = uv_now(&loop);

        add(all, ARRAY_SIZE(all));
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                set(&all[i], now + 1 + i);
        timers_remove(&timers, &all[0].timer);
        timers_remove(&timers, &all[2].timer);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(all[0].n_came, 0);
        assert_int_equal(all[1].n_came, 1);
        assert_int_equal(all[2].n_came, 0);
        timers_remove(&timers, &all[1].timer);
}

static uint64_t came_ms;

static void come_again(struct appointment *appointment) {
        /* The loop has gone on since. */
        assert_true(uv_now(&loop) > came_ms);
        came_ms = uv_now(&loop);
        last_ms = 0;
        if (appointment->n_came < 3)
                set(appointment, 1);
}

static void test_time_that_has_passed_comes_in_another_iteration(void **state) {
        /* So others have their turn, even if it is set again and again. */
        struct appointment one;

        add(&one, 1);
        one.came = come_again;
        came_ms = 0;
        set(&one, 1);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(one.n_came, 3);
        timers_remove(&timers, &one.timer);
}

static void unset_next(struct appointment *appointment) {
        set(appointment + 1, 0);
}

static void test_timer_may_unset_one_that_is_due_as_well(void **state) {
        struct appointment all[3];

        add(all, ARRAY_SIZE(all));
        all[0].came = unset_next;
        for (size_t i = 0; i < ARRAY_SIZE(all); i++)
                set(&all[i], 1 + i);
        (void)uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(all[0].n_came, 1);
        assert_int_equal(all[1].n_came, 0);
        assert_int_equal(all[2].n_came, 1);
        remove_all(all, ARRAY_SIZE(all));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_timers_come_in_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_timers_are_set_anew_and_unset, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_timer_that_is_removed_does_not_come, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(
                        test_time_that_has_passed_comes_in_another_iteration, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_timer_may_unset_one_that_is_due_as_well,
                                                set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
