/* The configuration: each key as it is read, defaulted and refused; all errors at once; includes;
 * the command line's listeners; references. Files are made in a directory of the test's own. */
#include "daemon/config.h"

#include "daemon/config_errors.h"
#include "daemon/permissions.h"
#include "daemon/role.h"
#include "lib/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static char directory[] = "/tmp/test_config.XXXXXX";
static struct config *config;
static struct config_errors errors;

/* The shipped example, if the test runs where make check runs it; read before the working directory
 * changes. */
static char example[16384];

static void read_example(void) {
        const char *source = getenv("srcdir");
        char path[4096];
        FILE *file;

        snprintf(path, sizeof(path), "%s/etc/sockd.conf", source ? source : ".");
        file = fopen(path, "re");
        if (!file)
                return;
        example[fread(example, 1, sizeof(example) - 1, file)] = '\0';
        fclose(file);
}

static int make_directory(void **state) {
        read_example();
        return mkdtemp(directory) && chdir(directory) == 0 ? 0 : -1;
}

static int remove_directory(void **state) {
        return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        config = config_unref(config);
        config_errors_deinit(&errors);
        return 0;
}

static void write_bytes(const char *path, const char *bytes, size_t length) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        assert_int_equal(fclose(file), 0);
}

static void write_file(const char *path, const char *text) {
        write_bytes(path, text, strlen(text));
}

/* Loads a file with that text, and forgets the last one. */
static int load(const char *text) {
        int r;

        tear_down(NULL);
        write_file("sockd.conf", text);
        r = config_load(&config, "sockd.conf", NULL, 0, &errors);
        unlink("sockd.conf");
        return r;
}

static void load_good(const char *text) {
        int r = load(text);

        if (r != 0)
                fail_msg("%d: %s", r, errors.n_lines > 0 ? errors.lines[0] : "");
        assert_int_equal(errors.n_lines, 0);
}

/* Expects exactly those lines, which stand in one string with a newline behind each. */
static void assert_lines(const char *expected) {
        char all[65536] = "";

        for (size_t i = 0; i < errors.n_lines; i++) {
                strncat(all, errors.lines[i], sizeof(all) - strlen(all) - 2);
                strcat(all, "\n");
        }
        assert_string_equal(all, expected);
}

static void load_bad(const char *text, const char *expected) {
        assert_int_equal(load(text), -EINVAL);
        assert_null(config);
        assert_lines(expected);
}

/* Expects one line that contains the text. */
static void load_bad_with(const char *text, const char *part) {
        assert_int_equal(load(text), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        if (!strstr(errors.lines[0], part))
                fail_msg("%s: %s", text, errors.lines[0]);
}

static void test_empty_file_is_the_defaults(void **state) {
        char text[ADDRESS_TEXT_MAX];
        cpu_set_t set;

        load_good("");
        assert_string_equal(config->path, "sockd.conf");
        assert_true(strlen(config->server.name) > 0);
        assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
        assert_int_equal(config->server.workers, CPU_COUNT(&set));
        assert_int_equal(config->server.max_connections, 65536);
        assert_int_equal(config->server.max_subscriptions, 0);
        assert_int_equal(config->server.max_payload, 1048576);
        assert_int_equal(config->server.max_control_line, 4096);
        assert_int_equal(config->server.max_pending, 67108864);
        assert_int_equal(config->server.ping_interval_ms, 120000);
        assert_int_equal(config->server.ping_max, 2);
        assert_int_equal(config->server.auth_timeout_ms, 2000);
        assert_int_equal(config->server.write_deadline_ms, 10000);
        assert_int_equal(config->server.lame_duck_grace_ms, 10000);
        assert_int_equal(config->server.lame_duck_duration_ms, 120000);
        assert_string_equal(config->log.target, "auto");
        assert_int_equal(config->log.level, LOG_LEVEL_INFO);
        assert_int_equal(config->n_listeners, 1);
        assert_string_equal(config->listeners[0].name, "local");
        assert_true(address_is_unix(&config->listeners[0].address));
        assert_int_equal(config->listeners[0].mode, 0666);
        assert_int_equal(config->listeners[0].owner, (uid_t)-1);
        assert_int_equal(config->listeners[0].group, (gid_t)-1);
        if (geteuid() == 0)
                assert_string_equal(address_format(&config->listeners[0].address, text),
                                    "unix://" RUNSTATEDIR "/sockd/sockd.sock");
}

static void test_every_key_of_server_and_log_is_read(void **state) {
        load_good("server = {\n"
                  "  name = \"host-a.example\"; workers = 3;\n"
                  "  max_connections = 10; max_subscriptions = 11;\n"
                  "  max_payload = \"2M\"; max_control_line = 8192; max_pending = \"1.5G\";\n"
                  "  ping_interval = \"250ms\"; ping_max = 4;\n"
                  "  auth_timeout = \"1s\"; write_deadline = \"1.5s\";\n"
                  "  lame_duck_grace = \"0s\"; lame_duck_duration = \"1h\";\n"
                  "};\n"
                  "log = { target = \"file:/var/log/sockd.log\"; level = \"trace\"; };\n");
        assert_string_equal(config->server.name, "host-a.example");
        assert_int_equal(config->server.workers, 3);
        assert_int_equal(config->server.max_connections, 10);
        assert_int_equal(config->server.max_subscriptions, 11);
        assert_int_equal(config->server.max_payload, 2097152);
        assert_int_equal(config->server.max_control_line, 8192);
        assert_int_equal(config->server.max_pending, 1610612736);
        assert_int_equal(config->server.ping_interval_ms, 250);
        assert_int_equal(config->server.ping_max, 4);
        assert_int_equal(config->server.auth_timeout_ms, 1000);
        assert_int_equal(config->server.write_deadline_ms, 1500);
        assert_int_equal(config->server.lame_duck_grace_ms, 0);
        assert_int_equal(config->server.lame_duck_duration_ms, 3600000);
        assert_string_equal(config->log.target, "file:/var/log/sockd.log");
        assert_int_equal(config->log.level, LOG_LEVEL_TRACE);
}

static void test_every_key_of_a_listener_is_read(void **state) {
        load_good("listeners = (\n"
                  "  { name = \"a\"; listen = \"unix:///run/a\"; mode = \"0660\";\n"
                  "    owner = \"root\"; group = \"1234\"; backlog = 16; },\n"
                  "  { name = \"b\"; listen = \"tcp://[::]:4222\"; v6only = true;\n"
                  "    nodelay = false; keepalive = false; },\n"
                  "  { name = \"c\"; listen = \"unix:@abstract\"; },\n"
                  "  { name = \"d\"; listen = \"tcp://127.0.0.1:0\"; },\n"
                  "  { name = \"e\"; listen = \"tcp://127.0.0.1:0\"; }\n"
                  ");\n");
        assert_int_equal(config->n_listeners, 5);
        assert_string_equal(config->listeners[0].name, "a");
        assert_string_equal(config->listeners[0].address.path, "/run/a");
        assert_int_equal(config->listeners[0].mode, 0660);
        assert_int_equal(config->listeners[0].owner, 0);
        assert_int_equal(config->listeners[0].group, 1234);
        assert_int_equal(config->listeners[0].backlog, 16);
        assert_true(config->listeners[1].v6only);
        assert_false(config->listeners[1].nodelay);
        assert_false(config->listeners[1].keepalive);
        assert_int_equal(config->listeners[2].address.is_abstract, true);
        assert_false(config->listeners[3].v6only);
        assert_true(config->listeners[3].nodelay);
        assert_true(config->listeners[3].keepalive);
        assert_int_equal(config->listeners[3].backlog, SOMAXCONN);
        assert_string_equal(config->listeners[4].name, "e");
}

static void test_bounds_of_ranges_are_allowed(void **state) {
        load_good("server = { workers = 256; max_connections = 1; max_control_line = 64;"
                  " max_payload = \"64M\"; max_pending = \"64M\"; ping_max = 1; };");
        load_good("server = { workers = 0; max_connections = 16777216; max_control_line = \"64K\";"
                  " max_payload = 1; max_pending = \"1T\"; ping_interval = \"10ms\"; };");
        assert_int_equal(config->server.max_pending, UINT64_C(1) << 40);
        load_good("server = { lame_duck_grace = \"1d\"; lame_duck_duration = \"1d\"; };");
}

static void test_integer_of_more_than_32_bits_is_read_whole(void **state) {
        load_good("server = { max_pending = 5000000000; };");
        assert_int_equal(config->server.max_pending, 5000000000);
        load_good("server = { max_pending = 0x12A05F200; };");
        assert_int_equal(config->server.max_pending, 5000000000);
        load_good("server = { max_pending = 5000000000L; };");
        assert_int_equal(config->server.max_pending, 5000000000);
        /* 2^32 + 5, of which libconfig would leave 5. */
        load_bad("server = { max_connections = 4294967301; };",
                 "sockd.conf:1: server.max_connections: found 4294967301, expected an integer from "
                 "1 to 16777216\n");
        load_bad("\nserver = { max_connections = 99999999999999999999; };",
                 "sockd.conf:2: the number does not fit 64 bits\n");
        load_bad("# 99999999999999999999\nserver = { name = 1.99999999999999999999; };",
                 "sockd.conf:2: server.name: found 2, expected a name of at most 255 printable "
                 "ASCII characters without blanks, *, > and empty parts between dots\n");
}

/* Each key of server and log: a wrong type, and values beyond both ends. */
static void test_wrong_values_are_refused(void **state) {
        static const struct {
                const char *group, *text, *part;
        } examples[] = {
                {"server", "name = 5", "server.name: found 5, expected a name"},
                {"server", "name = \"\"", "found \"\", expected a name"},
                {"server", "name = \"a b\"", "expected a name"},
                {"server", "name = \"a.*\"", "expected a name"},
                {"server", "name = \"a..b\"", "expected a name"},
                {"server", "name = \".a\"", "expected a name"},
                {"server", "name = \"a.\"", "expected a name"},
                {"server", "name = \"\xc3\xa9\"", "expected a name"},
                {"server", "workers = \"2\"", "found \"2\", expected an integer from 0 to 256"},
                {"server", "workers = -1", "found -1, expected an integer from 0 to 256"},
                {"server", "workers = 257", "found 257, expected an integer from 0 to 256"},
                {"server", "workers = 1.5", "found 1.5, expected an integer"},
                {"server", "workers = true", "found true, expected an integer"},
                {"server", "workers = [1, 2]", "found an array [ ... ], expected an integer"},
                {"server", "workers = (1, \"a\")", "found a list ( ... ), expected an integer"},
                {"server", "workers = { }", "found a group { ... }, expected an integer"},
                {"server", "max_connections = 0", "expected an integer from 1 to 16777216"},
                {"server", "max_connections = 16777217", "expected an integer from 1"},
                {"server", "max_subscriptions = -1", "an integer from 0 to 1000000000"},
                {"server", "max_payload = 0", "found 0, expected a size from 1 to 64M bytes"},
                {"server", "max_payload = -5", "found -5, expected a size from 1 to 64M bytes"},
                {"server", "max_payload = \"65M\"", "expected a size from 1 to 64M bytes"},
                {"server", "max_payload = \"99999999T\"", "expected a size from 1 to 64M bytes"},
                {"server", "max_payload = \"1X\"",
                 "found \"1X\", expected a number of bytes, or a string with a unit, such as "
                 "\"64K\""},
                {"server", "max_payload = 1.5", "expected a number of bytes"},
                {"server", "max_control_line = 63", "expected a size from 64 to 64K bytes"},
                {"server", "max_control_line = \"2M\"", "expected a size from 64 to 64K bytes"},
                {"server", "max_pending = \"2T\"", "expected a size from 1 to 1T bytes"},
                {"server", "ping_interval = 20",
                 "found 20, expected a duration with a unit, such as \"20s\""},
                {"server", "ping_interval = 45",
                 "found 45, expected a duration with a unit, such as \"45s\""},
                {"server", "ping_interval = \"20\"",
                 "found \"20\", expected a duration with a unit, such as \"20s\""},
                {"server", "ping_interval = true", "expected a duration with a unit"},
                {"server", "ping_interval = \"9ms\"", "a duration from \"10ms\" to \"1d\""},
                {"server", "ping_interval = \"25h\"", "a duration from \"10ms\" to \"1d\""},
                {"server", "ping_interval = \"99999999999999999d\"", "a duration from"},
                {"server", "ping_max = 0", "expected an integer from 1 to 1000"},
                {"server", "auth_timeout = \"0s\"", "a duration from \"10ms\" to \"1h\""},
                {"server", "write_deadline = \"2h\"", "a duration from \"10ms\" to \"1h\""},
                {"server", "lame_duck_grace = \"2d\"", "a duration from \"0s\" to \"1d\""},
                {"server", "lame_duck_duration = 1", "such as \"1s\""},
                {"log", "target = \"syslog\"",
                 "log.target: found \"syslog\", expected \"auto\", \"journal\", \"stderr\" or "
                 "\"file:\" with an absolute path"},
                {"log", "target = \"file:log\"", "expected \"auto\""},
                {"log", "target = true", "found true, expected \"auto\""},
                {"log", "level = \"loud\"", "\"error\", \"warning\", \"info\", \"debug\" or"},
                {"log", "level = 3", "found 3, expected \"error\""},
        };
        char text[256];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                snprintf(text, sizeof(text), "%s = { %s; };", examples[i].group, examples[i].text);
                load_bad_with(text, examples[i].part);
        }
}

