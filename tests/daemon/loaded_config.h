/* A configuration that a test loads from a text, in a directory of the test's own, which is its
 * working directory.
 */
#pragma once

#include "daemon/config.h"

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

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static char directory[] = "/tmp/test_config.XXXXXX";
static struct config *config;
static struct config_errors errors;

static inline int make_directory(void **state) {
        return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static inline int remove_directory(void **state) {
        return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

/* Forgets what was loaded last. */
static inline int tear_down(void **state) {
        config = config_unref(config);
        config_errors_deinit(&errors);
        return 0;
}

static inline void write_bytes(const char *path, const char *bytes, size_t length) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
}

static inline void write_file(const char *path, const char *text) {
        write_bytes(path, text, strlen(text));
}

/* Loads a file, sockd.conf, with that text. */
static inline int load(const char *text) {
        int r;

        tear_down(NULL);
        write_file("sockd.conf", text);
        r = config_load(&config, "sockd.conf", NULL, 0, &errors);
        unlink("sockd.conf");
        return r;
}

static inline void load_good(const char *text) {
        int r = load(text);

        if (r != 0)
                fail_msg("%d: %s", r, errors.n_lines > 0 ? errors.lines[0] : "");
        assert_int_equal(errors.n_lines, 0);
}

/* Expects exactly those lines, which stand in one string with a newline behind each. */
static inline void assert_lines(const char *expected) {
        char all[65536] = "";

        for (size_t i = 0; i < errors.n_lines; i++) {
                strncat(all, errors.lines[i], sizeof(all) - strlen(all) - 2);
                strcat(all, "\n");
        }
        assert_string_equal(all, expected);
}

static inline void load_bad(const char *text, const char *expected) {
        assert_int_equal(load(text), -EINVAL);
        assert_null(config);
        assert_lines(expected);
}

/* Expects one line that contains the text. */
static inline void load_bad_with(const char *text, const char *part) {
        assert_int_equal(load(text), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        if (!strstr(errors.lines[0], part))
                fail_msg("%s: %s", text, errors.lines[0]);
}
