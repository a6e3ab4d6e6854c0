/* Seeds in files: as sockctl prints them, as others do, among other lines. */
#include "ctl/seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those four first. */
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define SEED   "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
#define PUBLIC "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"

static void test_seed_is_found(void **state) {
        static const char *const texts[] = {
                SEED,
                SEED "\n",
                "  " SEED " \r\n",
                "seed: " SEED "\npublic: " PUBLIC "\n",
                "seed:" SEED,
                "# of alice\n\n" PUBLIC "\n" SEED "\n",
                "-----BEGIN USER NKEY SEED-----\n" SEED "\n------END USER NKEY SEED------\n",
        };

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                struct nkey_seed seed = {{0}};

                if (seed_find(&seed, bytes_from_string(texts[i]), NULL) != 0)
                        fail_msg("%s", texts[i]);
                assert_int_equal(seed.bytes[31], 31);
        }
}

static void test_what_is_no_seed_is_told(void **state) {
        static const struct {
                const char *text, *reason;
        } cases[] = {
                {"", "there is no line with the seed of a user, which begins with SU"},
                {PUBLIC "\n", "there is no line with the seed of a user, which begins with SU"},
                {"seed: " PUBLIC, "there is no line with the seed of a user, which begins with SU"},
                {"seed:", "there is no line with the seed of a user, which begins with SU"},
                {"S", "there is no line with the seed of a user, which begins with SU"},
                {"SU", "it does not have the 58 characters of a seed"},
                {SEED "A\n", "it does not have the 58 characters of a seed"},
                {SEED " A\n", "it does not have the 58 characters of a seed"},
                {"SUB" SEED, "it does not have the 58 characters of a seed"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *reason = "";
                struct nkey_seed seed;

                assert_int_equal(seed_find(&seed, bytes_from_string(cases[i].text), &reason),
                                 -EINVAL);
                assert_string_equal(reason, cases[i].reason);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_seed_is_found),
                cmocka_unit_test(test_what_is_no_seed_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
