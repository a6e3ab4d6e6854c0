/* Files: where they are, which are opened, and what is read of them. */
#include "lib/file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char directory[] = "/tmp/test_file.XXXXXX";
static char place[PATH_MAX];
static char *reason;

static int make_directory(void **state) {
        return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_directory(void **state) {
        return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        free(reason);
        reason = NULL;
        unsetenv("CREDENTIALS_DIRECTORY");
        unlink("file");
        return 0;
}

/* Expects a reason that contains a text, and forgets it. */
static void assert_reason(const char *part) {
        assert_non_null(reason);
        if (!strstr(reason, part))
                fail_msg("%s", reason);
        free(reason);
        reason = NULL;
}

static void write_file(const char *text) {
        FILE *file = fopen("file", "we");

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static void test_absolute_paths_stay(void **state) {
        setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
        assert_int_equal(file_locate(place, "/etc/x", &reason), 0);
        assert_string_equal(place, "/etc/x");
}

static void test_others_are_credentials(void **state) {
        assert_int_equal(file_locate(place, "x", &reason), -ENOENT);
        assert_reason("$CREDENTIALS_DIRECTORY is not set");
        setenv("CREDENTIALS_DIRECTORY", "here", 1);
        assert_int_equal(file_locate(place, "x", &reason), -ENOENT);
        assert_reason("$CREDENTIALS_DIRECTORY is not set");
        setenv("CREDENTIALS_DIRECTORY", "/run/credentials", 1);
        assert_int_equal(file_locate(place, "x", &reason), 0);
        assert_string_equal(place, "/run/credentials/x");
}

static void test_paths_have_a_limit(void **state) {
        char path[PATH_MAX + 1];

        memset(path, '/', PATH_MAX);
        path[PATH_MAX] = '\0';
        assert_int_equal(file_locate(place, path, &reason), -ENAMETOOLONG);
        assert_reason("too long");
        path[PATH_MAX - 1] = '\0';
        assert_int_equal(file_locate(place, path, &reason), 0);
        assert_string_equal(place, path);
        setenv("CREDENTIALS_DIRECTORY", path, 1);
        assert_int_equal(file_locate(place, "x", &reason), -ENAMETOOLONG);
        assert_reason("too long");
}

static void test_only_regular_files_are_opened(void **state) {
        struct stat status;

        assert_int_equal(file_open("file", &status, &reason), -ENOENT);
        assert_reason("No such file");
        assert_int_equal(file_open(".", &status, &reason), -EINVAL);
        assert_reason("not a regular file");
        /* Nobody writes to it. */
        assert_int_equal(mkfifo("file", 0600), 0);
        assert_int_equal(file_open("file", &status, &reason), -EINVAL);
        assert_reason("not a regular file");
}

static void test_what_is_there_is_read(void **state) {
        char bytes[16] = "";
        struct stat status;
        int fd;

        write_file("hello");
        fd = file_open("file", &status, &reason);
        assert_true(fd >= 0);
        assert_int_equal(status.st_size, 5);
        assert_int_equal(file_read(fd, bytes, sizeof(bytes)), 5);
        assert_memory_equal(bytes, "hello", 6);
        assert_int_equal(file_read(fd, bytes, sizeof(bytes)), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(file_read(fd, bytes, 2), 2);
        assert_int_equal(file_read(fd, bytes, 0), 0);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 2);
        assert_int_equal(close(fd), 0);
        assert_int_equal(file_read(-1, bytes, sizeof(bytes)), -EBADF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_absolute_paths_stay, tear_down),
                cmocka_unit_test_teardown(test_others_are_credentials, tear_down),
                cmocka_unit_test_teardown(test_paths_have_a_limit, tear_down),
                cmocka_unit_test_teardown(test_only_regular_files_are_opened, tear_down),
                cmocka_unit_test_teardown(test_what_is_there_is_read, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
