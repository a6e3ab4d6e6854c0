/* Byte ranges: numbers in them, UTF-8, and quoting as in error texts (protocol.md A.4). */
#include "lib/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void test_decimal_numbers_are_read(void **state) {
        /* Up to the most digits that are allowed, leading zeroes included. */
        static const struct {
                struct bytes text;
                size_t max_digits;
                uint64_t number;
        } rows[] = {
                {BYTES("0"), 1, 0},
                {BYTES("7"), 9, 7},
                {BYTES("007"), 3, 7},
                {BYTES("999999999"), 9, 999999999},
                {BYTES("9999999999999999999"), 19, UINT64_C(9999999999999999999)},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint64_t number = 1234;

                assert_int_equal(bytes_parse_number(rows[i].text, rows[i].max_digits, &number), 0);
                assert_true(number == rows[i].number);
        }
}

static void test_what_is_no_number_is_refused(void **state) {
        /* Nothing but digits, and not too many; the number is left alone. */
        static const struct bytes rows[] = {
                BYTES(""),   BYTES("-1"), BYTES("+1"),   BYTES(" 1"),    BYTES("1 "),
                BYTES("1."), BYTES("0x"), BYTES("1\0"),  BYTES("12345"), BYTES("00000"),
                BYTES("/"),  BYTES(":"),  BYTES("\xb1"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                uint64_t number = 1234;

                assert_int_equal(bytes_parse_number(rows[i], 4, &number), -EINVAL);
                assert_true(number == 1234);
        }
}

static void test_numbers_are_written_without_leading_zeroes(void **state) {
        /* The largest one fits the room that callers reserve. */
        static const uint64_t numbers[] = {0,  1,   9,       10,         42,
                                           99, 100, 1048576, 9999999999, UINT64_MAX};

        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                char text[BYTES_NUMBER_MAX + 1] = "", expected[32];
                char *end = bytes_format_number(text, numbers[i]);

                *end = '\0';
                snprintf(expected, sizeof(expected), "%llu", (unsigned long long)numbers[i]);
                assert_string_equal(text, expected);
        }
}

static void test_empty_ranges_need_no_memory(void **state) {
        /* A range of nothing may be a null pointer: "no reply", "no queue". */
        struct bytes nothing = {NULL, 0};

        assert_true(bytes_equal(nothing, BYTES("")));
        assert_true(bytes_equal(nothing, nothing));
        assert_false(bytes_equal(nothing, BYTES("a")));
        assert_int_equal(bytes_parse_number(nothing, 9, &(uint64_t){0}), -EINVAL);
        assert_int_equal(bytes_utf8_length(nothing), 0);
}

static void test_an_empty_range_may_be_copied(void **state) {
        /* Also the null one. */
        char text[4] = "abc";

        assert_ptr_equal(bytes_copy(text, (struct bytes){NULL, 0}), text);
        assert_string_equal(text, "abc");
}

static void test_bytes_are_equal_by_content(void **state) {
        /* NULs are bytes like others. */
        assert_true(bytes_equal(BYTES("a\0b"), BYTES("a\0b")));
        assert_false(bytes_equal(BYTES("a\0b"), BYTES("a\0c")));
        assert_false(bytes_equal(BYTES("a"), BYTES("ab")));
        assert_true(bytes_equal(bytes_from_string("ab"), BYTES("ab")));
}

