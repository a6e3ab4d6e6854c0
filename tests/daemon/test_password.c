/* Passwords: hashes of each kind, plain texts, and hashes that are none. */
#include "daemon/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <crypt.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Of "hunter2". */
static const char *const hashes[] = {
        "$2a$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
        "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
        "$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
        "$y$j75$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
        ("$6$rounds=1000$abcdefgh$t5NmrWOyohJ8f73CiI.ipwnmEO82Ymv802ja2TZrmBnj00Hvr2YrP2TDI7aBzNhjs"
         "P40J3Yd13Z66StlJAayI1"),
};

static struct secret *stored;

static int tear_down(void **state) {
        stored = secret_free(stored);
        return 0;
}

static void store(const char *text) {
        tear_down(NULL);
        assert_int_equal(secret_from_text(&stored, bytes_from_string(text)), 0);
}

static void test_hash_matches_its_password(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
                store(hashes[i]);
                assert_true(password_is_hash(secret_text(stored)));
                assert_true(password_is_slow(stored));
                assert_false(password_is_malformed(stored));
                assert_true(password_matches(stored, BYTES("hunter2")));
                assert_false(password_matches(stored, BYTES("hunter3")));
                assert_false(password_matches(stored, BYTES("hunter")));
                assert_false(password_matches(stored, BYTES("")));
                assert_false(password_matches(stored, BYTES("hunter2\0")));
                assert_false(password_matches(stored, secret_text(stored)));
        }
}

static void test_hash_that_others_made_matches(void **state) {
        store("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"); /* crypt_blowfish */
        assert_true(password_matches(stored, BYTES("U*U")));
        assert_false(password_matches(stored, BYTES("U*V")));
}

static void test_plain_text_matches_itself(void **state) {
        static const char *const texts[] = {"hunter2", "$",  "$$", "$3cr3t$",
                                            "$2z$05$", "$2", "*0", "aa"};

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                store(texts[i]);
                assert_false(password_is_hash(secret_text(stored)));
                assert_false(password_is_slow(stored));
                assert_false(password_is_malformed(stored));
                assert_true(password_matches(stored, bytes_from_string(texts[i])));
                assert_false(password_matches(stored, BYTES("other")));
                assert_false(password_matches(stored, BYTES("")));
        }
}

static void test_malformed_hash_matches_nothing(void **state) {
        static const char *const texts[] = {
                "$2b$",
                "$2b$05$",
                "$2b$05$abcdefghijklmnopqrstuu",
                "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8",
                "$2b$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8..",
                "$y$",
                "$y$abcdefghijkl",
                "$y$j75$abcdefghijkl",
                "$y$j75$abcdefghijkl$52hdDq.xTf/",
                "$y$j75$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/ ",
                "$6$rounds=1000$abcdefgh$",
                "$1$abcdefgh",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                store(texts[i]);
                assert_true(password_is_hash(secret_text(stored)));
                if (!password_is_malformed(stored))
                        fail_msg("\"%s\" is taken for a hash", texts[i]);
                assert_false(password_matches(stored, BYTES("hunter2")));
                assert_false(password_matches(stored, secret_text(stored)));
        }
}

/* Its form is right: only crypt(3) finds what is wrong. */
static void test_hash_of_an_impossible_cost_matches_nothing(void **state) {
        static const char *const texts[] = {
                "$2b$99$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
                "$2b$xx$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
                "$y$j75$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B:",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                store(texts[i]);
                assert_false(password_matches(stored, BYTES("hunter2")));
                assert_false(password_matches(stored, secret_text(stored)));
        }
}

static void test_password_may_be_too_long_for_a_hash(void **state) {
        static char text[CRYPT_MAX_PASSPHRASE_SIZE + 2];

        memset(text, 'a', sizeof(text) - 1);
        store(hashes[0]);
        assert_false(password_matches(stored, bytes_from_string(text)));
        text[CRYPT_MAX_PASSPHRASE_SIZE] = '\0';
        assert_false(password_matches(stored, bytes_from_string(text)));
}

static void test_costly_ones_are_known(void **state) {
        static const char *const costly[] = {
                "$2b$15$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
                "$2y$31$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
                "$y$jET$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
                "$7$FU..../....abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
                "$6$rounds=9000000$abcdefgh$x",
        };
        static const char *const bearable[] = {
                "$2b$14$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.",
                "$y$j9T$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
                "$y$jDT$abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
                "$7$CU..../....abcdefghijkl$52hdDq.xTf/43eRX6d91yQylLr8JZyhZ7SMAuBB.0B/",
                "$6$rounds=5000$abcdefgh$x",
                "$6$abcdefgh$x",
                "$2b",
                "$y$",
                "hunter2",
        };

        for (size_t i = 0; i < ARRAY_SIZE(costly); i++) {
                store(costly[i]);
                assert_true(password_is_costly(stored));
        }
        for (size_t i = 0; i < ARRAY_SIZE(bearable); i++) {
                store(bearable[i]);
                assert_false(password_is_costly(stored));
        }
        for (size_t i = 0; i < ARRAY_SIZE(hashes); i++) {
                store(hashes[i]);
                assert_false(password_is_costly(stored));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_costly_ones_are_known, tear_down),
                cmocka_unit_test_teardown(test_hash_matches_its_password, tear_down),
                cmocka_unit_test_teardown(test_hash_that_others_made_matches, tear_down),
                cmocka_unit_test_teardown(test_plain_text_matches_itself, tear_down),
                cmocka_unit_test_teardown(test_malformed_hash_matches_nothing, tear_down),
                cmocka_unit_test_teardown(test_hash_of_an_impossible_cost_matches_nothing,
                                          tear_down),
                cmocka_unit_test_teardown(test_password_may_be_too_long_for_a_hash, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
