/* The parser: each operation, each violation, and that the way the input is cut does not matter. */
#include "lib/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DESCRIPTION_MAX 65536

/* All that came out of one input, as text. */
struct outcome {
        char text[DESCRIPTION_MAX];
        size_t length;
};

static void describe_one(struct outcome *outcome, const struct operation *op) {
        outcome->length += (size_t)snprintf(
                outcome->text + outcome->length, sizeof(outcome->text) - outcome->length,
                "[%s %.*s|%.*s|%.*s|%.*s|%llu|%zu|%.*s]", verb_name(op->verb),
                (int)op->subject.length, op->subject.data, (int)op->reply.length, op->reply.data,
                (int)op->queue.length, op->queue.data, (int)op->sid.length, op->sid.data,
                (unsigned long long)op->max, op->header_size, (int)op->payload.length,
                op->payload.data);
        assert_true(outcome->length < sizeof(outcome->text));
}

/* A run is what each of it would have been alone. */
static void describe(struct outcome *outcome, struct operation op) {
        describe_one(outcome, &op);
        for (; op.count > 1; op.count--) {
                op.payload.data += op.stride;
                describe_one(outcome, &op);
        }
}

static void parser_reset(struct parser *parser) {
        *parser = (struct parser){
                .max_control_line = 64, .max_payload = 100, .headers = true, .max_run = 40};
}

/* Feeds input in pieces of at most `piece` bytes, keeping what is incomplete as a caller would. */
static void feed(struct outcome *outcome, struct bytes input, size_t piece) {
        struct parser parser;
        size_t n_kept = 0, used = 0;
        char *kept = malloc(input.length + 1);

        assert_non_null(kept);
        parser_reset(&parser);
        outcome->length = 0;
        outcome->text[0] = '\0';
        while (used < input.length) {
                size_t n = input.length - used < piece ? input.length - used : piece;
                struct bytes rest = {kept, n_kept + n};
                enum parser_result result;
                struct operation op;

                memcpy(kept + n_kept, input.data + used, n);
                used += n;
                while ((result = parser_next(&parser, &rest, &op)) == PARSER_OPERATION)
                        describe(outcome, op);
                if (result != PARSER_MORE) {
                        outcome->length += (size_t)snprintf(outcome->text + outcome->length,
                                                            sizeof(outcome->text) - outcome->length,
                                                            "!%d", result);
                        break;
                }
                memmove(kept, rest.data, rest.length);
                n_kept = rest.length;
        }
        free(kept);
}

static void check_bytes(struct bytes input, const char *expected) {
        static struct outcome outcome;

        feed(&outcome, input, input.length);
        assert_string_equal(outcome.text, expected);
        for (size_t piece = 1; piece < input.length && piece < 40; piece++) {
                feed(&outcome, input, piece);
                assert_string_equal(outcome.text, expected);
        }
}

#define check(input, expected) check_bytes(BYTES(input), expected)

