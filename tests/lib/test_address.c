/* Addresses: what is read, why others are refused, and what the kernel gets. No network: numeric
 * hosts, and "localhost", which the resolver answers itself. */
#include "lib/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* 107 and 108 bytes, with the "/". */
#define X53      "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define PATH_107 "/" X53 X53
#define PATH_108 PATH_107 "x"

static void test_addresses_have_a_canonical_text(void **state) {
        static const struct {
                const char *from, *to;
                enum address_scheme scheme;
        } examples[] = {
                {"unix:///run/x.sock", "unix:///run/x.sock", ADDRESS_UNIX},
                {"unix:/run/x.sock", "unix:///run/x.sock", ADDRESS_UNIX},
                {"/run/x.sock", "unix:///run/x.sock", ADDRESS_UNIX},
                {"UNIX:/run/X", "unix:///run/X", ADDRESS_UNIX},
                {"unix:@name", "unix:@name", ADDRESS_UNIX},
                {"unix://@name", "unix:@name", ADDRESS_UNIX},
                {"unix:/a b:c@d", "unix:///a b:c@d", ADDRESS_UNIX},
                {"unix:" PATH_107, "unix://" PATH_107, ADDRESS_UNIX},
                {"unix+seqpacket:///run/x", "unix+seqpacket:///run/x", ADDRESS_UNIX_SEQPACKET},
                {"unix+dgram:@n", "unix+dgram:@n", ADDRESS_UNIX_DGRAM},
                {"tcp://127.0.0.1:4222", "tcp://127.0.0.1:4222", ADDRESS_TCP},
                {"tcp://127.0.0.1:0", "tcp://127.0.0.1:0", ADDRESS_TCP},
                {"tcp://[::]:4222", "tcp://[::]:4222", ADDRESS_TCP},
                {"tcp://[0:0::00:1]:65535", "tcp://[::1]:65535", ADDRESS_TCP},
                {"tcp://[FE80::1%eth0]:1", "tcp://[fe80::1%eth0]:1", ADDRESS_TCP},
                {"tcp://*:4222", "tcp://*:4222", ADDRESS_TCP},
                {"Tcp://LocalHost:00022", "tcp://localhost:22", ADDRESS_TCP},
                {"udp://a-b_c.example:53", "udp://a-b_c.example:53", ADDRESS_UDP},
                {"tls://[::1]:4223", "tls://[::1]:4223", ADDRESS_TLS},
                {"nats://localhost", "tcp://localhost:4222", ADDRESS_TCP},
                {"nats://[::1]", "tcp://[::1]:4222", ADDRESS_TCP},
                {"nats://localhost:1", "tcp://localhost:1", ADDRESS_TCP},
        };
        char text[ADDRESS_TEXT_MAX];
        struct address address, again;
        const char *reason;

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                assert_int_equal(address_parse(&address, examples[i].from, &reason), 0);
                assert_null(reason);
                assert_int_equal(address.scheme, examples[i].scheme);
                assert_string_equal(address_format(&address, text), examples[i].to);
                assert_int_equal(address_parse(&again, text, NULL), 0);
                assert_true(address_is_equal(&again, &address));
                again.port++;
                assert_false(address_is_equal(&again, &address));
        }
}

