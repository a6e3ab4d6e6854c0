/* The keys of a forward. */
#include "tests/daemon/loaded_config.h"

#include "daemon/target.h"

/* Loads a configuration with one listener. */
static int load_listener(const char *listen, const char *keys) {
        char text[8192];

        snprintf(text, sizeof(text), "listeners = (\n{ name = \"a\"; listen = \"%s\"; %s }\n);\n",
                 listen, keys);
        return load(text);
}

static const struct forward_settings *load_forward(const char *listen, const char *keys) {
        int r = load_listener(listen, keys);

        if (r != 0)
                fail_msg("%d: %s", r, errors.n_lines > 0 ? errors.lines[0] : "");
        assert_non_null(config->listeners[0].handler.made);
        assert_int_equal(config->listeners[0].handler.made->kind, HANDLER_FORWARD);
        return &config->listeners[0].handler.made->forward;
}

static void refuse(const char *listen, const char *keys, const char *part) {
        assert_int_equal(load_listener(listen, keys), -EINVAL);
        assert_int_equal(errors.n_lines, 1);
        if (!strstr(errors.lines[0], part))
                fail_msg("%s: %s", keys, errors.lines[0]);
        assert_int_equal(strncmp(errors.lines[0], "sockd.conf:2: listeners[0]", 26), 0);
}

static void test_one_target_is_an_address(void **state) {
        const struct forward_settings *forward =
                load_forward("tcp://127.0.0.1:1", "forward = \"unix:///run/x\";");

        assert_int_equal(forward->targets->count, 1);
        assert_string_equal(forward->targets->all[0].text, "unix:///run/x");
        assert_int_equal(forward->connect_timeout_ms, 5000);
        assert_int_equal(forward->targets->resolve_interval_ms, 30000);
}

static void test_several_targets_are_an_array(void **state) {
        const struct forward_settings *forward = load_forward(
                "unix:@a", "forward = [\"tcp://[::1]:1\", \"tcp://db:2\", \"unix:@b\"];"
                           "connect_timeout = \"100ms\"; resolve_interval = \"1m\";");

        assert_int_equal(forward->targets->count, 3);
        assert_true(forward->targets->all[1].is_name);
        assert_false(forward->targets->all[0].is_name);
        assert_int_equal(forward->connect_timeout_ms, 100);
        assert_int_equal(forward->targets->resolve_interval_ms, 60000);
}

static void test_there_are_neither_no_targets_nor_too_many(void **state) {
        char keys[4096] = "forward = [";

        for (unsigned i = 0; i < TARGETS_MAX; i++)
                snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys),
                         "%s\"tcp://127.0.0.1:%u\"", i ? ", " : "", i + 2);
        strcat(keys, "];");
        assert_int_equal(load_forward("tcp://127.0.0.1:1", keys)->targets->count, TARGETS_MAX);
        strcpy(keys + strlen(keys) - 2, ", \"tcp://127.0.0.1:1000\"];");
        refuse("tcp://127.0.0.1:1", keys, "forward: found an array [ ... ], expected from 1 to 64");
        refuse("tcp://127.0.0.1:1", "forward = [];", "expected from 1 to 64 addresses");
}

static void test_targets_are_addresses_to_connect_to(void **state) {
        static const char listen[] = "tcp://127.0.0.1:1";

        refuse(listen, "forward = 5432;", "forward: found 5432, expected an address, such as");
        refuse(listen, "forward = [1, 2];", "expected an address, such as");
        refuse(listen, "forward = \"db:1\";", "forward: found \"db:1\", expected an address, but");
        refuse(listen, "forward = [\"tcp://h:1\", \"tcp://h\"];", "there is no port");
        refuse(listen, "forward = \"tcp://*:1\";", "\"*\" is to listen on");
        refuse(listen, "forward = \"tcp://h:0\";", "there is no port 0");
        refuse(listen, "forward = \"tcp://127.0.0.1:1\";", "is the listener itself");
}