static void test_each_operation_is_parsed(void **state) {
        check("PUB foo 5\r\nhello\r\n", "[PUB foo||||0|0|hello]");
        check("PUB foo bar 2\r\nhi\r\n", "[PUB foo|bar|||0|0|hi]");
        check("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "[HPUB foo||||0|12|NATS/1.0\r\n\r\nhi]");
        check("HPUB foo re 12 12\r\nNATS/1.0\r\n\r\n\r\n", "[HPUB foo|re|||0|12|NATS/1.0\r\n\r\n]");
        check("SUB a.* 1\r\n", "[SUB a.*|||1|0|0|]");
        check("SUB a.> workers 9\r\n", "[SUB a.>||workers|9|0|0|]");
        check("UNSUB 1\r\nUNSUB 1 5\r\n", "[UNSUB |||1|0|0|][UNSUB |||1|5|0|]");
        check("PING\r\nPONG\r\n+OK\r\n", "[PING ||||0|0|][PONG ||||0|0|][+OK ||||0|0|]");
        check("CONNECT {}\r\nINFO {}\r\n-ERR 'x'\r\n",
              "[CONNECT ||||0|0|][INFO ||||0|0|][-ERR ||||0|0|]");
}

static void test_verbs_are_case_insensitive(void **state) {
        check("pUb foo 0\r\n\r\nsub x 1\r\nPiNg\r\nconnect{}\r\n",
              "[PUB foo||||0|0|][SUB x|||1|0|0|][PING ||||0|0|][CONNECT ||||0|0|]");
}

static void test_blanks_separate_and_lf_alone_ends_a_line(void **state) {
        check("SUB\tfoo\t1\r\n", "[SUB foo|||1|0|0|]");
        check("SUB  foo  1  \n", "[SUB foo|||1|0|0|]");
        check("UNSUB 1 \r\n", "[UNSUB |||1|0|0|]");
        check("PUB foo 2\nhi\r\n", "[PUB foo||||0|0|hi]");
        check("PING and more\nping \r\n", "[PING ||||0|0|][PING ||||0|0|]");
}

static void test_payload_may_hold_any_bytes(void **state) {
        check("PUB f 6\r\n\r\nP\xff\n\r\r\nPING\r\n",
              "[PUB f||||0|0|\r\nP\xff\n\r][PING ||||0|0|]");
}

static void test_unknown_operations_are_violations(void **state) {
        check("\r\n", "!2");
        check(" PING\r\n", "!2");
        check("XYZ\r\n", "!2");
        check("SUB\r\n", "!2");
        check("SUBx\r\n", "!2");
        check("MSG a 1 2\r\n", "!2");
        check("PING\r\nRS+ a\r\n", "[PING ||||0|0|]!2");
}

static void test_wrong_arguments_are_violations(void **state) {
        check("PUB foo\r\n", "!2");
        check("PUB a b c 1\r\n", "!2");
        check("SUB a\r\n", "!2");
        check("SUB a b c d\r\n", "!2");
        check("UNSUB a b c\r\n", "!2");
        check("HPUB a 1\r\n", "!2");
        check("HPUB a b c 1 1\r\n", "!2");
        check("HPUB a 3 2\r\n", "!2");
        check("PUB foo -1\r\n", "!2");
        check("PUB foo +2\r\n", "!2");
        check("PUB foo abc\r\n", "!2");
        check("PUB foo 0000000001\r\n", "!2");
        check("PUB fo\ro 1\r\n", "!2");
}

static void test_payload_must_end_in_crlf(void **state) {
        check("PUB foo 2\r\nhi\n", "!2");
        check("PUB foo 2\r\nhixx", "!2");
        check("PUB foo 2\r\nhi\rx", "!2");
}

static void test_payload_limit_is_checked_on_the_control_line(void **state) {
        check("PUB foo 101\r\n", "!4");
        check("HPUB foo 10 101\r\n", "!4");
        check("PUB foo 000000002\r\nhi\r\n", "[PUB foo||||0|0|hi]");
}

static void test_headers_must_be_negotiated(void **state) {
        struct parser parser;
        struct bytes input = BYTES("HPUB foo 0 0\r\n\r\n");
        struct operation op;

        parser_reset(&parser);
        parser.headers = false;
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_VIOLATION);
}

/* A SUB line whose arguments have `length` bytes. */
static struct bytes subscribe_line(char *text, size_t length, const char *end) {
        memcpy(text, "SUB ", 4);
        memset(text + 4, 'x', length);
        text[4 + length - 2] = ' ';
        text[4 + length - 1] = '1';
        strcpy(text + 4 + length, end);
        return bytes_from_string(text);
}

static void test_control_line_limit_counts_the_arguments(void **state) {
        static struct outcome outcome;
        char text[128];

        for (size_t piece = 1; piece < 80; piece++) {
                feed(&outcome, subscribe_line(text, 64, "\r\n"), piece);
                assert_int_equal(strncmp(outcome.text, "[SUB xxx", 8), 0);
                feed(&outcome, subscribe_line(text, 65, "\r\n"), piece);
                assert_string_equal(outcome.text, "!3");
                feed(&outcome, subscribe_line(text, 65, ""), piece);
                assert_string_equal(outcome.text, "!3");
        }
        memset(text, ' ', sizeof(text));
        memcpy(text, "CONNECT", 7);
        memset(text + 10, 'x', 65);
        feed(&outcome, (struct bytes){text, 75}, 75);
        assert_string_equal(outcome.text, "!3");
}