static void test_wrong_listeners_are_refused(void **state) {
        static const char tcp[] = "name = \"t\"; listen = \"tcp://127.0.0.1:4222\"";
        static const char path[] = "name = \"u\"; listen = \"unix:///run/x\"";
        static const struct {
                const char *base, *text, *part;
        } examples[] = {
                {"", "listen = \"tcp://127.0.0.1:1\"",
                 "listeners[0]: there is no \"name\", which every entry needs"},
                {"", "name = \"a\"",
                 "listeners[0]: there is no \"listen\", which every entry needs"},
                {"listen = \"/run/x\"", "name = \"a.b\"", "listeners[0].name: found \"a.b\""},
                {"listen = \"/run/x\"", "name = \"a:b\"", "expected a name of at most 64"},
                {"listen = \"/run/x\"", "name = \"\"", "expected a name of at most 64"},
                {"listen = \"/run/x\"", "name = [\"a\"]", "found an array [ ... ], expected a"},
                {"name = \"a\"", "listen = 4222",
                 "found 4222, expected an address, such as \"tcp://127.0.0.1:4222\""},
                {"name = \"a\"", "listen = \"tcp://::1:4222\"",
                 "found \"tcp://::1:4222\", expected an address, but an IPv6 address stands in "
                 "brackets, as in tcp://[::1]:4222"},
                {path, "mode = 660",
                 "found 660, expected a string of octal digits, such as \"0660\"; a number "
                 "without quotes is never octal here"},
                {path, "mode = \"0888\"", "expected the permission bits as octal digits"},
                {path, "mode = \"04755\"", "expected the permission bits"},
                {path, "mode = \"4755\"", "expected the permission bits"},
                {path, "mode = \"66\"", "expected the permission bits"},
                {path, "mode = true", "found true, expected the permission bits"},
                {path, "owner = \"no such user\"",
                 "owner: found \"no such user\", expected a user that exists on this system"},
                {path, "owner = \"\"", "expected a string with the name or number of a user"},
                {path, "owner = 0", "found 0, expected a string with the name or number of a"},
                {path, "owner = \"4294967295\"", "expected a user that exists"},
                {path, "group = \"no-such-group\"", "expected a group that exists on"},
                {path, "group = \"99999999999\"", "expected a group that exists"},
                {path, "backlog = 0", "expected an integer from 1 to 65535"},
                {path, "nodelay = true",
                 "nodelay: only for tcp:// and tls:// listeners, but the listener is on "
                 "unix:///run/x"},
                {path, "keepalive = false", "keepalive: only for tcp:// and tls:// listeners"},
                {path, "v6only = true", "v6only: only for IPv6 addresses, as in tcp://[::]:4222"},
                {"name = \"a\"; listen = \"tcp://[::]:1\"", "v6only = 1",
                 "v6only: found 1, expected true or false"},
                {tcp, "nodelay = \"yes\"", "found \"yes\", expected true or false"},
                {tcp, "mode = \"0660\"",
                 "mode: only for Unix sockets with a path, but the listener is on "
                 "tcp://127.0.0.1:4222"},
                {tcp, "owner = \"0\"", "owner: only for Unix sockets with a path"},
                {tcp, "group = \"0\"", "group: only for Unix sockets with a path"},
                {"name = \"a\"; listen = \"unix:@a\"", "mode = \"0600\"",
                 "mode: only for Unix sockets with a path, but the listener is on unix:@a"},
        };
        char text[1024];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                snprintf(text, sizeof(text), "listeners = ( { %s%s %s; } );", examples[i].base,
                         *examples[i].base ? ";" : "", examples[i].text);
                load_bad_with(text, examples[i].part);
        }
}

