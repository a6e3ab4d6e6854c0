/* What was decided about the last subjects: the same as without a cache, for whomever. */
#include "daemon/permissions_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct permissions_cache cache;

static int tear_down(void **state) {
        permissions_cache_deinit(&cache);
        return 0;
}

/* Permissions that deny one subject, both ways. */
static struct permissions *denying(const char *subject) {
        struct permissions *permissions = permissions_new();
        struct bytes entry = bytes_from_string(subject);

        assert_non_null(permissions);
        assert_int_equal(
                permissions_add(permissions, PERMISSIONS_PUBLISH_DENY, entry, BYTES(""), "x", 1),
                0);
        assert_int_equal(
                permissions_add(permissions, PERMISSIONS_SUBSCRIBE_DENY, entry, BYTES(""), "x", 1),
                0);
        assert_int_equal(permissions_seal(permissions), 0);
        return permissions;
}

static bool is_refused(struct permissions *permissions, const char *subject) {
        return permissions_cache_may_publish(&cache, permissions, bytes_from_string(subject))
                       .verdict == PERMISSIONS_REFUSED;
}

static void test_it_is_the_same_again(void **state) {
        struct permissions *permissions = denying("a.1");
        char subject[16];

        for (unsigned i = 0; i < 3000; i++) {
                snprintf(subject, sizeof(subject), "a.%u", i % 1000);
                assert_int_equal(is_refused(permissions, subject), i % 1000 == 1);
        }
        permissions_unref(permissions);
}

static void test_others_are_not_meant(void **state) {
        /* Whose permissions may lie where those of somebody else have been. */
        for (unsigned i = 0; i < 100; i++) {
                struct permissions *permissions = denying(i % 2 ? "a" : "b");

                assert_int_equal(is_refused(permissions, "a"), i % 2);
                assert_int_equal(is_refused(permissions, "b"), !(i % 2));
                permissions_unref(permissions);
        }
}

static void test_the_questions_are_told_apart(void **state) {
        struct permissions *permissions = permissions_new();

        assert_non_null(permissions);
        assert_int_equal(permissions_add(permissions, PERMISSIONS_SUBSCRIBE_DENY, BYTES("a"),
                                         BYTES(""), "x", 1),
                         0);
        assert_int_equal(permissions_seal(permissions), 0);
        for (unsigned i = 0; i < 2; i++) {
                assert_false(is_refused(permissions, "a"));
                assert_int_equal(permissions_cache_filter(&cache, permissions, BYTES("a")).verdict,
                                 PERMISSIONS_REFUSED);
        }
        permissions_unref(permissions);
}

static void test_long_subjects_are_decided_as_well(void **state) {
        static char subject[PERMISSIONS_CACHE_SUBJECT_MAX + 2];
        struct permissions *permissions;

        memset(subject, 'x', sizeof(subject) - 1);
        permissions = denying(subject);
        assert_true(is_refused(permissions, subject));
        assert_true(is_refused(permissions, subject));
        assert_false(is_refused(permissions, subject + 1));
        permissions_unref(permissions);
}

#define TEST(test) cmocka_unit_test_teardown(test, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_it_is_the_same_again),
                TEST(test_others_are_not_meant),
                TEST(test_the_questions_are_told_apart),
                TEST(test_long_subjects_are_decided_as_well),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
