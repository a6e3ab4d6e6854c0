/* The keys of a listener that say who is admitted, and for how long: what is read, and each way in
 * which it is wrong or does not fit the address. */
#include "daemon/access_list.h"
#include "daemon/config.h"
#include "daemon/schedule.h"

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

static char path[] = "/tmp/test_config_admission.XXXXXX";
static struct config *config;
static struct config_errors errors;

static int make_file(void **state) {
        int fd = mkstemp(path);

        return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
        return unlink(path);
}

static int tear_down(void **state) {
        config = config_unref(config);
        config_errors_deinit(&errors);
        return 0;
}

static int load(const char *text) {
        FILE *file = fopen(path, "we");

        tear_down(NULL);
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
        return config_load(&config, path, NULL, 0, &errors);
}

static void load_good(const char *text) {
        int r = load(text);

        if (r != 0)
                fail_msg("%d: %s", r, errors.n_lines > 0 ? errors.lines[0] : "");
}

/* Expects one line that contains the text. */
static void load_bad_with(const char *text, const char *part) {
        assert_int_equal(load(text), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        if (!strstr(errors.lines[0], part))
                fail_msg("%s: %s", text, errors.lines[0]);
}

#define LISTENER(address, keys)                                                                    \
        "listeners = ( { name = \"a\"; listen = \"" address "\"; " keys " } );"

static bool admits(const char *host) {
        struct access_prefix prefix;
        char *reason = NULL;

        assert_int_equal(access_prefix_parse(&prefix, host, &reason), 0);
        return access_list_admits(config->listeners[0].admission.access, &prefix.first);
}

static void test_limits_of_a_listener_are_read(void **state) {
        const struct config_admission *admission;

        load_good(LISTENER(
                "tcp://127.0.0.1:1",
                "max_connections = 100; max_connections_per_source = 10;\n"
                "max_connections_per_uid = 5; cps = { connections = 50; pause = \"1m\"; };\n"
                "idle_timeout = \"5m\"; max_time = \"1h\"; times = [\"00:00-24:00\"];\n"
                "allow = [\"192.0.2.0/24\", \"2001:db8::/32\", \"127.0.0.1\"];\n"
                "deny = (\"192.0.2.9\");"));
        admission = &config->listeners[0].admission;
        assert_int_equal(admission->max_connections, 100);
        assert_int_equal(admission->max_connections_per_source, 10);
        assert_int_equal(admission->max_connections_per_uid, 5);
        assert_int_equal(admission->cps.connections, 50);
        assert_int_equal(admission->cps.pause_ms, 60000);
        assert_int_equal(admission->idle_timeout_ms, 300000);
        assert_int_equal(admission->max_time_ms, 3600000);
        assert_true(schedule_is_open(admission->schedule, 0));
        assert_true(admits("192.0.2.8"));
        assert_false(admits("192.0.2.9"));
        assert_true(admits("2001:db8::9"));
        assert_false(admits("10.0.0.1"));
}

static void test_a_listener_has_no_limits_by_default(void **state) {
        const struct config_admission *admission;

        load_good(LISTENER("tcp://127.0.0.1:1", "cps = { connections = 1; };"));
        admission = &config->listeners[0].admission;
        assert_int_equal(admission->max_connections, 0);
        assert_int_equal(admission->max_connections_per_source, 0);
        assert_int_equal(admission->max_connections_per_uid, 0);
        assert_int_equal(admission->cps.pause_ms, 10000);
        assert_int_equal(admission->idle_timeout_ms, 0);
        assert_int_equal(admission->max_time_ms, 0);
        assert_null(admission->access);
        assert_null(admission->schedule);
        /* Nobody, and never, are limits. */
        load_good(LISTENER("tcp://127.0.0.1:1", "allow = []; times = [];"));
        assert_false(admits("127.0.0.1"));
        assert_false(schedule_is_open(config->listeners[0].admission.schedule, 0));
        load_good(LISTENER("tcp://127.0.0.1:1", "deny = [];"));
        assert_true(admits("127.0.0.1"));
}

static void test_wrong_limits_of_a_listener_are_refused(void **state) {
        static const struct {
                const char *keys, *part;
        } rows[] = {
                {"allow = \"10.0.0.0/8\";",
                 "listeners[0].allow: found \"10.0.0.0/8\", expected [ "},
                {"deny = { };", "listeners[0].deny: found a group { ... }, expected [ "},
                {"allow = [1];", "listeners[0].allow: found 1, expected a string with an address"},
                {"allow = (\"::1\", true);", "listeners[0].allow: found true, expected a string"},
                {"allow = [\"\"];",
                 "listeners[0].allow: found \"\", expected an address or a prefix"},
                {"deny = [\"localhost\"];", "found \"localhost\", expected an address or a prefix"},
                {"deny = [\"10.0.0.0/33\"];", "expected a number of bits from 0 to 32 behind"},
                {"allow = [\"10.0.0.1/8\"];",
                 "found \"10.0.0.1/8\", which has more bits than the prefix is long; expected "
                 "\"10.0.0.0/8\" or \"10.0.0.1\""},
                {"deny = [\"::/0\", \"10.0.0.0/8\"]; allow = [\"::ffff:10.0.0.0/104\"];",
                 "listeners[0].deny: found \"10.0.0.0/8\", which is in allow as well"},
                {"times = \"08:00-18:00\";",
                 "listeners[0].times: found \"08:00-18:00\", expected [ "},
                {"times = [8];", "listeners[0].times: found 8, expected a string with a range"},
                {"times = [\"8-18\"];", "found \"8-18\", expected a range of time, such as"},
                {"times = [\"08:00-08:00\"];", "expected a range that ends at another time"},
                {"cps = 5;", "listeners[0].cps: found 5, expected a group"},
                {"cps = { connections = -1; };",
                 "listeners[0].cps.connections: found -1, expected"},
                {"cps = { pause = \"10s\"; };", "listeners[0].cps.pause: it is for too many"},
                {"cps = { connections = 1; pause = 10; };", "listeners[0].cps.pause: found 10"},
                {"max_connections = \"many\";", "listeners[0].max_connections: found \"many\""},
                {"idle_timeout = 300;",
                 "listeners[0].idle_timeout: found 300, expected a duration"},
                {"max_time = \"366d\";",
                 "listeners[0].max_time: found \"366d\", expected a duration"},
        };
        char text[512];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(text, sizeof(text), LISTENER("tcp://127.0.0.1:1", "%s"), rows[i].keys);
                load_bad_with(text, rows[i].part);
        }
}

