/* The log: the form of a line, what a hostile text becomes, that nothing blocks, and reopening. */
#include "lib/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIME "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

struct fixture {
        char directory[32];
        char path[64];   /* a file in it */
        char target[80]; /* the same as a target */
        char content[65536];
        int saved_stderr;
};

static int set_up(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        if (!fixture)
                return -1;
        strcpy(fixture->directory, "/tmp/test_log.XXXXXX");
        if (!mkdtemp(fixture->directory))
                return -1;
        snprintf(fixture->path, sizeof(fixture->path), "%s/log", fixture->directory);
        snprintf(fixture->target, sizeof(fixture->target), "file:%s", fixture->path);
        fixture->saved_stderr = dup(STDERR_FILENO);
        unsetenv("JOURNAL_STREAM");
        log_set_level(LOG_LEVEL_INFO);
        *state = fixture;
        return 0;
}

static int tear_down(void **state) {
        struct fixture *fixture = *state;

        dup2(fixture->saved_stderr, STDERR_FILENO);
        close(fixture->saved_stderr);
        log_open("stderr");
        unlink(fixture->path);
        rmdir(fixture->directory);
        free(fixture);
        return 0;
}

static char *read_log(struct fixture *fixture) {
        FILE *file = fopen(fixture->path, "re");
        size_t n;

        assert_non_null(file);
        n = fread(fixture->content, 1, sizeof(fixture->content) - 1, file);
        fixture->content[n] = '\0';
        fclose(file);
        return fixture->content;
}

static void assert_matches(const char *text, const char *pattern) {
        regex_t regex;

        assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
        if (regexec(&regex, text, 0, NULL, 0) != 0)
                fail_msg("\"%s\" does not match \"%s\"", text, pattern);
        regfree(&regex);
}

/* Puts one end of a pipe or socket pair in the place of stderr and returns the other, as a
 * non-blocking descriptor. */
static int replace_stderr(int ends[2]) {
        assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
        close(ends[1]);
        assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        return ends[0];
}

static void test_line_has_time_level_and_text(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        log_info("listening on %s", "tcp://[::1]:4222");
        assert_matches(read_log(fixture), TIME "info: listening on tcp://\\[::1\\]:4222\n$");
}

static void test_level_decides_what_is_written(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        log_set_level(LOG_LEVEL_WARNING);
        assert_int_equal(log_get_level(), LOG_LEVEL_WARNING);
        log_info("not this");
        log_warning("but this");
        assert_matches(read_log(fixture), TIME "warning: but this\n$");
        log_set_level(LOG_LEVEL_TRACE);
        log_trace("and this");
        assert_non_null(strstr(read_log(fixture), "trace: and this\n"));
}

static void test_levels_have_names(void **state) {
        for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_TRACE; level++)
                assert_int_equal(log_level_parse(log_level_name((enum log_level)level)), level);
        assert_int_equal(log_level_parse("verbose"), -EINVAL);
        assert_int_equal(log_level_parse(""), -EINVAL);
        assert_string_equal(log_level_name((enum log_level)99), "unknown");
}

static void test_text_is_made_printable(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        log_info("%s", "a\nb\x1b[31mc\xff\xc3\xa9\r");
        assert_matches(read_log(fixture), TIME "info: a b\\?\\[31mc\\?\xc3\xa9\\?\n$");
}

static void test_long_line_is_cut_between_characters(void **state) {
        struct fixture *fixture = *state;
        char text[3 * 4000 + 1];
        size_t length;

        for (size_t i = 0; i < 4000; i++)
                memcpy(text + 3 * i, "\xe2\x82\xac", 3);
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(log_open(fixture->target), 0);
        for (size_t shift = 0; shift < 3; shift++)
                log_info("%s%s", &"xx"[shift], text);
        for (char *line = strtok(read_log(fixture), "\n"); line; line = strtok(NULL, "\n")) {
                length = strlen(line) + 1;
                assert_in_range(length, PIPE_BUF - 3, PIPE_BUF);
                assert_string_equal(line + length - 1 - 6, "\xe2\x82\xac...");
                assert_null(strchr(line, '?'));
        }
}

