/* The hash: the same bytes give the same number wherever they lie, any difference gives another,
 * and the numbers spread over tables. */
#include "lib/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LENGTH_MAX 40
#define N_KEYS     65536
#define N_BUCKETS  4096

static void test_hash_does_not_depend_on_where_bytes_lie(void **state) {
        /* Tables find what was hashed elsewhere: alignment and neighbours must not matter. */
        char text[LENGTH_MAX], memory[LENGTH_MAX + 32];

        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char)(i * 37 + 1);
        for (size_t length = 0; length <= LENGTH_MAX; length++) {
                uint64_t expected = hash_bytes((struct bytes){text, length}, 7);

                for (size_t offset = 0; offset < 16; offset++) {
                        memset(memory, (int)offset, sizeof(memory));
                        memcpy(memory + offset, text, length);
                        assert_true(hash_bytes((struct bytes){memory + offset, length}, 7) ==
                                    expected);
                }
        }
}

static void test_nothing_has_a_hash(void **state) {
        /* An empty range may be a null pointer. */
        assert_true(hash_bytes((struct bytes){NULL, 0}, 7) == hash_bytes(BYTES(""), 7));
}

static void test_every_bit_counts(void **state) {
        /* No byte is left out, whatever the length. */
        char text[LENGTH_MAX] = "";

        for (size_t length = 1; length <= LENGTH_MAX; length++) {
                struct bytes bytes = {text, length};
                uint64_t before = hash_bytes(bytes, 0);

                for (size_t bit = 0; bit < 8 * length; bit++) {
                        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
                        assert_true(hash_bytes(bytes, 0) != before);
                        text[bit / 8] = (char)(text[bit / 8] ^ (1 << (bit % 8)));
                }
        }
}

static void test_length_and_seed_count(void **state) {
        /* Trailing zeroes are not lost, and two tables get different numbers for one key. */
        static const char zeroes[LENGTH_MAX];

        for (size_t length = 0; length < LENGTH_MAX; length++) {
                struct bytes bytes = {zeroes, length};

                assert_true(hash_bytes(bytes, 0) !=
                            hash_bytes((struct bytes){zeroes, length + 1}, 0));
                assert_true(hash_bytes(bytes, 0) != hash_bytes(bytes, 1));
        }
}

/* The longest chain when the keys "0", "1" ... go to buckets by 12 bits from `shift` on. */
static unsigned longest_chain(unsigned shift) {
        static unsigned chains[N_BUCKETS];
        unsigned longest = 0;

        memset(chains, 0, sizeof(chains));
        for (unsigned i = 0; i < N_KEYS; i++) {
                char key[16];
                int n = snprintf(key, sizeof(key), "%u", i);
                uint64_t hash = hash_bytes((struct bytes){key, (size_t)n}, 0);
                unsigned *chain = &chains[(hash >> shift) % N_BUCKETS];

                if (++*chain > longest)
                        longest = *chain;
        }
        return longest;
}

static void test_sids_spread_over_buckets(void **state) {
        /* Clients number their subscriptions: such keys spread in the low bits, which choose
         * buckets, and in the high ones, which the subject index compares. With 16 in a bucket on
         * average, 48 in one would be most improbable. */
        assert_in_range(longest_chain(0), 16, 48);
        assert_in_range(longest_chain(52), 16, 48);
}

static void test_each_process_has_its_own_hash(void **state) {
        /* Keys that collide cannot be prepared. The last test, as the key changes. */
        uint64_t before = hash_bytes(BYTES("subject"), 0);

        hash_init();
        assert_true(hash_bytes(BYTES("subject"), 0) != before);
        assert_true(hash_bytes(BYTES("subject"), 0) == hash_bytes(BYTES("subject"), 0));
        assert_in_range(longest_chain(0), 16, 48);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hash_does_not_depend_on_where_bytes_lie),
                cmocka_unit_test(test_nothing_has_a_hash),
                cmocka_unit_test(test_every_bit_counts),
                cmocka_unit_test(test_length_and_seed_count),
                cmocka_unit_test(test_sids_spread_over_buckets),
                cmocka_unit_test(test_each_process_has_its_own_hash),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
