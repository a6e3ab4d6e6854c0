/* nkeys: the vectors of protocol.md, section 7.3, both ways, and what is none. */
#include "lib/nkey.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define SEED   "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
#define PUBLIC "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"
#define NONCE  "tsezkjXP3gffuFs"
#define SIGNATURE                                                                                  \
        "Sl0E5kMxwR313EeKLp62J1QHPZk7660_3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXCQ"
/* The same in standard base64. */
#define PADDED                                                                                     \
        "Sl0E5kMxwR313EeKLp62J1QHPZk7660/3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXCQ=="

static const uint8_t public_bytes[NKEY_BYTES] = {0x03, 0xa1, 0x07, 0xbf, 0xf3, 0xce, 0x10, 0xbe,
                                                 0x1d, 0x70, 0xdd, 0x18, 0xe7, 0x4b, 0xc0, 0x99,
                                                 0x67, 0xe4, 0xd6, 0x30, 0x9b, 0xa5, 0x0d, 0x5f,
                                                 0x1d, 0xdc, 0x86, 0x64, 0x12, 0x55, 0x31, 0xb8};

static struct nkey_public read_public(void) {
        struct nkey_public key;

        assert_int_equal(nkey_public_parse(&key, BYTES(PUBLIC), NULL), 0);
        return key;
}

static struct nkey_seed read_seed(void) {
        struct nkey_seed seed;

        assert_int_equal(nkey_seed_parse(&seed, BYTES(SEED), NULL), 0);
        return seed;
}

static void test_public_key_is_read_and_written(void **state) {
        struct nkey_public key = read_public();
        char text[NKEY_PUBLIC_TEXT_SIZE];

        assert_memory_equal(key.bytes, public_bytes, NKEY_BYTES);
        assert_string_equal(nkey_public_format(text, &key), PUBLIC);
}

static void test_seed_is_read_and_written(void **state) {
        struct nkey_seed seed = read_seed();
        char text[NKEY_SEED_TEXT_SIZE];

        for (size_t i = 0; i < NKEY_BYTES; i++)
                assert_int_equal(seed.bytes[i], i);
        assert_string_equal(nkey_seed_format(text, &seed), SEED);
}

static void test_public_key_follows_from_the_seed(void **state) {
        struct nkey_seed seed = read_seed();
        struct nkey_public key;

        assert_int_equal(nkey_seed_public(&seed, &key), 0);
        assert_memory_equal(key.bytes, public_bytes, NKEY_BYTES);
}

static void test_signature_is_the_one_that_others_make(void **state) {
        struct nkey_seed seed = read_seed();
        char signature[NKEY_SIGNATURE_TEXT_SIZE];

        assert_int_equal(nkey_sign(&seed, BYTES(NONCE), signature), 0);
        assert_string_equal(signature, SIGNATURE);
}

static void test_signature_of_either_form_is_good(void **state) {
        struct nkey_public key = read_public();

        assert_true(nkey_verify(&key, BYTES(NONCE), BYTES(SIGNATURE)));
        assert_true(nkey_verify(&key, BYTES(NONCE), BYTES(PADDED)));
}

static void test_signature_of_another_form_is_not(void **state) {
        static const char *const signatures[] = {
                "",
                "==",
                /* base64url with padding, standard base64 without, both alphabets at once */
                SIGNATURE "==",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660/"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXCQ",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXC+",
                /* too short, too long, with blanks */
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXC",
                SIGNATURE "A",
                SIGNATURE " ",
                " " SIGNATURE,
                PADDED "\n",
                PADDED "AAAA",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxX==",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxX Q",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBx=CQ",
                "Sl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBx\xff"
                "CQ",
                /* another one */
                "Tl0E5kMxwR313EeKLp62J1QHPZk7660_"
                "3GBVQABre0rQKKOpMxI7u0FPqbrAadr4rYrBZIt4h82z09n7KBxXCQ",
        };
        struct nkey_public key = read_public();

        for (size_t i = 0; i < ARRAY_SIZE(signatures); i++)
                if (nkey_verify(&key, BYTES(NONCE), bytes_from_string(signatures[i])))
                        fail_msg("\"%s\" is taken for a signature", signatures[i]);
}

static void test_signature_is_of_one_nonce_and_one_key(void **state) {
        struct nkey_public key = read_public();
        struct nkey_seed other;

        assert_false(nkey_verify(&key, BYTES("tsezkjXP3gffuFt"), BYTES(SIGNATURE)));
        assert_false(nkey_verify(&key, BYTES("tsezkjXP3gffuF"), BYTES(SIGNATURE)));
        assert_false(nkey_verify(&key, BYTES(""), BYTES(SIGNATURE)));
        assert_int_equal(nkey_seed_new(&other), 0);
        assert_int_equal(nkey_seed_public(&other, &key), 0);
        assert_false(nkey_verify(&key, BYTES(NONCE), BYTES(SIGNATURE)));
        memset(key.bytes, 0xff, NKEY_BYTES); /* no point of the curve */
        assert_false(nkey_verify(&key, BYTES(NONCE), BYTES(SIGNATURE)));
}

