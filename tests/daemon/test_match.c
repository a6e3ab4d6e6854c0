/* What a subject reaches: plain subscriptions, and groups by the name of their queue. */
#include "daemon/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_GROUPS  700
#define N_MEMBERS 3

static struct receiver nobody;

static struct subscription *new_subscription(const char *queue) {
        struct subscription *subscription =
                subscription_new(&nobody, BYTES("1"), bytes_from_string(queue));

        assert_non_null(subscription);
        return subscription;
}

static void test_zeroes_are_an_empty_match(void **state) {
        /* It may be cleared, finished and freed without ever having held anything. */
        struct match match = {.n_plain = 0};

        match_clear(&match);
        match_finish(&match);
        assert_int_equal(match.n_plain, 0);
        assert_int_equal(match.n_groups, 0);
        match_deinit(&match);
        match_deinit(&match);
}

static void test_plain_subscriptions_stand_by_themselves(void **state) {
        /* Each one counts, also the same one twice; none gets into a group. */
        struct match match = {.n_plain = 0};
        struct subscription *subscriptions[100];

        for (unsigned i = 0; i < 100; i++) {
                subscriptions[i] = new_subscription("");
                assert_int_equal(match_add(&match, subscriptions[i]), 0);
        }
        assert_int_equal(match_add(&match, subscriptions[0]), 0);
        match_finish(&match);
        assert_int_equal(match.n_plain, 101);
        assert_int_equal(match.n_groups, 0);
        for (unsigned i = 0; i < 101; i++)
                assert_ptr_equal(match.plain[i], subscriptions[i % 100]);
        for (unsigned i = 0; i < 100; i++)
                subscription_free(subscriptions[i]);
        match_deinit(&match);
}

/* Each group has its members and nobody else's, in the order in which they were added. */
static void check_groups(const struct match *match, struct subscription *const *all,
                         unsigned n_groups) {
        bool seen[N_GROUPS] = {false};

        assert_int_equal(match->n_groups, n_groups);
        for (unsigned i = 0; i < match->n_groups; i++) {
                const struct match_group *group = &match->groups[i];
                unsigned number = 0;

                assert_int_equal(group->n_members, N_MEMBERS);
                while (number < n_groups && all[number] != group->members[0])
                        number++;
                assert_true(number < n_groups);
                assert_false(seen[number]);
                seen[number] = true;
                for (unsigned k = 0; k < N_MEMBERS; k++)
                        assert_ptr_equal(group->members[k], all[k * n_groups + number]);
        }
}

static void test_groups_go_by_name(void **state) {
        /* However many there are, and however their members come mixed; the second time with the
         * arrays of the first. */
        static struct subscription *all[N_GROUPS * N_MEMBERS];
        struct match match = {.n_plain = 0};
        struct subscription *plain = new_subscription("");
        char name[16];

        for (unsigned n_groups = N_GROUPS; n_groups > 0; n_groups = n_groups * 2 / 5) {
                match_clear(&match);
                for (unsigned i = 0; i < n_groups * N_MEMBERS; i++) {
                        snprintf(name, sizeof(name), "g%u", i % n_groups);
                        all[i] = new_subscription(name);
                        assert_int_equal(match_add(&match, all[i]), 0);
                        assert_int_equal(match_add(&match, plain), 0);
                }
                match_finish(&match);
                assert_int_equal(match.n_plain, n_groups * N_MEMBERS);
                check_groups(&match, all, n_groups);
                for (unsigned i = 0; i < n_groups * N_MEMBERS; i++)
                        subscription_free(all[i]);
        }
        subscription_free(plain);
        match_deinit(&match);
}

static void test_names_are_compared_in_full(void **state) {
        /* The sid, which stands beside the name in memory, is no part of it. */
        static const char *const names[] = {"a", "A", "aa", "1", "a"};
        struct match match = {.n_plain = 0};
        struct subscription *subscriptions[5];

        for (unsigned i = 0; i < 5; i++) {
                subscriptions[i] = subscription_new(&nobody, i == 4 ? BYTES("99") : BYTES("1"),
                                                    bytes_from_string(names[i]));
                assert_int_equal(match_add(&match, subscriptions[i]), 0);
        }
        match_finish(&match);
        assert_int_equal(match.n_groups, 4);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(match.groups[i].n_members,
                                 match.groups[i].members[0] == subscriptions[0] ? 2 : 1);
        for (unsigned i = 0; i < 5; i++)
                subscription_free(subscriptions[i]);
        match_deinit(&match);
}

static void test_clearing_forgets_everything(void **state) {
        /* The next match begins with nothing of this one. */
        struct match match = {.n_plain = 0};
        struct subscription *plain = new_subscription(""), *queued = new_subscription("q");
        struct match_step step;

        assert_int_equal(match_add(&match, plain), 0);
        assert_int_equal(match_add(&match, queued), 0);
        assert_int_equal(match_push(&match, NULL, BYTES("a.b")), 0);
        match_finish(&match);
        match_clear(&match);
        match_finish(&match);
        assert_int_equal(match.n_plain, 0);
        assert_int_equal(match.n_queued, 0);
        assert_int_equal(match.n_groups, 0);
        assert_false(match_pop(&match, &step));
        subscription_free(plain);
        subscription_free(queued);
        match_deinit(&match);
}

static void test_steps_are_a_stack(void **state) {
        /* The last one pushed is the first one taken; it grows as it must. */
        static const char text[1000];
        struct match match = {.n_plain = 0};
        struct match_step step;

        for (size_t i = 0; i < sizeof(text); i++)
                assert_int_equal(match_push(&match, (struct index_branch *)(void *)&match,
                                            (struct bytes){text, i}),
                                 0);
        for (size_t i = sizeof(text); i > 0; i--) {
                assert_true(match_pop(&match, &step));
                assert_ptr_equal(step.branch, &match);
                assert_int_equal(step.rest.length, i - 1);
        }
        assert_false(match_pop(&match, &step));
        match_deinit(&match);
}

static void test_a_receiver_twice_is_noticed(void **state) {
        /* Among plain subscriptions; asked anew after the match was cleared. */
        static struct receiver receivers[3];
        struct match match = {.n_plain = 0};
        struct subscription *subscriptions[4];

        for (size_t i = 0; i < 4; i++) {
                subscriptions[i] = subscription_new(&receivers[i % 3], BYTES("1"), BYTES(""));
                assert_int_equal(match_add(&match, subscriptions[i]), 0);
                if (i == 2)
                        assert_true(match_is_distinct(&match));
        }
        match_clear(&match);
        assert_true(match_is_distinct(&match));
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(match_add(&match, subscriptions[i]), 0);
        assert_false(match_is_distinct(&match));
        for (size_t i = 0; i < 4; i++)
                subscription_free(subscriptions[i]);
        match_deinit(&match);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_zeroes_are_an_empty_match),
                cmocka_unit_test(test_plain_subscriptions_stand_by_themselves),
                cmocka_unit_test(test_groups_go_by_name),
                cmocka_unit_test(test_names_are_compared_in_full),
                cmocka_unit_test(test_clearing_forgets_everything),
                cmocka_unit_test(test_steps_are_a_stack),
                cmocka_unit_test(test_a_receiver_twice_is_noticed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
