/* Environments of programs: nothing of sockd's own, and what is given wins. */
#include "daemon/program_spec.h"

#include "daemon/config_value.h"
#include "daemon/run_as.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char **environment;

static int tear_down(void **state) {
        environment = config_strings_free(environment);
        return unsetenv("LANG");
}

static void check(const char *const *expected) {
        assert_non_null(environment);
        for (size_t i = 0; expected[i] || environment[i]; i++) {
                assert_non_null(expected[i]);
                assert_non_null(environment[i]);
                assert_string_equal(environment[i], expected[i]);
        }
}

#define STANDARD_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void test_path_and_language_are_always_there(void **state) {
        static const char *const expected[] = {STANDARD_PATH, "LANG=C.UTF-8", NULL};

        assert_int_equal(unsetenv("LANG"), 0);
        environment = program_environment(NULL, NULL);
        check(expected);
}

static void test_the_language_is_that_of_sockd(void **state) {
        static const char *const expected[] = {STANDARD_PATH, "LANG=de_DE.UTF-8", NULL};

        assert_int_equal(setenv("LANG", "de_DE.UTF-8", 1), 0);
        assert_int_equal(setenv("SECRET", "of sockd", 1), 0);
        environment = program_environment(NULL, NULL);
        check(expected);
}

static void test_a_user_has_a_home(void **state) {
        static const char *const expected[] = {STANDARD_PATH, "LANG=C.UTF-8",  "HOME=/home/alice",
                                               "USER=alice",  "LOGNAME=alice", "SHELL=/bin/sh",
                                               NULL};
        const struct run_as user = {.login = (char *)"alice",
                                    .home = (char *)"/home/alice",
                                    .shell = (char *)"/bin/sh"};

        environment = program_environment(NULL, &user);
        check(expected);
}

static void test_a_user_without_an_entry_has_none(void **state) {
        static const char *const expected[] = {STANDARD_PATH, "LANG=C.UTF-8", NULL};
        const struct run_as user = {.name = (char *)"4711"};

        environment = program_environment(NULL, &user);
        check(expected);
}

static void test_what_is_given_wins(void **state) {
        static const char *const expected[] = {"LANG=C.UTF-8", "PATH=/only/here", "PATHS=x",
                                               "EMPTY=", NULL};
        char *given[] = {(char *)"PATH=/only/here", (char *)"PATHS=x", (char *)"EMPTY=", NULL};

        environment = program_environment(given, NULL);
        check(expected);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_path_and_language_are_always_there, tear_down),
                cmocka_unit_test_teardown(test_the_language_is_that_of_sockd, tear_down),
                cmocka_unit_test_teardown(test_a_user_has_a_home, tear_down),
                cmocka_unit_test_teardown(test_a_user_without_an_entry_has_none, tear_down),
                cmocka_unit_test_teardown(test_what_is_given_wins, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
