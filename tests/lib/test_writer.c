/* The writer: each form of protocol.md 4.2, byte for byte, and within the room that it announces.
 */
#include "lib/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Writes into exactly the room that is asked for, so that a sanitizer sees what goes beyond. */
static void check_line(const struct writer_message *message, const char *expected) {
        size_t room = writer_message_line_max(message);
        char *line = malloc(room), *end;

        assert_non_null(line);
        end = writer_message_line(line, message);
        assert_true((size_t)(end - line) <= room);
        assert_int_equal(end - line, strlen(expected));
        assert_int_equal(writer_message_line_length(message), strlen(expected));
        assert_memory_equal(line, expected, strlen(expected));
        free(line);
}

static void test_message_without_reply_is_written(void **state) {
        /* MSG <subject> <sid> <size>, with single blanks. */
        struct writer_message message = {
                .subject = BYTES("foo.bar"), .sid = BYTES("9"), .size = 11};

        check_line(&message, "MSG foo.bar 9 11\r\n");
}

static void test_message_with_reply_is_written(void **state) {
        /* MSG <subject> <sid> <reply> <size>. */
        struct writer_message message = {.subject = BYTES("foo"),
                                         .sid = BYTES("sid-1"),
                                         .reply = BYTES("_INBOX.x"),
                                         .size = 0};

        check_line(&message, "MSG foo sid-1 _INBOX.x 0\r\n");
}

static void test_headers_without_reply_are_written(void **state) {
        /* HMSG <subject> <sid> <hsize> <tsize>. */
        struct writer_message message = {
                .subject = BYTES("foo"), .sid = BYTES("1"), .header_size = 12, .size = 14};

        check_line(&message, "HMSG foo 1 12 14\r\n");
}

static void test_headers_with_reply_are_written(void **state) {
        /* HMSG <subject> <sid> <reply> <hsize> <tsize>. */
        struct writer_message message = {.subject = BYTES("foo"),
                                         .sid = BYTES("1"),
                                         .reply = BYTES("r"),
                                         .header_size = 16,
                                         .size = 16};

        check_line(&message, "HMSG foo 1 r 16 16\r\n");
}

static void test_lengths_are_known_before(void **state) {
        /* Of every number of digits. */
        size_t size = 1;

        for (unsigned n_digits = 1; n_digits <= 15; n_digits++, size *= 10) {
                struct writer_message message = {
                        .subject = BYTES("s"), .sid = BYTES("i"), .size = size};
                char line[64];

                assert_int_equal(writer_message_line_length(&message),
                                 writer_message_line(line, &message) - line);
                message.size = message.header_size = size * 10 - 1;
                assert_int_equal(writer_message_line_length(&message),
                                 writer_message_line(line, &message) - line);
        }
}

static void test_any_bytes_pass_unchanged(void **state) {
        /* Subjects, sids and replies are echoed as they came. */
        struct writer_message message = {
                .subject = BYTES("\xff%s"), .sid = BYTES("\""), .reply = BYTES("\x01"), .size = 3};

        check_line(&message, "MSG \xff%s \" \x01 3\r\n");
}

static void test_the_largest_sizes_fit_the_room(void **state) {
        /* The room suffices for the longest numbers that can be written. */
        struct writer_message message = {.subject = BYTES("s"),
                                         .sid = BYTES("i"),
                                         .reply = BYTES("r"),
                                         .header_size = SIZE_MAX,
                                         .size = SIZE_MAX};

        if (sizeof(size_t) == 8)
                check_line(&message, "HMSG s i r 18446744073709551615 18446744073709551615\r\n");
        else
                check_line(&message, "HMSG s i r 4294967295 4294967295\r\n");
}

static void test_errors_are_written_in_quotes(void **state) {
        /* -ERR '<text>', also with an empty text, within WRITER_ERROR_MAX. */
        static const struct {
                struct bytes text;
                const char *line;
        } rows[] = {
                {BYTES(ERROR_STALE_CONNECTION), "-ERR 'Stale Connection'\r\n"},
                {BYTES(""), "-ERR ''\r\n"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                size_t room = WRITER_ERROR_MAX(rows[i].text.length);
                char *line = malloc(room), *end;

                assert_non_null(line);
                end = writer_error(line, rows[i].text);
                assert_true((size_t)(end - line) <= room);
                assert_int_equal(end - line, strlen(rows[i].line));
                assert_memory_equal(line, rows[i].line, strlen(rows[i].line));
                free(line);
        }
}

static void test_short_operations_are_constants(void **state) {
        /* What clients compare byte by byte. */
        assert_true(bytes_equal(WRITER_PING, BYTES("PING\r\n")));
        assert_true(bytes_equal(WRITER_PONG, BYTES("PONG\r\n")));
        assert_true(bytes_equal(WRITER_OK, BYTES("+OK\r\n")));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_message_without_reply_is_written),
                cmocka_unit_test(test_message_with_reply_is_written),
                cmocka_unit_test(test_headers_without_reply_are_written),
                cmocka_unit_test(test_headers_with_reply_are_written),
                cmocka_unit_test(test_lengths_are_known_before),
                cmocka_unit_test(test_any_bytes_pass_unchanged),
                cmocka_unit_test(test_the_largest_sizes_fit_the_room),
                cmocka_unit_test(test_errors_are_written_in_quotes),
                cmocka_unit_test(test_short_operations_are_constants),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
