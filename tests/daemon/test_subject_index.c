/* The subject index: against the plain rule of subject_matches(), with many subjects; its nodes
 * come and go; readers go on while a writer changes it. */
#include "daemon/subject_index.h"

#include "daemon/match.h"
#include "lib/subject.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_RANDOM    3000
#define SUBJECT_MAX 64

struct sample {
        char subject[SUBJECT_MAX];
        struct subscription *subscription;
};

static struct receiver nobody;

static struct subscription *add(struct subject_index *index, struct reclaim *reclaim,
                                const char *subject, const char *queue) {
        struct subscription *subscription =
                subscription_new(&nobody, BYTES("1"), bytes_from_string(queue));

        assert_non_null(subscription);
        assert_int_equal(
                subject_index_add(index, bytes_from_string(subject), subscription, reclaim), 0);
        return subscription;
}

static void drop(struct subject_index *index, struct reclaim *reclaim,
                 struct subscription *subscription) {
        subject_index_remove(index, subscription, reclaim);
        subscription_retire(subscription, reclaim);
}

static void finish(struct subject_index *index, struct reclaim *reclaim) {
        subject_index_free(index);
        reclaim_flush(reclaim);
        reclaim_drain();
}

/* One to four tokens of a small alphabet, so that many of them match. */
static void random_subject(char text[SUBJECT_MAX], bool wildcards) {
        static const char *const words[] = {"a", "b", "c", "dd", "*", ">"};
        unsigned n_tokens = 1 + (unsigned)rand() % 4;

        text[0] = '\0';
        for (unsigned i = 0; i < n_tokens; i++) {
                const char *word = words[(unsigned)rand() % (wildcards ? 6 : 4)];

                if (i > 0)
                        strcat(text, ".");
                strcat(text, word);
                if (word[0] == '>')
                        return;
        }
}

static bool found(const struct match *match, const struct subscription *subscription) {
        for (unsigned i = 0; i < match->n_plain; i++)
                if (match->plain[i] == subscription)
                        return true;
        return false;
}

static void check_subject(struct subject_index *index, const struct sample *samples,
                          const char *subject, struct match *match) {
        unsigned n_expected = 0;

        assert_int_equal(subject_index_match(index, bytes_from_string(subject), match), 0);
        for (size_t i = 0; i < N_RANDOM; i++) {
                if (!samples[i].subscription ||
                    !subject_matches(bytes_from_string(samples[i].subject),
                                     bytes_from_string(subject)))
                        continue;
                n_expected++;
                assert_true(found(match, samples[i].subscription));
        }
        assert_int_equal(match->n_plain, n_expected);
}

static void test_index_agrees_with_the_rule(void **state) {
        static struct sample samples[N_RANDOM];
        struct subject_index *index = subject_index_new();
        struct reclaim reclaim = {NULL};
        struct match match = {.n_plain = 0};
        char subject[SUBJECT_MAX];

        srand(1);
        for (size_t i = 0; i < N_RANDOM; i++) {
                random_subject(samples[i].subject, true);
                samples[i].subscription = add(index, &reclaim, samples[i].subject, "");
        }
        for (unsigned round = 0; round < 60; round++) {
                random_subject(subject, round % 8 == 0);
                check_subject(index, samples, subject, &match);
                for (unsigned i = 0; i < N_RANDOM / 60; i++) {
                        struct sample *sample = &samples[(unsigned)rand() % N_RANDOM];

                        if (sample->subscription)
                                drop(index, &reclaim, sample->subscription);
                        sample->subscription = NULL;
                }
        }
        for (size_t i = 0; i < N_RANDOM; i++)
                if (samples[i].subscription)
                        drop(index, &reclaim, samples[i].subscription);
        check_subject(index, memset(samples, 0, sizeof(samples)), "a.b", &match);
        match_deinit(&match);
        finish(index, &reclaim);
}

static void test_a_subject_can_be_read_back(void **state) {
        static const char *const subjects[] = {"a", "a.b.c", "*", ">", "a.*.c", "a.b.>", "*.*.>"};
        struct subject_index *index = subject_index_new();
        struct reclaim reclaim = {NULL};
        char text[SUBJECT_MAX];

        for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
                struct subscription *subscription = add(index, &reclaim, subjects[i], "");

                assert_int_equal(subject_index_subject(subscription, text, sizeof(text)),
                                 strlen(subjects[i]));
                assert_string_equal(text, subjects[i]);
                assert_int_equal(subject_index_subject(subscription, text, 3), strlen(subjects[i]));
                assert_int_equal(strncmp(text, subjects[i], 2), 0);
                drop(index, &reclaim, subscription);
        }
        finish(index, &reclaim);
}

