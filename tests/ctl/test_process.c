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

#include "ctl/deadline.h"
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

struct watch {
        struct process_watch process;
        int n_calls;
};

static bool stop(void *data) {
        struct watch *watch = data;

        watch->process.descriptors[0] = -1;
        watch->n_calls++;
        return false;
}

static int run_watched(struct watch *watch, struct process_output *output, const char *script) {
        const char *const argv[] = {"sh", "-c", script, NULL};

        watch->process.function = stop;
        watch->process.data = watch;
        return process_run((char *const *)argv, environ, NULL, 0, LIMIT, false, &watch->process,
                           output);
}

static void test_a_watch_ends_a_program_and_what_it_started(void **state) {
        struct watch watch = {.process = {.deadline_ms = DEADLINE_NEVER}};
        struct process_output output;
        int ends[2];

        assert_int_equal(pipe(ends), 0);
        assert_int_equal(write(ends[1], "x", 1), 1);
        watch.process.descriptors[0] = ends[0];
        watch.process.descriptors[1] = -1;
        assert_int_equal(run_watched(&watch, &output, "sleep 1000 & wait"), 0);
        assert_int_equal(output.status, 128 + SIGTERM);
        assert_int_equal(watch.n_calls, 1);
        process_output_deinit(&output);
        close(ends[0]);
        close(ends[1]);
}

static void test_a_late_program_is_ended(void **state) {
        struct watch watch = {.process = {.descriptors = {-1, -1}}};
        struct process_output output;

        assert_int_equal(run_watched(&watch, &output, "exec >&-; sleep 1000"), 0);
        assert_int_equal(output.status, 128 + SIGTERM);
        assert_true(watch.n_calls > 0);
        process_output_deinit(&output);
}

static void test_who_ignores_sigterm_is_killed(void **state) {
        struct watch watch = {.process = {.descriptors = {-1, -1}}};
        struct process_output output;

        watch.process.deadline_ms = deadline_in(100);
        assert_int_equal(run_watched(&watch, &output, "trap '' TERM; echo x; sleep 1000; echo y"),
                         0);
        assert_int_equal(output.status, 128 + SIGKILL);
        process_output_deinit(&output);
}

static void test_a_watched_program_may_end_by_itself(void **state) {
        struct watch watch = {.process = {.descriptors = {-1, -1}, .deadline_ms = DEADLINE_NEVER}};
        struct process_output output;

        assert_int_equal(run_watched(&watch, &output, "echo x; exit 3"), 0);
        assert_string_equal(output.bytes, "x\n");
        assert_int_equal(output.status, 3);
        assert_int_equal(watch.n_calls, 0);
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
                cmocka_unit_test(test_a_watch_ends_a_program_and_what_it_started),
                cmocka_unit_test(test_a_late_program_is_ended),
                cmocka_unit_test(test_who_ignores_sigterm_is_killed),
                cmocka_unit_test(test_a_watched_program_may_end_by_itself),
                cmocka_unit_test(test_missing_programs_are_noticed),
        };

        return cmocka_run_group_tests(tests, ignore_sigpipe, NULL);
}
