/* The command line: values, sets, order, and refusals that say what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "ctl/options.h"

#define N_MAX 16

/* argv of its own, as getopt_long() reorders it. */
static int parse(struct options *options, uint32_t allowed, bool stop, char **argv,
                 const char *line[]) {
        int argc = 0;

        while (line[argc]) {
                argv[argc] = (char *)line[argc];
                argc++;
        }
        argv[argc] = NULL;
        options_init(options);
        return options_parse(options, allowed, stop, argc, argv);
}

#define PARSE(options, allowed, stop, argv, ...)                                                   \
        parse(options, allowed, stop, argv, (const char *[]){"x", __VA_ARGS__, NULL})

static void test_options_stand_before_and_behind_words(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(PARSE(&options, OPTION_GLOBAL | OPTION_COUNT, false, argv, "a", "--count",
                               "3", "b", "-s", "tcp://h:1", "--json", "-t", "1.5s"),
                         0);
        assert_int_equal(options.count, 3);
        assert_string_equal(options.server, "tcp://h:1");
        assert_int_equal(options.json, JSON_AUTO);
        assert_int_equal(options.timeout_ms, 1500);
        assert_int_equal(options.n_arguments, 2);
        assert_string_equal(options.arguments[0], "a");
        assert_string_equal(options.arguments[1], "b");
}

static void test_words_behind_two_dashes_are_left_alone(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(PARSE(&options, OPTION_GLOBAL | OPTION_QUEUE, false, argv, "subject",
                               "--queue", "q", "--", "program", "--queue", "-x"),
                         0);
        assert_string_equal(options.queue, "q");
        assert_int_equal(options.n_arguments, 4);
        assert_string_equal(options.arguments[0], "subject");
        assert_string_equal(options.arguments[1], "program");
        assert_string_equal(options.arguments[3], "-x");
}

static void test_a_dash_is_a_word(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(PARSE(&options, OPTION_GLOBAL, false, argv, "a", "-"), 0);
        assert_string_equal(options.arguments[1], "-");
}

static void test_parsing_stops_at_the_verb(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(
                PARSE(&options, OPTION_GLOBAL, true, argv, "--json=pretty", "sub", "--count", "1"),
                0);
        assert_int_equal(options.json, JSON_PRETTY);
        assert_int_equal(options.n_arguments, 3);
        assert_string_equal(options.arguments[0], "sub");
}

static void test_headers_make_a_block(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(
                PARSE(&options, OPTION_HEADER, false, argv, "-H", "A:  b", "--header", "C: d: e"),
                0);
        assert_int_equal(options.n_headers, strlen("NATS/1.0\r\nA: b\r\nC: d: e\r\n\r\n"));
        assert_memory_equal(options.headers, "NATS/1.0\r\nA: b\r\nC: d: e\r\n\r\n",
                            options.n_headers);
}

static void test_counts_take_units(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(
                PARSE(&options, OPTION_BENCH, false, argv, "--msgs", "5M", "--size", "64K"), 0);
        assert_int_equal(options.n_messages, 5000000);
        assert_int_equal(options.size, 65536);
}

static void test_a_number_of_none_is_told_from_none_given(void **state) {
        struct options options;
        char *argv[N_MAX];

        assert_int_equal(PARSE(&options, OPTION_COUNT | OPTION_BENCH, false, argv, "--count", "0"),
                         0);
        assert_int_equal(options.count, 0);
        assert_int_equal(options_number(options.count, 7), 0);
        assert_int_equal(options_number(options.n_subscribers, 7), 7);
}

static void test_refusals_say_what_was_expected(void **state) {
        static const struct {
                const char *option, *value, *error;
        } cases[] = {
                {"--nonsense", NULL, "unknown option: --nonsense"},
                {"-x", NULL, "unknown option: -x"},
                {"--timeout", NULL, "--timeout needs a value: TIME"},
                {"--timeout", "5", "--timeout \"5\": a time was expected, as 500ms, 5s or 2m"},
                {"--color", "red", "--color \"red\": auto, always or never was expected"},
                {"--json=x", NULL, "--json=x: short, pretty or off was expected"},
                {"--help=x", NULL, "--help takes no value"},
                {"--queue", "q", "--queue is no option of this verb"},
                {"--count", "-1", "--count \"-1\": a number was expected, as 1000 or 5M"},
                {"--count", "1x", "--count \"1x\": a number was expected, as 1000 or 5M"},
                {"--count", "99999999999999999999",
                 "--count \"99999999999999999999\": the number is too large"},
                {"--count", "10000000000G", "--count \"10000000000G\": the number is too large"},
                {"--count", "", "--count \"\": a number was expected, as 1000 or 5M"},
                {"--count", " 1", "--count \" 1\": a number was expected, as 1000 or 5M"},
                {"--count", "0x1", "--count \"0x1\": a number was expected, as 1000 or 5M"},
                {"--count", "1.5", "--count \"1.5\": a number was expected, as 1000 or 5M"},
                {"--msgs", "0", "--msgs \"0\": at least 1 was expected"},
                {"--pubs", "0k", "--pubs \"0k\": at least 1 was expected"},
                {"--clients", "0", "--clients \"0\": at least 1 was expected"},
                {"--subs", "-1", "--subs \"-1\": a number was expected, as 1000 or 5M"},
                {"--size", "-1", "--size \"-1\": a size was expected, as 512 or 64K"},
                {"--size", "99999999T", "--size \"99999999T\": the size is too large"},
                {"--timeout", "-1s", "--timeout \"-1s\": a time was expected, as 500ms, 5s or 2m"},
                {"--timeout", "25d", "--timeout \"25d\": no more than 24d was expected"},
                {"-H", "x", "--header \"x\": 'NAME: VALUE' was expected"},
                {"-H", "a b: x", "--header \"a b: x\": 'NAME: VALUE' was expected"},
        };
        struct options options;
        char *argv[N_MAX];

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                assert_int_equal(PARSE(&options,
                                       OPTION_GLOBAL | OPTION_COUNT | OPTION_HEADER | OPTION_BENCH,
                                       false, argv, cases[i].option, cases[i].value),
                                 -EINVAL);
                assert_string_equal(options.error, cases[i].error);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_options_stand_before_and_behind_words),
                cmocka_unit_test(test_words_behind_two_dashes_are_left_alone),
                cmocka_unit_test(test_a_dash_is_a_word),
                cmocka_unit_test(test_parsing_stops_at_the_verb),
                cmocka_unit_test(test_headers_make_a_block),
                cmocka_unit_test(test_counts_take_units),
                cmocka_unit_test(test_a_number_of_none_is_told_from_none_given),
                cmocka_unit_test(test_refusals_say_what_was_expected),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
