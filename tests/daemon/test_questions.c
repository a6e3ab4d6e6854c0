/* Questions that wait: answers go out in the order of the questions, whatever the order in which
 * they come. */
#include "daemon/questions.h"

#include "daemon/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct questions questions;

static int tear_down(void **state) {
        questions_deinit(&questions);
        return 0;
}

static uint64_t add(void) {
        uint64_t number;

        assert_non_null(questions_add(&questions, &number));
        return number;
}

static void answer(uint64_t number) {
        struct question *question = questions_find(&questions, number);
        struct block *block = block_new(10);

        assert_non_null(question);
        assert_non_null(block);
        block->data[0] = (char)number;
        questions_answer(&questions, question, block, (struct bytes){block->data, 1});
        block_unref(block);
}

static void ready(uint64_t number) {
        struct question *question = questions_ready(&questions);

        assert_non_null(question);
        assert_int_equal(question->answer.data[0], (char)number);
        questions_remove_first(&questions);
}

static void test_answers_keep_the_order_of_questions(void **state) {
        uint64_t a = add(), b = add(), c = add();

        assert_null(questions_ready(&questions));
        answer(c);
        assert_null(questions_ready(&questions));
        answer(a);
        ready(a);
        assert_null(questions_ready(&questions));
        answer(b);
        ready(b);
        ready(c);
        assert_null(questions_ready(&questions));
        assert_int_equal(questions.n, 0);
        assert_int_equal(questions.n_bytes, 0);
}

static void test_an_answer_comes_once(void **state) {
        uint64_t a = add(), b = add();

        answer(b);
        assert_null(questions_find(&questions, b));
        answer(a);
        ready(a);
        assert_null(questions_find(&questions, a));
        assert_null(questions_find(&questions, b + 1));
        assert_null(questions_find(&questions, UINT64_MAX));
        ready(b);
        assert_null(questions_find(&questions, b));
}

static void test_the_last_one_may_be_taken_back(void **state) {
        uint64_t a = add(), b = add();

        questions_remove_last(&questions);
        assert_null(questions_find(&questions, b));
        assert_int_equal(add(), b);
        answer(b);
        questions_remove_last(&questions);
        assert_int_equal(questions.n_bytes, 0);
        answer(a);
        ready(a);
}

static void test_there_may_be_many(void **state) {
        uint64_t next = 0, oldest = 0;

        for (unsigned round = 0; round < 50; round++) {
                for (unsigned i = 0; i < 37; i++)
                        assert_int_equal(add(), next++);
                for (unsigned i = 0; i < 30; i++)
                        answer(oldest + 29 - i);
                for (unsigned i = 0; i < 30; i++)
                        ready(oldest++);
        }
        assert_int_equal(questions.n, 50 * 7);
        assert_ptr_equal(questions_at(&questions, 0), questions_find(&questions, oldest));
}

static void test_what_waits_is_counted(void **state) {
        uint64_t a = add(), b = add();

        answer(b);
        assert_int_equal(questions.n_bytes, 10);
        answer(a);
        assert_int_equal(questions.n_bytes, 20);
        ready(a);
        assert_int_equal(questions.n_bytes, 10);
}

static void test_an_answer_may_be_empty(void **state) {
        struct question *question;
        uint64_t a = add();

        question = questions_find(&questions, a);
        questions_answer(&questions, question, NULL, BYTES(""));
        assert_ptr_equal(questions_ready(&questions), question);
        assert_int_equal(question->answer.length, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_answers_keep_the_order_of_questions, tear_down),
                cmocka_unit_test_teardown(test_an_answer_comes_once, tear_down),
                cmocka_unit_test_teardown(test_the_last_one_may_be_taken_back, tear_down),
                cmocka_unit_test_teardown(test_there_may_be_many, tear_down),
                cmocka_unit_test_teardown(test_what_waits_is_counted, tear_down),
                cmocka_unit_test_teardown(test_an_answer_may_be_empty, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
