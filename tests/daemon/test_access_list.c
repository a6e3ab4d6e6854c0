/* Lists of prefixes: their text, hostile text too, and who is admitted, compared with an obvious
 * reference. */
#include "daemon/access_list.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static struct access_list *list;
static char *reason;

static int tear_down(void **state) {
        list = access_list_unref(list);
        free(reason);
        reason = NULL;
        return 0;
}

static struct access_prefix prefix_of(const char *text) {
        struct access_prefix prefix;

        free(reason);
        reason = NULL;
        if (access_prefix_parse(&prefix, text, &reason) < 0)
                fail_msg("%s: %s", text, reason);
        return prefix;
}

/* An address, of IPv4 mapped. */
static struct in6_addr host_of(const char *text) {
        return prefix_of(text).first;
}

static void add(const char *text, bool is_allowed) {
        struct access_prefix prefix = prefix_of(text);

        if (!list)
                list = access_list_new();
        assert_non_null(list);
        if (is_allowed)
                access_list_restrict(list);
        assert_int_equal(access_list_add(list, &prefix, is_allowed), 0);
}

static void allow(const char *text) {
        add(text, true);
}

static void deny(const char *text) {
        add(text, false);
}

static void seal(void) {
        struct access_prefix conflict;

        assert_int_equal(access_list_seal(list, &conflict), 0);
}

static bool admits(const char *text) {
        struct in6_addr host = host_of(text);

        return access_list_admits(list, &host);
}

/* --- text ------------------------------------------------------------------------------------- */

static void test_prefixes_are_read_and_written(void **state) {
        static const struct {
                const char *text, *written;
                unsigned length;
        } rows[] = {
                {"192.0.2.0/24", "192.0.2.0/24", 120},
                {"0.0.0.0/0", "0.0.0.0/0", 96},
                {"10.0.0.0/8", "10.0.0.0/8", 104},
                {"127.0.0.1", "127.0.0.1", 128},
                {"127.0.0.1/32", "127.0.0.1", 128},
                {"255.255.255.255", "255.255.255.255", 128},
                {"2001:db8::/32", "2001:db8::/32", 32},
                {"2001:0DB8::/33", "2001:db8::/33", 33},
                {"::/0", "::/0", 0},
                {"::1", "::1", 128},
                {"fe80::/10", "fe80::/10", 10},
                {"8000::/1", "8000::/1", 1},
                {"::ffff:192.0.2.1", "192.0.2.1", 128},
                {"::ffff:192.0.2.0/120", "192.0.2.0/24", 120},
                {"::ffff:0:0/96", "0.0.0.0/0", 96},
                {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128},
        };
        char text[ACCESS_PREFIX_TEXT_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct access_prefix prefix = prefix_of(rows[i].text);

                assert_int_equal(prefix.length, rows[i].length);
                assert_string_equal(access_prefix_format(text, &prefix), rows[i].written);
        }
}

static void check_refused(const char *text, const char *part) {
        struct access_prefix prefix;

        free(reason);
        reason = NULL;
        assert_int_equal(access_prefix_parse(&prefix, text, &reason), -EINVAL);
        assert_non_null(reason);
        if (!strstr(reason, part))
                fail_msg("\"%s\": %s", text, reason);
}

