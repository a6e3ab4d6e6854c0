/* CONNECT: which JSON is taken, what it changes, and what it is refused for (protocol.md 3). */
#include "daemon/connect.h"

#include "daemon/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct client client;

static int set_up(void **state) {
        client = (struct client){.verbose = true, .pedantic = true, .echo = true};
        return 0;
}

static int tear_down(void **state) {
        free(client.name);
        free(client.lang);
        free(client.version);
        client_drop_claim(&client);
        client = (struct client){.protocol = 0};
        return 0;
}

static enum connect_result apply(const char *json) {
        enum connect_result result = connect_apply(&client, bytes_from_string(json));

        return result == CONNECT_OK ? connect_judge(&client) : result;
}

static void check_malformed(const char *const *rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (apply(rows[i]) != CONNECT_MALFORMED)
                        fail_msg("%s is taken", rows[i]);
}

static bool has_headers(void) {
        return atomic_load(&client.headers) && client.parser.headers;
}

static void check_defaults(void) {
        assert_true(client.verbose);
        assert_true(client.pedantic);
        assert_true(client.echo);
        assert_false(client.no_responders);
        assert_false(atomic_load(&client.headers));
        assert_false(client.parser.headers);
        assert_int_equal(client.protocol, 0);
        assert_null(client.name);
        assert_null(client.lang);
        assert_null(client.version);
}

static void test_an_empty_object_changes_nothing(void **state) {
        /* Nor does null in its place; blanks around are allowed. */
        static const char *const rows[] = {"{}", "null", " { } ", "\t{\r}", "{\n}"};

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(apply(rows[i]), CONNECT_OK);
                check_defaults();
        }
}

static void test_every_key_is_taken(void **state) {
        /* As nats.c sends them. */
        assert_int_equal(apply("{\"verbose\":false,\"pedantic\":false,\"user\":\"u\","
                               "\"pass\":\"p\",\"tls_required\":false,\"name\":\"n\","
                               "\"lang\":\"C\",\"version\":\"3.3.0\",\"protocol\":1,\"echo\":false,"
                               "\"headers\":true,\"no_responders\":true}"),
                         CONNECT_OK);
        assert_false(client.verbose);
        assert_false(client.pedantic);
        assert_false(client.echo);
        assert_true(has_headers());
        assert_true(client.no_responders);
        assert_int_equal(client.protocol, 1);
        assert_string_equal(client.name, "n");
        assert_string_equal(client.lang, "C");
        assert_string_equal(client.version, "3.3.0");
}

static void test_keys_are_compared_without_case(void **state) {
        /* In full: a longer key is another one. */
        assert_int_equal(apply("{\"VERBOSE\":false,\"Name\":\"n\",\"pRoToCoL\":1}"), CONNECT_OK);
        assert_false(client.verbose);
        assert_string_equal(client.name, "n");
        assert_int_equal(client.protocol, 1);
        assert_int_equal(apply("{\"echoes\":false,\"ech\":false,\"\":false}"), CONNECT_OK);
        assert_true(client.echo);
}

static void test_null_leaves_a_key_as_it_is(void **state) {
        /* Whatever its type. */
        assert_int_equal(apply("{\"verbose\":null,\"pedantic\":null,\"echo\":null,\"headers\":null,"
                               "\"no_responders\":null,\"protocol\":null,\"name\":null,"
                               "\"lang\":null,\"version\":null,\"user\":null,\"account\":null,"
                               "\"new_account\":null,\"tls_required\":null}"),
                         CONNECT_OK);
        check_defaults();
}

static void test_unknown_keys_are_ignored(void **state) {
        /* With values of any kind, nested ones too. */
        assert_int_equal(apply("{\"x\":1,\"y\":[1,[2,{\"verbose\":false}]],\"z\":{\"echo\":false},"
                               "\"a\":1.5e3,\"b\":\"\\u00e4\\ud83d\\ude00\",\"c\":null}"),
                         CONNECT_OK);
        check_defaults();
}

static void test_the_last_of_several_keys_counts(void **state) {
        /* Whether they are spelled alike or not. */
        assert_int_equal(apply("{\"verbose\":true,\"verbose\":false}"), CONNECT_OK);
        assert_false(client.verbose);
        assert_int_equal(apply("{\"Verbose\":false,\"verbose\":true}"), CONNECT_OK);
        assert_true(client.verbose);
        assert_int_equal(apply("{\"name\":\"a\",\"NAME\":\"b\",\"Name\":\"c\"}"), CONNECT_OK);
        assert_string_equal(client.name, "c");
        assert_int_equal(apply("{\"echo\":false,\"ECHO\":null}"), CONNECT_OK);
        assert_false(client.echo);
}