static void test_a_listener_does_not_forward_to_itself(void **state) {
        static const char part[] = "is the listener itself";
        char listen[64], keys[128];

        refuse("tcp://*:29702", "forward = \"tcp://127.0.0.1:29702\";",
               "forward: tcp://127.0.0.1:29702 is the listener itself");
        refuse("tcp://*:29702", "forward = \"tcp://[::1]:29702\";", part);
        refuse("tcp://0.0.0.0:1", "forward = \"tcp://127.1.2.3:1\";", part);
        refuse("tcp://[::]:1", "forward = \"tcp://127.0.0.1:1\";", part);
        refuse("tcp://[::]:1", "forward = \"tcp://0.0.0.0:1\";", part);
        refuse("tcp://[::1]:1", "forward = [\"tcp://h:1\", \"tcp://localhost:1\"];", part);
        refuse("tcp://localhost:1", "forward = \"tcp://127.0.0.1:1\";", part);
        refuse("tcp://[::ffff:127.0.0.1]:1", "forward = \"tcp://127.0.0.1:1\";", part);
        refuse("udp://*:1", "forward = \"udp://localhost:1\";", part);
        refuse("unix:@x", "forward = \"unix:@x\";", part);
        snprintf(listen, sizeof(listen), "unix://%s/x", directory);
        snprintf(keys, sizeof(keys), "forward = \"unix://%s/..%s/x\";", directory,
                 strrchr(directory, '/'));
        refuse(listen, keys, part);
        assert_int_equal(symlink("x", "y"), 0);
        write_file("x", "");
        snprintf(keys, sizeof(keys), "forward = \"unix://%s/y\";", directory);
        refuse(listen, keys, part);
        unlink("x");
        unlink("y");
        load_forward("tcp://127.0.0.1:1", "forward = \"tcp://127.0.0.2:1\";");
        load_forward("tcp://127.0.0.1:1", "forward = \"tcp://127.0.0.1:2\";");
        load_forward("tcp://*:1", "forward = \"tcp://192.0.2.1:1\";");
        load_forward("tcp://*:1", "forward = \"tcp://[2001:db8::1]:1\";");
        load_forward("tcp://127.0.0.1:1", "forward = \"tcp://[::1]:1\";");
        load_forward("tcp://[::]:1", "v6only = true; forward = \"tcp://127.0.0.1:1\";");
        load_forward("unix:@x", "forward = \"unix:@y\";");
        load_forward("unix:///x", "forward = \"unix:@x\";");
}

/* Loads listeners, and expects one warning with that part; NULL: none. */
static void expect_warning(const char *listeners, const char *part) {
        char text[4096];

        snprintf(text, sizeof(text), "listeners = (%s);", listeners);
        load_good(text);
        assert_int_equal(config->warnings.n_lines, part ? 1 : 0);
        if (part && !strstr(config->warnings.lines[0], part))
                fail_msg("%s", config->warnings.lines[0]);
}

static void test_rings_of_forwards_are_warned_of(void **state) {
        expect_warning("{ name = \"a\"; listen = \"tcp://*:1\"; forward = \"unix:@b\"; },"
                       "{ name = \"b\"; listen = \"unix:@b\"; forward = \"tcp://127.0.0.1:1\"; }",
                       "listeners[0].forward: it leads back, and connections may go round for "
                       "ever: \"a\" -> \"b\" -> \"a\"");
        expect_warning("{ name = \"o\"; listen = \"unix:@o\"; forward = \"unix:@a\"; },"
                       "{ name = \"a\"; listen = \"unix:@a\"; forward = \"unix:@b\"; },"
                       "{ name = \"b\"; listen = \"unix:@b\"; forward = \"tcp://localhost:1\"; },"
                       "{ name = \"c\"; listen = \"tcp://[::]:1\"; "
                       "forward = [\"unix:@x\", \"unix:@a\"]; }",
                       "listeners[1].forward: it leads back, and connections may go round for "
                       "ever: \"a\" -> \"b\" -> \"c\" -> \"a\"");
        expect_warning("{ name = \"a\"; listen = \"tcp://*:1\"; forward = \"unix:@b\"; },"
                       "{ name = \"b\"; listen = \"unix:@b\"; forward = \"unix:@c\"; },"
                       "{ name = \"c\"; listen = \"unix:@c\"; echo = true; }",
                       NULL);
}