static void test_utf8_characters_are_measured(void **state) {
        /* The first and the last of each length; what follows does not matter. */
        static const struct {
                struct bytes text;
                size_t length;
        } rows[] = {
                {BYTES("\0"), 1},
                {BYTES("a\xff"), 1},
                {BYTES("\x7f"), 1},
                {BYTES("\xc2\x80"), 2},
                {BYTES("\xdf\xbf\x80"), 2},
                {BYTES("\xe0\xa0\x80"), 3},
                {BYTES("\xed\x9f\xbf"), 3},
                {BYTES("\xee\x80\x80"), 3},
                {BYTES("\xef\xbf\xbf"), 3},
                {BYTES("\xf0\x90\x80\x80"), 4},
                {BYTES("\xf4\x8f\xbf\xbf"
                       "a"),
                 4},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(bytes_utf8_length(rows[i].text), rows[i].length);
}

static void test_what_is_not_utf8_is_found(void **state) {
        /* Stray and missing continuations, overlong forms, surrogates, beyond U+10FFFF. */
        static const struct bytes rows[] = {
                BYTES("\x80"),
                BYTES("\xbf"),
                BYTES("\xc0\x80"),
                BYTES("\xc1\xbf"),
                BYTES("\xc2"),
                BYTES("\xc2"
                      "a"),
                BYTES("\xc2\xc2"),
                BYTES("\xe0\x9f\xbf"),
                BYTES("\xe1\x80"),
                BYTES("\xe1\x80"
                      "a"),
                BYTES("\xed\xa0\x80"),
                BYTES("\xed\xbf\xbf"),
                BYTES("\xf0\x8f\xbf\xbf"),
                BYTES("\xf1\x80\x80"),
                BYTES("\xf4\x90\x80\x80"),
                BYTES("\xf5\x80\x80\x80"),
                BYTES("\xff"),
                BYTES("\xfe"),
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(bytes_utf8_length(rows[i]), 0);
}

static void test_quoting_escapes_what_is_special(void **state) {
        /* The forms of protocol.md A.4. */
        static const struct {
                struct bytes bytes;
                const char *text;
        } rows[] = {
                {BYTES(""), ""},
                {BYTES("foo.bar"), "foo.bar"},
                {BYTES("\"we\\ird"), "\\\"we\\\\ird"},
                {BYTES("\a\b\f\n\r\t\v"), "\\a\\b\\f\\n\\r\\t\\v"},
                {BYTES("\0\x01\x06\x0e\x1f\x7f"), "\\x00\\x01\\x06\\x0e\\x1f\\x7f"},
                {BYTES("'%s~ "), "'%s~ "},
                {BYTES("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
                 "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
                {BYTES("\xc3"
                       "a"),
                 "\\xc3a"},
                {BYTES("\xe2\x82"), "\\xe2\\x82"},
                {BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
                {BYTES("\xff\xc3\xa4"), "\\xff\xc3\xa4"},
        };
        char text[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_string_equal(bytes_quote(text, sizeof(text), rows[i].bytes), rows[i].text);
}

static void test_quoting_cuts_between_characters(void **state) {
        /* However small the room, it holds whole characters, whole escapes, and the NUL. */
        static const struct bytes bytes = BYTES("a\"\xe2\x82\xac\x01z");
        static const char *const pieces[] = {"a", "\\\"", "\xe2\x82\xac", "\\x01", "z"};
        char expected[32], text[32];

        for (size_t size = 1; size <= 16; size++) {
                expected[0] = '\0';
                for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
                        if (strlen(expected) + strlen(pieces[i]) + 1 > size)
                                break;
                        strcat(expected, pieces[i]);
                }
                memset(text, '!', sizeof(text));
                assert_string_equal(bytes_quote(text, size, bytes), expected);
                for (size_t i = size; i < sizeof(text); i++)
                        assert_int_equal(text[i], '!');
        }
        text[0] = '!';
        bytes_quote(text, 0, bytes);
        assert_int_equal(text[0], '!');
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decimal_numbers_are_read),
                cmocka_unit_test(test_what_is_no_number_is_refused),
                cmocka_unit_test(test_numbers_are_written_without_leading_zeroes),
                cmocka_unit_test(test_empty_ranges_need_no_memory),
                cmocka_unit_test(test_an_empty_range_may_be_copied),
                cmocka_unit_test(test_bytes_are_equal_by_content),
                cmocka_unit_test(test_utf8_characters_are_measured),
                cmocka_unit_test(test_what_is_not_utf8_is_found),
                cmocka_unit_test(test_quoting_escapes_what_is_special),
                cmocka_unit_test(test_quoting_cuts_between_characters),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