static void test_what_is_not_limited_is_not_kept(void **state) {
        struct parser parser;
        struct operation op;
        struct bytes input = BYTES("PING xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

        parser_reset(&parser);
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_MORE);
        assert_int_equal(input.length, 0);
        input = BYTES("\nSUB                                    ");
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_OPERATION);
        assert_int_equal(op.verb, VERB_PING);
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_MORE);
        assert_int_equal(input.length, 0);
        input = BYTES("a 1\n");
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_OPERATION);
        assert_true(bytes_equal(op.subject, BYTES("a")));
}

static void test_incomplete_payload_tells_what_is_needed(void **state) {
        struct parser parser;
        struct operation op;
        struct bytes input = BYTES("PUB foo 50\r\nabc");

        parser_reset(&parser);
        assert_int_equal(parser_next(&parser, &input, &op), PARSER_MORE);
        assert_int_equal(parser.needed, 12 + 50 + 2);
        assert_int_equal(input.length, 15);
}

/* Takes one operation off the input; returns how many it stands for. */
static size_t take(struct bytes *input, size_t max_run) {
        struct parser parser;
        struct operation op;

        parser_reset(&parser);
        parser.max_run = max_run;
        assert_int_equal(parser_next(&parser, input, &op), PARSER_OPERATION);
        return op.count;
}

static void test_equal_lines_are_a_run(void **state) {
        /* As many as there are and may be; each with its own payload. */
        struct bytes input = BYTES("PUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\nPUB a 1\r\n");
        struct bytes again = input;

        check("PUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\nPUB a 1\r\nw\r\n",
              "[PUB a||||0|0|x][PUB a||||0|0|y][PUB a||||0|0|z][PUB a||||0|0|w]");
        assert_int_equal(take(&input, 100), 3);
        assert_true(bytes_equal(input, BYTES("PUB a 1\r\n")));
        assert_int_equal(take(&again, 24), 2);
        assert_int_equal(take(&again, 24), 1);
        assert_true(bytes_equal(again, input));
        again = BYTES("PUB a 1\r\nx\r\nPUB a 1\r\ny\r\n");
        assert_int_equal(take(&again, 0), 1);
        assert_int_equal(take(&again, 23), 1);
}

static void test_what_differs_ends_a_run(void **state) {
        /* Another subject, size or verb, a request, a wrong end. */
        check("PUB a 1\r\nx\r\nPUB b 1\r\ny\r\nPUB b 2\r\nyy\r\nPUB b 2\r\nzz\r\nPING\r\n",
              "[PUB a||||0|0|x][PUB b||||0|0|y][PUB b||||0|0|yy][PUB b||||0|0|zz][PING ||||0|0|]");
        check("PUB a r 1\r\nx\r\nPUB a r 1\r\ny\r\n", "[PUB a|r|||0|0|x][PUB a|r|||0|0|y]");
        check("PUB a 1\r\nx\r\nPUB a 1\r\ny\rx", "[PUB a||||0|0|x]!2");
        check("PUB a 1\r\nx\r\nPUB a 1\r\nyx", "[PUB a||||0|0|x]!2");
        check("PUB a 0\r\n\r\nPUB a 0\r\n\r\n", "[PUB a||||0|0|][PUB a||||0|0|]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_operation_is_parsed),
                cmocka_unit_test(test_verbs_are_case_insensitive),
                cmocka_unit_test(test_blanks_separate_and_lf_alone_ends_a_line),
                cmocka_unit_test(test_payload_may_hold_any_bytes),
                cmocka_unit_test(test_unknown_operations_are_violations),
                cmocka_unit_test(test_wrong_arguments_are_violations),
                cmocka_unit_test(test_payload_must_end_in_crlf),
                cmocka_unit_test(test_payload_limit_is_checked_on_the_control_line),
                cmocka_unit_test(test_headers_must_be_negotiated),
                cmocka_unit_test(test_control_line_limit_counts_the_arguments),
                cmocka_unit_test(test_what_is_not_limited_is_not_kept),
                cmocka_unit_test(test_incomplete_payload_tells_what_is_needed),
                cmocka_unit_test(test_equal_lines_are_a_run),
                cmocka_unit_test(test_what_differs_ends_a_run),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