static void test_other_texts_are_refused_with_the_reason(void **state) {
        static const struct {
                const char *text, *reason;
        } examples[] = {
                {"", "empty"},
                {"sockd.sock", "begins with none of"},
                {"localhost:4222", "begins with none of"},
                {"http://x:1", "begins with none of"},
                {":", "begins with none of"},
                {"unix:", "absolute path"},
                {"unix://", "absolute path"},
                {"unix://run/x", "absolute path"},
                {"unix:@", "abstract name is empty"},
                {"unix:///", "not a directory"},
                {"/run/", "not a directory"},
                {"unix:" PATH_108, "the path is longer than 107 bytes, the limit of the system"},
                {PATH_108, "the path is longer than 107 bytes"},
                {"unix:@" PATH_108, "the name is longer than 107 bytes"},
                {"/run/a\nb", "control characters"},
                {"/run/\xff", "UTF-8"},
                {"tcp:127.0.0.1:1", "no \"//\""},
                {"tcp://", "no host name"},
                {"tcp://:4222", "no host name"},
                {"tcp://127.0.0.1", "no port"},
                {"tcp://[::1]", "no port"},
                {"tcp://127.0.0.1:", "no port number"},
                {"tcp://127.0.0.1:65536", "larger than 65535"},
                {"tcp://127.0.0.1:99999999999999999999", "larger than 65535"},
                {"tcp://127.0.0.1:-1", "no port number"},
                {"tcp://127.0.0.1:42x", "other than digits"},
                {"tcp://127.0.0.1:4222/", "other than digits"},
                {"tcp://::1:4222", "in brackets"},
                {"tcp://[::1:4222", "no \"]\""},
                {"tcp://[::1]4222", "behind the \"]\""},
                {"tcp://[]:1", "no IPv6 address"},
                {"tcp://[127.0.0.1]:1", "no IPv6 address"},
                {"tcp://[:::]:1", "no IPv6 address"},
                {"tcp://[00000:0000:0000:0000:0000:0000:0000:0000:0000]:1", "no IPv6 address"},
                {"tcp://[fe80::1%]:1", "no network interface"},
                {"tcp://[fe80::1%sixteencharacter]:1", "no network interface"},
                {"tcp://256.0.0.1:1", "four numbers"},
                {"tcp://127.1:1", "four numbers"},
                {"tcp://-x:1", "begins with"},
                {"tcp://.:1", "begins with"},
                {"tcp://a b:1", "cannot be in one"},
                {"tcp://a/b:1", "cannot be in one"},
                {"tcp://a*:1", "cannot be in one"},
                {"tcp://\xc3\xa9:1", "cannot be in one"},
                {"tcp://" X53 X53 X53 X53 X53 ":1", "longer than 253"},
                {"nats://user:secret@localhost:4222", "no user name or password"},
        };
        struct address address;
        const char *reason;

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                reason = NULL;
                assert_int_equal(address_parse(&address, examples[i].text, &reason), -EINVAL);
                assert_non_null(reason);
                if (!strstr(reason, examples[i].reason))
                        fail_msg("%s: %s", examples[i].text, reason);
        }
}

/* Resolves a text that is known to be good. */
static struct address_socket *resolve(const char *text, bool passive, size_t *countp) {
        struct address_socket *sockets = NULL;
        struct address address;
        const char *reason = "";

        assert_int_equal(address_parse(&address, text, NULL), 0);
        assert_int_equal(address_resolve(&address, passive, &sockets, countp, &reason), 0);
        return sockets;
}

static void test_unix_addresses_resolve(void **state) {
        size_t n, offset = offsetof(struct sockaddr_un, sun_path);
        struct address_socket *sockets = resolve("unix:" PATH_107, true, &n);

        assert_int_equal(n, 1);
        assert_int_equal(sockets[0].family, AF_UNIX);
        assert_int_equal(sockets[0].type, SOCK_STREAM);
        assert_int_equal(sockets[0].length, sizeof(struct sockaddr_un));
        assert_string_equal(sockets[0].socket.un.sun_path, PATH_107);
        free(sockets);

        sockets = resolve("unix+dgram:@ab", false, &n);
        assert_int_equal(sockets[0].type, SOCK_DGRAM);
        assert_int_equal(sockets[0].length, offset + 3);
        assert_memory_equal(sockets[0].socket.un.sun_path, "\0ab", 3);
        free(sockets);

        sockets = resolve("unix+seqpacket:@" PATH_107, false, &n);
        assert_int_equal(sockets[0].type, SOCK_SEQPACKET);
        assert_int_equal(sockets[0].length, sizeof(struct sockaddr_un));
        free(sockets);
}

