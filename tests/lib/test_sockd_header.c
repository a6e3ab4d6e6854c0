/* Header blocks: built, found, and what malformed ones come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lib/sockd.h"

static void assert_slice(const char *bytes, size_t n, const char *expected) {
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(bytes, expected, n);
}

static void test_headers_are_built_and_found(void **state) {
        struct sockd_message message = {0};
        const char *name, *value;
        size_t n = 0, position = 0, n_name, n_value;
        char block[64];

        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "A", "one"), 0);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "B", ""), 0);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "A", "two"), 0);
        assert_slice(block, n, "NATS/1.0\r\nA: one\r\nB: \r\nA: two\r\n\r\n");
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "", "x"), -EINVAL);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "a b", "x"), -EINVAL);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "a:", "x"), -EINVAL);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "a", "x\r\nb: y"), -EINVAL);
        assert_int_equal(
                sockd_header_add(block, sizeof(block), &n, "C", "too long for this block, it is"),
                -ENOBUFS);
        message.headers = block;
        message.n_headers = n;
        assert_true(sockd_header_next(&message, &position, &name, &n_name, &value, &n_value));
        assert_slice(value, n_value, "one");
        assert_true(sockd_header_next(&message, &position, &name, &n_name, &value, &n_value));
        assert_slice(name, n_name, "B");
        assert_slice(value, n_value, "");
        assert_slice(sockd_header_find(&message, "A", &n_value), 3, "one");
        assert_null(sockd_header_find(&message, "a", &n_value));
}

static void test_headers_fill_a_buffer_exactly(void **state) {
        static const char expected[] = "NATS/1.0\r\nA: one\r\n\r\n";
        char block[sizeof(expected) - 1];
        size_t n = 0;

        assert_int_equal(sockd_header_add(block, sizeof(block) - 1, &n, "A", "one"), -ENOBUFS);
        assert_int_equal(n, 0);
        assert_int_equal(sockd_header_add(block, sizeof(block), &n, "A", "one"), 0);
        assert_slice(block, n, expected);
}

static void test_malformed_headers_are_skipped(void **state) {
        static const char *const blocks[] = {"",
                                             "x",
                                             "NATS/1.0",
                                             "NATS/1.0\r\n: x\r\n\r\n",
                                             "NATS/1.0\r\nnocolon\r\n\r\n",
                                             "\r\n\r\n\r\n",
                                             "\n:\n:"};

        for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
                struct sockd_message message = {.headers = blocks[i],
                                                .n_headers = strlen(blocks[i])};
                size_t n;

                assert_null(sockd_header_find(&message, "x", &n));
        }
        assert_null(sockd_header_find(&(struct sockd_message){0}, "x", &(size_t){0}));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_headers_are_built_and_found),
                cmocka_unit_test(test_headers_fill_a_buffer_exactly),
                cmocka_unit_test(test_malformed_headers_are_skipped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
