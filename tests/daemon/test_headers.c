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

/* Whatever the bytes, none that a lenient parser would take for ours is left. */
static void test_no_bytes_come_through(void **state) {
        static const char *const pieces[] = {"Sockd-", "sOCKD-Uid", ":",    " ",  "\t",
                                             "\r",     "\n",        "\r\n", "A:", "NATS/1.0"};
        unsigned seed = 1;

        for (unsigned round = 0; round < 20000; round++) {
                char block[256] = "";

                for (unsigned i = 0; i < 12; i++)
                        strcat(block, pieces[(unsigned)rand_r(&seed) % 10]);
                (void)write_headers(block, "");
                for (const char *at = text; (at = strcasestr(at, "sockd-")); at++) {
                        const char *before = at;

                        while (before > text && (before[-1] == ' ' || before[-1] == '\t'))
                                before--;
                        assert_true(before > text && before[-1] != '\r' && before[-1] != '\n');
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_others_stay_as_they_are),
                cmocka_unit_test(test_ours_of_a_client_are_taken_out),
                cmocka_unit_test(test_ours_are_added),
                cmocka_unit_test(test_no_bytes_come_through),
        };

        return cmocka_run_group_tests_name("headers", tests, NULL, NULL);
}