static void test_line_that_just_fits_is_whole(void **state) {
        struct fixture *fixture = *state;
        size_t n_prefix = strlen("2026-11-20T21:45:02.123Z info: ");
        char text[PIPE_BUF];

        memset(text, 'x', sizeof(text));
        text[PIPE_BUF - n_prefix - 1] = '\0';
        assert_int_equal(log_open(fixture->target), 0);
        log_info("%s", text);
        assert_int_equal(strlen(read_log(fixture)), PIPE_BUF);
        assert_null(strstr(fixture->content, "..."));
        log_info("%sy", text);
        assert_non_null(strstr(read_log(fixture) + PIPE_BUF, "x...\n"));
}

static void test_errno_is_kept_and_known(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        errno = ENOENT;
        log_info("open: %m");
        assert_int_equal(errno, ENOENT);
        assert_non_null(strstr(read_log(fixture), "open: No such file or directory\n"));
}

static void test_file_is_appended_to_and_opened_again(void **state) {
        struct fixture *fixture = *state;
        char rotated[80];
        struct stat status;

        assert_int_equal(log_open(fixture->target), 0);
        log_info("one");
        assert_int_equal(log_open(fixture->target), 0);
        log_info("two");
        assert_matches(read_log(fixture), "one\n.*two\n$");
        assert_int_equal(stat(fixture->path, &status), 0);
        assert_int_equal(status.st_mode & 0007, 0);

        snprintf(rotated, sizeof(rotated), "%s.1", fixture->path);
        assert_int_equal(rename(fixture->path, rotated), 0);
        assert_int_equal(log_open(fixture->target), 0);
        log_info("three");
        assert_matches(read_log(fixture), TIME "info: three\n$");
        unlink(rotated);
}

static void test_failure_keeps_the_former_target(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        assert_int_equal(log_open("file:/nonexistent/log"), -ENOENT);
        assert_int_equal(log_open("file:/"), -EISDIR);
        assert_int_equal(log_open("file:log"), -EINVAL);
        assert_int_equal(log_open("syslog"), -EINVAL);
        assert_int_equal(log_open(""), -EINVAL);
        log_info("still here");
        assert_non_null(strstr(read_log(fixture), "still here\n"));
}

static void test_journal_behind_stderr_gets_priorities(void **state) {
        char stream[64], content[256];
        struct stat status;
        int ends[2], reader;
        ssize_t n;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        reader = replace_stderr(ends);
        assert_int_equal(fstat(STDERR_FILENO, &status), 0);
        snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                 (uintmax_t)status.st_ino);
        setenv("JOURNAL_STREAM", stream, 1);
        assert_int_equal(log_open("stderr"), 0);
        log_warning("hot");
        setenv("JOURNAL_STREAM", "1:2", 1);
        assert_int_equal(log_open("auto"), 0);
        log_warning("cold");
        n = read(reader, content, sizeof(content) - 1);
        assert_true(n > 0);
        content[n] = '\0';
        assert_matches(content, "^<4>hot\n[0-9T:.Z-]+ warning: cold\n$");
        close(reader);
}

/* More than any pipe or socket holds, while nobody reads: each call must return at once (the alarm
 * ends the test otherwise), and what was read afterwards is whole lines. */
static void check_full_stderr(int ends[2]) {
        uint64_t dropped = log_dropped();
        size_t n_lines = 20000, n_read = 0;
        char content[65536], last = '\0';
        ssize_t n;
        int reader = replace_stderr(ends);

        assert_int_equal(log_open("stderr"), 0);
        assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
        alarm(30);
        for (size_t i = 0; i < n_lines; i++)
                log_info("%0100zu", i);
        alarm(0);
        while ((n = read(reader, content, sizeof(content))) > 0) {
                for (ssize_t i = 0; i < n; i++)
                        n_read += content[i] == '\n';
                last = content[n - 1];
        }
        assert_int_equal(last, '\n');
        assert_true(n_read > 0);
        assert_int_equal(log_dropped() - dropped, n_lines - n_read);
        close(reader);
}

static void test_full_pipe_does_not_block(void **state) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        check_full_stderr(ends);
}

static void test_full_socket_does_not_block(void **state) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        check_full_stderr(ends);
}

static void test_reader_that_is_gone_raises_no_signal(void **state) {
        uint64_t dropped = log_dropped();
        int ends[2];

        signal(SIGPIPE, SIG_DFL);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        close(replace_stderr(ends));
        assert_int_equal(log_open("stderr"), 0);
        log_info("into the void");
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        close(replace_stderr(ends));
        assert_int_equal(log_open("stderr"), 0);
        log_info("into the void");
        assert_int_equal(log_dropped() - dropped, 2);
}

