/* Subjects: what is valid, and what matches what (protocol.md, section 5). */
#include "lib/subject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *subject) {
        return subject_matches(bytes_from_string(pattern), bytes_from_string(subject));
}

static void test_validity_follows_the_table(void **state) {
        static const char *const literal[] = {"foo", "foo.bar", "a/b",    "$foo", "_INBOX.x",
                                              "fo*", "foo.b*r", "foo.>x", "\x01", "\xff"};
        static const char *const wildcard[] = {"foo.*", "*", "foo.>", ">", "*.*", "*.>"};
        static const char *const invalid[] = {"", "foo..bar", ".foo", "foo.", ".", "foo.>.bar"};

        for (size_t i = 0; i < sizeof(literal) / sizeof(literal[0]); i++) {
                assert_true(subject_is_valid(bytes_from_string(literal[i])));
                assert_true(subject_is_literal(bytes_from_string(literal[i])));
                assert_false(subject_has_wildcard(bytes_from_string(literal[i])));
        }
        for (size_t i = 0; i < sizeof(wildcard) / sizeof(wildcard[0]); i++) {
                assert_true(subject_is_valid(bytes_from_string(wildcard[i])));
                assert_false(subject_is_literal(bytes_from_string(wildcard[i])));
                assert_true(subject_has_wildcard(bytes_from_string(wildcard[i])));
        }
        for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
                assert_false(subject_is_valid(bytes_from_string(invalid[i])));
                assert_false(subject_is_literal(bytes_from_string(invalid[i])));
        }
}

static void test_star_stands_for_one_token(void **state) {
        assert_true(matches("*", "foo"));
        assert_true(matches("foo.*", "foo.bar"));
        assert_true(matches("*.bar", "foo.bar"));
        assert_false(matches("foo.*", "foo"));
        assert_false(matches("foo.*", "foo.bar.baz"));
        assert_false(matches("*", "foo.bar"));
}

static void test_greater_stands_for_one_or_more_tokens(void **state) {
        assert_true(matches(">", "$SYS.x"));
        assert_true(matches("foo.>", "foo.a"));
        assert_true(matches("foo.>", "foo.a.b.c"));
        assert_false(matches("foo.>", "foo"));
        assert_false(matches("foo.>", "bar.a"));
}

static void test_wildcards_in_a_published_subject_are_text(void **state) {
        assert_true(matches("foo.*", "foo.*"));
        assert_true(matches("foo.>", "foo.*"));
        assert_false(matches("foo.bar", "foo.*"));
        assert_true(matches("foo.*", "foo.>"));
}

static void test_an_empty_token_matches_nothing(void **state) {
        assert_false(matches(">", "foo..bar"));
        assert_false(matches(">", ""));
        assert_false(matches("foo.*", "foo."));
        assert_false(matches("*.foo", ".foo"));
}

static void test_a_subset_has_nothing_that_the_whole_lacks(void **state) {
        static const struct {
                const char *part, *whole;
                bool is_subset, overlaps;
        } rows[] = {
                {"a.b", "a.b", true, true},     {"a.b", "a.*", true, true},
                {"a.b", "a.>", true, true},     {"a.b", "a.c", false, false},
                {"a.b", "a", false, false},     {"a", "a.>", false, false},
                {"a.*", "a.b", false, true},    {"a.*", "a.>", true, true},
                {"a.>", "a.*", false, true},    {"a.>", "a.>", true, true},
                {"a.>", ">", true, true},       {">", "a.>", false, true},
                {">", "*", false, true},        {"*", ">", true, true},
                {"*.b", "a.*", false, true},    {"*.b", "a.c", false, false},
                {"*.>", ">", true, true},       {">", "*.>", false, true},
                {"a.*.c", "a.>", true, true},   {"a.*.c", "*.b.*", false, true},
                {"*.*", "*", false, false},     {"a.>", "*.b.c", false, true},
                {"a.b", "*.b.>", false, false}, {"*.*.*", "*.>", true, true},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct bytes part = bytes_from_string(rows[i].part);
                struct bytes whole = bytes_from_string(rows[i].whole);

                assert_int_equal(subject_is_subset(part, whole), rows[i].is_subset);
                assert_int_equal(subject_overlaps(part, whole), rows[i].overlaps);
                assert_int_equal(subject_overlaps(whole, part), rows[i].overlaps);
        }
}

static void test_empty_tokens_may_be_tokens_like_others(void **state) {
        assert_true(subject_tokens_match(BYTES(">"), BYTES("a..b")));
        assert_true(subject_tokens_match(BYTES("*.*"), BYTES(".")));
        assert_false(subject_tokens_match(BYTES("*"), BYTES(".")));
        assert_true(subject_has_empty_token(BYTES("a.")));
        assert_false(subject_has_empty_token(BYTES("a.b")));
}

static void test_quoting_escapes_like_go(void **state) {
        char text[64];

        assert_string_equal(bytes_quote(text, sizeof(text), BYTES("we\"ird\\")), "we\\\"ird\\\\");
        assert_string_equal(bytes_quote(text, sizeof(text), BYTES("\x01\n\x7f\a")),
                            "\\x01\\n\\x7f\\a");
        assert_string_equal(bytes_quote(text, sizeof(text), BYTES("\xc3\xa4\xff")),
                            "\xc3\xa4\\xff");
        assert_string_equal(bytes_quote(text, 4, BYTES("ab\xc3\xa4")), "ab");
}

static void test_numbers_are_read_strictly(void **state) {
        uint64_t number;
        char text[BYTES_NUMBER_MAX];

        assert_int_equal(bytes_parse_number(BYTES("007"), 9, &number), 0);
        assert_int_equal(number, 7);
        assert_true(bytes_parse_number(BYTES(""), 9, &number) < 0);
        assert_true(bytes_parse_number(BYTES("-1"), 9, &number) < 0);
        assert_true(bytes_parse_number(BYTES("1234567890"), 9, &number) < 0);
        assert_ptr_equal(bytes_format_number(text, UINT64_MAX), text + 20);
        assert_memory_equal(text, "18446744073709551615", 20);
        assert_ptr_equal(bytes_format_number(text, 0), text + 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_validity_follows_the_table),
                cmocka_unit_test(test_star_stands_for_one_token),
                cmocka_unit_test(test_greater_stands_for_one_or_more_tokens),
                cmocka_unit_test(test_wildcards_in_a_published_subject_are_text),
                cmocka_unit_test(test_an_empty_token_matches_nothing),
                cmocka_unit_test(test_a_subset_has_nothing_that_the_whole_lacks),
                cmocka_unit_test(test_empty_tokens_may_be_tokens_like_others),
                cmocka_unit_test(test_quoting_escapes_like_go),
                cmocka_unit_test(test_numbers_are_read_strictly),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
