/* Subscriptions: what they are called, how they count towards their maximum, and their end. */
#include "daemon/subscription.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_THREADS 4
#define N_EACH    5000
#define MAXIMUM   7000

static struct receiver nobody;

static void set_max(struct subscription *subscription, uint64_t max) {
        atomic_store(&subscription->max, max);
}

static void check_text(struct bytes bytes, const char *text) {
        assert_true(bytes_equal(bytes, bytes_from_string(text)));
}

static void test_sid_and_queue_are_kept(void **state) {
        /* As copies, told apart by their lengths. */
        char text[] = "12group";
        struct subscription *subscription =
                subscription_new(&nobody, (struct bytes){text, 2}, (struct bytes){text + 2, 5});

        assert_non_null(subscription);
        memset(text, 'x', sizeof(text));
        check_text(subscription_sid(subscription), "12");
        check_text(subscription_queue(subscription), "group");
        assert_ptr_equal(subscription->receiver, &nobody);
        assert_null(subscription_free(subscription));
}

static void test_without_queue_there_is_no_group(void **state) {
        /* The parser says "none" by a null range. */
        struct subscription *subscription =
                subscription_new(&nobody, BYTES("1"), (struct bytes){NULL, 0});

        assert_non_null(subscription);
        assert_int_equal(subscription->queue_length, 0);
        check_text(subscription_queue(subscription), "");
        subscription_free(subscription);
        assert_null(subscription_free(NULL));
}

static void test_names_too_long_to_measure_are_refused(void **state) {
        /* Lengths are kept in 16 bits: the longest passes, one byte more does not. */
        static char text[UINT16_MAX + 1];
        struct subscription *subscription;

        memset(text, 'x', sizeof(text));
        subscription = subscription_new(&nobody, (struct bytes){text, UINT16_MAX},
                                        (struct bytes){text, UINT16_MAX});
        assert_non_null(subscription);
        assert_int_equal(subscription_sid(subscription).length, UINT16_MAX);
        assert_int_equal(subscription_queue(subscription).length, UINT16_MAX);
        subscription_free(subscription);
        assert_null(subscription_new(&nobody, (struct bytes){text, sizeof(text)}, BYTES("")));
        assert_null(subscription_new(&nobody, BYTES("1"), (struct bytes){text, sizeof(text)}));
}

static void test_without_maximum_all_are_counted(void **state) {
        /* None is the last, and it never is exhausted. */
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));
        bool is_last = true;

        for (unsigned i = 1; i <= 1000; i++) {
                assert_true(subscription_count(subscription, 1, &is_last));
                assert_false(is_last);
                assert_int_equal(atomic_load(&subscription->n_delivered), i);
        }
        assert_false(subscription_is_exhausted(subscription));
        subscription_free(subscription);
}

static void test_the_last_message_is_the_maximum(void **state) {
        /* That one is taken and said to be the last; those behind it are refused. */
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));
        bool is_last;

        set_max(subscription, 3);
        for (unsigned i = 1; i <= 3; i++) {
                assert_false(subscription_is_exhausted(subscription));
                assert_true(subscription_count(subscription, 1, &is_last));
                assert_int_equal(is_last, i == 3);
        }
        assert_true(subscription_is_exhausted(subscription));
        for (unsigned i = 0; i < 3; i++) {
                assert_false(subscription_count(subscription, 1, &is_last));
                assert_false(is_last);
        }
        subscription_free(subscription);
}

static void test_a_run_is_counted_as_a_whole(void **state) {
        /* As much of it may be delivered as is left until the maximum. */
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));
        bool is_last;

        assert_int_equal(subscription_count(subscription, 10, &is_last), 10);
        assert_false(is_last);
        set_max(subscription, 25);
        assert_int_equal(subscription_count(subscription, 10, &is_last), 10);
        assert_false(is_last);
        assert_int_equal(subscription_count(subscription, 10, &is_last), 5);
        assert_true(is_last);
        assert_int_equal(subscription_count(subscription, 10, &is_last), 0);
        assert_false(is_last);
        set_max(subscription, 35);
        assert_int_equal(subscription_count(subscription, 10, &is_last), 10);
        assert_true(is_last);
        subscription_free(subscription);
}

static void test_a_maximum_counts_from_the_beginning(void **state) {
        /* What was delivered before it was set counts; a larger one gives more, a smaller one
         * exhausts, none at all ends the limit (protocol.md 6.3). */
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));
        bool is_last;

        assert_true(subscription_count(subscription, 1, &is_last));
        assert_true(subscription_count(subscription, 1, &is_last));
        set_max(subscription, 3);
        assert_true(subscription_count(subscription, 1, &is_last));
        assert_true(is_last);
        set_max(subscription, 5);
        assert_false(subscription_is_exhausted(subscription));
        assert_true(subscription_count(subscription, 1, &is_last));
        assert_false(is_last);
        set_max(subscription, 2);
        assert_true(subscription_is_exhausted(subscription));
        assert_false(subscription_count(subscription, 1, &is_last));
        set_max(subscription, 0);
        assert_false(subscription_is_exhausted(subscription));
        assert_true(subscription_count(subscription, 1, &is_last));
        subscription_free(subscription);
}

static struct subscription *shared;
static _Atomic unsigned n_taken, n_last;

static void *count_many(void *argument) {
        for (unsigned i = 0; i < N_EACH; i++) {
                bool is_last;

                atomic_fetch_add(&n_taken, subscription_count(shared, 1, &is_last));
                atomic_fetch_add(&n_last, is_last);
        }
        return NULL;
}

static void test_publishers_of_several_threads_share_the_maximum(void **state) {
        /* Exactly so many are taken, and exactly one of them is the last. */
        pthread_t threads[N_THREADS];

        shared = subscription_new(&nobody, BYTES("1"), BYTES(""));
        set_max(shared, MAXIMUM);
        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, count_many, NULL), 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&n_taken), MAXIMUM);
        assert_int_equal(atomic_load(&n_last), 1);
        subscription_free(shared);
}

static void test_a_retired_one_is_freed_after_a_grace_period(void **state) {
        /* Not before: a reader may still look at it. A sanitizer sees either mistake. */
        struct reclaim reclaim = {NULL};
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES("q"));

        reclaim_thread_begin();
        subscription_retire(subscription, &reclaim);
        reclaim_flush(&reclaim);
        check_text(subscription_sid(subscription), "1");
        check_text(subscription_queue(subscription), "q");
        assert_ptr_equal(subscription->receiver, &nobody);
        reclaim_thread_end();
        reclaim_drain();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sid_and_queue_are_kept),
                cmocka_unit_test(test_without_queue_there_is_no_group),
                cmocka_unit_test(test_names_too_long_to_measure_are_refused),
                cmocka_unit_test(test_without_maximum_all_are_counted),
                cmocka_unit_test(test_the_last_message_is_the_maximum),
                cmocka_unit_test(test_a_run_is_counted_as_a_whole),
                cmocka_unit_test(test_a_maximum_counts_from_the_beginning),
                cmocka_unit_test(test_publishers_of_several_threads_share_the_maximum),
                cmocka_unit_test(test_a_retired_one_is_freed_after_a_grace_period),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
