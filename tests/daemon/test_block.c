/* Shared blocks: counted references, from any thread. */
#include "daemon/block.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_THREADS 4
#define N_ROUNDS  10000

static void test_a_new_block_is_exclusive(void **state) {
        /* It has one reference, and room for what was asked for. */
        struct block *block = block_new(100);

        assert_non_null(block);
        assert_int_equal(block->capacity, 100);
        memset(block->data, 1, 100);
        assert_true(block_is_exclusive(block));
        assert_null(block_unref(block));
}

static void test_a_block_stays_until_the_last_reference_goes(void **state) {
        /* Whoever is left alone with it may write into it again. */
        struct block *block = block_new(1), *other = block_ref(block);

        assert_ptr_equal(other, block);
        assert_false(block_is_exclusive(block));
        block->data[0] = 'x';
        assert_null(block_unref(other));
        assert_true(block_is_exclusive(block));
        assert_int_equal(block->data[0], 'x');
        assert_null(block_unref(block));
}

static void test_a_block_may_have_no_room(void **state) {
        /* An empty one is one. */
        struct block *block = block_new(0);

        assert_non_null(block);
        assert_int_equal(block->capacity, 0);
        assert_null(block_unref(block));
}

static void test_nothing_may_be_given_back(void **state) {
        /* So that cleaning up needs no questions. */
        assert_null(block_unref(NULL));
}

static void *refer_and_give_back(void *argument) {
        struct block *block = argument;

        for (unsigned i = 0; i < N_ROUNDS; i++)
                block_unref(block_ref(block));
        return block_unref(block);
}

static void test_any_thread_may_give_its_reference_back(void **state) {
        /* None is lost and none is counted twice: at the end the first one is the only one. */
        struct block *block = block_new(16);
        pthread_t threads[N_THREADS];

        for (unsigned i = 0; i < N_THREADS; i++)
                assert_int_equal(
                        pthread_create(&threads[i], NULL, refer_and_give_back, block_ref(block)),
                        0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_true(block_is_exclusive(block));
        block_unref(block);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_new_block_is_exclusive),
                cmocka_unit_test(test_a_block_stays_until_the_last_reference_goes),
                cmocka_unit_test(test_a_block_may_have_no_room),
                cmocka_unit_test(test_nothing_may_be_given_back),
                cmocka_unit_test(test_any_thread_may_give_its_reference_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
