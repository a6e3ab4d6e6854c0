/* Replies that may be answered to: how often, for how long, and how many of them. */
#include "daemon/responses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct responses *responses;

static int set_up(void **state) {
        responses = responses_new();
        return responses ? 0 : -1;
}

static int tear_down(void **state) {
        responses = responses_free(responses);
        return 0;
}

static void remember(const char *reply, uint64_t n, uint64_t due_ms, uint64_t now_ms) {
        assert_int_equal(responses_remember(responses, bytes_from_string(reply), n, due_ms, now_ms),
                         0);
}

static size_t take(const char *reply, size_t wanted, uint64_t now_ms) {
        return responses_take(responses, bytes_from_string(reply), wanted, now_ms);
}

static void test_only_what_was_asked_is_answered(void **state) {
        assert_int_equal(take("r", 1, 0), 0);
        remember("r", 1, 100, 0);
        assert_int_equal(take("s", 1, 0), 0);
        assert_int_equal(take("r", 1, 0), 1);
        assert_int_equal(take("r", 1, 0), 0);
}

static void test_answers_are_counted(void **state) {
        remember("r", 5, 100, 0);
        assert_int_equal(take("r", 3, 0), 3);
        assert_int_equal(take("r", 3, 0), 2);
        assert_int_equal(take("r", 3, 0), 0);
        assert_int_equal(responses->n_replies, 0);
        assert_int_equal(responses->n_room, 0);
}

static void test_each_message_may_be_answered(void **state) {
        remember("r", 1, 100, 0);
        remember("r", 2, 100, 0);
        assert_int_equal(take("r", 5, 0), 3);
}

static void test_there_may_be_any_number(void **state) {
        remember("r", UINT64_MAX, UINT64_MAX, 0);
        remember("r", UINT64_MAX, UINT64_MAX, 0);
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(take("r", 1000, UINT64_MAX - 1), 1000);
}

static void test_time_runs_out(void **state) {
        remember("r", 2, 100, 0);
        assert_int_equal(take("r", 1, 99), 1);
        assert_int_equal(take("r", 1, 100), 0);
        /* From the last message on. */
        remember("r", 1, 200, 100);
        assert_int_equal(take("r", 2, 150), 1);
}

static void test_what_is_over_is_forgotten(void **state) {
        char reply[32];

        for (unsigned i = 0; i < 100000; i++) {
                snprintf(reply, sizeof(reply), "_INBOX.%u", i);
                remember(reply, 1, i + 100, i);
        }
        assert_int_equal(responses->n_replies, 100);
        remember("last", 1, 1000000, 500000);
        assert_int_equal(responses->n_replies, 1);
}

static void test_there_is_room_for_many_and_no_more(void **state) {
        char reply[64];
        unsigned first = 0;

        for (unsigned i = 0; i < 100000; i++) {
                snprintf(reply, sizeof(reply), "_INBOX.0123456789012345678901.%08u", i);
                remember(reply, 1, 1000, 0);
                assert_true(responses->n_room <= RESPONSES_ROOM_MAX);
        }
        assert_true(responses->n_replies > 10000);
        /* The oldest are those that went. */
        first = (unsigned)(100000 - responses->n_replies);
        for (unsigned i = 0; i < 100000; i++) {
                snprintf(reply, sizeof(reply), "_INBOX.0123456789012345678901.%08u", i);
                assert_int_equal(take(reply, 1, 1), i >= first);
        }
        assert_int_equal(responses->n_room, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_only_what_was_asked_is_answered),
                TEST(test_answers_are_counted),
                TEST(test_each_message_may_be_answered),
                TEST(test_there_may_be_any_number),
                TEST(test_time_runs_out),
                TEST(test_what_is_over_is_forgotten),
                TEST(test_there_is_room_for_many_and_no_more),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
