/* Mapping of subjects: which patterns can be mapped to which, and what comes of it. */
#include "lib/subject_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static void test_wildcards_must_be_the_same_in_the_same_order(void **state) {
        static const struct {
                const char *from, *to;
                bool is_possible;
        } rows[] = {
                {"a", "b", true},        {"a.b.c", "x", true},    {"a.*", "x.*", true},
                {"a.*", "*", true},      {"a.>", "x.y.>", true},  {"a.*.b.>", "x.*.>", true},
                {">", "p.>", true},      {"a*", "b", true},       {"a.*", "x", false},
                {"a", "x.*", false},     {"a.*", "x.>", false},   {"a.>", "x.*", false},
                {"a.*.*", "x.*", false}, {"a.*", "x.*.*", false}, {"*.>", ">", false},
                {"a.*.b.>", ">", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                assert_int_equal(subject_map_is_possible(bytes_from_string(rows[i].from),
                                                         bytes_from_string(rows[i].to)),
                                 rows[i].is_possible);
}

static void test_what_wildcards_stand_for_is_kept(void **state) {
        static const struct {
                const char *from, *to, *subject, *mapped;
        } rows[] = {
                {"a", "b.c", "a", "b.c"},
                {"a.*", "x.*.y", "a.1", "x.1.y"},
                {"a.*.b.*", "*.x.*", "a.1.b.22", "1.x.22"},
                {"a.>", "x.>", "a.1", "x.1"},
                {"a.>", ">", "a.1.2.3", "1.2.3"},
                {">", "p.q.>", "a.b.c", "p.q.a.b.c"},
                {"a.*.b.>", "x.*.>", "a.1.b.2.3", "x.1.2.3"},
                {"*", "x.*", "*", "x.*"},
                {"*.>", "p.*.>", ">.*", "p.>.*"},
        };
        char text[64];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                size_t n = subject_map_apply(
                        bytes_from_string(rows[i].from), bytes_from_string(rows[i].to),
                        bytes_from_string(rows[i].subject), text, sizeof(text));

                text[n] = '\0';
                assert_string_equal(text, rows[i].mapped);
        }
}

static void test_what_does_not_fit_is_not_mapped(void **state) {
        char text[8];

        assert_int_equal(subject_map_apply(BYTES("*"), BYTES("ab.*"), BYTES("cdef"), text, 8), 7);
        assert_int_equal(subject_map_apply(BYTES("*"), BYTES("ab.*"), BYTES("cdefgh"), text, 8), 0);
        assert_int_equal(subject_map_apply(BYTES("*"), BYTES("abcdefghi.*"), BYTES("c"), text, 8),
                         0);
}

static void test_what_does_not_match_is_not_mapped(void **state) {
        char text[8];

        assert_int_equal(subject_map_apply(BYTES("a.*"), BYTES("*"), BYTES("a"), text, 8), 0);
        assert_int_equal(subject_map_apply(BYTES("a.>"), BYTES(">"), BYTES(""), text, 8), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_wildcards_must_be_the_same_in_the_same_order),
                cmocka_unit_test(test_what_wildcards_stand_for_is_kept),
                cmocka_unit_test(test_what_does_not_fit_is_not_mapped),
                cmocka_unit_test(test_what_does_not_match_is_not_mapped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
