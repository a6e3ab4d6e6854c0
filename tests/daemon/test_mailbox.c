/* The mailbox: tasks run once, in order, in the loop's thread; closing loses none. */
#include "daemon/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_THREADS 4
#define N_EACH    2000

struct errand {
        struct task task;
        unsigned thread, number;
};

static uv_loop_t loop;
static struct mailbox mailbox;
static struct errand errands[N_THREADS][N_EACH];
static unsigned n_run, next_number[N_THREADS], n_before;
static unsigned n_expected;
static bool is_in_order;
static pthread_t loop_thread;

static int set_up(void **state) {
        n_run = n_before = 0;
        memset(next_number, 0, sizeof(next_number));
        is_in_order = true;
        loop_thread = pthread_self();
        if (uv_loop_init(&loop) < 0)
                return -1;
        mailbox = (struct mailbox){.before = NULL};
        return mailbox_init(&mailbox, &loop);
}

/* Every test lets the loop end by itself: the mailbox must not keep it once it is closed. */
static int tear_down(void **state) {
        if (uv_run(&loop, UV_RUN_DEFAULT) != 0 || uv_loop_close(&loop) != 0)
                return -1;
        mailbox_deinit(&mailbox);
        return 0;
}

static void run_errand(struct task *task) {
        struct errand *errand = container_of(task, struct errand, task);

        is_in_order = is_in_order && errand->number == next_number[errand->thread] &&
                      pthread_equal(pthread_self(), loop_thread);
        next_number[errand->thread]++;
        if (++n_run == n_expected)
                mailbox_close(&mailbox);
}

static int post(unsigned thread, unsigned number) {
        struct errand *errand = &errands[thread][number];

        errand->thread = thread;
        errand->number = number;
        errand->task.run = run_errand;
        return mailbox_post(&mailbox, &errand->task);
}

static void test_tasks_run_in_the_order_posted(void **state) {
        /* All of them, in one run of the loop or in several. */
        n_expected = 100;
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(post(0, i), 0);
        assert_int_equal(n_run, 0);
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(n_run, 50);
        for (unsigned i = 50; i < 100; i++)
                assert_int_equal(post(0, i), 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(n_run, 100);
        assert_true(is_in_order);
}

static void *post_many(void *argument) {
        unsigned thread = *(unsigned *)argument;

        for (unsigned i = 0; i < N_EACH; i++)
                if (post(thread, i) < 0)
                        return argument;
        return NULL;
}

static void test_any_thread_may_post(void **state) {
        /* Wakes that coalesce lose nothing; each poster's tasks stay in order, and all run in the
         * loop's thread. */
        unsigned numbers[N_THREADS];
        pthread_t threads[N_THREADS];
        void *refused;

        n_expected = N_THREADS * N_EACH;
        for (unsigned i = 0; i < N_THREADS; i++) {
                numbers[i] = i;
                assert_int_equal(pthread_create(&threads[i], NULL, post_many, &numbers[i]), 0);
        }
        uv_run(&loop, UV_RUN_DEFAULT);
        for (unsigned i = 0; i < N_THREADS; i++) {
                pthread_join(threads[i], &refused);
                assert_null(refused);
        }
        assert_int_equal(n_run, n_expected);
        assert_true(is_in_order);
}

static void test_closing_runs_what_was_posted_before(void **state) {
        /* Nobody else frees those tasks. */
        n_expected = 0;
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(post(0, i), 0);
        mailbox_close(&mailbox);
        assert_int_equal(n_run, 3);
        assert_true(is_in_order);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(n_run, 3);
}

static void test_a_closed_mailbox_refuses(void **state) {
        /* The task remains the poster's, and does not run. */
        n_expected = 0;
        mailbox_close(&mailbox);
        assert_int_equal(post(0, 0), -ESHUTDOWN);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(post(0, 0), -ESHUTDOWN);
        assert_int_equal(n_run, 0);
}

static int result_of_post;

static void post_another(struct task *task) {
        result_of_post = post(0, 0);
}

static void test_a_task_may_post(void **state) {
        /* Another one or itself: it has left the mailbox when it runs. */
        struct task first = {.run = post_another};

        n_expected = 1;
        assert_int_equal(mailbox_post(&mailbox, &first), 0);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(result_of_post, 0);
        assert_int_equal(n_run, 1);
}

static void test_what_the_last_tasks_post_is_refused(void **state) {
        /* Otherwise closing might never end. */
        struct task first = {.run = post_another};

        n_expected = 0;
        assert_int_equal(mailbox_post(&mailbox, &first), 0);
        mailbox_close(&mailbox);
        assert_int_equal(result_of_post, -ESHUTDOWN);
        assert_int_equal(n_run, 0);
}

static void free_task(struct task *task) {
        free(task);
        n_run++;
}

static void test_a_task_may_free_itself(void **state) {
        /* The mailbox does not look at it afterwards. */
        for (unsigned i = 0; i < 10; i++) {
                struct task *task = malloc(sizeof(*task));

                assert_non_null(task);
                task->run = free_task;
                assert_int_equal(mailbox_post(&mailbox, task), 0);
        }
        mailbox_close(&mailbox);
        assert_int_equal(n_run, 10);
}

static void note_before(void *owner) {
        assert_ptr_equal(owner, &loop);
        assert_int_equal(n_run, 0);
        n_before++;
}

static void test_the_owner_is_called_before_the_first_task(void **state) {
        /* Once for all tasks of a run: a worker begins its batch there. */
        mailbox.before = note_before;
        mailbox.owner = &loop;
        n_expected = 0;
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(post(0, i), 0);
        uv_run(&loop, UV_RUN_NOWAIT);
        assert_int_equal(n_before, 1);
        assert_int_equal(n_run, 5);
        mailbox.before = NULL;
        mailbox_close(&mailbox);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_tasks_run_in_the_order_posted),
                TEST(test_any_thread_may_post),
                TEST(test_closing_runs_what_was_posted_before),
                TEST(test_a_closed_mailbox_refuses),
                TEST(test_a_task_may_post),
                TEST(test_what_the_last_tasks_post_is_refused),
                TEST(test_a_task_may_free_itself),
                TEST(test_the_owner_is_called_before_the_first_task),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
