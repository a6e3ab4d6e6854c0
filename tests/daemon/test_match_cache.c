/* The match cache: what it remembers is true, also after subscriptions came and went. */
#include "daemon/match_cache.h"

#include "daemon/subject_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct receiver nobody;
static struct reclaim reclaim;

static struct subscription *add(struct subject_index *index, const char *subject) {
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));

        assert_non_null(subscription);
        assert_int_equal(
                subject_index_add(index, bytes_from_string(subject), subscription, &reclaim), 0);
        return subscription;
}

static void drop(struct subject_index *index, struct subscription *subscription) {
        subject_index_remove(index, subscription, &reclaim);
        subscription_retire(subscription, &reclaim);
}

static unsigned count(struct match_cache *cache, struct subject_index *index, const char *subject) {
        int r;
        const struct match *match = match_cache_find(cache, index, bytes_from_string(subject), &r);

        assert_int_equal(r, 0);
        return match->n_plain;
}

static void test_changes_are_noticed(void **state) {
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        struct subscription *first = add(index, "a.b"), *second;

        assert_int_equal(count(&cache, index, "a.b"), 1);
        assert_int_equal(count(&cache, index, "a.b"), 1);
        second = add(index, "a.*");
        assert_int_equal(count(&cache, index, "a.b"), 2);
        drop(index, first);
        assert_int_equal(count(&cache, index, "a.b"), 1);
        drop(index, second);
        assert_int_equal(count(&cache, index, "a.b"), 0);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static void test_an_unchanged_index_is_not_asked_again(void **state) {
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        struct subscription *only = add(index, "a");
        int r;
        const struct match *match = match_cache_find(&cache, index, BYTES("a"), &r);

        assert_ptr_equal(match, match_cache_find(&cache, index, BYTES("a"), &r));
        assert_ptr_not_equal(match, &cache.scratch);
        drop(index, only);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static void test_subjects_that_share_a_place_are_told_apart(void **state) {
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        struct subscription *all[1000];
        char subject[200];

        for (unsigned i = 0; i < 1000; i++) {
                snprintf(subject, sizeof(subject), "some.subject.%u.of.many", i);
                all[i] = add(index, subject);
        }
        for (unsigned i = 0; i < 3000; i++) {
                snprintf(subject, sizeof(subject), "some.subject.%u.of.many", i % 1500);
                assert_int_equal(count(&cache, index, subject), i % 1500 < 1000);
        }
        for (unsigned i = 0; i < 1000; i++)
                drop(index, all[i]);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static void test_long_subjects_are_not_kept(void **state) {
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        char subject[MATCH_CACHE_SUBJECT_MAX + 2];
        struct subscription *only;
        int r;

        memset(subject, 'x', sizeof(subject) - 1);
        subject[sizeof(subject) - 1] = '\0';
        only = add(index, subject);
        assert_ptr_equal(match_cache_find(&cache, index, bytes_from_string(subject), &r),
                         &cache.scratch);
        assert_int_equal(cache.scratch.n_plain, 1);
        drop(index, only);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static void test_what_was_large_once_counts(void **state) {
        /* A match keeps its memory when it is used again for less. */
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        static struct subscription *all[1000];

        for (unsigned i = 0; i < 1000; i++)
                all[i] = add(index, "a");
        assert_int_equal(count(&cache, index, "a"), 1000);
        for (unsigned i = 0; i < 1000; i++)
                drop(index, all[i]);
        assert_int_equal(count(&cache, index, "a"), 0);
        assert_true(cache.n_room >= 1000);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static void test_what_is_kept_has_a_limit(void **state) {
        struct subject_index *index = subject_index_new();
        struct match_cache cache = {.entries = {NULL}};
        struct subscription **all;
        unsigned n = MATCH_CACHE_ROOM_MAX / 8;
        char subject[32];

        all = calloc(n, sizeof(*all));
        assert_non_null(all);
        for (unsigned i = 0; i < n; i++)
                all[i] = add(index, ">");
        for (unsigned i = 0; i < 40; i++) {
                snprintf(subject, sizeof(subject), "s.%u", i);
                assert_int_equal(count(&cache, index, subject), n);
                assert_true(cache.n_room <= MATCH_CACHE_ROOM_MAX);
        }
        for (unsigned i = 0; i < n; i++)
                drop(index, all[i]);
        free(all);
        match_cache_deinit(&cache);
        subject_index_free(index);
}

static int tear_down(void **state) {
        reclaim_flush(&reclaim);
        reclaim_drain();
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_changes_are_noticed, tear_down),
                cmocka_unit_test_teardown(test_an_unchanged_index_is_not_asked_again, tear_down),
                cmocka_unit_test_teardown(test_subjects_that_share_a_place_are_told_apart,
                                          tear_down),
                cmocka_unit_test_teardown(test_long_subjects_are_not_kept, tear_down),
                cmocka_unit_test_teardown(test_what_was_large_once_counts, tear_down),
                cmocka_unit_test_teardown(test_what_is_kept_has_a_limit, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