static void test_path_over_the_limit_says_so(void **state) {
        char text[512];

        snprintf(text, sizeof(text), "listeners = ( { name = \"a\"; listen = \"/%0107d\"; } );", 0);
        load_bad_with(text, "00\"..., expected an address, but the path is longer than 107 bytes, "
                            "the limit of the system");
}

static void test_all_errors_are_reported_at_once(void **state) {
        load_bad("server = {\n"
                 "  workers = \"two\";\n"
                 "  ping_interval = 20;\n"
                 "  pingmax = 3;\n"
                 "};\n"
                 "log = 5;\n"
                 "listeners = (\n"
                 "  { name = \"local\"; listen = \"unix:///run/x\"; mod = \"0660\"; },\n"
                 "  { name = \"local\"; listen = \"unix:/run/x\"; },\n"
                 "  { name = \"tcp\";\n"
                 "    listen = \"tcp://localhost\"; },\n"
                 "  7\n"
                 ");\n"
                 "colour = \"red\";\n",
                 "sockd.conf:2: server.workers: found \"two\", expected an integer from 0 to 256\n"
                 "sockd.conf:3: server.ping_interval: found 20, expected a duration with a unit, "
                 "such as \"20s\"\n"
                 "sockd.conf:4: server.pingmax: unknown key, did you mean \"ping_max\"? Known here "
                 "are name, workers, max_connections, max_subscriptions, max_payload, "
                 "max_control_line, max_pending, ping_interval, ping_max, auth_timeout, "
                 "write_deadline, lame_duck_grace, lame_duck_duration\n"
                 "sockd.conf:6: log: found 5, expected a group { ... }\n"
                 "sockd.conf:8: listeners[0].mod: unknown key, did you mean \"mode\"? Known here "
                 "are name, listen, mode, owner, group, backlog, v6only, nodelay, keepalive, "
                 "anonymous, identify, account, "
                 "rate, receive_buffer, send_buffer, tls, join, interface, session_timeout, "
                 "cookie_lifetime, "
                 "max_sessions, "
                 "max_sessions_per_source, echo, discard, daytime, time, chargen\n"
                 "sockd.conf:11: listeners[2].listen: found \"tcp://localhost\", expected an "
                 "address, but there is no port, as in tcp://127.0.0.1:4222\n"
                 "sockd.conf:12: listeners[3]: found 7, expected a group { ... }\n"
                 "sockd.conf:14: colour: unknown key; known here are server, log, listeners, "
                 "users, default_permissions, accounts, system_account\n"
                 "sockd.conf:9: listeners[1].name: found \"local\", which listeners[0] has "
                 "already\n"
                 "sockd.conf:9: listeners[1].listen: found \"unix:///run/x\", where listeners[0] "
                 "is already\n");
}

static void test_conflicts_are_refused(void **state) {
        load_bad("server = {\n  max_payload = \"2M\";\n  max_pending = \"1M\";\n};\n",
                 "sockd.conf:3: server.max_pending: found 1M, expected at least max_payload, which "
                 "is 2M\n");
        load_bad("server = {\n  max_pending = \"512K\";\n};\n",
                 "sockd.conf:2: server.max_pending: found 512K, expected at least max_payload, "
                 "which is 1M\n");
        load_bad("server = { lame_duck_grace = \"3m\"; };",
                 "sockd.conf:1: server.lame_duck_grace: found \"3m\", expected at most "
                 "lame_duck_duration, which is \"2m\"\n");
}

static void test_users_have_nkeys_of_their_own(void **state) {
#define NKEY "nkey = \"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK\"; }"
        load_bad("users = ( { name = \"a\"; " NKEY ",\n { name = \"b\"; " NKEY " );",
                 "sockd.conf:2: users[1].nkey: it is that of users[0]\n");
#undef NKEY
}

static void test_keys_of_datagrams_must_make_sense(void **state) {
        load_good("listeners = ( { name = \"a\"; listen = \"udp://*:1\";"
                  " join = [\"239.1.1.1\", \"ff05::1\"]; } );");
        load_good("listeners = ( { name = \"a\"; listen = \"udp://[::]:1\";"
                  " join = [\"239.1.1.1\", \"ff05::1\"]; } );");
        load_bad("listeners = ( { name = \"a\"; listen = \"udp://0.0.0.0:1\";"
                 " join = [\"ff05::1\"]; } );",
                 "sockd.conf:1: listeners[0].join: what is sent to \"ff05::1\" does not come to "
                 "udp://0.0.0.0:1; listen on all addresses, as with udp://*:1\n");
        load_bad("listeners = ( { name = \"a\"; listen = \"udp://[::]:1\"; v6only = true;"
                 " join = [\"239.1.1.1\"]; } );",
                 "sockd.conf:1: listeners[0].join: what is sent to \"239.1.1.1\" does not come to "
                 "udp://[::]:1; listen on all addresses, as with udp://*:1\n");
        load_good("listeners = ( { name = \"a\"; listen = \"udp://239.1.1.1:1\";"
                  " join = [\"239.1.1.1\"]; } );");
        load_bad("listeners = ( { name = \"a\"; listen = \"udp://127.0.0.1:1\";"
                 " join = [\"239.1.1.1\"]; } );",
                 "sockd.conf:1: listeners[0].join: what is sent to \"239.1.1.1\" does not come to "
                 "udp://127.0.0.1:1; listen on all addresses, as with udp://*:1\n");
        load_bad("listeners = ( { name = \"a\"; listen = \"udp://*:1\";"
                 " join = [\"239.1.1.1\", \"239.1.1.1\"]; } );",
                 "sockd.conf:1: listeners[0].join: \"239.1.1.1\" stands there twice\n");
        load_bad("listeners = ( { name = \"a\"; listen = \"udp://*:1\"; interface = \"lo\"; } );",
                 "sockd.conf:1: listeners[0].interface: there is no join, which it is for\n");
        load_bad(
                "listeners = ( { name = \"a\"; listen = \"udp://*:1\"; rate = { burst = 5; }; } );",
                "sockd.conf:1: listeners[0].rate.burst: it is of messages, which have no limit "
                "here\n");
}