static void test_a_second_connect_is_merged_over_the_first(void **state) {
        /* Keys that are absent keep what was said before; texts are replaced. */
        assert_int_equal(apply("{\"verbose\":false,\"name\":\"first\",\"protocol\":1,"
                               "\"headers\":true}"),
                         CONNECT_OK);
        assert_int_equal(apply("{\"pedantic\":false,\"name\":\"second\"}"), CONNECT_OK);
        assert_false(client.verbose);
        assert_false(client.pedantic);
        assert_true(client.echo);
        assert_true(has_headers());
        assert_int_equal(client.protocol, 1);
        assert_string_equal(client.name, "second");
        assert_int_equal(apply("{\"name\":\"\",\"headers\":false}"), CONNECT_OK);
        assert_string_equal(client.name, "");
        assert_false(atomic_load(&client.headers));
        assert_false(client.parser.headers);
}

static void test_wrong_types_are_refused(void **state) {
        /* Also of keys that mean nothing here, and numbers that are no integers. */
        static const char *const rows[] = {
                "{\"verbose\":1}",
                "{\"verbose\":\"true\"}",
                "{\"pedantic\":[]}",
                "{\"echo\":{}}",
                "{\"headers\":0}",
                "{\"no_responders\":\"\"}",
                "{\"tls_required\":1}",
                "{\"protocol\":\"1\"}",
                "{\"protocol\":true}",
                "{\"protocol\":1.0}",
                "{\"protocol\":1e0}",
                "{\"name\":1}",
                "{\"lang\":false}",
                "{\"version\":3}",
                "{\"user\":1}",
                "{\"pass\":1}",
                "{\"auth_token\":[]}",
                "{\"nkey\":1}",
                "{\"sig\":{}}",
                "{\"jwt\":1}",
                "{\"account\":1}",
                "{\"new_account\":\"\"}",
                "{\"NAME\":1,\"name\":\"x\"}",
                "{\"protocol\":18446744073709551616}",
                "{\"account\":\"x\",\"new_account\":1}",
        };

        check_malformed(rows, ARRAY_SIZE(rows));
}

static void test_what_is_no_object_is_refused(void **state) {
        /* Other values, nothing, broken JSON, and anything behind the object. */
        static const char *const rows[] = {
                "",
                " ",
                "[]",
                "true",
                "\"x\"",
                "1",
                "{",
                "}",
                "{}}",
                "{} x",
                "{}{}",
                "{},",
                "nul",
                "nullx",
                "{verbose:false}",
                "{'verbose':false}",
                "{\"verbose\":false,}",
                "{\"verbose\"}",
                "{\"verbose\":}",
                "{\"verbose\":TRUE}",
                "{\"name\":\"a\nb\"}",
                "{\"name\":\"\\x\"}",
                "{\"name\":\"\xff\"}",
                "{\"name\":\"\xc3\"}",
                "{\"name\":\"\\ud800\"}",
                "{\"protocol\":01}",
                "{\"protocol\":+1}",
        };

        check_malformed(rows, ARRAY_SIZE(rows));
        assert_int_equal(connect_apply(&client, BYTES("{}\0")), CONNECT_MALFORMED);
        assert_int_equal(connect_apply(&client, BYTES("{\0}")), CONNECT_MALFORMED);
        check_defaults();
}

static void test_deep_nesting_harms_nobody(void **state) {
        /* As deep as a control line allows, closed or not. */
        char json[4096];

        memset(json, '[', sizeof(json));
        assert_int_equal(connect_apply(&client, (struct bytes){json, sizeof(json)}),
                         CONNECT_MALFORMED);
        for (size_t i = 0; i < sizeof(json) / 5 * 5; i++)
                json[i] = "{\"a\":"[i % 5];
        assert_int_equal(connect_apply(&client, (struct bytes){json, sizeof(json)}),
                         CONNECT_MALFORMED);
        check_defaults();
}

static void test_accounts_are_refused(void **state) {
        /* There is one; an empty name and false are as good as none. */
        assert_int_equal(apply("{\"account\":\"A\"}"), CONNECT_FORBIDDEN);
        assert_int_equal(apply("{\"new_account\":true}"), CONNECT_FORBIDDEN);
        assert_int_equal(apply("{\"account\":\"A\",\"protocol\":7}"), CONNECT_FORBIDDEN);
        assert_int_equal(apply("{\"protocol\":0}"), CONNECT_OK);
        assert_int_equal(apply("{\"account\":\"\",\"new_account\":false}"), CONNECT_OK);
}