static void test_new_seed_works_and_is_another_each_time(void **state) {
        char text[NKEY_SEED_TEXT_SIZE], signature[NKEY_SIGNATURE_TEXT_SIZE];
        struct nkey_seed first, second, again;
        struct nkey_public key;

        assert_int_equal(nkey_seed_new(&first), 0);
        assert_int_equal(nkey_seed_new(&second), 0);
        assert_memory_not_equal(first.bytes, second.bytes, NKEY_BYTES);
        nkey_seed_format(text, &first);
        assert_memory_equal(text, "SU", 2);
        assert_int_equal(nkey_seed_parse(&again, bytes_from_string(text), NULL), 0);
        assert_memory_equal(again.bytes, first.bytes, NKEY_BYTES);
        assert_int_equal(nkey_seed_public(&first, &key), 0);
        assert_int_equal(nkey_sign(&first, BYTES("a nonce"), signature), 0);
        assert_true(nkey_verify(&key, BYTES("a nonce"), bytes_from_string(signature)));
}

struct refusal {
        const char *text;
        const char *reason;
};

static void test_what_is_no_public_key_is_refused(void **state) {
        static const struct refusal refusals[] = {
                {"", "it does not have the 56 characters of a public key"},
                {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK",
                 "it does not have the 56 characters of a public key"},
                {PUBLIC "A", "it does not have the 56 characters of a public key"},
                {PUBLIC "\n", "it does not have the 56 characters of a public key"},
                {PUBLIC " junk", "it does not have the 56 characters of a public key"},
                {"uab2cb576phbbpq5odorrz2lycmwpzgwgcn2kdk7dxoimzaskuy3rlkk",
                 "it has other characters than A to Z and 2 to 7"},
                {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK=",
                 "it has other characters than A to Z and 2 to 7"},
                {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLK1",
                 "it has other characters than A to Z and 2 to 7"},
                {"UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKA",
                 "its checksum is wrong; a character is not as it was"},
                {"UBB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
                 "its checksum is wrong; a character is not as it was"},
                /* an account's */
                {"AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV",
                 "it is not the key of a user, which begins with U"},
                {SEED, "it is a seed, which is secret; the public key of it is wanted"},
        };
        struct nkey_public key;

        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                struct bytes text = bytes_from_string(refusals[i].text);
                const char *reason = "";

                assert_int_equal(nkey_public_parse(&key, text, &reason), -EINVAL);
                assert_string_equal(reason, refusals[i].reason);
        }
        assert_int_equal(nkey_public_parse(&key, (struct bytes){PUBLIC "\0", 57}, NULL), -EINVAL);
}

static void test_what_is_no_seed_is_refused(void **state) {
        static const struct refusal refusals[] = {
                {"", "it does not have the 58 characters of a seed"},
                {PUBLIC, "it does not have the 58 characters of a seed"},
                {SEED "A", "it does not have the 58 characters of a seed"},
                {"suaaaaicamcakbqhbaequcymbuha6earcijrifiwc4mbsgq3dqor4h776y",
                 "it has other characters than A to Z and 2 to 7"},
                /* the bits behind the last byte */
                {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Z",
                 "it has other characters than A to Z and 2 to 7"},
                {"SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H766Y",
                 "its checksum is wrong; a character is not as it was"},
                /* an account's */
                {"SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
                 "it is not the seed of a user, which begins with SU"},
        };
        struct nkey_seed seed;

        for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
                struct bytes text = bytes_from_string(refusals[i].text);
                const char *reason = "";

                assert_int_equal(nkey_seed_parse(&seed, text, &reason), -EINVAL);
                assert_string_equal(reason, refusals[i].reason);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_public_key_is_read_and_written),
                cmocka_unit_test(test_seed_is_read_and_written),
                cmocka_unit_test(test_public_key_follows_from_the_seed),
                cmocka_unit_test(test_signature_is_the_one_that_others_make),
                cmocka_unit_test(test_signature_of_either_form_is_good),
                cmocka_unit_test(test_signature_of_another_form_is_not),
                cmocka_unit_test(test_signature_is_of_one_nonce_and_one_key),
                cmocka_unit_test(test_new_seed_works_and_is_another_each_time),
                cmocka_unit_test(test_what_is_no_public_key_is_refused),
                cmocka_unit_test(test_what_is_no_seed_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
