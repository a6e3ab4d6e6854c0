/* Misspelt words: how far two words are from each other. */
#include "lib/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

static void test_distance_counts_changes(void **state) {
        static const struct {
                const char *a, *b;
                unsigned distance;
        } examples[] = {
                {"", "", 0},         {"mode", "mode", 0}, {"mod", "mode", 1},
                {"mdoe", "mode", 1}, {"node", "mode", 1}, {"modee", "mode", 1},
                {"", "abc", 3},      {"abc", "xyz", 3},   {"kitten", "sitting", 3},
        };

        for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
                assert_int_equal(suggest_distance(examples[i].a, examples[i].b),
                                 examples[i].distance);
                assert_int_equal(suggest_distance(examples[i].b, examples[i].a),
                                 examples[i].distance);
        }
}

static void test_long_words_are_far_from_all(void **state) {
        static const char longest[] = "1234567890123456789012345678901";
        static const char too_long[] = "12345678901234567890123456789012";

        assert_int_equal(suggest_distance(longest, longest), 0);
        assert_true(suggest_distance(too_long, too_long) > suggest_limit(too_long));
}

static void test_short_words_must_be_closer(void **state) {
        assert_int_equal(suggest_limit("sub"), 1);
        assert_int_equal(suggest_limit("mode"), 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_distance_counts_changes),
                cmocka_unit_test(test_long_words_are_far_from_all),
                cmocka_unit_test(test_short_words_must_be_closer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