static void test_queue_groups_go_by_name(void **state) {
        struct subject_index *index = subject_index_new();
        struct reclaim reclaim = {NULL};
        struct match match = {.n_plain = 0};
        struct subscription *all[100];
        char name[16];

        for (unsigned i = 0; i < 100; i++) {
                snprintf(name, sizeof(name), "group-%u", i % 40);
                all[i] = add(index, &reclaim, i % 2 ? "x.*" : "x.y", name);
        }
        assert_int_equal(subject_index_match(index, BYTES("x.y"), &match), 0);
        assert_int_equal(match.n_plain, 0);
        assert_int_equal(match.n_groups, 40);
        for (unsigned i = 0; i < match.n_groups; i++) {
                struct bytes group = subscription_queue(match.groups[i].members[0]);

                assert_in_range(match.groups[i].n_members, 2, 3);
                for (unsigned k = 1; k < match.groups[i].n_members; k++)
                        assert_true(
                                bytes_equal(subscription_queue(match.groups[i].members[k]), group));
        }
        for (unsigned i = 0; i < 100; i++)
                drop(index, &reclaim, all[i]);
        match_deinit(&match);
        finish(index, &reclaim);
}

static void test_a_deep_pattern_needs_no_stack(void **state) {
        struct subject_index *index = subject_index_new();
        struct reclaim reclaim = {NULL};
        struct match match = {.n_plain = 0};
        size_t n_tokens = 500000, length = 2 * n_tokens - 1;
        char *pattern = malloc(length);
        struct subscription *subscription = subscription_new(&nobody, BYTES("1"), BYTES(""));

        for (size_t i = 0; i < length; i++)
                pattern[i] = i % 2 ? '.' : '*';
        assert_int_equal(
                subject_index_add(index, (struct bytes){pattern, length}, subscription, &reclaim),
                0);
        assert_int_equal(subject_index_match(index, (struct bytes){pattern, length}, &match), 0);
        assert_int_equal(match.n_plain, 1);
        drop(index, &reclaim, subscription);
        match_deinit(&match);
        free(pattern);
        finish(index, &reclaim);
}

static struct subject_index *shared;
static _Atomic bool writer_done;

static void *read_all_the_time(void *argument) {
        struct match match = {.n_plain = 0};

        reclaim_thread_begin();
        while (!atomic_load(&writer_done)) {
                reclaim_thread_online();
                assert_int_equal(subject_index_match(shared, BYTES("stay.here"), &match), 0);
                assert_in_range(match.n_plain, 2, 3);
                reclaim_thread_offline();
        }
        match_deinit(&match);
        reclaim_thread_end();
        return NULL;
}

static void test_readers_go_on_while_a_writer_writes(void **state) {
        struct reclaim reclaim = {NULL};
        struct subscription *literal, *pattern, *ours[200];
        pthread_t readers[2];
        char subject[SUBJECT_MAX];

        shared = subject_index_new();
        literal = add(shared, &reclaim, "stay.here", "");
        pattern = add(shared, &reclaim, "stay.*", "");
        for (unsigned i = 0; i < 2; i++)
                assert_int_equal(pthread_create(&readers[i], NULL, read_all_the_time, NULL), 0);
        for (unsigned round = 0; round < 50; round++) {
                for (unsigned i = 0; i < 200; i++) {
                        snprintf(subject, sizeof(subject), i % 3 ? "s%u.x.%u" : "s%u.*.%u", i,
                                 round);
                        ours[i] = add(shared, &reclaim, i == 100 ? "stay.>" : subject, "");
                }
                for (unsigned i = 0; i < 200; i++)
                        drop(shared, &reclaim, ours[i]);
                reclaim_flush(&reclaim);
        }
        atomic_store(&writer_done, true);
        for (unsigned i = 0; i < 2; i++)
                pthread_join(readers[i], NULL);
        drop(shared, &reclaim, literal);
        drop(shared, &reclaim, pattern);
        assert_int_equal(subject_index_count(shared), 0);
        finish(shared, &reclaim);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_index_agrees_with_the_rule),
                cmocka_unit_test(test_a_subject_can_be_read_back),
                cmocka_unit_test(test_queue_groups_go_by_name),
                cmocka_unit_test(test_a_deep_pattern_needs_no_stack),
                cmocka_unit_test(test_readers_go_on_while_a_writer_writes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
