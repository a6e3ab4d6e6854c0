/* The PROXY protocol: what is a header, and what is none. */
#include "daemon/proxy_protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define BYTES_OF(text)                                                                             \
        (struct bytes) {                                                                           \
                (text), sizeof(text) - 1                                                           \
        }

static struct proxy_header header;

/* The bytes stand at the end of memory of their own, so that a sanitizer sees who reads further. */
static ssize_t parse(struct bytes bytes) {
        char *copy = malloc(bytes.length ? bytes.length : 1);
        ssize_t r;

        assert_non_null(copy);
        memcpy(copy, bytes.data, bytes.length);
        r = proxy_header_parse(&header, (struct bytes){copy, bytes.length});
        free(copy);
        return r;
}

/* Takes a header, however it is cut, and with something behind it. */
static void take(struct bytes bytes) {
        char longer[PROXY_HEADER_MAX + 16];

        for (size_t n = 0; n < bytes.length; n++)
                assert_int_equal(parse((struct bytes){bytes.data, n}), 0);
        memcpy(longer, bytes.data, bytes.length);
        memcpy(longer + bytes.length, "PROXY \r\n\r\n\0\r\nQ", 15);
        assert_int_equal(parse((struct bytes){longer, bytes.length + 15}), bytes.length);
        assert_int_equal(parse(bytes), bytes.length);
}

/* Refuses it, and nothing that begins with less than that was taken for a header. */
static void refuse(struct bytes bytes) {
        for (size_t n = 0; n < bytes.length; n++)
                assert_true(parse((struct bytes){bytes.data, n}) <= 0);
        assert_int_equal(parse(bytes), -EPROTO);
}

static void refuse_text(const char *text) {
        refuse(bytes_from_string(text));
}

static void assert_inet(const union proxy_address *address, const char *ip, unsigned port) {
        char text[INET6_ADDRSTRLEN];

        assert_int_equal(address->any.sa_family, AF_INET);
        assert_string_equal(inet_ntop(AF_INET, &address->in.sin_addr, text, sizeof(text)), ip);
        assert_int_equal(ntohs(address->in.sin_port), port);
}

static void assert_inet6(const union proxy_address *address, const char *ip, unsigned port) {
        char text[INET6_ADDRSTRLEN];

        assert_int_equal(address->any.sa_family, AF_INET6);
        assert_string_equal(inet_ntop(AF_INET6, &address->in6.sin6_addr, text, sizeof(text)), ip);
        assert_int_equal(ntohs(address->in6.sin6_port), port);
}

/* --- version 1 -------------------------------------------------------------------------------- */

static void test_line_tells_of_ipv4(void **state) {
        take(BYTES_OF("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"));
        assert_inet(&header.source, "192.0.2.1", 56324);
        assert_inet(&header.destination, "198.51.100.2", 443);
        take(BYTES_OF("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"));
        assert_inet(&header.source, "255.255.255.255", 65535);
}

