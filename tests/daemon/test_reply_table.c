/* Replies that are awaited: each is passed on once, and there is an end to their number and age. */
#include "daemon/reply_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static struct reply_table table;
static uint64_t random_state;

static int set_up(void **state) {
        reply_table_init(&table);
        random_state = 1;
        return 0;
}

static int tear_down(void **state) {
        reply_table_deinit(&table);
        return 0;
}

static int add(const char *subject, uint64_t now_ms, char token[REPLY_TOKEN_LENGTH]) {
        random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        return reply_table_add(&table, bytes_from_string(subject), random_state >> 16, now_ms,
                               token);
}

/* Whether a token leads to the subject; NULL: to nowhere. */
static void check_takes(const char *token, const char *subject) {
        char *taken = reply_table_take(&table, (struct bytes){token, REPLY_TOKEN_LENGTH});

        if (subject) {
                assert_non_null(taken);
                assert_string_equal(taken, subject);
        } else {
                assert_null(taken);
        }
        free(taken);
}

static void test_a_reply_is_passed_on_once(void **state) {
        char a[REPLY_TOKEN_LENGTH], b[REPLY_TOKEN_LENGTH];

        assert_int_equal(add("inbox.a", 1, a), 0);
        assert_int_equal(add("inbox.b", 1, b), 0);
        for (size_t i = 0; i < REPLY_TOKEN_LENGTH; i++)
                assert_true(isalnum((unsigned char)a[i]));
        check_takes(b, "inbox.b");
        check_takes(b, NULL);
        check_takes(a, "inbox.a");
        check_takes(a, NULL);
}

static void test_what_is_no_token_leads_nowhere(void **state) {
        static const char *const tokens[] = {
                "", "a", "000000", "zzzzzz", "0000000", "00000*", "\xff\xff\xff\xff\xff\xff"};
        char token[REPLY_TOKEN_LENGTH];

        assert_int_equal(add("inbox", 1, token), 0);
        for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
                assert_null(reply_table_take(&table, bytes_from_string(tokens[i])));
        assert_null(reply_table_take(&table, (struct bytes){"\0\0\0\0\0\0", 6}));
        check_takes(token, "inbox");
}

static void test_a_token_is_not_used_again_soon(void **state) {
        char first[REPLY_TOKEN_LENGTH], token[REPLY_TOKEN_LENGTH];

        assert_int_equal(add("old", 1, first), 0);
        check_takes(first, "old");
        for (unsigned i = 0; i < 10000; i++) {
                assert_int_equal(add("new", 1, token), 0);
                assert_memory_not_equal(token, first, REPLY_TOKEN_LENGTH);
                check_takes(first, NULL);
                check_takes(token, "new");
        }
        assert_int_equal(table.n_entries, 64);
}

static void test_the_oldest_gives_way(void **state) {
        static char tokens[REPLY_TABLE_MAX + 1][REPLY_TOKEN_LENGTH];
        char subject[32];

        for (unsigned i = 0; i <= REPLY_TABLE_MAX; i++) {
                snprintf(subject, sizeof(subject), "inbox.%u", i);
                assert_int_equal(add(subject, i, tokens[i]),
                                 i < REPLY_TABLE_MAX ? 0 : REPLY_TABLE_FORGOT);
        }
        check_takes(tokens[0], NULL);
        for (unsigned i = 1; i <= REPLY_TABLE_MAX; i++) {
                snprintf(subject, sizeof(subject), "inbox.%u", i);
                check_takes(tokens[i], subject);
        }
        assert_int_equal(table.n_used, 0);
        assert_int_equal(table.n_bytes, 0);
}

static void test_room_is_what_is_left(void **state) {
        char a[REPLY_TOKEN_LENGTH], b[REPLY_TOKEN_LENGTH];

        assert_int_equal(reply_table_room(&table), REPLY_TABLE_MAX);
        assert_int_equal(add("a", 1, a), 0);
        assert_int_equal(add("b", 1, b), 0);
        assert_int_equal(reply_table_room(&table), REPLY_TABLE_MAX - 2);
        check_takes(a, "a");
        assert_int_equal(reply_table_room(&table), REPLY_TABLE_MAX - 1);
}

static void test_long_subjects_are_fewer(void **state) {
        static char subject[65536];
        char first[REPLY_TOKEN_LENGTH], token[REPLY_TOKEN_LENGTH];
        unsigned n = REPLY_TABLE_MAX_BYTES / (sizeof(subject) - 1);

        memset(subject, 'a', sizeof(subject) - 1);
        assert_int_equal(add(subject, 1, first), 0);
        for (unsigned i = 1; i < n; i++)
                assert_int_equal(add(subject, 1, token), 0);
        assert_int_equal(add(subject, 1, token), REPLY_TABLE_FORGOT);
        check_takes(first, NULL);
        check_takes(token, subject);
        assert_true(table.n_bytes <= REPLY_TABLE_MAX_BYTES);
}

static void test_what_is_old_is_forgotten(void **state) {
        char a[REPLY_TOKEN_LENGTH], b[REPLY_TOKEN_LENGTH], c[REPLY_TOKEN_LENGTH];

        assert_int_equal(add("a", 1000, a), 0);
        assert_int_equal(add("b", 2000, b), 0);
        assert_int_equal(add("c", 3000, c), 0);
        check_takes(b, "b");
        reply_table_expire(&table, 1000);
        assert_int_equal(table.n_used, 2);
        reply_table_expire(&table, 3000);
        check_takes(a, NULL);
        check_takes(c, "c");
        reply_table_expire(&table, 5000);
        assert_int_equal(table.n_used, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_reply_is_passed_on_once),
                TEST(test_what_is_no_token_leads_nowhere),
                TEST(test_a_token_is_not_used_again_soon),
                TEST(test_the_oldest_gives_way),
                TEST(test_room_is_what_is_left),
                TEST(test_long_subjects_are_fewer),
                TEST(test_what_is_old_is_forgotten),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