static void test_both_sides_are_of_a_kind(void **state) {
        refuse("tcp://127.0.0.1:1", "forward = \"udp://127.0.0.1:2\";",
               "the listener takes a stream, but udp://127.0.0.1:2 is for datagrams");
        refuse("unix:///run/x", "forward = \"unix+seqpacket:///run/y\";", "is for records");
}

static void test_proxy_headers_are_sent_and_accepted(void **state) {
        static const char listen[] = "tcp://127.0.0.1:1";

        assert_int_equal(load_forward(listen, "forward = \"unix:@x\";")->send_proxy, PROXY_NONE);
        assert_false(config->listeners[0].accept_proxy);
        assert_int_equal(
                load_forward(listen, "forward = \"unix:@x\"; send_proxy = \"v1\";")->send_proxy,
                PROXY_V1);
        assert_int_equal(load_forward(listen, "forward = \"unix:@x\"; send_proxy = \"v2\"; "
                                              "accept_proxy = true;")
                                 ->send_proxy,
                         PROXY_V2);
        assert_true(config->listeners[0].accept_proxy);
        refuse(listen, "forward = \"unix:@x\"; send_proxy = \"v3\";", "expected \"v1\" or \"v2\"");
        refuse(listen, "send_proxy = \"v2\";", "there is no forward");
        refuse("udp://127.0.0.1:1", "accept_proxy = true;", "accept_proxy: only for streams");
        refuse("unix+seqpacket:///run/x", "accept_proxy = true;", "accept_proxy: only for streams");
}

static void test_targets_may_have_tls(void **state) {
        static const char listen[] = "tcp://127.0.0.1:1", target[] = "forward = \"tls://h:1\"; ";
        char keys[256];

        if (load_listener(listen, target) < 0 && strstr(errors.lines[0], "without TLS"))
                skip();
        assert_non_null(load_forward(listen, target)->tls);
        assert_null(load_forward(listen, "forward = \"unix:@x\";")->tls);
        snprintf(keys, sizeof(keys), "%sforward_tls = { verify = false; name = \"x\"; };", target);
        assert_non_null(load_forward(listen, keys)->tls);
        refuse(listen, "forward = \"unix:@x\"; forward_tls = { };", "no target begins with tls://");
        refuse(listen, "echo = true; forward_tls = { };", "forward_tls: there is no forward");
        refuse(listen, "forward = \"tls://h:1\"; forward_tls = { ca = \"/nowhere\"; };",
               "forward_tls.ca: found \"/nowhere\", which cannot be used");
        refuse(listen, "forward = \"tls://h:1\"; forward_tls = { name = \"a b\"; };",
               "expected the name of a host");
        refuse(listen, "forward = \"tls://h:1\"; forward_tls = { cert = \"/c\"; };",
               "forward_tls.cert: there is no key");
        refuse(listen, "forward = \"tls://h:1\"; forward_tls = { ca = \"/c\"; verify = false; };",
               "forward_tls.ca: with verify = false");
}

static void test_its_keys_are_only_for_it(void **state) {
        refuse("tcp://127.0.0.1:1", "connect_timeout = \"1s\";",
               "connect_timeout: there is no forward, which it is for");
        refuse("tcp://127.0.0.1:1", "echo = true; resolve_interval = \"1s\";",
               "resolve_interval: there is no forward");
        refuse("tcp://127.0.0.1:1", "echo = true; forward = \"tcp://h:1\";",
               "a listener has one handler, and this one has echo");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_one_target_is_an_address, tear_down),
                cmocka_unit_test_teardown(test_several_targets_are_an_array, tear_down),
                cmocka_unit_test_teardown(test_there_are_neither_no_targets_nor_too_many,
                                          tear_down),
                cmocka_unit_test_teardown(test_targets_are_addresses_to_connect_to, tear_down),
                cmocka_unit_test_teardown(test_a_listener_does_not_forward_to_itself, tear_down),
                cmocka_unit_test_teardown(test_rings_of_forwards_are_warned_of, tear_down),
                cmocka_unit_test_teardown(test_both_sides_are_of_a_kind, tear_down),
                cmocka_unit_test_teardown(test_proxy_headers_are_sent_and_accepted, tear_down),
                cmocka_unit_test_teardown(test_targets_may_have_tls, tear_down),
                cmocka_unit_test_teardown(test_its_keys_are_only_for_it, tear_down),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