static void *log_many(void *argument) {
        for (unsigned i = 0; i < 100; i++)
                log_info("begin %0100d end", 7);
        return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state) {
        struct fixture *fixture = *state;
        pthread_t threads[3];
        unsigned n_lines = 0;
        regex_t regex;

        assert_int_equal(regcomp(&regex, TIME "info: begin 0{99}7 end$", REG_EXTENDED | REG_NOSUB),
                         0);
        assert_int_equal(log_open(fixture->target), 0);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(log_open(fixture->target), 0);
        for (size_t i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        for (char *line = strtok(read_log(fixture), "\n"); line; line = strtok(NULL, "\n")) {
                assert_int_equal(regexec(&regex, line, 0, NULL, 0), 0);
                n_lines++;
        }
        assert_int_equal(n_lines, 300);
        regfree(&regex);
}

static void test_limits_are_of_each(void **state) {
        static struct log_limits limits = {.what = "denial", .burst = 2, .interval_ms = 3600000};
        struct fixture *fixture = *state;
        unsigned n = 0;

        assert_int_equal(log_open(fixture->target), 0);
        for (unsigned i = 0; i < 100; i++)
                n += log_limits_pass(&limits, 7);
        assert_int_equal(n, 2);
        assert_true(log_limits_pass(&limits, 8));
        limits.shares[8].window_start_ms -= 3600000;
        assert_true(log_limits_pass(&limits, 8));
        assert_int_equal(limits.shares[8].n_suppressed, 0);
        limits.shares[7].window_start_ms -= 3600000;
        assert_true(log_limits_pass(&limits, 7));
        assert_matches(read_log(fixture), "warning: 98 denials were not logged\n$");
}

static void test_one_that_was_suppressed_is_one(void **state) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 3600000};
        static struct log_limit named = {.what = "denial", .burst = 1, .interval_ms = 3600000};
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        for (unsigned i = 0; i < 2; i++) {
                (void)log_limit_pass(&limit);
                (void)log_limit_pass(&named);
        }
        limit.window_start_ms -= 3600000;
        named.window_start_ms -= 3600000;
        assert_true(log_limit_pass(&limit));
        assert_true(log_limit_pass(&named));
        assert_matches(read_log(fixture), "warning: 1 line like the next one was suppressed\n.*"
                                          "warning: 1 denial was not logged\n$");
}

static void test_limit_suppresses_and_says_how_many(void **state) {
        static struct log_limit limit = {.burst = 2, .interval_ms = 3600000};
        struct fixture *fixture = *state;

        assert_int_equal(log_open(fixture->target), 0);
        for (unsigned i = 0; i < 5; i++)
                log_limited(&limit, LOG_LEVEL_INFO, "line %u", i);
        log_limited(&limit, LOG_LEVEL_DEBUG, "not enabled, not counted");
        assert_matches(read_log(fixture), "line 0\n.*line 1\n$");

        limit.window_start_ms -= 3600000; /* the interval is over */
        log_limited(&limit, LOG_LEVEL_INFO, "line 5");
        assert_matches(read_log(fixture),
                       "line 1\n.*warning: 3 lines like the next one were suppressed\n.*line 5\n$");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_line_has_time_level_and_text),
                TEST(test_level_decides_what_is_written),
                cmocka_unit_test(test_levels_have_names),
                TEST(test_text_is_made_printable),
                TEST(test_long_line_is_cut_between_characters),
                TEST(test_line_that_just_fits_is_whole),
                TEST(test_errno_is_kept_and_known),
                TEST(test_file_is_appended_to_and_opened_again),
                TEST(test_failure_keeps_the_former_target),
                TEST(test_journal_behind_stderr_gets_priorities),
                TEST(test_full_pipe_does_not_block),
                TEST(test_full_socket_does_not_block),
                TEST(test_reader_that_is_gone_raises_no_signal),
                TEST(test_lines_of_threads_do_not_mix),
                TEST(test_limits_are_of_each),
                TEST(test_one_that_was_suppressed_is_one),
                TEST(test_limit_suppresses_and_says_how_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