static void test_unknown_protocols_are_refused(void **state) {
        /* 0 and 1 are known; this comes before the check of no_responders. */
        static const char *const rows[] = {
                "{\"protocol\":2}",
                "{\"protocol\":-1}",
                "{\"protocol\":4294967296}",
                "{\"protocol\":4294967297}",
                "{\"protocol\":9223372036854775807}",
                "{\"protocol\":2,\"no_responders\":true}",
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                assert_int_equal(apply(rows[i]), CONNECT_PROTOCOL);
                set_up(NULL);
        }
        assert_int_equal(apply("{\"protocol\":0}"), CONNECT_OK);
        assert_int_equal(apply("{\"protocol\":1}"), CONNECT_OK);
}

static void test_no_responders_needs_headers(void **state) {
        /* They may have been agreed on before, or be taken back. */
        assert_int_equal(apply("{\"no_responders\":true}"), CONNECT_NO_RESPONDERS);
        set_up(NULL);
        assert_int_equal(apply("{\"headers\":true}"), CONNECT_OK);
        assert_int_equal(apply("{\"no_responders\":true}"), CONNECT_OK);
        assert_int_equal(apply("{\"headers\":false}"), CONNECT_NO_RESPONDERS);
}

/* A name of `length` ASCII characters and then the text. */
static const char *name_of(size_t length, const char *text) {
        static char json[4096];
        int n = snprintf(json, sizeof(json), "{\"name\":\"");

        memset(json + n, 'x', length);
        snprintf(json + n + length, sizeof(json) - (size_t)n - length, "%s\"}", text);
        return json;
}

static bool is_utf8(const char *text) {
        struct bytes rest = bytes_from_string(text);

        while (rest.length > 0) {
                size_t n = bytes_utf8_length(rest);

                if (n == 0)
                        return false;
                rest.data += n;
                rest.length -= n;
        }
        return true;
}

static void test_long_names_are_cut(void **state) {
        /* Up to 256 bytes are kept. */
        assert_int_equal(apply(name_of(255, "y")), CONNECT_OK);
        assert_int_equal(strlen(client.name), 256);
        assert_int_equal(client.name[255], 'y');
        assert_int_equal(apply(name_of(256, "y")), CONNECT_OK);
        assert_int_equal(strlen(client.name), 256);
        assert_int_equal(client.name[255], 'x');
        assert_int_equal(apply(name_of(3000, "")), CONNECT_OK);
        assert_int_equal(strlen(client.name), 256);
}

static void test_names_are_cut_between_characters(void **state) {
        /* What is kept is UTF-8, and all that fits of it, wherever the cut falls in a character. */
        static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

        for (size_t i = 0; i < ARRAY_SIZE(characters); i++) {
                size_t n = strlen(characters[i]);

                for (size_t length = 250; length <= 256; length++) {
                        assert_int_equal(apply(name_of(length, characters[i])), CONNECT_OK);
                        if (!is_utf8(client.name))
                                fail_msg("%zu + %zu bytes: cut inside", length, n);
                        if (strlen(client.name) != (length + n <= 256 ? length + n : length))
                                fail_msg("%zu + %zu bytes: %zu kept", length, n,
                                         strlen(client.name));
                }
        }
}

static void test_info_of_a_client_must_be_an_object(void **state) {
        /* It is ignored if it is one. */
        assert_true(connect_is_object(BYTES("{}")));
        assert_true(connect_is_object(BYTES(" {\"server_id\":\"x\"} ")));
        assert_false(connect_is_object(BYTES("null")));
        assert_false(connect_is_object(BYTES("[]")));
        assert_false(connect_is_object(BYTES("")));
        assert_false(connect_is_object(BYTES("{} {}")));
        assert_false(connect_is_object((struct bytes){NULL, 0}));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_an_empty_object_changes_nothing),
                TEST(test_every_key_is_taken),
                TEST(test_keys_are_compared_without_case),
                TEST(test_null_leaves_a_key_as_it_is),
                TEST(test_unknown_keys_are_ignored),
                TEST(test_the_last_of_several_keys_counts),
                TEST(test_a_second_connect_is_merged_over_the_first),
                TEST(test_wrong_types_are_refused),
                TEST(test_what_is_no_object_is_refused),
                TEST(test_deep_nesting_harms_nobody),
                TEST(test_accounts_are_refused),
                TEST(test_unknown_protocols_are_refused),
                TEST(test_no_responders_needs_headers),
                TEST(test_long_names_are_cut),
                TEST(test_names_are_cut_between_characters),
                cmocka_unit_test(test_info_of_a_client_must_be_an_object),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