static void test_internet_addresses_resolve(void **state) {
        char text[ADDRESS_TEXT_MAX];
        struct address_socket *sockets;
        size_t n;

        sockets = resolve("tcp://127.0.0.1:4222", true, &n);
        assert_int_equal(n, 1);
        assert_int_equal(sockets[0].family, AF_INET);
        assert_int_equal(sockets[0].type, SOCK_STREAM);
        assert_string_equal(
                address_format_socket(ADDRESS_TCP, &sockets[0].socket.any, sockets[0].length, text),
                "tcp://127.0.0.1:4222");
        free(sockets);

        sockets = resolve("udp://[::1]:53", false, &n);
        assert_int_equal(n, 1);
        assert_int_equal(sockets[0].family, AF_INET6);
        assert_int_equal(sockets[0].type, SOCK_DGRAM);
        assert_string_equal(
                address_format_socket(ADDRESS_UDP, &sockets[0].socket.any, sockets[0].length, text),
                "udp://[::1]:53");
        free(sockets);
}

static void test_any_address_is_both_families_and_only_for_listening(void **state) {
        struct address_socket *sockets;
        struct address address;
        const char *reason = NULL;
        bool has_ipv4 = false, has_ipv6 = false;
        size_t n;

        sockets = resolve("tcp://*:0", true, &n);
        for (size_t i = 0; i < n; i++) {
                has_ipv4 = has_ipv4 || sockets[i].family == AF_INET;
                has_ipv6 = has_ipv6 || sockets[i].family == AF_INET6;
        }
        assert_true(has_ipv4 && has_ipv6 && n == 2);
        free(sockets);

        assert_int_equal(address_parse(&address, "tcp://*:1", NULL), 0);
        assert_int_equal(address_resolve(&address, false, &sockets, &n, &reason), -EADDRNOTAVAIL);
        assert_non_null(strstr(reason, "to listen on"));
}

static void test_localhost_resolves_without_duplicates(void **state) {
        struct address_socket *sockets = NULL;
        struct address address;
        const char *reason = "";
        size_t n = 0;

        assert_int_equal(address_parse(&address, "tcp://localhost:4222", NULL), 0);
        if (address_resolve(&address, false, &sockets, &n, &reason) < 0) {
                print_message("skipping: localhost is not known here: %s\n", reason);
                skip();
        }
        assert_true(n >= 1);
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        assert_true(sockets[i].length != sockets[k].length ||
                                    memcmp(&sockets[i].socket, &sockets[k].socket,
                                           sockets[i].length) != 0);
        free(sockets);
}

static void test_resolver_failure_has_a_reason(void **state) {
        struct address_socket *sockets = NULL;
        struct address address;
        const char *reason = NULL;
        size_t n = 0;

        /* A zone that is no interface fails without asking anybody. */
        assert_int_equal(address_parse(&address, "tcp://[fe80::1%nosuchif]:1", NULL), 0);
        assert_int_equal(address_resolve(&address, false, &sockets, &n, &reason), -EADDRNOTAVAIL);
        assert_non_null(reason);
        assert_null(sockets);
}

static void test_unix_peers_are_shown(void **state) {
        static const struct {
                const char *path;
                size_t length;
                const char *text;
        } examples[] = {
                {"", 0, "unix:"},
                {"/run/x", 7, "unix:///run/x"},
                {"/run/x", 6, "unix:///run/x"}, /* without the NUL */
                {"\0name", 5, "unix:@name"},
                {"\0a\0\nb\xff", 6, "unix:@a? b?"},
                {"\0", 1, "unix:"},
                {"/a\x1b[31m", 7, "unix:///a?[31m"},
                {PATH_107 "y", 108, "unix://" PATH_107 "y"},
        };
        char text[ADDRESS_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                struct sockaddr_un un = {.sun_family = AF_UNIX};

                memcpy(un.sun_path, examples[i].path, examples[i].length);
                assert_string_equal(
                        address_format_socket(ADDRESS_UNIX, (struct sockaddr *)&un,
                                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
                                                          examples[i].length),
                                              text),
                        examples[i].text);
        }
}

static void test_internet_peers_are_shown(void **state) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
        char text[ADDRESS_TEXT_MAX];

        assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
        assert_string_equal(
                address_format_socket(ADDRESS_TLS, (struct sockaddr *)&in6, sizeof(in6), text),
                "tls://192.0.2.1:7");
        assert_int_equal(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
        in6.sin6_scope_id = 4294967295;
        assert_string_equal(
                address_format_socket(ADDRESS_TCP, (struct sockaddr *)&in6, sizeof(in6), text),
                "tcp://[fe80::1%4294967295]:7");
}

