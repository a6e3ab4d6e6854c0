/* Headers that sockd vouches for: none of a client stays, and ours come first. */
#include "daemon/headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define OURS "Sockd-Uid: 7\r\n"

static char text[4096];

static const char *write_headers(const char *block, const char *lines) {
        struct bytes from = bytes_from_string(block), added = bytes_from_string(lines);
        size_t n = headers_write(text, from, added);

        assert_true(n <= headers_max(from, added));
        text[n] = '\0';
        return text;
}

static void test_others_stay_as_they_are(void **state) {
        static const char *const rows[] = {
                "NATS/1.0\r\n\r\n",
                "NATS/1.0\r\nA: b\r\nc:d\r\n\r\n",
                "NATS/1.0 503\r\n\r\n",
                "NATS/1.0\r\nX-Sockd-Uid: 1\r\nSockd: 1\r\nSockdUid: 1\r\nA: Sockd-Uid: 1\r\n\r\n",
                "rubbish",
                "\r\n\r\n",
                "",
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                assert_false(headers_are_forged(bytes_from_string(rows[i])));
                assert_string_equal(write_headers(rows[i], ""), rows[i]);
        }
}

static void test_ours_of_a_client_are_taken_out(void **state) {
        static const char *const forged[] = {
                "Sockd-Uid: 0",         "sockd-uid:0",          "SOCKD-USER: root",
                " Sockd-Uid: 0",        "\t Sockd-Unit: x",     "Sockd-Uid : 0",
                "Sockd-Anything:",      "Sockd-Uid: 0\r",       "Sockd-Uid: 0\n\tand",
                "A: b\nSockd-Pid: 1",   "A: b\rSockd-Gid: 1",   "\vSockd-Uid: 0",
                "\xc2\xa0Sockd-Uid: 0", "A: b\x1cSockd-Uid: 0",
        };

        for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
                char block[256];

                snprintf(block, sizeof(block), "NATS/1.0\r\nFirst: 1\r\n%s\r\nLast: 2\r\n\r\n",
                         forged[i]);
                assert_true(headers_are_forged(bytes_from_string(block)));
                assert_null(strcasestr(write_headers(block, ""), "sockd-"));
                assert_non_null(strstr(text, "First: 1\r\n"));
                assert_non_null(strstr(text, "Last: 2\r\n\r\n"));
                (void)write_headers(block, OURS);
                assert_ptr_equal(strcasestr(text, "sockd-"), strstr(text, OURS));
                assert_null(strcasestr(strstr(text, OURS) + strlen(OURS), "sockd-"));
        }
}

static void test_ours_are_added(void **state) {
        assert_string_equal(write_headers("", OURS), "NATS/1.0\r\n" OURS "\r\n");
        assert_string_equal(write_headers("NATS/1.0\r\nA: b\r\n\r\n", OURS),
                            "NATS/1.0\r\n" OURS "A: b\r\n\r\n");
        assert_string_equal(write_headers("NATS/1.0 100 Idle\r\n\r\n", OURS),
                            "NATS/1.0 100 Idle\r\n" OURS "\r\n");
        /* The first line ends as it does for all who read it. */
        assert_string_equal(write_headers("NATS/1.0\nA: b\r\n\r\n", OURS),
                            "NATS/1.0\r\n" OURS "A: b\r\n\r\n");
        assert_string_equal(write_headers("NATS/1.0\rA: b\r\n\r\n", OURS),
                            "NATS/1.0\r\n" OURS "A: b\r\n\r\n");
        /* What nobody could read as headers would hide them. */
        assert_string_equal(write_headers("rubbish", OURS), "NATS/1.0\r\n" OURS "\r\n");
        assert_string_equal(write_headers("NATS/1.0", OURS), "NATS/1.0\r\n" OURS "\r\n");
}

