/* Secrets: from texts, files and credentials; which files are refused; comparison; what a core dump
 * would have. */
#include "lib/secret.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/test_secret.XXXXXX";
static struct secret *secret;
static char *reason;

static int make_directory(void **state) {
        return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_directory(void **state) {
        return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        secret = secret_free(secret);
        free(reason);
        reason = NULL;
        unlink("file");
        return 0;
}

static void write_file(const char *bytes, size_t length, mode_t mode) {
        FILE *file = fopen("file", "we");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod("file", mode), 0);
}

static void assert_text(const char *text) {
        assert_int_equal(secret_text(secret).length, strlen(text));
        assert_string_equal(secret_text(secret).data, text);
}

static void load_good(const char *bytes, const char *text) {
        tear_down(NULL);
        write_file(bytes, strlen(bytes), 0600);
        assert_int_equal(secret_from_file(&secret, "file", &reason), 0);
        assert_null(reason);
        assert_text(text);
}

static void load_bad(int error, const char *expected) {
        assert_int_equal(secret_from_file(&secret, "file", &reason), error);
        assert_null(secret);
        assert_non_null(reason);
        if (!strstr(reason, expected))
                fail_msg("%s", reason);
        tear_down(NULL);
}

static void test_text_is_copied(void **state) {
        char text[] = "hunter2";

        assert_int_equal(secret_from_text(&secret, bytes_from_string(text)), 0);
        memset(text, 'x', strlen(text));
        assert_text("hunter2");
        tear_down(NULL);
        assert_int_equal(secret_from_text(&secret, BYTES("")), 0);
        assert_text("");
        assert_null(secret_free(NULL));
}

static void test_only_the_same_text_is_equal(void **state) {
        assert_int_equal(secret_from_text(&secret, BYTES("hunter2")), 0);
        assert_true(secret_equals(secret, BYTES("hunter2")));
        assert_false(secret_equals(secret, BYTES("hunter")));
        assert_false(secret_equals(secret, BYTES("hunter22")));
        assert_false(secret_equals(secret, BYTES("Hunter2")));
        assert_false(secret_equals(secret, BYTES("hunter2\0")));
        assert_false(secret_equals(secret, BYTES("")));
}

static void test_file_is_read_without_one_newline(void **state) {
        static char large[SECRET_MAX + 1];

        load_good("hunter2", "hunter2");
        load_good("hunter2\n", "hunter2");
        load_good("hunter2\n\n", "hunter2\n");
        load_good(" hunter2\r\n", " hunter2\r");
        memset(large, 'a', SECRET_MAX);
        load_good(large, large);
        assert_true(secret_equals(secret, bytes_from_string(large)));
}

static void test_file_that_is_none_is_refused(void **state) {
        static char large[SECRET_MAX + 1];

        load_bad(-ENOENT, "No such file");
        write_file("", 0, 0600);
        load_bad(-ENODATA, "it is empty");
        write_file("\n", 1, 0600);
        load_bad(-ENODATA, "it is empty");
        write_file("a\0b", 3, 0600);
        load_bad(-EINVAL, "NUL");
        write_file(large, sizeof(large), 0600);
        load_bad(-EFBIG, "larger than 64K");
        assert_int_equal(mkfifo("file", 0600), 0);
        load_bad(-EINVAL, "not a regular file");
        assert_int_equal(secret_from_file(&secret, ".", &reason), -EINVAL);
}

static void test_file_that_anyone_may_read_is_refused(void **state) {
        write_file("hunter2", 7, 0604);
        load_bad(-EPERM, "anyone may read it");
        write_file("hunter2", 7, 0644);
        load_bad(-EPERM, "anyone may read it");
        write_file("hunter2", 7, 0640);
        assert_int_equal(secret_from_file(&secret, "file", &reason), 0);
}

static void test_credential_is_found_in_its_directory(void **state) {
        char path[64];

        write_file("hunter2", 7, 0400);
        unsetenv("CREDENTIALS_DIRECTORY");
        assert_int_equal(secret_from_credential(&secret, "file", &reason), -ENOENT);
        assert_non_null(strstr(reason, "$CREDENTIALS_DIRECTORY is not set"));
        free(reason);
        reason = NULL;
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        assert_int_equal(secret_from_credential(&secret, "file", &reason), 0);
        assert_text("hunter2");
        secret = secret_free(secret);
        unsetenv("CREDENTIALS_DIRECTORY");
        snprintf(path, sizeof(path), "%s/file", directory);
        assert_int_equal(secret_from_credential(&secret, path, &reason), 0);
        assert_text("hunter2");
}

/* Reads the flags of the mapping that has the address from smaps. */
static bool find_flags(FILE *smaps, uintptr_t address, char *line, size_t size) {
        bool is_inside = false;

        while (fgets(line, (int)size, smaps)) {
                uintptr_t from, to;

                if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
                        is_inside = from <= address && address < to;
                else if (is_inside && strncmp(line, "VmFlags:", 8) == 0)
                        return true;
        }
        return false;
}

static void test_secret_is_not_in_core_dumps(void **state) {
        FILE *smaps = fopen("/proc/self/smaps", "re");
        char line[512];

        if (!smaps)
                skip();
        assert_int_equal(secret_from_text(&secret, BYTES("hunter2")), 0);
        assert_true(find_flags(smaps, (uintptr_t)secret_text(secret).data, line, sizeof(line)));
        assert_non_null(strstr(line, " dd"));
        fclose(smaps);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_text_is_copied, tear_down),
                cmocka_unit_test_teardown(test_only_the_same_text_is_equal, tear_down),
                cmocka_unit_test_teardown(test_file_is_read_without_one_newline, tear_down),
                cmocka_unit_test_teardown(test_file_that_is_none_is_refused, tear_down),
                cmocka_unit_test_teardown(test_file_that_anyone_may_read_is_refused, tear_down),
                cmocka_unit_test_teardown(test_credential_is_found_in_its_directory, tear_down),
                cmocka_unit_test_teardown(test_secret_is_not_in_core_dumps, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
