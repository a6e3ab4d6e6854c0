/* Durations and sizes: what is read, what is refused, and that each written form is read back. */
#include "lib/units.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct example {
        const char *text;
        uint64_t value;
};

static void test_duration_is_read(void **state) {
        static const struct example examples[] = {
                {"0s", 0},
                {"0ms", 0},
                {"1ms", 1},
                {"250ms", 250},
                {"1.5s", 1500},
                {"2m", 120000},
                {"3h", 10800000},
                {"1d", 86400000},
                {"0.001s", 1},
                {"1.50s", 1500},
                {"007s", 7000},
                {"0.5d", 43200000},
                {"1.000s", 1000},
                {"2.0ms", 2},
                {"0.0009765625d", 84375},
                {"1.00000000000000000s", 1000},
                {"9007199254740991ms", 9007199254740991},
        };
        uint64_t value;

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                assert_int_equal(units_parse_duration(examples[i].text, &value), 0);
                assert_int_equal(value, examples[i].value);
        }
}

static void test_duration_of_another_form_is_refused(void **state) {
        static const char *const texts[] = {
                "",
                "20",
                "s",
                "ms",
                "1.s",
                ".5s",
                "-1s",
                "+1s",
                " 1s",
                "1s ",
                "1 s",
                "1S",
                "1sec",
                "1us",
                "1e3s",
                "0x1s",
                "0.1ms",
                "1.0005s",
                "1.5.5s",
                "1,5s",
                "0",
                "1w",
                "1s1s",
                "1.00000000001d",
                "0.000000000000000000000000000000000000000000000000000000000000001d",
                "99999999999999999999999999999999999999999999x",
        };
        uint64_t value = 7;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(units_parse_duration(texts[i], &value), -EINVAL);
        assert_int_equal(value, 7);
}

static void test_duration_beyond_53_bits_is_out_of_range(void **state) {
        static const char *const texts[] = {
                "9007199254740992ms", "9007199254741s",        "18446744073709551616ms",
                "106751991167301d",   "18446744073709551615d", "184467440737095516150s",
        };
        uint64_t value;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(units_parse_duration(texts[i], &value), -ERANGE);
}

static void test_size_is_read(void **state) {
        static const struct example examples[] = {
                {"0", 0},
                {"4096", 4096},
                {"64K", 65536},
                {"64k", 65536},
                {"1M", 1048576},
                {"1MiB", 1048576},
                {"1MB", 1048576},
                {"2g", 2147483648},
                {"1T", 1099511627776},
                {"512B", 512},
                {"1.5G", 1610612736},
                {"0.5K", 512},
                {"0K", 0},
                {"18446744073709551615", UINT64_MAX},
                {"16777215T", 16777215 * (UINT64_C(1) << 40)},
        };
        uint64_t value;

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                assert_int_equal(units_parse_size(examples[i].text, &value), 0);
                assert_int_equal(value, examples[i].value);
        }
}

static void test_size_of_another_form_is_refused(void **state) {
        static const char *const texts[] = {
                "",    "K",    "-1",  "+1",  " 1",   "1 K", "1KK",    "1iB",
                "1Ki", "1KIB", "1kb", "1.5", "0.1K", "1P",  "0x10",   "1.1234567890T",
                "64 ", "K64",  "1.K", ".5K", "1b",   "1e3", "1.5.5K",
        };
        uint64_t value;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                assert_int_equal(units_parse_size(texts[i], &value), -EINVAL);
}

static void test_size_beyond_64_bits_is_out_of_range(void **state) {
        uint64_t value;

        assert_int_equal(units_parse_size("18446744073709551616", &value), -ERANGE);
        assert_int_equal(units_parse_size("16777216T", &value), -ERANGE);
        assert_int_equal(units_parse_size("99999999999999999999999G", &value), -ERANGE);
}

static void test_shortest_duration_is_written(void **state) {
        static const struct example examples[] = {
                {"0s", 0},
                {"1ms", 1},
                {"999ms", 999},
                {"1s", 1000},
                {"1.5s", 1500},
                {"1001ms", 1001},
                {"90s", 90000},
                {"2m", 120000},
                {"90m", 5400000},
                {"1h", 3600000},
                {"36h", 129600000},
                {"7d", 604800000},
                {"9007199254740991ms", 9007199254740991},
        };
        char text[UNITS_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
                assert_string_equal(units_format_duration(text, examples[i].value),
                                    examples[i].text);
}

static void test_shortest_size_is_written(void **state) {
        static const struct example examples[] = {
                {"0", 0},
                {"1", 1},
                {"1000", 1000},
                {"1K", 1024},
                {"1025", 1025},
                {"1536", 1536},
                {"64K", 65536},
                {"1.5M", 1572864},
                {"1M", 1048576},
                {"1048577", 1048577},
                {"1T", 1099511627776},
                {"18446744073709551615", UINT64_MAX},
        };
        char text[UNITS_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
                assert_string_equal(units_format_size(text, examples[i].value), examples[i].text);
}

static void test_what_is_written_is_read_back(void **state) {
        char text[UNITS_TEXT_MAX];
        uint64_t number = 1, value;

        for (unsigned i = 0; i < 100000; i++) {
                unsigned shift = i % 64;

                number = number * 6364136223846793005u + 1442695040888963407u;
                assert_int_equal(units_parse_size(units_format_size(text, number >> shift), &value),
                                 0);
                assert_int_equal(value, number >> shift);
                shift = shift < 11 ? 11 : shift;
                units_format_duration(text, number >> shift);
                assert_int_equal(units_parse_duration(text, &value), 0);
                assert_int_equal(value, number >> shift);
        }
}

static void test_size_for_people_has_three_digits(void **state) {
        static const struct example examples[] = {
                {"0", 0},
                {"1023", 1023},
                {"1K", 1024},
                {"1.00K", 1025},
                {"64.1K", 65600},
                {"1.43M", 1500000},
                {"100K", 102350},
                {"9.99K", 10230},
                {"10.0K", 10239},
                {"977K", 1000000},
                {"1024K", 1048575},
                {"1M", 1048576},
                {"16777216T", UINT64_MAX},
        };
        char text[UNITS_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
                assert_string_equal(units_format_size_approximate(text, examples[i].value),
                                    examples[i].text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_duration_is_read),
                cmocka_unit_test(test_duration_of_another_form_is_refused),
                cmocka_unit_test(test_duration_beyond_53_bits_is_out_of_range),
                cmocka_unit_test(test_size_is_read),
                cmocka_unit_test(test_size_of_another_form_is_refused),
                cmocka_unit_test(test_size_beyond_64_bits_is_out_of_range),
                cmocka_unit_test(test_shortest_duration_is_written),
                cmocka_unit_test(test_shortest_size_is_written),
                cmocka_unit_test(test_what_is_written_is_read_back),
                cmocka_unit_test(test_size_for_people_has_three_digits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