/* A line that begins with a blank is the rest of the former one, for many. */
static void test_lines_go_with_what_continues_them(void **state) {
        static const struct {
                const char *block, *alone, *added;
        } rows[] = {
                {"\r\n forged\r\n\r\n", "\r\n forged\r\n\r\n", "\r\n" OURS "\r\n"},
                {"\r\n\t0\r\nA: 1\r\n\r\n", "\r\n\t0\r\nA: 1\r\n\r\n", "\r\n" OURS "A: 1\r\n\r\n"},
                {"\r\n 1\r\n 2\r\nA: 1\r\n 3\r\n\r\n", "\r\n 1\r\n 2\r\nA: 1\r\n 3\r\n\r\n",
                 "\r\n" OURS "A: 1\r\n 3\r\n\r\n"},
                {"\r\nSockd-X: 1\r\n 2\r\n\t3\r\nA: 1\r\n\r\n", "\r\nA: 1\r\n\r\n",
                 "\r\n" OURS "A: 1\r\n\r\n"},
                {"\r\nA: 1\r\nSockd-X: 1\r\n 2\r\nB: 2\r\n 3\r\n\r\n",
                 "\r\nA: 1\r\nB: 2\r\n 3\r\n\r\n", "\r\n" OURS "A: 1\r\nB: 2\r\n 3\r\n\r\n"},
                {"\r\n 1", "\r\n 1", "\r\n" OURS},
                {"\r\n\r 1\r\n\r\n", "\r\n\r 1\r\n\r\n", "\r\n" OURS "\r\n"},
                {"\r\n\v1: 2\r\nA: 1\r\n\r\n", "\r\n\v1: 2\r\nA: 1\r\n\r\n",
                 "\r\n" OURS "A: 1\r\n\r\n"},
                {"\r\nSockd-X: 1\v2\r\nA: 1\r\n\r\n", "\r\nA: 1\r\n\r\n",
                 "\r\n" OURS "A: 1\r\n\r\n"},
                {"\r\nA: 1\vSockd-X: 2\r\nB: 2\r\n\r\n", "\r\nA: 1\v\r\nB: 2\r\n\r\n",
                 "\r\n" OURS "A: 1\v\r\nB: 2\r\n\r\n"},
                {"\n\n", "\n\n", "\r\n" OURS "\n"},
                {"\r\nA: \xc3\x85 b\r\nSockd-User: \xc3\x85 b\r\nB: \xe2\x80\xa6\r\n\r\n",
                 "\r\nA: \xc3\x85 b\r\nB: \xe2\x80\xa6\r\n\r\n",
                 "\r\n" OURS "A: \xc3\x85 b\r\nB: \xe2\x80\xa6\r\n\r\n"},
                {"\r\n\xc3\x85: 1\r\n\r\n", "\r\n\xc3\x85: 1\r\n\r\n",
                 "\r\n" OURS "\xc3\x85: 1\r\n\r\n"},
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char block[256], expected[256];

                snprintf(block, sizeof(block), "NATS/1.0%s", rows[i].block);
                snprintf(expected, sizeof(expected), "NATS/1.0%s", rows[i].alone);
                assert_string_equal(write_headers(block, ""), expected);
                snprintf(expected, sizeof(expected), "NATS/1.0%s", rows[i].added);
                assert_string_equal(write_headers(block, OURS), expected);
        }
}

/* --- parsers, slow and obvious ones -----------------------------------------------------------
 */

/* What a parser takes for the end of a line; the longest that fits is it. */
struct notion {
        const char *name;
        const char *ends[16];
        const char *blanks; /* with one of these a line begins that continues the former */
        bool stops;         /* at an empty line */
};

static const struct notion notions[] = {
        {"nats.js", {"\r\n"}, "", false},
        {"strict", {"\r\n"}, " \t", true},
        {"isspace", {"\r\n"}, " \t\v\f\r\n", false},
        {"libnats", {"\r\n", "\n"}, " \t", true},
        {"nats.go", {"\r\n", "\n"}, " \t", true},
        {"lenient", {"\r\n", "\n"}, " \t\v\f\r", false},
        {"email", {"\r\n", "\n", "\r"}, " \t", true},
        {"email, on", {"\r\n", "\n", "\r"}, " \t", false},
        {"splitlines",
         {"\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\xc2\x85", "\xe2\x80\xa8",
          "\xe2\x80\xa9"},
         " \t\v\f\x1c",
         false},
        {"Latin-1",
         {"\r\n", "\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85"},
         " \t\xa0\x85",
         false},
        {"zero", {"\r\n", "\n", "\x01"}, " \t\x01", false},
};

static size_t end_length(const struct notion *notion, const char *at) {
        size_t longest = 0;

        for (const char *const *end = notion->ends; *end; end++)
                if (strncmp(at, *end, strlen(*end)) == 0 && strlen(*end) > longest)
                        longest = strlen(*end);
        return longest;
}

/* Takes a line off, without its end. */
static const char *next_line(const struct notion *notion, const char *at, char *line) {
        size_t n = 0;

        while (*at && (n = end_length(notion, at)) == 0)
                *line++ = *at++;
        *line = '\0';
        return at + n;
}

