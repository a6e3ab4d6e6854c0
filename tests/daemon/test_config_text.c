/* The text of the configuration: its syntax, what is included, and what is no such file. */
#include "tests/daemon/loaded_config.h"

#include "lib/log.h"

#include <sys/stat.h>

static void test_syntax_errors_have_a_line(void **state) {
        static const char syntax[] = "sockd.conf:3: syntax error here or shortly before; expected "
                                     "KEY = VALUE; with strings in quotes, groups in { } and lists "
                                     "in ( ), without a comma after the last\n";

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

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_syntax_errors_have_a_line, tear_down),
                cmocka_unit_test_teardown(test_include_takes_the_place_of_its_line, tear_down),
                cmocka_unit_test_teardown(test_absolute_paths_are_included, tear_down),
                cmocka_unit_test_teardown(test_includes_that_cannot_be_read_are_refused, tear_down),
                cmocka_unit_test_teardown(test_files_that_are_none_are_refused, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
