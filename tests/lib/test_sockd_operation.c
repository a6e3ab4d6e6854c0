/* The parser of the server's operations, with bytes that end where the memory ends. What it makes
 * of whole streams is seen in test_sockd.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lib/sockd_private.h"

/* Exactly as many bytes as there are, so that a sanitizer sees each one read beyond them. */
static int parse_copy(const char *bytes, size_t n) {
        struct sockd_operation operation;
        char *copy = malloc(n ? n : 1);
        int result;

        memcpy(copy, bytes, n);
        result = sockd_operation_parse(copy, n, &operation);
        if (result == 0)
                assert_in_range(operation.length, 1, n);
        free(copy);
        return result;
}

static void test_parser_reads_nothing_beyond_its_bytes(void **state) {
        static const char operation[] =
                "HMSG subject 12 reply 16 21\r\nNATS/1.0 503\r\n\r\nhello\r\n";
        static const char alphabet[] = "MSGH msg\t\r\n0195PINGOK+-ER'{}";
        unsigned seed = 1;

        for (size_t n = 0; n < sizeof(operation) - 1; n++)
                assert_int_equal(parse_copy(operation, n), SOCKD_OPERATION_INCOMPLETE);
        assert_int_equal(parse_copy(operation, sizeof(operation) - 1), 0);
        for (int i = 0; i < 200000; i++) {
                char bytes[sizeof(operation)];
                size_t n = (size_t)rand_r(&seed) % sizeof(bytes);

                memcpy(bytes, operation, sizeof(operation));
                for (int j = rand_r(&seed) % 6; j >= 0; j--)
                        bytes[(size_t)rand_r(&seed) % sizeof(bytes)] =
                                alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
                parse_copy(bytes, n);
        }
}

static void test_errors_lose_their_quotes(void **state) {
        static const char *const lines[] = {"-ERR 'a b'\r\n", "-err \ta b\n", "-ERR 'a b' \r\n"};

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                struct sockd_operation operation;

                assert_int_equal(sockd_operation_parse(lines[i], strlen(lines[i]), &operation), 0);
                assert_int_equal(operation.type, SOCKD_OPERATION_ERROR);
                assert_int_equal(operation.n_text, 3);
                assert_memory_equal(operation.text, "a b", 3);
                assert_int_equal(operation.length, strlen(lines[i]));
        }
}

static void test_length_is_known_before_the_payload(void **state) {
        struct sockd_operation operation;

        assert_int_equal(sockd_operation_parse("MSG a 1 5\r\nhe", 13, &operation),
                         SOCKD_OPERATION_INCOMPLETE);
        assert_int_equal(operation.length, 11 + 5 + 2);
        assert_int_equal(sockd_operation_parse("MSG a 1 5", 9, &operation),
                         SOCKD_OPERATION_INCOMPLETE);
        assert_int_equal(operation.length, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parser_reads_nothing_beyond_its_bytes),
                cmocka_unit_test(test_errors_lose_their_quotes),
                cmocka_unit_test(test_length_is_known_before_the_payload),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