/* Writes what a reader takes for headers of sockd: "Name: value|", unfolded. */
static void read_ours(const struct notion *notion, const char *block, char *ours) {
        char line[4096];
        bool is_ours = false;

        *ours = '\0';
        block = next_line(notion, block, line);
        while (*block) {
                const char *name = line;

                block = next_line(notion, block, line);
                if (!*line && notion->stops)
                        break;
                if (*line && strchr(notion->blanks, *line)) {
                        name += strspn(name, notion->blanks);
                        if (is_ours && *name)
                                strcat(strcat(ours, "+"), name);
                }
                name += strspn(name, " \t\v\f\r\n");
                if (strncasecmp(name, "Sockd-", strlen("Sockd-")) == 0) {
                        is_ours = true;
                        strcat(strcat(ours, name), "|");
                } else if (name == line) {
                        is_ours = false;
                }
        }
}

static void draw_block(char *block, unsigned *seed) {
        static const char *const pieces[] = {
                "Sockd-",   "sOCKD-Uid",    ": 0",          ":",    " ",
                "\t",       "\r",           "\n",           "\r\n", "\r\n",
                "\r\n ",    "\v",           "\f",           "\x1c", "\x01",
                "\xc2\x85", "\xe2\x80\xa8", "\x85",         "\xa0", "A:",
                "NATS/1.0", "\xc2\xa0",     "\xe2\x80\xa9", "x",    "\r\n\r\n",
                "\r\nB: "};
        unsigned n = (unsigned)rand_r(seed) % 14;

        strcpy(block, rand_r(seed) % 8 ? "NATS/1.0\r\n" : "");
        for (unsigned i = 0; i < n; i++)
                strcat(block,
                       pieces[(unsigned)rand_r(seed) % (sizeof(pieces) / sizeof(pieces[0]))]);
}

/* Whatever the bytes, whoever reads them sees what sockd wrote, and nothing else of that name. */
static void test_no_parser_sees_what_is_forged(void **state) {
        unsigned seed = 1;

        for (unsigned round = 0; round < 200000; round++) {
                const struct notion *notion =
                        &notions[round % (sizeof(notions) / sizeof(notions[0]))];
                char block[512], ours[4096];

                draw_block(block, &seed);
                read_ours(notion, write_headers(block, OURS "Sockd-Unit: u\r\n"), ours);
                if (strcmp(ours, "Sockd-Uid: 7|Sockd-Unit: u|") != 0)
                        fail_msg("round %u: %s reads %s", round, notion->name, ours);
                read_ours(notion, write_headers(block, ""), ours);
                if (*ours)
                        fail_msg("round %u: %s reads %s alone", round, notion->name, ours);
        }
}

static void found(const char *block, const char *name, const char *value) {
        struct bytes bytes = headers_find(bytes_from_string(block), name);

        assert_int_equal(bytes.length, strlen(value));
        assert_memory_equal(bytes.data, value, bytes.length);
}

static void test_a_line_is_found_by_name(void **state) {
        static const char block[] = "NATS/1.0\r\nA: one\r\nNats-Service-Error:  two "
                                    "words\r\nb:3\r\na: 4\r\nEmpty:\r\n\r\n";

        found(block, "A", "one");
        found(block, "nats-service-error", "two words");
        found(block, "B", "3");
        found(block, "Empty", "");
        found(block, "Nats", "");
        found(block, "Nats-Service-Error-Code", "");
        found("", "A", "");
        found("A", "A", "");
        found("A:", "A", "");
}

static void test_the_status_is_in_the_first_line(void **state) {
        assert_int_equal(headers_status(BYTES("NATS/1.0 503\r\n\r\n")), 503);
        assert_int_equal(headers_status(BYTES("NATS/1.0 503 No Responders\r\n\r\n")), 503);
        assert_int_equal(headers_status(BYTES("NATS/1.0\r\nA: 503\r\n\r\n")), 0);
        assert_int_equal(headers_status(BYTES("NATS/1.0 50")), 0);
        assert_int_equal(headers_status(BYTES("NATS/1.0 5x3\r\n")), 0);
        assert_int_equal(headers_status(BYTES("")), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_others_stay_as_they_are),
                cmocka_unit_test(test_ours_of_a_client_are_taken_out),
                cmocka_unit_test(test_ours_are_added),
                cmocka_unit_test(test_lines_go_with_what_continues_them),
                cmocka_unit_test(test_no_parser_sees_what_is_forged),
                cmocka_unit_test(test_a_line_is_found_by_name),
                cmocka_unit_test(test_the_status_is_in_the_first_line),
        };

        return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