static void test_users_are_read_in_their_order(void **state) {
        load_good("users = ( { name = \"a\"; peer = { uid = 1000; }; role = \"admin\"; },\n"
                  "          { name = \"b\"; peer = { user = \"root\"; gid = 5; }; },\n"
                  "          { name = \"c\"; peer = { group = \"7\"; }; role = \"none\"; } );");
        assert_int_equal(config->n_users, 3);
        assert_string_equal(config->users[0].name, "a");
        assert_int_equal(config->users[0].peer.uid, 1000);
        assert_int_equal(config->users[0].peer.gid, (gid_t)-1);
        assert_int_equal(config->users[0].role, ROLE_ADMIN);
        assert_int_equal(config->users[1].peer.uid, 0);
        assert_int_equal(config->users[1].peer.gid, 5);
        assert_int_equal(config->users[1].role, ROLE_NONE);
        assert_int_equal(config->users[2].peer.uid, (uid_t)-1);
        assert_int_equal(config->users[2].peer.gid, 7);
        assert_int_equal(config->users[2].role, ROLE_LOCAL);
        load_good("users = ( { name = \"a\"; peer = { pid = 4194304; exe = \"/usr/bin/a.b\";\n"
                  "            unit = \"a@1\\\\x2d2.service\"; slice = \"system.slice\"; }; },\n"
                  "          { name = \"b\"; peer = { uid = 5; user_unit = \"a.scope\"; }; } );");
        assert_int_equal(config->users[0].peer.uid, (uid_t)-1);
        assert_int_equal(config->users[0].peer.gid, (gid_t)-1);
        assert_int_equal(config->users[0].peer.pid, 4194304);
        assert_string_equal(config->users[0].peer.exe, "/usr/bin/a.b");
        assert_string_equal(config->users[0].peer.unit, "a@1\\x2d2.service");
        assert_string_equal(config->users[0].peer.slice, "system.slice");
        assert_null(config->users[0].peer.user_unit);
        assert_int_equal(config->users[1].peer.pid, 0);
        assert_string_equal(config->users[1].peer.user_unit, "a.scope");
        assert_null(config->users[1].peer.exe);
}

static void test_wrong_users_are_refused(void **state) {
        load_bad("users = ( { name = \"a\"; } );",
                 "sockd.conf:1: users[0]: found nothing that a user can be known by, expected "
                 "peer, password, password_file, token, token_file, nkey or certificate\n");
        load_bad("users = ( { name = \"a\"; peer = { }; } );",
                 "sockd.conf:1: users[0].peer: found nothing, expected one or more of user, uid, "
                 "group, gid, pid, exe, unit, user_unit and slice\n");
        load_bad("users = ( { name = \"a\"; peer = { uid = 1; user = \"root\"; }; } );",
                 "sockd.conf:1: users[0].peer.uid: there is \"user\" already, which means the "
                 "same\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = -1; }; } );",
                 "sockd.conf:1: users[0].peer.gid: found -1, expected an integer from 0 to "
                 "4294967294\n");
        load_bad("users = ( { name = \"a b\"; peer = { gid = 1; }; } );",
                 "sockd.conf:1: users[0].name: found \"a b\", expected a name of at most 64 "
                 "printable ASCII characters without blanks\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = 1; }; role = \"root\"; } );",
                 "sockd.conf:1: users[0].role: found \"root\", expected \"admin\", \"monitor\" or "
                 "\"none\"\n");
        load_bad("users = ( { name = \"a\"; peer = { gid = 1; }; },\n"
                 "          { name = \"b\"; peer = { gid = 1; }; },\n"
                 "          { name = \"a\"; peer = { gid = 2; }; } );",
                 "sockd.conf:3: users[2].name: found \"a\", which users[0] has already\n");
}

/* Refuses a rule with that condition, whose error has the name of the key before the text. */
static void check_condition(const char *condition, const char *complaint) {
        char text[256], expected[512];

        snprintf(text, sizeof(text), "users = ( { name = \"a\"; peer = { %s; }; } );", condition);
        snprintf(expected, sizeof(expected), "sockd.conf:1: users[0].peer.%.*s: %s\n",
                 (int)strcspn(condition, " "), condition, complaint);
        load_bad(text, expected);
}

static void test_wrong_conditions_are_refused(void **state) {
        static const char *const paths[] = {"nginx", "",       "/",      "/usr/",
                                            "/a//b", "/a/./b", "/a/../b"};
        static const char *const units[] = {"nginx",       "nginx@.service", "a.slice", "a.timer",
                                            "a b.service", ".service",       ""};
        static const char *const slices[] = {"a.service", "system", ".slice", "a/b.slice"};
        char condition[128], complaint[256];

        check_condition("pid = 0", "found 0, expected an integer from 1 to 4194304");
        check_condition("pid = \"1\"", "found \"1\", expected an integer from 1 to 4194304");
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                snprintf(condition, sizeof(condition), "exe = \"%s\"", paths[i]);
                snprintf(complaint, sizeof(complaint),
                         "found \"%s\", expected the absolute path of a program, without . and .., "
                         "such as \"/usr/sbin/nginx\"",
                         paths[i]);
                check_condition(condition, complaint);
        }
        for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
                snprintf(condition, sizeof(condition), "unit = \"%s\"", units[i]);
                snprintf(
                        complaint, sizeof(complaint),
                        "found \"%s\", expected the name of a unit that has processes, which ends "
                        "in .service, .scope, .socket, .mount or .swap and is no template, such as "
                        "\"nginx.service\"",
                        units[i]);
                check_condition(condition, complaint);
        }
        for (size_t i = 0; i < ARRAY_SIZE(slices); i++) {
                snprintf(condition, sizeof(condition), "slice = \"%s\"", slices[i]);
                snprintf(complaint, sizeof(complaint),
                         "found \"%s\", expected the name of a slice, such as \"system.slice\"",
                         slices[i]);
                check_condition(condition, complaint);
        }
        check_condition("user_unit = \"a.service\"",
                        "any user can name his units so; expected user or uid beside it");
}

static const char *explain_publish(struct permissions *permissions, const char *subject) {
        static char text[256];

        return permissions_explain(permissions,
                                   permissions_may_publish(permissions, bytes_from_string(subject)),
                                   text, sizeof(text));
}

static const char *explain_subscribe(struct permissions *permissions, const char *subject,
                                     const char *queue) {
        static char text[256];

        return permissions_explain(permissions,
                                   permissions_may_subscribe(permissions,
                                                             bytes_from_string(subject),
                                                             bytes_from_string(queue)),
                                   text, sizeof(text));
}

static void test_permissions_are_read_with_their_lines(void **state) {
        struct permissions *permissions;

        load_good("users = ( { name = \"a\"; peer = { uid = 1; }; permissions = {\n"
                  "    publish = { allow = [\"a.>\",\n"
                  "                         \"b\"];\n"
                  "                deny = ( \"a.x\" ); };\n"
                  "    subscribe = [ \"c\",\n"
                  "                  \"d\\tworkers\" ];\n"
                  "    allow_responses = { max = 5; expires = \"1m\"; };\n"
                  "}; }, { name = \"b\"; peer = { uid = 2; }; } );\n"
                  "default_permissions = { publish = [];\n"
                  "    allow_responses = false; };");
        permissions = config->users[0].permissions;
        assert_string_equal(explain_publish(permissions, "a.b"),
                            "allowed by \"a.>\", sockd.conf:2");
        assert_string_equal(explain_publish(permissions, "b"), "allowed by \"b\", sockd.conf:3");
        assert_string_equal(explain_publish(permissions, "a.x"), "denied by \"a.x\", sockd.conf:4");
        assert_string_equal(explain_publish(permissions, "x"),
                            "not among what is allowed, sockd.conf:2");
        assert_string_equal(explain_subscribe(permissions, "c", "q"),
                            "allowed by \"c\", sockd.conf:5");
        assert_string_equal(explain_subscribe(permissions, "d", "workers"),
                            "allowed by \"d workers\", sockd.conf:6");
        assert_string_equal(explain_subscribe(permissions, "x", ""),
                            "not among what is allowed, sockd.conf:5");
        assert_int_equal(permissions_max_responses(permissions), 5);
        assert_int_equal(permissions_response_ms(permissions), 60000);
        assert_null(config->users[1].permissions);
        permissions = config->default_permissions;
        assert_string_equal(explain_publish(permissions, "a"),
                            "not among what is allowed, sockd.conf:9");
        assert_string_equal(explain_subscribe(permissions, "a", ""), "not restricted");
        assert_int_equal(permissions_max_responses(permissions), 0);
}