static void test_limits_that_cannot_apply_are_refused(void **state) {
        static const struct {
                const char *listen, *key, *fits;
        } rows[] = {
                {"unix:@a", "allow = [\"10.0.0.0/8\"]", "tcp://, tls:// and udp:// listeners"},
                {"unix+dgram:@a", "deny = []", "tcp://, tls:// and udp:// listeners"},
                {"unix:@a", "max_connections_per_source = 1", "tcp:// and tls:// listeners"},
                {"udp://127.0.0.1:1", "max_connections_per_source = 1",
                 "tcp:// and tls:// listeners"},
                {"udp://127.0.0.1:1", "max_connections = 1", "sockets that accept connections"},
                {"unix+dgram:@a", "max_connections_per_uid = 1", "sockets that accept connections"},
                {"udp://127.0.0.1:1", "idle_timeout = \"1m\"", "sockets that accept connections"},
        };
        char text[512], part[128];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                snprintf(text, sizeof(text), LISTENER("%s", "%s;"), rows[i].listen, rows[i].key);
                snprintf(part, sizeof(part), "only for %s, but the listener is on", rows[i].fits);
                load_bad_with(text, part);
        }
        load_good(
                LISTENER("udp://127.0.0.1:1",
                         "allow = [\"10.0.0.0/8\"]; deny = [\"10.1.0.0/16\"]; max_time = \"1h\";\n"
                         "times = [\"08:00-18:00\"]; cps = { connections = 5; };"));
        load_good(LISTENER("unix+dgram:@a", "max_time = \"1h\"; times = [\"mon 08:00-18:00\"];"));
        load_good(LISTENER("unix+seqpacket:@a",
                           "max_connections = 5; max_connections_per_uid = 1; max_time = \"1h\";\n"
                           "idle_timeout = \"1m\"; times = [\"08:00-18:00\"];"));
}

static void test_a_list_has_a_limit(void **state) {
        size_t n = ACCESS_PREFIXES_MAX / 2, size = 32 * (n + 8);
        char *text = malloc(size), *end = text;

        assert_non_null(text);
        end += sprintf(end,
                       "listeners = ( { name = \"a\"; listen = \"tcp://127.0.0.1:1\"; deny = [");
        for (size_t i = 0; i < n; i++)
                end += sprintf(end, "\"10.%zu.%zu.0/24\",\n", i / 256, i % 256);
        strcpy(end, "\"192.0.2.1\"]; } );");
        load_bad_with(text, "listeners[0].deny: found a list of 32769, expected at most 32768 "
                            "addresses and prefixes");
        strcpy(end - 2, "]; } );");
        load_good(text);
        assert_false(admits("10.127.255.1"));
        assert_true(admits("10.128.0.1"));
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_limits_of_a_listener_are_read, tear_down),
                cmocka_unit_test_teardown(test_a_listener_has_no_limits_by_default, tear_down),
                cmocka_unit_test_teardown(test_wrong_limits_of_a_listener_are_refused, tear_down),
                cmocka_unit_test_teardown(test_limits_that_cannot_apply_are_refused, tear_down),
                cmocka_unit_test_teardown(test_a_list_has_a_limit, tear_down),
        };

        return cmocka_run_group_tests(tests, make_file, remove_file);
}
