/* Programs: what goes in, what comes out, how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/process.h"

#define LIMIT 4000000

static int run(const char *const argv[], const void *input, size_t n, bool with_errors,
               struct process_output *output) {
        return process_run((char *const *)argv, environ, input, n, LIMIT, with_errors, NULL,
                           output);
}

#define RUN(input, n, with_errors, output, ...)                                                    \
        run((const char *[]){__VA_ARGS__, NULL}, input, n, with_errors, output)

static void test_output_is_what_the_program_prints(void **state) {
        struct process_output output;

        assert_int_equal(RUN("abc", 3, false, &output, "tr", "a-z", "A-Z"), 0);
        assert_string_equal(output.bytes, "ABC");
        assert_int_equal(output.n, 3);
        assert_int_equal(output.status, 0);
        process_output_deinit(&output);
}

static void test_large_input_and_output_pass_at_once(void **state) {
        struct process_output output;
        size_t n = 3000000;
        char *input = malloc(n);

        memset(input, 'x', n);
        assert_int_equal(RUN(input, n, false, &output, "cat"), 0);
        assert_int_equal(output.n, n);
        assert_memory_equal(output.bytes, input, n);
        assert_false(output.is_cut);
        process_output_deinit(&output);
        free(input);
}

static void test_input_need_not_be_read(void **state) {
        struct process_output output;
        char *input = calloc(1, 1000000);

        assert_int_equal(RUN(input, 1000000, false, &output, "true"), 0);
        assert_int_equal(output.status, 0);
        assert_int_equal(output.n, 0);
        process_output_deinit(&output);
        free(input);
}

static void test_output_is_cut_at_the_limit(void **state) {
        struct process_output output;

        assert_int_equal(RUN(NULL, 0, false, &output, "head", "-c", "5000000", "/dev/zero"), 0);
        assert_true(output.is_cut);
        assert_int_equal(output.n, LIMIT);
        process_output_deinit(&output);
}

static void test_status_and_signals_are_told(void **state) {
        struct process_output output;

        assert_int_equal(RUN(NULL, 0, true, &output, "sh", "-c", "echo wrong >&2; exit 7"), 0);
        assert_int_equal(output.status, 7);
        assert_string_equal(output.bytes, "wrong\n");
        process_output_deinit(&output);
        assert_int_equal(RUN(NULL, 0, false, &output, "sh", "-c", "kill -TERM $$"), 0);
        assert_int_equal(output.status, 128 + SIGTERM);
        process_output_deinit(&output);
}

static void test_programs_get_default_signals(void **state) {
        struct process_output output;

        assert_int_equal(RUN(NULL, 0, false, &output, "sh", "-c", "kill -PIPE $$"), 0);
        assert_int_equal(output.status, 128 + SIGPIPE);
        process_output_deinit(&output);
        assert_int_equal(RUN(NULL, 0, false, &output, "grep", "SigBlk", "/proc/self/status"), 0);
        assert_string_equal(output.bytes, "SigBlk:\t0000000000000000\n");
        process_output_deinit(&output);
}

static void test_missing_programs_are_noticed(void **state) {
        struct process_output output;

        assert_int_equal(RUN(NULL, 0, false, &output, "/nonexistent/program"), -ENOENT);
        process_output_deinit(&output);
        assert_false(process_exists("/nonexistent/program"));
        assert_false(process_exists("no-program-of-this-name"));
        assert_true(process_exists("cat"));
        assert_true(process_exists("/bin/cat"));
}

static int ignore_sigpipe(void **state) {
        return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_output_is_what_the_program_prints),
                cmocka_unit_test(test_large_input_and_output_pass_at_once),
                cmocka_unit_test(test_input_need_not_be_read),
                cmocka_unit_test(test_output_is_cut_at_the_limit),
                cmocka_unit_test(test_status_and_signals_are_told),
                cmocka_unit_test(test_programs_get_default_signals),
                cmocka_unit_test(test_missing_programs_are_noticed),
        };

        return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
