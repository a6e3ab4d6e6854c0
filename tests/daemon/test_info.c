/* INFO: one line of complete JSON, and in it what applies to this client (protocol.md 2). */
#include "daemon/info.h"

#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/transport.h"
#include "lib/protocol.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct config config;
static struct instance instance;
static struct worker worker;
static struct listener listener;
static struct connection connection;
static struct client client;

static int set_up(void **state) {
        config = (struct config){.server.max_payload = 1048576};
        instance = (struct instance){.id = "NABC", .name = (char *)"bob.local"};
        worker = (struct worker){.config = &config, .instance = &instance};
        listener = (struct listener){.family = AF_UNIX};
        connection = (struct connection){.worker = &worker,
                                         .listener = &listener,
                                         .transport = &transport_stream,
                                         .max_frame = SIZE_MAX,
                                         .id = 7};
        client = (struct client){.connection = &connection, .worker = &worker};
        return 0;
}

/* The object of the client's INFO line, whose form is checked. */
static json_t *info(void) {
        static const char end[] = "} \r\n";
        char *line = info_line(&client);
        size_t length;
        json_t *object;

        assert_non_null(line);
        length = strlen(line);
        assert_memory_equal(line, "INFO {", 6);
        assert_string_equal(line + length - strlen(end), end);
        assert_ptr_equal(strchr(line, '\n'), line + length - 1);
        assert_ptr_equal(strchr(line, '\r'), line + length - 2);
        object = json_loadb(line + 5, length - 5, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_is_object(object));
        free(line);
        return object;
}

static void check_text(json_t *object, const char *key, const char *text) {
        assert_true(json_is_string(json_object_get(object, key)));
        assert_string_equal(json_string_value(json_object_get(object, key)), text);
}

static void check_integer(json_t *object, const char *key, json_int_t number) {
        assert_true(json_is_integer(json_object_get(object, key)));
        assert_true(json_integer_value(json_object_get(object, key)) == number);
}

static void test_info_is_complete(void **state) {
        /* All that clients read stands in every INFO, as nats.c forgets what is missing. */
        json_t *object = info();

        check_text(object, "server_id", "NABC");
        check_text(object, "server_name", "bob.local");
        check_text(object, "version", PROTOCOL_SERVER_VERSION);
        check_text(object, "sockd_version", PACKAGE_VERSION);
        check_integer(object, "proto", 1);
        /* Some clients do not start without it. */
        assert_true(json_is_string(json_object_get(object, "go")));
        assert_true(json_is_string(json_object_get(object, "host")));
        check_integer(object, "port", 0);
        assert_true(json_is_true(json_object_get(object, "headers")));
        check_integer(object, "max_payload", 1048576);
        check_integer(object, "client_id", 7);
        json_decref(object);
}

static void test_what_fits_a_frame_is_the_limit(void **state) {
        /* With the line before it, in both directions. */
        json_t *object;

        config.server.max_control_line = 4096;
        connection.transport = &transport_record;
        connection.max_frame = 212960;
        object = info();
        check_integer(object, "max_payload", 128 * 1024 - 4096);
        json_decref(object);
        connection.max_frame = 10000;
        object = info();
        check_integer(object, "max_payload", 10000 - 4096);
        json_decref(object);
        connection.max_frame = 4000;
        object = info();
        check_integer(object, "max_payload", 0);
        json_decref(object);
        connection.max_frame = 212960;
        config.server.max_payload = 1000;
        object = info();
        check_integer(object, "max_payload", 1000);
        json_decref(object);
}

static void test_what_is_not_so_is_left_out(void **state) {
        /* Rather than said to be false, where nats-server leaves it out. */
        static const char *const keys[] = {"auth_required", "tls_required", "tls_available",
                                           "jetstream",     "ldm",          "nonce",
                                           "connect_urls",  "client_ip"};
        json_t *object = info();

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                assert_null(json_object_get(object, keys[i]));
        json_decref(object);
}

static void test_internet_peers_are_told_their_address(void **state) {
        /* And where they are connected to. */
        json_t *object;

        listener.family = AF_INET;
        strcpy(listener.address.host, "127.0.0.1");
        listener.port = 4222;
        strcpy(connection.peer.ip, "192.0.2.9");
        object = info();
        check_text(object, "client_ip", "192.0.2.9");
        check_text(object, "host", "127.0.0.1");
        check_integer(object, "port", 4222);
        json_decref(object);
}

static void test_lame_duck_is_announced(void **state) {
        /* To all when the server goes, and to one that was told to. */
        json_t *object;

        atomic_store(&instance.is_lame_duck, true);
        object = info();
        assert_true(json_is_true(json_object_get(object, "ldm")));
        json_decref(object);

        atomic_store(&instance.is_lame_duck, false);
        client.is_leaving = true;
        object = info();
        assert_true(json_is_true(json_object_get(object, "ldm")));
        json_decref(object);
}

static void test_large_numbers_are_whole(void **state) {
        /* Limits and ids beyond 32 bits. */
        json_t *object;

        config.server.max_payload = UINT64_C(1) << 40;
        connection.id = UINT64_C(9007199254740993);
        object = info();
        check_integer(object, "max_payload", (json_int_t)1 << 40);
        check_integer(object, "client_id", 9007199254740993);
        json_decref(object);
}

static void test_names_are_escaped(void **state) {
        /* Whatever is in a name, INFO stays one line of JSON. */
        json_t *object;

        instance.name = (char *)"a\"b\\c\r\nd\xc3\xa4";
        object = info();
        check_text(object, "server_name", instance.name);
        json_decref(object);
}

static void test_info_fits_the_buffer_of_clients(void **state) {
        /* nats.c reads the first one into 32,768 bytes. */
        char name[256], *line;

        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        instance.name = name;
        listener.family = AF_INET6;
        memset(listener.address.host, 'h', sizeof(listener.address.host) - 1);
        line = info_line(&client);
        assert_non_null(line);
        assert_true(strlen(line) < 32768);
        free(line);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_info_is_complete, set_up),
                cmocka_unit_test_setup(test_what_fits_a_frame_is_the_limit, set_up),
                cmocka_unit_test_setup(test_what_is_not_so_is_left_out, set_up),
                cmocka_unit_test_setup(test_internet_peers_are_told_their_address, set_up),
                cmocka_unit_test_setup(test_lame_duck_is_announced, set_up),
                cmocka_unit_test_setup(test_large_numbers_are_whole, set_up),
                cmocka_unit_test_setup(test_names_are_escaped, set_up),
                cmocka_unit_test_setup(test_info_fits_the_buffer_of_clients, set_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
