/* The configuration: each key as it is read, defaulted and refused; all errors at once; the command
 * line's listeners; references. What files hold is in test_config_text.c, users and their
 * permissions are in tests of their own. */
#include "tests/daemon/loaded_config.h"

#include "daemon/config_errors.h"
#include "lib/log.h"

#include <sched.h>

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

static int set_up_all(void **state) {
        read_example();
        return make_directory(state);
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
        assert_int_equal(config->programs.max_running, 256);
        assert_int_equal(config->programs.max_starts, 500);
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
                {"programs", "max_running = 4097", "expected an integer from 0 to 4096"},
                {"programs", "max_starts = 0", "expected an integer from 1 to 100000"},
        };
        char text[256];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                snprintf(text, sizeof(text), "%s = { %s; };", examples[i].group, examples[i].text);
                load_bad_with(text, examples[i].part);
        }
}

static void test_limits_on_programs_are_read(void **state) {
        load_good("programs = { max_running = 0; max_starts = 100000; };");
        assert_int_equal(config->programs.max_running, 0);
        assert_int_equal(config->programs.max_starts, 100000);
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
                 "sockd.conf:4: server.pingmax: unknown key, did you mean \"ping_max\"?\n"
                 "sockd.conf:6: log: found 5, expected a group { ... }\n"
                 "sockd.conf:8: listeners[0].mod: unknown key, did you mean \"mode\"?\n"
                 "sockd.conf:11: listeners[2].listen: found \"tcp://localhost\", expected an "
                 "address, but there is no port, as in tcp://127.0.0.1:4222\n"
                 "sockd.conf:12: listeners[3]: found 7, expected a group { ... }\n"
                 "sockd.conf:14: colour: unknown key; known here are server, log, programs, "
                 "listeners, users, default_permissions, accounts, system_account, "
                 "builtin_services, services\n"
                 "sockd.conf:9: listeners[1].name: found \"local\", which listeners[0] has "
                 "already\n"
                 "sockd.conf:9: listeners[1].listen: found \"unix:///run/x\", where listeners[0] "
                 "is already\n");
}

static void test_not_more_keys_are_named_than_can_be_read(void **state) {
        load_bad("listeners = ( { name = \"a\"; listen = \"unix:///run/a\"; handler = 1; } );",
                 "sockd.conf:1: listeners[0].handler: unknown key; sockd.conf(5) tells which there "
                 "are\n");
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

static void test_keys_of_later_versions_are_told_from_unknown_ones(void **state) {
        static const char *const top[] = {
                "monitor = { listen = \"http://127.0.0.1:8222\"; }",
                "leaf = { }",
        };
        char text[256];

        for (size_t i = 0; i < ARRAY_SIZE(top); i++) {
                snprintf(text, sizeof(text), "%s;", top[i]);
                load_bad_with(text, ": this version of sockd does not have this key yet");
        }
}

/* Of what could be read it is looked whether it fits together, whatever else is wrong. */
static void test_an_error_hides_no_others(void **state) {
        load_bad(
                "services = (\n"
                "  { subject = \"sockd.foo\"; exec = [\"/bin/cat\"]; },\n"
                "  { subject = \"a.>\"; exec = [\"/bin/cat\"]; },\n"
                "  { subject = \"a.>\"; exec = [\"/bin/cat\"]; account = \"x\"; } );\n"
                "server = { workers = -1; max_pending = \"1K\"; };\n"
                "listeners = ( { name = \"a\"; listen = \"unix:///run/a\"; account = \"y\"; } );\n",
                "sockd.conf:5: server.workers: found -1, expected an integer from 0 to 256\n"
                "sockd.conf:5: server.max_pending: found 1K, expected at least max_payload, which "
                "is 1M\n"
                "sockd.conf:6: listeners[0].account: found \"y\", expected an account; "
                "\"accounts\" has none of that name\n"
                "sockd.conf:2: services[0].name: found \"sockd-foo\", but names that begin with "
                "sockd- are for built-in services\n"
                "sockd.conf:2: services[0].subject: found \"sockd.foo\", but sockd.> is for "
                "built-in services\n"
                "sockd.conf:4: services[2].name: found \"a--\", which services[1] has already; "
                "expected another name\n"
                "sockd.conf:4: services[2].account: found \"x\", expected an account; "
                "\"accounts\" has none of that name\n");
}

/* Nor does it cause others. */
static void test_an_error_is_reported_once(void **state) {
        load_bad("server = { max_pending = \"1K\"; max_payload = \"much\"; };",
                 "sockd.conf:1: server.max_payload: found \"much\", expected a number of bytes, or "
                 "a string with a unit, such as \"64K\"\n");
        load_bad("accounts = 5; services = ( { subject = \"a\"; exec = [\"/bin/cat\"]; account = "
                 "\"x\"; } );",
                 "sockd.conf:1: accounts: found 5, expected a list of groups ( { ... }, { ... } )"
                 "\n");
        load_bad("services = ( 1, { exec = [\"/bin/cat\"]; }, { subject = \"a\"; exec = "
                 "[\"/bin/cat\"]; persistent = 1; framing = \"line\"; } );",
                 "sockd.conf:1: services[0]: found 1, expected a group { ... }\n"
                 "sockd.conf:1: services[1]: there is no \"subject\", which every entry needs\n"
                 "sockd.conf:1: services[2].persistent: found 1, expected true or false\n");
        load_bad("users = ( { name = \"a\"; token = \"b\"; limits = { rate = { messages = \"x\"; "
                 "burst = 5; }; }; } );",
                 "sockd.conf:1: users[0].limits.rate.messages: found \"x\", expected an integer "
                 "from 0 to 1000000000\n");
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
                cmocka_unit_test_teardown(test_limits_on_programs_are_read, tear_down),
                cmocka_unit_test_teardown(test_every_key_of_a_listener_is_read, tear_down),
                cmocka_unit_test_teardown(test_bounds_of_ranges_are_allowed, tear_down),
                cmocka_unit_test_teardown(test_integer_of_more_than_32_bits_is_read_whole,
                                          tear_down),
                cmocka_unit_test_teardown(test_wrong_values_are_refused, tear_down),
                cmocka_unit_test_teardown(test_wrong_listeners_are_refused, tear_down),
                cmocka_unit_test_teardown(test_path_over_the_limit_says_so, tear_down),
                cmocka_unit_test_teardown(test_all_errors_are_reported_at_once, tear_down),
                cmocka_unit_test_teardown(test_not_more_keys_are_named_than_can_be_read, tear_down),
                cmocka_unit_test_teardown(test_conflicts_are_refused, tear_down),
                cmocka_unit_test_teardown(test_keys_of_datagrams_must_make_sense, tear_down),
                cmocka_unit_test_teardown(test_same_port_of_another_host_is_no_conflict, tear_down),
                cmocka_unit_test_teardown(test_no_listener_is_refused, tear_down),
                cmocka_unit_test_teardown(test_keys_of_later_versions_are_told_from_unknown_ones,
                                          tear_down),
                cmocka_unit_test_teardown(test_an_error_hides_no_others, tear_down),
                cmocka_unit_test_teardown(test_an_error_is_reported_once, tear_down),
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

        return cmocka_run_group_tests(tests, set_up_all, remove_directory);
}
