/* Messages as text and JSON, whatever bytes they hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "ctl/message_print.h"

static struct options options;

static void assert_prints(const struct sockd_message *message, bool is_terminal,
                          const char *expected) {
        char *text = NULL;
        size_t n;
        struct context context = {.options = &options,
                                  .is_terminal = is_terminal,
                                  .out = open_memstream(&text, &n),
                                  .err = stderr};
        bool is_gone;

        assert_int_equal(message_print(&context, message, &is_gone), EXIT_DONE);
        assert_false(is_gone);
        fclose(context.out);
        assert_string_equal(text, expected);
        free(text);
}

static struct sockd_message make_message(const char *headers, const char *payload, size_t n) {
        return (struct sockd_message){
                .subject = "a.b",
                .n_subject = 3,
                .headers = headers,
                .n_headers = headers ? strlen(headers) : 0,
                .payload = payload,
                .n_payload = n,
        };
}

static void test_payloads_end_in_one_newline(void **state) {
        struct sockd_message message = make_message("NATS/1.0\r\nA: b\r\n\r\n", "x", 1);

        options_init(&options);
        assert_prints(&message, false, "x\n");
        message = make_message(NULL, "x\n", 2);
        assert_prints(&message, false, "x\n");
        message = make_message(NULL, "", 0);
        assert_prints(&message, false, "\n");
}

static void test_headers_are_printed_when_asked_for(void **state) {
        struct sockd_message message = make_message("NATS/1.0\r\nA: b\r\nA:c\r\n\r\n", "x", 1);

        options_init(&options);
        options.show_headers = true;
        assert_prints(&message, false, "A: b\nA: c\n\nx\n");
}

static void test_terminals_are_not_steered_by_payloads(void **state) {
        struct sockd_message message = make_message(NULL, "\033[2J\tok\r\n", 9);

        options_init(&options);
        assert_prints(&message, false, "\033[2J\tok\r\n");
        assert_prints(&message, true, "\\x1b[2J\tok\\x0d\n");
}

static void test_json_is_one_object_a_line(void **state) {
        struct sockd_message message =
                make_message("NATS/1.0\r\nA: b\r\nC: d\r\nA: e\r\n\r\n", "x\"y", 3);

        options_init(&options);
        options.json = JSON_AUTO;
        message.reply = "r";
        message.n_reply = 1;
        assert_prints(&message, true,
                      "{\"subject\":\"a.b\",\"reply\":\"r\",\"headers\":{\"A\":[\"b\","
                      "\"e\"],\"C\":[\"d\"]},\"payload\":\"x\\\"y\"}\n");
        message = make_message(NULL, "\xff\x00", 2);
        assert_prints(&message, false, "{\"subject\":\"a.b\",\"data_base64\":\"/wA=\"}\n");
        message = make_message("NATS/1.0\r\n\xff: \xfe\r\n\r\n", "a\0b", 3);
        assert_prints(&message, false,
                      "{\"subject\":\"a.b\",\"headers\":{\"?\":[\"?\"]},"
                      "\"payload\":\"a\\u0000b\"}\n");
}

static void test_base64_follows_the_rfc(void **state) {
        static const char *const pairs[][2] = {
                {"", ""},
                {"f", "Zg=="},
                {"fo", "Zm8="},
                {"foo", "Zm9v"},
                {"foob", "Zm9vYg=="},
                {"fooba", "Zm9vYmE="},
                {"foobar", "Zm9vYmFy"},
        };

        for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                char *text = message_base64(pairs[i][0], strlen(pairs[i][0]));

                assert_string_equal(text, pairs[i][1]);
                free(text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_payloads_end_in_one_newline),
                cmocka_unit_test(test_headers_are_printed_when_asked_for),
                cmocka_unit_test(test_terminals_are_not_steered_by_payloads),
                cmocka_unit_test(test_json_is_one_object_a_line),
                cmocka_unit_test(test_base64_follows_the_rfc),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