static void test_responses_have_defaults(void **state) {
        static const struct {
                const char *text;
                uint64_t max, ms;
        } rows[] = {
                {"true", 1, 120000},
                {"{ }", 1, 120000},
                {"{ max = 0; expires = \"0s\"; }", 1, 120000},
                {"{ max = -1; expires = -1; }", PERMISSIONS_UNLIMITED, PERMISSIONS_UNLIMITED},
                {"{ max = 1000000000; expires = \"1d\"; }", 1000000000, 86400000},
        };
        char text[256];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct permissions *permissions;

                snprintf(text, sizeof(text), "default_permissions = { allow_responses = %s; };",
                         rows[i].text);
                load_good(text);
                permissions = config->default_permissions;
                assert_int_equal(permissions_max_responses(permissions), rows[i].max);
                assert_int_equal(permissions_response_ms(permissions), rows[i].ms);
                assert_string_equal(explain_publish(permissions, "a"),
                                    "not among what is allowed, sockd.conf:1");
        }
}

static void test_wrong_permissions_are_refused(void **state) {
        static const char entry[] = "expected a subject, such as \"a.b\", \"a.*\" or \"a.>\"";
        static const struct {
                const char *text, *path, *found;
        } entries[] = {
                {"publish = [ \"a..b\" ];", "publish", "\"a..b\""},
                {"publish = { allow = [ \"a.>.b\" ]; };", "publish.allow", "\"a.>.b\""},
                {"publish = { deny = [ \"\" ]; };", "publish.deny", "\"\""},
                {"publish = [ \"a b\" ];", "publish", "\"a b\""},
                {"publish = [ \"a \" ];", "publish", "\"a \""},
                {"publish = ( 1 );", "publish", "1"},
                {"subscribe = [ \"a\\nb\" ];", "subscribe", "\"a b\""},
                {"subscribe = [ \"a b c\" ];", "subscribe", "\"a b c\""},
                {"subscribe = [ \" a\" ];", "subscribe", "\" a\""},
                {"subscribe = { deny = [ \"a b.>.c\" ]; };", "subscribe.deny", "\"a b.>.c\""},
        };
        static const struct {
                const char *text, *error;
        } others[] = {
                {"publish = \"a\";", "publish: found \"a\", expected [ \"...\", ... ], a list of "
                                     "subjects that are allowed, or { allow = [ ... ]; deny = "
                                     "[ ... ]; }"},
                {"publish = { allow = \"a\"; };", "publish.allow: found \"a\", expected [ \"...\", "
                                                  "... ], a list of subjects"},
                {"publish = { permit = [ ]; };",
                 "publish.permit: unknown key; known here are allow, deny"},
                {"allow_responses = 1;", "allow_responses: found 1, expected true, false or "
                                         "{ max = 1; expires = \"2m\"; }"},
                {"allow_responses = { max = -2; };",
                 "allow_responses.max: found -2, expected an integer from 1 to 1000000000, or -1 "
                 "for no limit"},
                {"allow_responses = { expires = 5; };",
                 "allow_responses.expires: found 5, expected a duration with a unit up to \"1d\", "
                 "such as \"2m\", or -1 for no limit"},
        };
        char text[256], expected[512];

        for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
                snprintf(text, sizeof(text), "\ndefault_permissions = { %s };", entries[i].text);
                snprintf(expected, sizeof(expected),
                         "sockd.conf:2: default_permissions.%s: found %s, %s%s\n", entries[i].path,
                         entries[i].found, entry,
                         entries[i].path[0] == 's'
                                 ? ", or a subject and a queue, as in \"a.b workers\""
                                 : "");
                load_bad(text, expected);
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
                snprintf(text, sizeof(text), "default_permissions = { %s };", others[i].text);
                snprintf(expected, sizeof(expected), "sockd.conf:1: default_permissions.%s\n",
                         others[i].error);
                load_bad(text, expected);
        }
        load_bad("default_permissions = [ \"a\" ];",
                 "sockd.conf:1: default_permissions: found an array [ ... ], expected a group "
                 "{ publish = [ ... ]; subscribe = [ ... ]; }\n");
        load_bad("users = ( { name = \"a\"; peer = { uid = 1; };\n"
                 "  permissions = { publish = [ \"a..\",\n"
                 "    \"b..\" ]; }; } );",
                 "sockd.conf:2: users[0].permissions.publish: found \"a..\", expected a subject, "
                 "such as \"a.b\", \"a.*\" or \"a.>\"\n"
                 "sockd.conf:3: users[0].permissions.publish: found \"b..\", expected a subject, "
                 "such as \"a.b\", \"a.*\" or \"a.>\"\n");
}

static void test_same_port_of_another_host_is_no_conflict(void **state) {
        load_good("listeners = ( { name = \"a\"; listen = \"tcp://127.0.0.1:4222\"; },\n"
                  "              { name = \"b\"; listen = \"tcp://[::1]:4222\"; } );");
        load_bad("listeners = ( { name = \"a\"; listen = \"tcp://[::1]:4222\"; },\n"
                 "              { name = \"b\"; listen = \"tcp://[0::1]:4222\"; } );",
                 "sockd.conf:2: listeners[1].listen: found \"tcp://[::1]:4222\", where "
                 "listeners[0] is already\n");
}

static void test_no_listener_is_refused(void **state) {
        load_bad("listeners = ();",
                 "sockd.conf:1: listeners: found a list of 0, expected from 1 to 1024 listeners\n");
        load_bad("listeners = { name = \"a\"; };",
                 "sockd.conf:1: listeners: found a group { ... }, expected a list of groups "
                 "( { ... }, { ... } )\n");
        load_bad("listeners = [\"tcp://127.0.0.1:1\"];",
                 "sockd.conf:1: listeners: found an array [ ... ], expected a list of groups "
                 "( { ... }, { ... } )\n");
}

/* Writes a file that others than its owner may, or may not, read. */
static void write_secret(const char *path, const char *text, mode_t mode) {
        write_file(path, text);
        assert_int_equal(chmod(path, mode), 0);
}

/* Loads a file that only its owner may read. */
static int load_private(const char *text) {
        mode_t mask = umask(077);
        int r = load(text);

        umask(mask);
        return r;
}

static void assert_warnings(const char *expected) {
        char all[4096] = "";

        for (size_t i = 0; i < config->warnings.n_lines; i++) {
                strncat(all, config->warnings.lines[i], sizeof(all) - strlen(all) - 2);
                strcat(all, "\n");
        }
        assert_string_equal(all, expected);
}

#define HASH "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8."
#define NKEY "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define SEED "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"

static void test_users_may_have_secrets(void **state) {
        char text[NKEY_PUBLIC_TEXT_SIZE];
        const struct config_user *users;

        assert_int_equal(load_private("users = ( { name = \"a\"; password = \"" HASH "\"; },\n"
                                      "          { name = \"b\"; token = \"" HASH "\"; },\n"
                                      "          { name = \"c\"; nkey = \"" NKEY "\"; },\n"
                                      "          { name = \"d\"; peer = { uid = 1; }; } );"),
                         0);
        assert_warnings("");
        users = config->users;
        assert_false(users[0].has_peer || users[0].has_nkey || users[0].token);
        assert_string_equal(secret_text(users[0].password).data, HASH);
        assert_false(users[1].has_peer || users[1].has_nkey || users[1].password);
        assert_string_equal(secret_text(users[1].token).data, HASH);
        assert_true(users[2].has_nkey);
        assert_string_equal(nkey_public_format(text, &users[2].nkey), NKEY);
        assert_true(users[3].has_peer);
}

