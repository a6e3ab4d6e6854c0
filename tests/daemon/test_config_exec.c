/* Listeners with exec in the configuration: what is made of their keys, and what is refused. */
#include "tests/daemon/loaded_config.h"

#include "daemon/run_as.h"

#define LISTENER(listen, keys)                                                                     \
        "listeners = ( { name = \"a\"; listen = \"" listen "\";\n" keys " } );"

static const struct config_exec *load_exec(const char *text) {
        assert_int_equal(load(text), 0);
        assert_non_null(config->listeners[0].handler.made);
        assert_int_equal(config->listeners[0].handler.made->kind, HANDLER_EXEC);
        return &config->listeners[0].handler.made->exec;
}

static const char *variable(const struct program_spec *spec, const char *name) {
        size_t n = strlen(name);

        for (char **at = spec->environment; *at; at++)
                if (strncmp(*at, name, n) == 0 && (*at)[n] == '=')
                        return *at + n + 1;
        return NULL;
}

static void test_defaults(void **state) {
        const struct config_exec *exec =
                load_exec(LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"];"));

        assert_int_equal(exec->concurrency, 64);
        assert_false(exec->waits);
        assert_string_equal(exec->program.spec.arguments[0], "/bin/sh");
        assert_null(exec->program.spec.arguments[1]);
        assert_null(exec->program.spec.directory);
        assert_null(exec->program.spec.user);
        assert_true(exec->program.spec.timeout_ms == 0);
        assert_true(exec->program.spec.grace_ms == 1000);
        assert_true(exec->program.spec.limits.memory == 0);
        assert_non_null(variable(&exec->program.spec, "PATH"));
}

static void test_keys(void **state) {
        const struct config_exec *exec = load_exec(LISTENER(
                "unix:///run/x",
                "exec = [\"/bin/sh\", \"-c\", \"\"]; concurrency = 3;"
                "timeout = \"2s\"; grace = \"0s\"; directory = \"/tmp\";"
                "limits = { open_files = 9; processes = 8; memory = \"7M\"; cpu = \"1500ms\"; };"
                "environment = { A = \"b c\"; PATH = \"/x\"; };"));

        assert_int_equal(exec->concurrency, 3);
        assert_string_equal(exec->program.spec.arguments[1], "-c");
        assert_string_equal(exec->program.spec.arguments[2], "");
        assert_true(exec->program.spec.timeout_ms == 2000);
        assert_true(exec->program.spec.grace_ms == 0);
        assert_string_equal(exec->program.spec.directory, "/tmp");
        assert_true(exec->program.spec.limits.open_files == 9);
        assert_true(exec->program.spec.limits.processes == 8);
        assert_true(exec->program.spec.limits.memory == 7 << 20);
        assert_true(exec->program.spec.limits.cpu_s == 2);
        assert_string_equal(variable(&exec->program.spec, "A"), "b c");
        assert_string_equal(variable(&exec->program.spec, "PATH"), "/x");
        exec = load_exec(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; wait = true;"
                                                   "environment = [\"A=b=c\", \"B=\"];"));
        assert_true(exec->waits);
        assert_string_equal(variable(&exec->program.spec, "A"), "b=c");
        assert_string_equal(variable(&exec->program.spec, "B"), "");
}

static void test_programs_have_to_be_there(void **state) {
        load_bad(LISTENER("unix:///run/x", "exec = [];"),
                 "sockd.conf:2: listeners[0].exec: found no program, expected one and its "
                 "arguments\n");
        load_bad(LISTENER("unix:///run/x", "exec = [\"sh\"];"),
                 "sockd.conf:2: listeners[0].exec: found the program \"sh\", expected its absolute "
                 "path; there is no shell to look for it\n");
        load_bad(LISTENER("unix:///run/x", "exec = \"/bin/sh\";"),
                 "sockd.conf:2: listeners[0].exec: found \"/bin/sh\", expected [ \"...\", ... ], "
                 "a program and its arguments\n");
        load_bad(LISTENER("unix:///run/x", "exec = [5];"),
                 "sockd.conf:2: listeners[0].exec: found 5, expected a program and its "
                 "arguments\n");
}

/* Expects exactly this warning of a good configuration; NULL: none. */
static void load_warned(const char *text, const char *warning) {
        if (load(text) != 0)
                fail_msg("%s: %s", text, errors.n_lines > 0 ? errors.lines[0] : "");
        assert_int_equal(config->warnings.n_lines, warning ? 1 : 0);
        if (warning)
                assert_string_equal(config->warnings.lines[0], warning);
}

#define SERVICE(keys) "services = ( { subject = \"a\";\n" keys " } );"