static void test_line_tells_of_ipv6(void **state) {
        take(BYTES_OF("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.3 1 2\r\n"));
        assert_inet6(&header.source, "2001:db8::1", 1);
        assert_inet6(&header.destination, "::ffff:192.0.2.3", 2);
        take(BYTES_OF("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
}

static void test_line_may_tell_nothing(void **state) {
        take(BYTES_OF("PROXY UNKNOWN\r\n"));
        assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
        take(BYTES_OF("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"));
        assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
        take(BYTES_OF("PROXY UNKNOWN whatever\r\n"));
}

static void test_lines_that_are_wrong(void **state) {
        static const char *const lines[] = {
                "GET / HTTP/1.1\r\n",
                "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY\r\n",
                "PROXY \r\n",
                "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY TCP4\r\n",
                "PROXY TCP4 1.2.3.4\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
                "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
                "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
                "PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n",
                "PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY TCP4 ::1 ::1 1 2\r\n",
                "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
                "PROXY TCP6 ::1%lo ::1 1 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 99999999999999999999 2\r\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
                "PROXY TCP4 1.2.3.4 1.2.3.4 1\t2\r\n",
        };

        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
                refuse_text(lines[i]);
        refuse(BYTES_OF("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"));
}

static void test_line_has_an_end(void **state) {
        char text[512];

        memset(text, 'x', sizeof(text));
        memcpy(text, "PROXY UNKNOWN ", 14);
        text[105] = '\r';
        text[106] = '\n';
        assert_int_equal(parse((struct bytes){text, 107}), 107);
        memset(text + 105, 'x', 2);
        assert_int_equal(parse((struct bytes){text, 106}), 0);
        assert_int_equal(parse((struct bytes){text, 107}), -EPROTO);
        text[106] = '\r';
        text[107] = '\n';
        assert_int_equal(parse((struct bytes){text, 108}), -EPROTO);
}

/* --- version 2 -------------------------------------------------------------------------------- */

static void test_block_tells_of_ipv4(void **state) {
        take(BYTES_OF(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"));
        assert_inet(&header.source, "192.0.2.1", 56324);
        assert_inet(&header.destination, "198.51.100.2", 443);
        /* Of datagrams, which a stream may carry as well. */
        take(BYTES_OF(SIGNATURE "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"));
        assert_inet(&header.source, "192.0.2.1", 56324);
}

static void test_block_tells_of_ipv6(void **state) {
        take(BYTES_OF(SIGNATURE "\x21\x21\0\x24"
                                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
                                "\0\x01\0\x02"));
        assert_inet6(&header.source, "2001:db8::1", 1);
        assert_inet6(&header.destination, "2001:db8::2", 2);
}

static void test_block_tells_of_paths(void **state) {
        char block[16 + 216];

        memset(block, 'p', sizeof(block)); /* not even an end */
        memcpy(block, SIGNATURE "\x21\x31\0\xd8", 16);
        take((struct bytes){block, sizeof(block)});
        assert_int_equal(header.source.any.sa_family, AF_UNIX);
        assert_memory_equal(header.source.un.sun_path, block + 16, 108);
}

static void test_block_may_be_the_proxys_own(void **state) {
        take(BYTES_OF(SIGNATURE "\x20\0\0\0"));
        assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
        /* Whatever it says beside that. */
        take(BYTES_OF(SIGNATURE "\x20\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"));
        assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
        take(BYTES_OF(SIGNATURE "\x20\xff\0\x02xx"));
        take(BYTES_OF(SIGNATURE "\x21\0\0\x03xxx"));
        assert_int_equal(header.source.any.sa_family, AF_UNSPEC);
}

static void test_what_follows_the_addresses_is_skipped(void **state) {
        take(BYTES_OF(SIGNATURE "\x21\x11\0\x13\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"
                                "\x04\xff\xff\0\0\x01\x02"));
        assert_inet(&header.source, "192.0.2.1", 56324);
}

static void test_blocks_that_are_wrong(void **state) {
        refuse(BYTES_OF("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c"));
        refuse(BYTES_OF(SIGNATURE "\x11\x11\0\x0c"));
        refuse(BYTES_OF(SIGNATURE "\x22\x11\0\x0c"));
        refuse(BYTES_OF(SIGNATURE "\x31\x11\0\x0c"));
        refuse(BYTES_OF(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01"));
        refuse(BYTES_OF(SIGNATURE "\x21\x11\0\0"));
        refuse(BYTES_OF(SIGNATURE "\x21\x21\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"));
        refuse(BYTES_OF(SIGNATURE "\x21\x31\0\x01x"));
        refuse(BYTES_OF(SIGNATURE "\x21\x41\0\x01x"));
        refuse(BYTES_OF(SIGNATURE "\x21\x13\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"));
}

static void test_block_has_a_limit(void **state) {
        static char block[PROXY_HEADER_MAX + 1];

        memcpy(block, SIGNATURE "\x20\0", 14);
        block[14] = (char)((PROXY_HEADER_MAX - 16) >> 8);
        block[15] = (char)((PROXY_HEADER_MAX - 16) & 0xff);
        assert_int_equal(parse((struct bytes){block, PROXY_HEADER_MAX}), PROXY_HEADER_MAX);
        assert_int_equal(parse((struct bytes){block, PROXY_HEADER_MAX - 1}), 0);
        block[15]++;
        assert_int_equal(parse((struct bytes){block, 16}), -EPROTO);
        refuse(BYTES_OF(SIGNATURE "\x21\x11\xff\xff"));
}

/* Bytes that are changed at random are parsed, or not, but nothing is read behind them. */
static void test_any_bytes_are_survived(void **state) {
        static const char good[] =
                SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
        static const char line[] = "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
        uint64_t random = 1;

        for (unsigned i = 0; i < 20000; i++) {
                char bytes[64];
                size_t length = i % 2 ? sizeof(good) - 1 : sizeof(line) - 1;

                memcpy(bytes, i % 2 ? good : line, length);
                for (unsigned k = 0; k < 3; k++) {
                        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
                        bytes[(random >> 33) % length] = (char)(random >> 56);
                }
                assert_true(parse((struct bytes){bytes, length}) <= (ssize_t)length);
        }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void assert_same(const char *line) {
        struct proxy_header before;
        char text[PROXY_TEXT_MAX];
        size_t length;

        assert_true(parse(bytes_from_string(line)) > 0);
        before = header;
        length = proxy_header_write(&before, PROXY_V1, text);
        assert_int_equal(length, strlen(line));
        assert_memory_equal(text, line, length);
        length = proxy_header_write(&before, PROXY_V2, text);
        assert_int_equal(parse((struct bytes){text, length}), length);
        assert_memory_equal(&header, &before, sizeof(header));
}

static void test_what_is_written_is_what_is_read(void **state) {
        assert_same("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
        assert_same("PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n");
        assert_same("PROXY UNKNOWN\r\n");
}

static void test_paths_are_written_in_blocks_only(void **state) {
        struct proxy_header paths = {.source.un = {.sun_family = AF_UNIX, .sun_path = "/a"},
                                     .destination.un = {.sun_family = AF_UNIX, .sun_path = "/b"}};
        char text[PROXY_TEXT_MAX];
        size_t length = proxy_header_write(&paths, PROXY_V2, text);

        assert_int_equal(length, 16 + 216);
        assert_int_equal(parse((struct bytes){text, length}), length);
        assert_string_equal(header.destination.un.sun_path, "/b");
        length = proxy_header_write(&paths, PROXY_V1, text);
        assert_memory_equal(text, "PROXY UNKNOWN\r\n", length);
}

static void test_versions_have_names(void **state) {
        assert_int_equal(proxy_version_parse("v1"), PROXY_V1);
        assert_int_equal(proxy_version_parse("v2"), PROXY_V2);
        assert_true(proxy_version_parse("v3") < 0);
        assert_true(proxy_version_parse("") < 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_line_tells_of_ipv4),
                cmocka_unit_test(test_line_tells_of_ipv6),
                cmocka_unit_test(test_line_may_tell_nothing),
                cmocka_unit_test(test_lines_that_are_wrong),
                cmocka_unit_test(test_line_has_an_end),
                cmocka_unit_test(test_block_tells_of_ipv4),
                cmocka_unit_test(test_block_tells_of_ipv6),
                cmocka_unit_test(test_block_tells_of_paths),
                cmocka_unit_test(test_block_may_be_the_proxys_own),
                cmocka_unit_test(test_what_follows_the_addresses_is_skipped),
                cmocka_unit_test(test_blocks_that_are_wrong),
                cmocka_unit_test(test_block_has_a_limit),
                cmocka_unit_test(test_any_bytes_are_survived),
                cmocka_unit_test(test_what_is_written_is_what_is_read),
                cmocka_unit_test(test_paths_are_written_in_blocks_only),
                cmocka_unit_test(test_versions_have_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