static void test_what_is_no_prefix_is_refused(void **state) {
        static const char *const texts[] = {
                "",           "/",          "/8",        " 10.0.0.0/8",     "10.0.0.0 /8",
                "10.0.0/8",   "10",         "1.2.3.4.5", "1.2.3.256",       "010.0.0.1",
                "0x7f.0.0.1", "localhost",  "*",         "fe80::1%lo",      "1::2::3",
                ":::",        "[::1]",      "::1:",      "12345::",         "10.0.0.0\n/8",
                "::ffff:1.2", "10.0.0.0-9", "a.b.c.d",   "\xff\xfe",        "%s%s%n",
                "::g",        "1,2,3,4",    "::/0x",     "2001:db8::/32/1",
        };
        static const char *const lengths[] = {
                "10.0.0.0/",
                "10.0.0.0/33",
                "10.0.0.0/-1",
                "10.0.0.0/+8",
                "10.0.0.0/08",
                "10.0.0.0/8 ",
                "10.0.0.0/ 8",
                "10.0.0.0/8/8",
                "10.0.0.0/1e1",
                "::/129",
                "::/0128",
                "10.0.0.0/999",
                "10.0.0.0/4294967304",
                "::/18446744073709551616",
        };
        char longest[4096];

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
                check_refused(texts[i], "expected a");
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
                check_refused(lengths[i], "expected a number of bits from 0 to ");
        memset(longest, '1', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        check_refused(longest, "expected an address or a prefix");
        longest[200] = '/';
        check_refused(longest, "expected an address or a prefix");
        memcpy(longest, "10.0.0.0/", strlen("10.0.0.0/"));
        check_refused(longest, "expected a number of bits from 0 to 32");
}

static void test_bits_behind_a_prefix_are_refused_with_what_was_meant(void **state) {
        check_refused("192.0.2.5/24", "expected \"192.0.2.0/24\" or \"192.0.2.5\"");
        check_refused("0.0.0.1/0", "expected \"0.0.0.0/0\" or \"0.0.0.1\"");
        check_refused("10.0.0.1/31", "expected \"10.0.0.0/31\" or \"10.0.0.1\"");
        check_refused("2001:db8::1/64", "expected \"2001:db8::/64\" or \"2001:db8::1\"");
        check_refused("c000::/1", "expected \"8000::/1\" or \"c000::\"");
}

/* --- who is admitted -------------------------------------------------------------------------- */

static void test_without_a_list_all_are_admitted(void **state) {
        assert_true(admits("192.0.2.1"));
        assert_true(admits("::1"));
}

static void test_with_allowed_ones_no_others_are_admitted(void **state) {
        allow("192.0.2.0/24");
        allow("2001:db8::/32");
        allow("127.0.0.1");
        seal();
        assert_true(admits("192.0.2.0"));
        assert_true(admits("192.0.2.255"));
        assert_true(admits("2001:db8:ffff::1"));
        assert_true(admits("127.0.0.1"));
        assert_false(admits("192.0.1.255"));
        assert_false(admits("192.0.3.0"));
        assert_false(admits("127.0.0.2"));
        assert_false(admits("::1"));
        assert_false(admits("2001:db7:ffff::"));
        assert_false(admits("2001:db9::"));
}

static void test_with_denied_ones_all_others_are_admitted(void **state) {
        deny("192.0.2.0/24");
        deny("255.255.255.255");
        deny("ffff::/16");
        seal();
        assert_false(admits("192.0.2.77"));
        assert_false(admits("255.255.255.255"));
        assert_false(admits("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert_true(admits("192.0.3.0"));
        assert_true(admits("255.255.255.254"));
        assert_true(admits("fffe::1"));
        assert_true(admits("::1"));
}

static void test_an_empty_list_of_allowed_ones_admits_nobody(void **state) {
        list = access_list_new();
        access_list_restrict(list);
        seal();
        assert_false(admits("127.0.0.1"));
        assert_false(admits("::1"));
}

static void test_the_longest_prefix_decides(void **state) {
        /* In whatever order they stand. */
        deny("10.1.0.0/16");
        allow("10.1.2.3");
        allow("10.0.0.0/8");
        deny("10.1.2.0/25");
        allow("10.1.2.0/24");
        seal();
        assert_true(admits("10.0.0.0"));
        assert_true(admits("10.255.255.255"));
        assert_false(admits("10.1.1.255"));
        assert_true(admits("10.1.2.3"));
        assert_false(admits("10.1.2.2"));
        assert_false(admits("10.1.2.4"));
        assert_true(admits("10.1.2.128"));
        assert_false(admits("10.1.3.0"));
        assert_true(admits("10.2.0.0"));
        assert_false(admits("11.0.0.0"));
}

static void test_families_are_apart(void **state) {
        /* An IPv4 client of a socket of IPv6 is one of IPv4. */
        deny("::/0");
        allow("::1");
        allow("127.0.0.0/8");
        seal();
        assert_true(admits("::ffff:127.0.0.1"));
        assert_true(admits("::1"));
        assert_false(admits("::2"));
        assert_false(admits("10.0.0.1"));
        access_list_unref(list);
        list = NULL;
        deny("::/0");
        seal();
        assert_true(admits("10.0.0.1"));
        assert_true(admits("::ffff:0.0.0.0"));
        assert_false(admits("::ffff:0:0:1"));
        access_list_unref(list);
        list = NULL;
        deny("0.0.0.0/0");
        seal();
        assert_false(admits("0.0.0.0"));
        assert_false(admits("255.255.255.255"));
        assert_true(admits("::fffe:ffff:ffff"));
        assert_true(admits("::1:0:0:0"));
}

static void test_what_stands_there_twice_does_no_harm(void **state) {
        deny("10.0.0.0/8");
        deny("10.0.0.0/8");
        deny("::ffff:10.0.0.0/104");
        seal();
        assert_false(admits("10.0.0.1"));
        assert_true(admits("11.0.0.1"));
}

static void test_a_contradiction_is_told(void **state) {
        struct access_prefix conflict;
        char text[ACCESS_PREFIX_TEXT_MAX];

        allow("10.0.0.0/8");
        allow("192.0.2.0/24");
        deny("10.1.0.0/16");
        deny("192.0.2.0/24");
        assert_int_equal(access_list_seal(list, &conflict), ACCESS_CONFLICT);
        assert_string_equal(access_prefix_format(text, &conflict), "192.0.2.0/24");
}

static void test_as_many_prefixes_as_may_be(void **state) {
        struct access_prefix prefix = {.length = 64};
        char text[64];

        list = access_list_new();
        for (unsigned i = 0; i < ACCESS_PREFIXES_MAX; i++) {
                prefix.first.s6_addr[0] = 0x20;
                prefix.first.s6_addr[6] = (uint8_t)(i >> 8);
                prefix.first.s6_addr[7] = (uint8_t)i;
                assert_int_equal(access_list_add(list, &prefix, i % 2 == 0), 0);
        }
        assert_int_equal(access_list_add(list, &prefix, true), -ENOSPC);
        seal();
        for (unsigned i = 0; i < ACCESS_PREFIXES_MAX; i += 97) {
                snprintf(text, sizeof(text), "2000:0:0:%x::1", i);
                assert_int_equal(admits(text), i % 2 == 0);
        }
}

/* --- a reference ------------------------------------------------------------------------------ */

#define REFERENCE_MAX 64

struct reference {
        struct access_prefix prefixes[REFERENCE_MAX];
        bool is_allowed[REFERENCE_MAX];
        unsigned n;
};

static bool has_bit(const struct in6_addr *address, unsigned bit) {
        return address->s6_addr[bit / 8] >> (7 - bit % 8) & 1;
}

static bool is_in(const struct in6_addr *host, const struct access_prefix *prefix) {
        bool is_ipv4 = prefix->length >= 96 && IN6_IS_ADDR_V4MAPPED(&prefix->first);

        if (IN6_IS_ADDR_V4MAPPED(host) != is_ipv4)
                return false;
        for (unsigned bit = 0; bit < prefix->length; bit++)
                if (has_bit(host, bit) != has_bit(&prefix->first, bit))
                        return false;
        return true;
}

static bool reference_admits(const struct reference *reference, const struct in6_addr *host,
                             bool is_restricted) {
        unsigned longest = 0;
        bool is_allowed = !is_restricted;

        for (unsigned i = 0; i < reference->n; i++) {
                const struct access_prefix *prefix = &reference->prefixes[i];

                if (!is_in(host, prefix) || prefix->length + 1 <= longest)
                        continue;
                longest = prefix->length + 1;
                is_allowed = reference->is_allowed[i];
        }
        return is_allowed;
}

/* One of few addresses, so that prefixes often lie within each other. */
static struct in6_addr random_host(bool is_ipv4) {
        struct in6_addr host = {.s6_addr = {0}};
        static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};

        if (is_ipv4)
                host.s6_addr[10] = host.s6_addr[11] = 0xff;
        for (unsigned i = is_ipv4 ? 12 : 0; i < 16; i++)
                if (is_ipv4 || i < 2 || i > 13)
                        host.s6_addr[i] = bytes[(unsigned)rand() % ARRAY_SIZE(bytes)];
        return host;
}

static struct access_prefix random_prefix(void) {
        bool is_ipv4 = rand() % 2;
        struct access_prefix prefix = {
                .first = random_host(is_ipv4),
                .length = is_ipv4 ? 96 + (unsigned)rand() % 33 : (unsigned)rand() % 129,
        };

        for (unsigned bit = prefix.length; bit < 128; bit++)
                prefix.first.s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
        return prefix;
}

static bool is_known(const struct reference *reference, const struct access_prefix *prefix) {
        for (unsigned i = 0; i < reference->n; i++)
                if (memcmp(&reference->prefixes[i], prefix, sizeof(*prefix)) == 0)
                        return true;
        return false;
}

static void test_decisions_are_those_of_a_search_of_all(void **state) {
        srand(1);
        for (unsigned round = 0; round < 500; round++) {
                struct reference reference = {.n = 0};
                bool is_restricted = rand() % 2;

                list = access_list_new();
                if (is_restricted)
                        access_list_restrict(list);
                for (unsigned i = (unsigned)rand() % REFERENCE_MAX; i > 0; i--) {
                        struct access_prefix prefix = random_prefix();

                        if (is_known(&reference, &prefix))
                                continue;
                        reference.is_allowed[reference.n] = rand() % 2;
                        reference.prefixes[reference.n] = prefix;
                        assert_int_equal(
                                access_list_add(list, &prefix, reference.is_allowed[reference.n++]),
                                0);
                }
                seal();
                for (unsigned i = 0; i < 200; i++) {
                        struct in6_addr host = random_host(rand() % 2);

                        assert_int_equal(access_list_admits(list, &host),
                                         reference_admits(&reference, &host, is_restricted));
                }
                list = access_list_unref(list);
        }
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_prefixes_are_read_and_written),
                TEST(test_what_is_no_prefix_is_refused),
                TEST(test_bits_behind_a_prefix_are_refused_with_what_was_meant),
                TEST(test_without_a_list_all_are_admitted),
                TEST(test_with_allowed_ones_no_others_are_admitted),
                TEST(test_with_denied_ones_all_others_are_admitted),
                TEST(test_an_empty_list_of_allowed_ones_admits_nobody),
                TEST(test_the_longest_prefix_decides),
                TEST(test_families_are_apart),
                TEST(test_what_stands_there_twice_does_no_harm),
                TEST(test_a_contradiction_is_told),
                TEST(test_as_many_prefixes_as_may_be),
                TEST(test_decisions_are_those_of_a_search_of_all),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