/* The socket address of a numeric address; "!" in front: v6only. */
static struct address_socket resolve_numeric(const char *text, bool *v6onlyp) {
        struct address_socket *sockets = NULL, result;
        struct address address;
        size_t n = 0;

        *v6onlyp = *text == '!';
        assert_int_equal(address_parse(&address, text + *v6onlyp, NULL), 0);
        assert_int_equal(address_resolve(&address, true, &sockets, &n, NULL), 0);
        assert_int_equal(n, 1);
        result = sockets[0];
        free(sockets);
        return result;
}

static void test_sockets_that_share_an_address_overlap(void **state) {
        static const struct {
                const char *a, *b;
                bool overlaps;
        } examples[] = {
                {"tcp://127.0.0.1:4", "tcp://127.0.0.1:4", true},
                {"tcp://127.0.0.1:4", "tcp://127.0.0.1:5", false},
                {"tcp://127.0.0.1:4", "tcp://127.0.0.2:4", false},
                {"tcp://127.0.0.1:4", "tcp://0.0.0.0:4", true},
                {"tcp://127.0.0.1:4", "tcp://0.0.0.0:5", false},
                {"tcp://[::1]:4", "tcp://[::1]:4", true},
                {"tcp://[::1]:4", "tcp://[::2]:4", false},
                {"tcp://[::1]:4", "tcp://[::]:4", true},
                {"tcp://[::1]:4", "tcp://127.0.0.1:4", false},
                {"tcp://[::1]:4", "tcp://0.0.0.0:4", false},
                {"tcp://[::]:4", "tcp://127.0.0.1:4", true},
                {"tcp://[::]:4", "tcp://0.0.0.0:4", true},
                {"!tcp://[::]:4", "tcp://127.0.0.1:4", false},
                {"!tcp://[::]:4", "tcp://0.0.0.0:4", false},
                {"!tcp://[::]:4", "tcp://[::]:4", true},
                {"unix:///run/s", "tcp://0.0.0.0:4", false},
                {"unix:///run/s", "unix:///run/s", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(examples); i++) {
                bool a_v6only, b_v6only;
                struct address_socket a = resolve_numeric(examples[i].a, &a_v6only);
                struct address_socket b = resolve_numeric(examples[i].b, &b_v6only);

                assert_int_equal(address_socket_overlaps(&a, a_v6only, &b, b_v6only),
                                 examples[i].overlaps);
                assert_int_equal(address_socket_overlaps(&b, b_v6only, &a, a_v6only),
                                 examples[i].overlaps);
        }
}

static void test_kinds_of_schemes_are_known(void **state) {
        struct address address = {.scheme = ADDRESS_UNIX_DGRAM};

        assert_true(address_is_unix(&address) && address_is_datagram(&address));
        address.scheme = ADDRESS_UNIX_SEQPACKET;
        assert_true(address_is_unix(&address) && !address_is_datagram(&address));
        address.scheme = ADDRESS_UDP;
        assert_true(!address_is_unix(&address) && address_is_datagram(&address));
        address.scheme = ADDRESS_TLS;
        assert_true(!address_is_unix(&address) && !address_is_datagram(&address));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses_have_a_canonical_text),
                cmocka_unit_test(test_other_texts_are_refused_with_the_reason),
                cmocka_unit_test(test_unix_addresses_resolve),
                cmocka_unit_test(test_internet_addresses_resolve),
                cmocka_unit_test(test_any_address_is_both_families_and_only_for_listening),
                cmocka_unit_test(test_localhost_resolves_without_duplicates),
                cmocka_unit_test(test_resolver_failure_has_a_reason),
                cmocka_unit_test(test_unix_peers_are_shown),
                cmocka_unit_test(test_internet_peers_are_shown),
                cmocka_unit_test(test_sockets_that_share_an_address_overlap),
                cmocka_unit_test(test_kinds_of_schemes_are_known),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