static void test_secrets_may_be_in_files(void **state) {
        char text[512];

        write_secret("password", "hunter2\n", 0400);
        write_secret("token", HASH, 0440);
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        snprintf(text, sizeof(text),
                 "users = ( { name = \"a\"; password_file = \"%s/password\"; },"
                 "          { name = \"b\"; token_file = \"token\"; } );",
                 directory);
        load_good(text);
        assert_warnings("");
        assert_string_equal(secret_text(config->users[0].password).data, "hunter2");
        assert_string_equal(secret_text(config->users[1].token).data, HASH);
        unsetenv("CREDENTIALS_DIRECTORY");
        load_bad("users = ( { name = \"b\"; token_file = \"token\"; } );",
                 "sockd.conf:1: users[0].token_file: found \"token\", which cannot be used: a path "
                 "that does not begin with \"/\" is that of a credential, and "
                 "$CREDENTIALS_DIRECTORY is not set\n");
        setenv("CREDENTIALS_DIRECTORY", directory, 1);
        assert_int_equal(chmod("password", 0444), 0);
        load_bad_with(text,
                      "password\", which cannot be used: anyone may read it, so that it is no "
                      "secret; chmod o-r, and use another secret");
        write_secret("password", "$2b$", 0600);
        load_bad_with(text, "/password\", which begins like a hash of crypt(3), but is none");
        unlink("password");
        load_bad_with(text, "/password\", which cannot be used: No such file or directory");
        unlink("token");
        unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_plain_secrets_are_warned_of(void **state) {
        assert_int_equal(load_private("users = ( { name = \"a\"; password = \"hunter2\"; },\n"
                                      "          { name = \"b\"; token = \"hunter3\"; } );"),
                         0);
        assert_warnings("sockd.conf:1: users[0].password: it stands here in plain text; sockctl "
                        "passwd makes a hash of it, and password_file keeps it elsewhere\n"
                        "sockd.conf:2: users[1].token: it stands here in plain text; sockctl "
                        "passwd makes a hash of it, and token_file keeps it elsewhere\n");
        assert_string_equal(secret_text(config->users[0].password).data, "hunter2");
}

static void test_secrets_that_anyone_may_read_are_warned_of(void **state) {
        mode_t mask = umask(022);

        write_secret("private", "{ name = \"a\"; password = \"" HASH "\"; },", 0600);
        write_secret("public",
                     "{ name = \"b\"; password = \"" HASH "\"; },\n"
                     "{ name = \"c\"; token = \"" HASH "\"; }\n",
                     0644);
        load_good("users = (\n@include \"private\"\n@include \"public\"\n);");
        umask(mask);
        unlink("private");
        unlink("public");
        assert_warnings("public: there are secrets in this file, and anyone may read it; chmod o-r "
                        "would change that\n");
        load_good("users = ( { name = \"c\"; nkey = \"" NKEY "\"; } );");
        assert_warnings("");
}

static void test_wrong_secrets_are_refused_unseen(void **state) {
        load_bad("users = ( { name = \"a\"; password = \"$2b$hunter2\"; } );",
                 "sockd.conf:1: users[0].password: found a string, which begins like a hash of "
                 "crypt(3), but is none; expected one as sockctl passwd prints it\n");
        load_bad("users = ( { name = \"a\"; password = 12345; token = [ \"hunter2\" ]; } );",
                 "sockd.conf:1: users[0].password: found a value without quotes, expected a string "
                 "that is not empty\n"
                 "sockd.conf:1: users[0].token: found a group or a list, expected a string that is "
                 "not empty\n");
        load_bad("users = ( { name = \"a\"; password = \"\"; } );",
                 "sockd.conf:1: users[0].password: found a string, expected a string that is not "
                 "empty\n");
        load_bad(
                "users = ( { name = \"a\"; password = \"b\"; password_file = \"\"; } );",
                "sockd.conf:1: users[0].password_file: found \"\", expected the path of a file, or "
                "the name of a credential\n"
                "sockd.conf:1: users[0].password_file: there is \"password\" already, which means "
                "the same\n");
        load_bad("users = ( { name = \"a\"; token = \"b\"; token_file = 1; } );",
                 "sockd.conf:1: users[0].token_file: found 1, expected the path of a file, or the "
                 "name of a credential\n"
                 "sockd.conf:1: users[0].token_file: there is \"token\" already, which means the "
                 "same\n");
        load_bad("users = ( { name = \"a\"; nkey = 1; } );",
                 "sockd.conf:1: users[0].nkey: found a value without quotes, expected the public "
                 "key "
                 "of a user, \"U...\"\n");
        load_bad("users = ( { name = \"a\"; nkey = \"" SEED "\"; } );",
                 "sockd.conf:1: users[0].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it is a seed, which is secret; the public key of it is wanted\n");
        load_bad("users = ( { name = \"a\"; nkey = \"UAB\"; } );",
                 "sockd.conf:1: users[0].nkey: found a string, expected the public key of a user, "
                 "\"U...\", but it does not have the 56 characters of a public key\n");
}

static void test_keys_of_later_versions_are_told_from_unknown_ones(void **state) {
        static const char *const top[] = {
                "services = ( )",
                "monitor = { listen = \"http://127.0.0.1:8222\"; }",
                "leaf = { }",
        };
        static const char *const keys[] = {
                "publish = \"a\"",    "request = \"a\"",        "subscribe = \"a\"",
                "framing = \"line\"", "exec = [\"/bin/true\"]", "forward = \"unix:///run/y\"",
        };
        char text[256], expected[256];

        for (size_t i = 0; i < ARRAY_SIZE(top); i++) {
                snprintf(text, sizeof(text), "%s;", top[i]);
                load_bad_with(text, ": this version of sockd does not have this key yet");
        }
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                snprintf(text, sizeof(text),
                         "listeners = ( { name = \"a\"; listen = \"tcp://127.0.0.1:1\"; %s; } );",
                         keys[i]);
                snprintf(expected, sizeof(expected),
                         "sockd.conf:1: listeners[0].%.*s: this version of sockd does not have "
                         "this key yet\n",
                         (int)strcspn(keys[i], " "), keys[i]);
                load_bad(text, expected);
        }
}

static void test_syntax_errors_have_a_line(void **state) {
        static const char syntax[] = "sockd.conf:3: syntax error here or shortly before; expected "
                                     "KEY = VALUE; with strings in quotes, groups in { } and lists "
                                     "in ( )\n";

        load_bad("server = {\n  workers = 1;\n  name = host;\n};\n", syntax);
        load_bad("log = { };\nserver = {\n}; };\n", syntax);
        load_bad("log = { };\nlog = { };\n",
                 "sockd.conf:2: this key stands twice in the same group\n");
        load_bad("\nserver = { name = \"a;\n};\n",
                 "sockd.conf:2: the string that begins here has no closing quote\n");
        load_bad("server = { };\n/* comment\n",
                 "sockd.conf:2: the comment that begins here has no \"*/\"\n");
        load_bad("server = { @include \"x\"\n};\n",
                 "sockd.conf:1: unexpected \"@\"; only @include \"FILE\" begins with it, at the "
                 "beginning of a line\n");
}

static void test_include_takes_the_place_of_its_line(void **state) {
        assert_int_equal(mkdir("etc", 0700), 0);
        assert_int_equal(mkdir("etc/d", 0700), 0);
        write_file("etc/sockd.conf", "server = {\n"
                                     "  @include \"d/limits.conf\" // and more\n"
                                     "  workers = 2;\n"
                                     "};\n"
                                     "/*\n@include \"not this\"\n*/\n"
                                     "// @include \"nor this\"\n"
                                     "@include \"d/log.conf\"");
        write_file("etc/d/limits.conf", "max_connections = 7;\n@include \"payload.conf\"");
        write_file("etc/d/payload.conf", "max_payload = 8;");
        write_file("etc/d/log.conf", "log = { level = \"debug\"; };\n");
        assert_int_equal(config_load(&config, "etc/sockd.conf", NULL, 0, &errors), 0);
        assert_int_equal(config->server.max_connections, 7);
        assert_int_equal(config->server.max_payload, 8);
        assert_int_equal(config->server.workers, 2);
        assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);

        /* Errors name the file and line where they stand. */
        tear_down(state);
        write_file("etc/d/payload.conf", "\n\nmax_payload = -1;\nmax_pending = 1;");
        write_file("etc/d/log.conf", "log = {\n level = ;\n};\n");
        assert_int_equal(config_load(&config, "etc/sockd.conf", NULL, 0, &errors), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        assert_non_null(strstr(errors.lines[0], "etc/d/log.conf:2: syntax error"));

        tear_down(state);
        write_file("etc/d/log.conf", "\nlog = { level = 1; };\n");
        write_file("etc/d/limits.conf", "max_connections = 0;\n"
                                        "@include \"payload.conf\"\n"
                                        "ping_max = 0;");
        assert_int_equal(config_load(&config, "etc/sockd.conf", NULL, 0, &errors), -EINVAL);
        assert_lines("etc/d/limits.conf:1: server.max_connections: found 0, expected an integer "
                     "from 1 to 16777216\n"
                     "etc/d/payload.conf:3: server.max_payload: found -1, expected a size from 1 "
                     "to 64M bytes\n"
                     "etc/d/limits.conf:3: server.ping_max: found 0, expected an integer from 1 to "
                     "1000\n"
                     "etc/d/log.conf:2: log.level: found 1, expected \"error\", \"warning\", "
                     "\"info\", \"debug\" or \"trace\"\n");
        unlink("etc/d/limits.conf");
        unlink("etc/d/payload.conf");
        unlink("etc/d/log.conf");
        unlink("etc/sockd.conf");
        rmdir("etc/d");
        rmdir("etc");
}