/* Whoever installs it later finds it at work. */
static void test_what_is_not_there_is_a_warning(void **state) {
        load_warned(LISTENER("unix:///run/x", "exec = [\"/nonexistent/x\"];"),
                    "sockd.conf:2: listeners[0].exec: /nonexistent/x cannot be executed: No such "
                    "file or directory");
        load_warned(LISTENER("unix:///run/x", "exec = [\"/tmp\"];"),
                    "sockd.conf:2: listeners[0].exec: /tmp cannot be executed: it is no file");
        load_warned(LISTENER("unix:///run/x", "exec = [\"/etc/passwd\"];"),
                    "sockd.conf:2: listeners[0].exec: /etc/passwd cannot be executed: it is not "
                    "executable");
        load_warned(
                LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; directory = \"/nonexistent\";"),
                "sockd.conf:2: listeners[0].directory: /nonexistent cannot be changed to: No such "
                "file or directory");
        load_warned(SERVICE("exec = [\"/nonexistent/x\"];"),
                    "sockd.conf:2: services[0].exec: /nonexistent/x cannot be executed: No such "
                    "file or directory");
        load_warned(SERVICE("exec = [\"/bin/sh\"]; directory = \"/etc/passwd\";"),
                    "sockd.conf:2: services[0].directory: /etc/passwd cannot be changed to: Not a "
                    "directory");
        assert_int_equal(load(SERVICE("exec = [\"/nonexistent/x\"]; directory = \"/no\";")), 0);
        assert_int_equal(config->warnings.n_lines, 2);
}

static void test_limits_leave_a_program_what_it_needs(void **state) {
        load_bad(LISTENER("unix:///run/x",
                          "exec = [\"/bin/sh\"];\n"
                          "limits = { memory = 1; open_files = 1;\ncpu = \"1ms\"; };"),
                 "sockd.conf:3: listeners[0].limits.open_files: found 1, expected at least 4, or "
                 "0, which is no limit\n"
                 "sockd.conf:3: listeners[0].limits.memory: found 1, expected at least 1M, or 0, "
                 "which is no limit\n"
                 "sockd.conf:4: listeners[0].limits.cpu: found \"1ms\", expected at least \"1s\", "
                 "or 0, which is no limit\n");
        load_warned(SERVICE("exec = [\"/bin/sh\"]; limits = { memory = \"1M\"; open_files = 4; cpu "
                            "= \"1s\"; };"),
                    NULL);
        load_warned(SERVICE("exec = [\"/bin/sh\"]; limits = { memory = 0; open_files = 0; cpu = "
                            "\"0s\"; };"),
                    NULL);
}

static void test_the_processes_of_root_have_no_limit(void **state) {
        static const char expected[] = "sockd.conf:2: services[0].limits.processes: it limits "
                                       "nothing, as the program runs as root";
        bool is_root = geteuid() == 0;

        load_warned(SERVICE("exec = [\"/bin/sh\"]; limits = { processes = 9; };"),
                    is_root ? expected : NULL);
        if (!is_root)
                return;
        load_warned(SERVICE("exec = [\"/bin/sh\"]; limits = { processes = 9; }; user = \"0\";"),
                    expected);
        run_as_init();
        load_warned(
                SERVICE("exec = [\"/bin/sh\"]; limits = { processes = 9; }; user = \"daemon\";"),
                NULL);
}

static void test_all_that_is_wrong_with_a_service_is_said(void **state) {
        load_bad(SERVICE("exec = [\"sh\"]; name = \"no name\"; user = \"nobody-at-all\";\n"
                         "directory = \"here\"; timeout = \"-1s\";"),
                 "sockd.conf:2: services[0].name: found \"no name\", expected a name of at most 64 "
                 "letters, digits, - and _\n"
                 "sockd.conf:3: services[0].directory: found \"here\", expected an absolute path\n"
                 "sockd.conf:3: services[0].timeout: found \"-1s\", expected a duration that is "
                 "not negative, up to \"1d\"\n"
                 "sockd.conf:2: services[0].exec: found the program \"sh\", expected its absolute "
                 "path; there is no shell to look for it\n"
                 "sockd.conf:2: services[0].user: found \"nobody-at-all\", expected a user of this "
                 "system, or its number\n");
}

static void test_users_have_to_be_there(void **state) {
        load_bad(
                LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; user = \"nobody-at-all\";"),
                "sockd.conf:2: listeners[0].user: found \"nobody-at-all\", expected a user of this "
                "system, or its number\n");
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; user = \"root:no-such\";"),
                 "sockd.conf:2: listeners[0].user: found \"no-such\", expected a group of this "
                 "system, or its number\n");
        load_bad(LISTENER("tcp://127.0.0.1:1",
                          "exec = [\"/bin/sh\"]; user = \"root:root\"; group = \"root\";"),
                 "sockd.conf:2: listeners[0].user: found \"root:root\", expected a user, as there "
                 "is a group\n");
        load_bad(LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"]; group = \"no-such\";"),
                 "sockd.conf:2: listeners[0].group: found \"no-such\", expected a group that "
                 "exists on this system\n");
        load_bad(LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"]; user = \":b\";"),
                 "sockd.conf:2: listeners[0].user: found \":b\", expected \"USER\" or "
                 "\"USER:GROUP\"\n");
}

