/* How the end of a program is told, and what counts as success. */
#include "daemon/program_end.h"

#include "daemon/program_spec.h"
#include "daemon/run_as.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char *arguments[] = {(char *)"/usr/bin/nope", (char *)"-x", NULL};
static struct run_as user = {.name = (char *)"alice", .uid = 7, .gid = 8};
static const struct program_spec spec = {.arguments = arguments,
                                         .directory = (char *)"/var/empty",
                                         .user = &user,
                                         .timeout_ms = 5000};

static void check(struct program_end end, const char *expected) {
        char text[PROGRAM_END_TEXT_MAX];

        assert_string_equal(program_end_describe(&end, &spec, text), expected);
}

static void test_failures_say_what_could_not_be_done(void **state) {
        check((struct program_end){.step = PROGRAM_EXECUTE, .error = ENOENT},
              "cannot execute /usr/bin/nope: No such file or directory");
        check((struct program_end){.step = PROGRAM_USER, .error = EPERM},
              "cannot change to user \"alice\" (uid 7, gid 8): Operation not permitted");
        check((struct program_end){.step = PROGRAM_DIRECTORY, .error = EACCES},
              "cannot change to the directory /var/empty: Permission denied");
        check((struct program_end){.step = PROGRAM_TAKE, .error = EMFILE},
              "the spawner cannot take over /usr/bin/nope: Too many open files");
}

static void test_refusals_say_why(void **state) {
        check((struct program_end){.step = PROGRAM_TOO_MANY},
              "/usr/bin/nope is not started: as many programs run as may");
        check((struct program_end){.step = PROGRAM_TOO_FAST},
              "/usr/bin/nope is not started: as many were started in a second as may be");
        check((struct program_end){.step = PROGRAM_ASK, .error = EAGAIN},
              "cannot ask for /usr/bin/nope to be started: too many programs are being started");
        check((struct program_end){.step = PROGRAM_ASK, .error = EPIPE},
              "cannot ask for /usr/bin/nope to be started: the spawner has ended; sockd has to be "
              "restarted");
        check((struct program_end){.step = PROGRAM_LOST},
              "it is not known what became of /usr/bin/nope, which was killed");
}

static void test_ends_say_how(void **state) {
        check((struct program_end){.status = 3}, "exited with status 3");
        check((struct program_end){.status = -1, .signal = SIGKILL},
              "was ended by signal 9 (Killed)");
        check((struct program_end){.status = -1, .signal = SIGTERM, .was_late = true},
              "took longer than 5s");
        check((struct program_end){.status = 0, .was_late = true}, "took longer than 5s");
}

static void test_every_step_has_a_sentence(void **state) {
        for (int step = PROGRAM_RAN + 1; step < N_PROGRAM_STEPS; step++) {
                const struct program_end end = {.step = (enum program_step)step, .error = EPERM};
                char text[PROGRAM_END_TEXT_MAX];

                (void)program_end_describe(&end, &spec, text);
                assert_true(strlen(text) > strlen(": Operation not permitted") + 10);
                assert_false(program_end_is_good(&end));
        }
}

static void test_texts_may_be_long(void **state) {
        static char path[4096];
        char *long_arguments[] = {path, NULL};
        const struct program_spec long_spec = {.arguments = long_arguments};
        const struct program_end end = {.step = PROGRAM_EXECUTE, .error = ENOENT};
        char text[PROGRAM_END_TEXT_MAX];

        memset(path, 'x', sizeof(path) - 1);
        assert_non_null(strstr(program_end_describe(&end, &long_spec, text), "No such file"));
}

static void test_success_is_status_0_in_time(void **state) {
        assert_true(program_end_is_good(&(struct program_end){.status = 0}));
        assert_true(program_end_is_good(&(struct program_end){.status = 0, .was_stopped = true}));
        assert_false(program_end_is_good(&(struct program_end){.status = 1}));
        assert_false(program_end_is_good(&(struct program_end){.status = -1, .signal = SIGTERM}));
        assert_false(program_end_is_good(&(struct program_end){.status = 0, .was_late = true}));
}

static void test_limits_are_refusals(void **state) {
        assert_true(program_end_is_refusal(&(struct program_end){.step = PROGRAM_TOO_MANY}));
        assert_true(program_end_is_refusal(&(struct program_end){.step = PROGRAM_TOO_FAST}));
        assert_true(program_end_is_refusal(
                &(struct program_end){.step = PROGRAM_ASK, .error = EAGAIN}));
        assert_false(
                program_end_is_refusal(&(struct program_end){.step = PROGRAM_ASK, .error = EPIPE}));
        assert_false(program_end_is_refusal(&(struct program_end){.step = PROGRAM_EXECUTE}));
        assert_false(program_end_is_refusal(&(struct program_end){.step = PROGRAM_RAN}));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_failures_say_what_could_not_be_done),
                cmocka_unit_test(test_refusals_say_why),
                cmocka_unit_test(test_ends_say_how),
                cmocka_unit_test(test_every_step_has_a_sentence),
                cmocka_unit_test(test_texts_may_be_long),
                cmocka_unit_test(test_success_is_status_0_in_time),
                cmocka_unit_test(test_limits_are_refusals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