static void test_absolute_paths_are_included(void **state) {
        char text[128];

        write_file("other.conf", "log = { level = \"error\"; };");
        snprintf(text, sizeof(text), "@include \"%s/other.conf\"\n", directory);
        load_good(text);
        assert_int_equal(config->log.level, LOG_LEVEL_ERROR);
        unlink("other.conf");
}

static void test_includes_that_cannot_be_read_are_refused(void **state) {
        char text[16384] = "";

        load_bad("\n@include \"nope.conf\"\n",
                 "sockd.conf:2: @include \"nope.conf\": No such file or directory\n");
        load_bad("@include \".\"\n", "sockd.conf:1: @include \".\": Is a directory\n");
        load_bad("@include \"/dev/null\"\n",
                 "sockd.conf:1: @include \"/dev/null\": not a regular file\n");
        load_bad("@include \"sockd.conf\"\n",
                 "sockd.conf:1: @include \"sockd.conf\": too many files that include each other\n");
        load_bad("@include nope\n", "sockd.conf:1: expected @include \"FILE\"\n");
        load_bad("@include \"\"\n", "sockd.conf:1: expected @include \"FILE\"\n");
        assert_int_equal(mkfifo("fifo", 0600), 0);
        load_bad("@include \"fifo\"\n", "sockd.conf:1: @include \"fifo\": not a regular file\n");
        unlink("fifo");
        /* Two levels of a hundred each are more than a thousand. */
        for (unsigned i = 0; i < 100; i++)
                strcat(text, "@include \"level2\"\n");
        write_file("level1", text);
        write_file("level2", "\n");
        for (char *digit = text; (digit = strchr(digit, '2'));)
                *digit = '1';
        load_bad_with(text, "too many included files");
        unlink("level1");
        unlink("level2");
}

static void test_files_that_are_none_are_refused(void **state) {
        static char large[(4 << 20) + 100];
        char bytes[256];

        assert_int_equal(config_load(&config, "/nonexistent/x", NULL, 0, &errors), -EINVAL);
        assert_lines("/nonexistent/x: there is no such file\n");
        tear_down(state);
        assert_int_equal(config_load(&config, directory, NULL, 0, &errors), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        assert_non_null(strstr(errors.lines[0], ": cannot be read: Is a directory"));
        tear_down(state);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char)(i + 1);
        write_bytes("sockd.conf", bytes, sizeof(bytes));
        assert_int_equal(config_load(&config, "sockd.conf", NULL, 0, &errors), -EINVAL);
        assert_lines("sockd.conf:2: there is a NUL byte; this is not a text file\n");
        unlink("sockd.conf");
        memset(large, ' ', sizeof(large) - 1);
        load_bad(large, "sockd.conf: the configuration is larger than 4M\n");
        memset(large, '(', 100000);
        memcpy(large, "a = ", 4);
        large[100000] = '\0';
        load_bad(large, "sockd.conf:1: groups or lists are nested too deeply\n");
}

static void test_errors_are_limited_and_printable(void **state) {
        char text[8192];
        size_t length = 0;

        load_bad("log = { level = \"\\x1b[31m\\n\xff\"; };",
                 "sockd.conf:1: log.level: found \"?[31m ?\", expected \"error\", \"warning\", "
                 "\"info\", \"debug\" or \"trace\"\n");
        for (unsigned i = 0; i < 500; i++)
                length += (size_t)snprintf(text + length, sizeof(text) - length, "k%u = 1;\n", i);
        assert_int_equal(load(text), -EINVAL);
        assert_int_equal(errors.n_lines, CONFIG_ERRORS_MAX + 1);
        assert_string_equal(errors.lines[CONFIG_ERRORS_MAX], "there are more, which are not shown");
}

static void test_command_line_replaces_the_listeners(void **state) {
        static const char *const listen[] = {"tcp://127.0.0.1:0", "/run/x"};

        write_file("sockd.conf", "log = { level = \"debug\"; };\n"
                                 "listeners = ( { name = \"a\"; listen = \"unix:@a\"; } );");
        assert_int_equal(config_load(&config, "sockd.conf", listen, 2, &errors), 0);
        unlink("sockd.conf");
        assert_int_equal(config->log.level, LOG_LEVEL_DEBUG);
        assert_int_equal(config->n_listeners, 2);
        assert_string_equal(config->listeners[0].name, "listen-1");
        assert_string_equal(config->listeners[0].address.host, "127.0.0.1");
        assert_true(config->listeners[0].nodelay);
        assert_string_equal(config->listeners[1].name, "listen-2");
        assert_string_equal(config->listeners[1].address.path, "/run/x");
        assert_int_equal(config->listeners[1].mode, 0666);
}

static void test_wrong_command_line_is_refused_with_the_file(void **state) {
        static const char *const listen[] = {"localhost", "tls://127.0.0.1:1"};

        write_file("sockd.conf", "log = { level = 1; };\n");
        assert_int_equal(config_load(&config, "sockd.conf", listen, 2, &errors), -EINVAL);
        unlink("sockd.conf");
        assert_lines("sockd.conf:1: log.level: found 1, expected \"error\", \"warning\", \"info\", "
                     "\"debug\" or \"trace\"\n"
                     "--listen: found \"localhost\", expected an address, but it begins with none "
                     "of unix:, unix+seqpacket:, unix+dgram:, tcp://, udp://, tls:// and nats://\n"
                     "--listen: found \"tls://127.0.0.1:1\", but only a configuration file can say "
                     "which certificate it has\n");
}

static void test_missing_default_file_is_the_defaults(void **state) {
        if (access(SYSCONFDIR "/sockd/sockd.conf", F_OK) == 0)
                skip();
        assert_int_equal(config_load(&config, NULL, NULL, 0, &errors), 0);
        assert_null(config->path);
        assert_int_equal(config->n_listeners, 1);
        assert_int_equal(config->server.max_connections, 65536);
}

static void test_others_than_root_use_their_own_directory(void **state) {
        bool is_root = geteuid() == 0;
        char long_path[200];

        if (is_root)
                assert_int_equal(seteuid(65534), 0);
        setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
        assert_int_equal(config_load(&config, "/dev/null", NULL, 0, &errors), 0);
        assert_string_equal(config->listeners[0].address.path, "/run/user/7/sockd/sockd.sock");
        tear_down(state);
        unsetenv("XDG_RUNTIME_DIR");
        assert_int_equal(config_load(&config, "/dev/null", NULL, 0, &errors), 0);
        assert_string_equal(config->listeners[0].address.path, RUNSTATEDIR "/sockd/sockd.sock");
        tear_down(state);
        snprintf(long_path, sizeof(long_path), "/%0150d", 0);
        setenv("XDG_RUNTIME_DIR", long_path, 1);
        assert_int_equal(config_load(&config, "/dev/null", NULL, 0, &errors), -EINVAL);
        assert_int_equal(strncmp(errors.lines[0], "$XDG_RUNTIME_DIR: found", 23), 0);
        unsetenv("XDG_RUNTIME_DIR");
        if (is_root)
                assert_int_equal(seteuid(0), 0);
}