/* On a path `group` is the socket's. */
static void test_group_belongs_to_the_socket_where_it_has_a_path(void **state) {
        const struct config_exec *exec =
                load_exec(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; group = \"root\";"));

        assert_null(exec->program.spec.user);
        if (geteuid() != 0)
                return;
        exec = load_exec(
                LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"]; group = \"daemon\";"));
        assert_non_null(exec->program.spec.user);
        assert_true(exec->program.spec.user->gid != 0);
        exec = load_exec(
                LISTENER("unix:///run/x",
                         "exec = [\"/bin/sh\"]; user = \"root:daemon\"; group = \"root\";"));
        assert_true(exec->program.spec.user->gid != 0);
        assert_int_equal(config->listeners[0].group, 0);
}

static void test_keys_have_to_go_together(void **state) {
        load_bad(LISTENER("tcp://127.0.0.1:1", "user = \"root\"; timeout = \"1s\"; wait = true;"),
                 "sockd.conf:2: listeners[0].timeout: only for listeners with request or exec\n"
                 "sockd.conf:2: listeners[0].user: only for listeners with exec\n"
                 "sockd.conf:2: listeners[0].wait: only for listeners with exec\n");
        load_bad(LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"]; echo = true;"),
                 "sockd.conf:2: listeners[0].exec: a listener has one handler, and this one has "
                 "echo\n"
                 /* which is the one that counts */
        );
        load_bad(LISTENER("udp://127.0.0.1:1", "exec = [\"/bin/sh\"]; wait = true;"),
                 "sockd.conf:2: listeners[0].wait: only for sockets that accept connections, and "
                 "without TLS\n");
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; wait = true; concurrency = 2;"),
                 "sockd.conf:2: listeners[0].concurrency: with wait there is one program at a "
                 "time\n");
        load_bad(LISTENER("tcp://127.0.0.1:1", "exec = [\"/bin/sh\"]; wait = true;"
                                               "allow = [\"192.0.2.0/24\"];"),
                 "sockd.conf:2: listeners[0].allow: with wait the program accepts by itself, and "
                 "whomever it likes\n");
}

#define VARIABLES "variables, \"NAME=value\", whose names do not begin with SOCKD_\n"

static void test_variables_have_names(void **state) {
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; environment = [\"A\"];"),
                 "sockd.conf:2: listeners[0].environment: found \"A\", expected " VARIABLES);
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; environment = [\"=a\"];"),
                 "sockd.conf:2: listeners[0].environment: found \"=a\", expected " VARIABLES);
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; environment = { A = 1; };"),
                 "sockd.conf:2: listeners[0].environment: found 1, expected " VARIABLES);
        load_bad(LISTENER("unix:///run/x",
                          "exec = [\"/bin/sh\"]; environment = { SOCKD_PEER_UID = \"0\"; };"),
                 "sockd.conf:2: listeners[0].environment: found \"0\", expected " VARIABLES);
        load_bad(LISTENER("unix:///run/x", "exec = [\"/bin/sh\"]; environment = \"A=b\";"),
                 "sockd.conf:2: listeners[0].environment: found \"A=b\", expected "
                 "[ \"...\", ... ] or { NAME = \"value\"; ... }, at most 512 " VARIABLES);
}

static void test_a_start_has_to_fit_its_message(void **state) {
        char *text = malloc(70000), *end = text;

        assert_non_null(text);
        end = stpcpy(end, "listeners = ( { name = \"a\"; listen = \"unix:///run/x\";\n"
                          "exec = [\"/bin/sh\", \"");
        memset(end, 'x', 60000);
        strcpy(end + 60000, "\"]; } );");
        load_bad(text, "sockd.conf:2: listeners[0].exec: the arguments and the environment are too "
                       "large; expected at most 256 arguments, and 56K in all\n");
        free(text);
}

static int set_up(void **state) {
        run_as_init();
        return make_directory(state);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_defaults, tear_down),
                cmocka_unit_test_teardown(test_keys, tear_down),
                cmocka_unit_test_teardown(test_programs_have_to_be_there, tear_down),
                cmocka_unit_test_teardown(test_what_is_not_there_is_a_warning, tear_down),
                cmocka_unit_test_teardown(test_limits_leave_a_program_what_it_needs, tear_down),
                cmocka_unit_test_teardown(test_the_processes_of_root_have_no_limit, tear_down),
                cmocka_unit_test_teardown(test_all_that_is_wrong_with_a_service_is_said, tear_down),
                cmocka_unit_test_teardown(test_users_have_to_be_there, tear_down),
                cmocka_unit_test_teardown(test_group_belongs_to_the_socket_where_it_has_a_path,
                                          tear_down),
                cmocka_unit_test_teardown(test_keys_have_to_go_together, tear_down),
                cmocka_unit_test_teardown(test_variables_have_names, tear_down),
                cmocka_unit_test_teardown(test_a_start_has_to_fit_its_message, tear_down),
        };

        return cmocka_run_group_tests(tests, set_up, remove_directory);
}
