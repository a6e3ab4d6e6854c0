/* Printable text: what stays, what is replaced, and where it can be cut. */
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void test_what_is_not_printable_is_replaced(void **state) {
        static const struct {
                const char *from, *to;
        } examples[] = {
                {"", ""},
                {"plain ~", "plain ~"},
                {"a\nb\tc\rd", "a b c?d"},
                {"\x1b[31m\x7f\x01", "?[31m??"},
                {"\xc3\xa9 \xe2\x82\xac", "\xc3\xa9 \xe2\x82\xac"},
                {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                {"\xc2\x85", "??"}, /* C1 control */
                {"\xc2\xa0", "\xc2\xa0"},
                {"a\xe2\x80\xae"
                 "b",
                 "a???b"}, /* turns the direction */
                {"\xe2\x80\x8f\xd8\x9c\xe2\x81\xa6\xe2\x80\xa8", "???????????"},
                {"\xe2\x80\x8d\xe2\x80\x94", "\xe2\x80\x8d\xe2\x80\x94"},
                {"\xc0\x80", "??"}, /* overlong */
                {"\xe0\x80\xaf", "???"},
                {"\xed\xa0\x80", "???"},      /* surrogate */
                {"\xf4\x90\x80\x80", "????"}, /* above U+10FFFF */
                {"\xf8\xff\xfe", "???"},
                {"x\xe2\x82", "x??"}, /* cut short */
                {"\xe2\x82z", "??z"},
                {"\x80\xbf", "??"},
        };
        char text[32];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                size_t length = strlen(examples[i].from);

                strcpy(text, examples[i].from);
                assert_int_equal(text_is_printable(text, length),
                                 strcmp(examples[i].from, examples[i].to) == 0);
                text_make_printable(text, length);
                assert_string_equal(text, examples[i].to);
                assert_true(text_is_printable(text, length));
        }
        memcpy(text, "a\0b", 3);
        text_make_printable(text, 3);
        assert_memory_equal(text, "a?b", 3);
}

static void test_cut_never_splits_a_character(void **state) {
        static const char text[] = "a\xe2\x82\xac\xf0\x9f\x98\x80z";
        static const size_t cuts[] = {0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9};

        for (size_t limit = 0; limit < ARRAY_SIZE(cuts); limit++)
                assert_int_equal(text_cut(text, strlen(text), limit), cuts[limit]);
        assert_int_equal(text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_not_printable_is_replaced),
                cmocka_unit_test(test_cut_never_splits_a_character),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