static void test_shipped_example_is_valid(void **state) {
        if (*example == '\0')
                skip();
        load_good(example);
        assert_int_equal(config->n_listeners, 3);
}

/* Takes the comment signs away from the keys that the example shows. */
static void test_shipped_example_shows_the_defaults(void **state) {
        struct config_server shown, defaults;
        char *at;

        if (*example == '\0')
                skip();
        for (at = example; (at = strstr(at, "\n        ")); at++)
                if (strncmp(at + 1 + strspn(at + 1, " "), "# ", 2) == 0)
                        at[1 + strspn(at + 1, " ")] = ' ';
        at = strstr(example, "\"sockd\""); /* a group that may not be there */
        assert_non_null(at);
        memcpy(at, "\"00000\"", 7);
        load_good(example);
        assert_string_equal(config->server.name, "host-a");
        memcpy(&shown, &config->server, sizeof(shown)); /* with the padding, for comparison */
        assert_string_equal(config->log.target, "auto");
        assert_int_equal(config->log.level, LOG_LEVEL_INFO);
        assert_int_equal(config->listeners[0].backlog, 4096);
        assert_int_equal(config->listeners[0].mode, 0666);
        assert_int_equal(config->n_listeners, 5);
        assert_int_equal(config->listeners[3].max_sessions, config->listeners[4].max_sessions);
        assert_int_equal(config->listeners[3].session_timeout_ms,
                         config->listeners[4].session_timeout_ms);
        load_good("");
        memcpy(&defaults, &config->server, sizeof(defaults));
        shown.name = defaults.name = NULL;
        assert_memory_equal(&shown, &defaults, sizeof(shown));
}

static void test_snapshot_lives_as_long_as_its_references(void **state) {
        struct config *other;

        load_good("server = { name = \"a\"; };");
        other = config_ref(config);
        assert_ptr_equal(other, config);
        config = config_unref(config);
        assert_null(config);
        assert_string_equal(other->server.name, "a");
        assert_null(config_unref(other));
        assert_null(config_unref(NULL));
}

static void test_same_socket_is_the_same_address(void **state) {
        load_good("listeners = (\n"
                  "  { name = \"a\"; listen = \"tcp://[::1]:1\"; },\n"
                  "  { name = \"b\"; listen = \"tcp://[::1]:0\"; v6only = true; },\n"
                  "  { name = \"c\"; listen = \"tcp://[::1]:0\"; backlog = 1; nodelay = false; },\n"
                  "  { name = \"d\"; listen = \"tcp://[::1]:0\"; } );");
        assert_false(config_listener_same_socket(&config->listeners[0], &config->listeners[3]));
        assert_false(config_listener_same_socket(&config->listeners[1], &config->listeners[3]));
        assert_true(config_listener_same_socket(&config->listeners[2], &config->listeners[3]));
}

static void test_same_groups_are_equal_and_on_one_interface(void **state) {
        load_good(
                "listeners = (\n"
                "  { name = \"a\"; listen = \"udp://*:1\"; },\n"
                "  { name = \"b\"; listen = \"udp://*:2\"; join = [\"239.1.1.1\"]; },\n"
                "  { name = \"c\"; listen = \"udp://*:3\"; join = [\"239.1.1.1\"]; },\n"
                "  { name = \"d\"; listen = \"udp://*:4\"; join = [\"239.1.1.1\"];"
                " interface = \"lo\"; },\n"
                "  { name = \"e\"; listen = \"udp://*:5\"; join = [\"239.1.1.1\", \"ff05::1\"]; }\n"
                ");");
        assert_true(config_listener_same_groups(&config->listeners[0], &config->listeners[0]));
        assert_false(config_listener_same_groups(&config->listeners[0], &config->listeners[1]));
        assert_true(config_listener_same_groups(&config->listeners[1], &config->listeners[2]));
        assert_false(config_listener_same_groups(&config->listeners[2], &config->listeners[3]));
        assert_false(config_listener_same_groups(&config->listeners[1], &config->listeners[4]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_empty_file_is_the_defaults, tear_down),
                cmocka_unit_test_teardown(test_every_key_of_server_and_log_is_read, tear_down),
                cmocka_unit_test_teardown(test_every_key_of_a_listener_is_read, tear_down),
                cmocka_unit_test_teardown(test_bounds_of_ranges_are_allowed, tear_down),
                cmocka_unit_test_teardown(test_integer_of_more_than_32_bits_is_read_whole,
                                          tear_down),
                cmocka_unit_test_teardown(test_wrong_values_are_refused, tear_down),
                cmocka_unit_test_teardown(test_wrong_listeners_are_refused, tear_down),
                cmocka_unit_test_teardown(test_path_over_the_limit_says_so, tear_down),
                cmocka_unit_test_teardown(test_all_errors_are_reported_at_once, tear_down),
                cmocka_unit_test_teardown(test_conflicts_are_refused, tear_down),
                cmocka_unit_test_teardown(test_users_have_nkeys_of_their_own, tear_down),
                cmocka_unit_test_teardown(test_keys_of_datagrams_must_make_sense, tear_down),
                cmocka_unit_test_teardown(test_users_are_read_in_their_order, tear_down),
                cmocka_unit_test_teardown(test_wrong_users_are_refused, tear_down),
                cmocka_unit_test_teardown(test_wrong_conditions_are_refused, tear_down),
                cmocka_unit_test_teardown(test_permissions_are_read_with_their_lines, tear_down),
                cmocka_unit_test_teardown(test_responses_have_defaults, tear_down),
                cmocka_unit_test_teardown(test_wrong_permissions_are_refused, tear_down),
                cmocka_unit_test_teardown(test_same_port_of_another_host_is_no_conflict, tear_down),
                cmocka_unit_test_teardown(test_no_listener_is_refused, tear_down),
                cmocka_unit_test_teardown(test_users_may_have_secrets, tear_down),
                cmocka_unit_test_teardown(test_secrets_may_be_in_files, tear_down),
                cmocka_unit_test_teardown(test_plain_secrets_are_warned_of, tear_down),
                cmocka_unit_test_teardown(test_secrets_that_anyone_may_read_are_warned_of,
                                          tear_down),
                cmocka_unit_test_teardown(test_wrong_secrets_are_refused_unseen, tear_down),
                cmocka_unit_test_teardown(test_keys_of_later_versions_are_told_from_unknown_ones,
                                          tear_down),
                cmocka_unit_test_teardown(test_syntax_errors_have_a_line, tear_down),
                cmocka_unit_test_teardown(test_include_takes_the_place_of_its_line, tear_down),
                cmocka_unit_test_teardown(test_absolute_paths_are_included, tear_down),
                cmocka_unit_test_teardown(test_includes_that_cannot_be_read_are_refused, tear_down),
                cmocka_unit_test_teardown(test_files_that_are_none_are_refused, tear_down),
                cmocka_unit_test_teardown(test_errors_are_limited_and_printable, tear_down),
                cmocka_unit_test_teardown(test_command_line_replaces_the_listeners, tear_down),
                cmocka_unit_test_teardown(test_wrong_command_line_is_refused_with_the_file,
                                          tear_down),
                cmocka_unit_test_teardown(test_missing_default_file_is_the_defaults, tear_down),
                cmocka_unit_test_teardown(test_others_than_root_use_their_own_directory, tear_down),
                cmocka_unit_test_teardown(test_shipped_example_is_valid, tear_down),
                cmocka_unit_test_teardown(test_shipped_example_shows_the_defaults, tear_down),
                cmocka_unit_test_teardown(test_snapshot_lives_as_long_as_its_references, tear_down),
                cmocka_unit_test_teardown(test_same_socket_is_the_same_address, tear_down),
                cmocka_unit_test_teardown(test_same_groups_are_equal_and_on_one_interface,
                                          tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
