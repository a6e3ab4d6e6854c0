/* Targets: whose turn it is, who rests, and what names stand for. */
#include "daemon/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct targets *targets;

static void set_up_targets(size_t count, const char *const *texts) {
        struct address addresses[TARGETS_MAX];

        for (size_t i = 0; i < count; i++)
                assert_int_equal(address_parse(&addresses[i], texts[i], NULL), 0);
        targets = targets_new(addresses, count, 1000);
        assert_non_null(targets);
}

static int set_up(void **state) {
        static const char *const texts[] = {"tcp://127.0.0.1:1", "tcp://[::1]:2", "unix:///a",
                                            "tcp://db.example:5432"};

        set_up_targets(4, texts);
        return 0;
}

static int tear_down(void **state) {
        targets = targets_free(targets);
        return 0;
}

/* The order of a turn, as digits. */
static const char *turn_at(uint64_t now_ms) {
        static char text[TARGETS_MAX + 1];
        struct target_turn turn;

        targets_take_turn(targets, now_ms, &turn);
        for (unsigned i = 0; i < turn.count; i++)
                text[i] = (char)('0' + turn.order[i]);
        text[turn.count] = '\0';
        return text;
}

static void test_each_turn_begins_with_the_next_target(void **state) {
        assert_string_equal(turn_at(0), "0123");
        assert_string_equal(turn_at(0), "1230");
        assert_string_equal(turn_at(0), "2301");
        assert_string_equal(turn_at(0), "3012");
        assert_string_equal(turn_at(0), "0123");
}

static void test_who_has_failed_comes_last_for_a_while(void **state) {
        targets_note(targets, 0, false, 1000);
        assert_string_equal(turn_at(1000), "1230");
        assert_string_equal(turn_at(1000), "1230");
        targets_note(targets, 2, false, 1000);
        assert_string_equal(turn_at(1000), "3120");
        assert_string_equal(turn_at(1000), "3102");
        assert_string_equal(turn_at(11000), "0123");
}

static void test_who_is_reached_again_rests_no_more(void **state) {
        targets_note(targets, 0, false, 1000);
        targets_note(targets, 0, true, 1001);
        assert_string_equal(turn_at(1001), "0123");
}

static void test_it_is_news_when_a_target_begins_to_rest_and_when_it_is_back(void **state) {
        assert_false(targets_note(targets, 0, true, 1000));
        assert_true(targets_note(targets, 0, false, 1000));
        assert_false(targets_note(targets, 0, false, 1001 + TARGET_REST_MS - 2));
        assert_true(targets_note(targets, 0, false, 1001 + 2 * TARGET_REST_MS));
        assert_true(targets_note(targets, 0, true, 2000 + 2 * TARGET_REST_MS));
        assert_false(targets_note(targets, 0, true, 2000 + 2 * TARGET_REST_MS));
        assert_true(targets_note(targets, 0, false, 2000 + 2 * TARGET_REST_MS));
}

static void test_when_all_have_failed_all_are_tried(void **state) {
        for (unsigned i = 0; i < 4; i++)
                targets_note(targets, i, false, 1000);
        assert_string_equal(turn_at(1000), "0123");
}

static void test_addresses_are_known_at_once(void **state) {
        struct address_socket socket;

        assert_int_equal(targets_socket(targets, 0, 0, &socket), 0);
        assert_int_equal(socket.family, AF_INET);
        assert_int_equal(socket.type, SOCK_STREAM);
        assert_int_equal(targets_socket(targets, 0, 1, &socket), TARGET_END);
        assert_int_equal(targets_socket(targets, 1, 0, &socket), 0);
        assert_int_equal(socket.family, AF_INET6);
        assert_int_equal(targets_socket(targets, 2, 0, &socket), 0);
        assert_int_equal(socket.family, AF_UNIX);
        assert_false(targets_claim(targets, 0, 0));
        assert_false(targets_claim(targets, 2, 0));
}

/* What a lookup finds. */
static struct address_socket *found(size_t n) {
        struct address_socket *sockets = calloc(n, sizeof(*sockets));

        assert_non_null(sockets);
        for (size_t i = 0; i < n; i++)
                sockets[i].family = (int)(100 + i);
        return sockets;
}

static void test_one_looks_a_name_up_for_all(void **state) {
        struct address_socket socket;

        assert_int_equal(targets_socket(targets, 3, 0, &socket), TARGET_UNKNOWN);
        assert_true(targets_claim(targets, 3, 0));
        assert_false(targets_claim(targets, 3, 0));
        targets_resolved(targets, 3, found(2), 2, 50);
        assert_int_equal(targets_socket(targets, 3, 1, &socket), 0);
        assert_int_equal(socket.family, 101);
        assert_int_equal(targets_socket(targets, 3, 2, &socket), TARGET_END);
        assert_false(targets_claim(targets, 3, 1049));
        assert_true(targets_claim(targets, 3, 1050));
}

static void test_what_is_known_of_a_name_stays_when_it_is_not_found_any_more(void **state) {
        struct address_socket socket;

        assert_true(targets_claim(targets, 3, 0));
        targets_resolved(targets, 3, found(1), 1, 0);
        assert_true(targets_claim(targets, 3, 1000));
        targets_resolved(targets, 3, NULL, 0, 1000);
        assert_int_equal(targets_socket(targets, 3, 0, &socket), 0);
        assert_int_equal(socket.family, 100);
        assert_true(targets_claim(targets, 3, 2000));
        targets_resolved(targets, 3, found(1), 1, 2000);
}

static void test_of_a_name_no_more_addresses_are_used_than_that(void **state) {
        struct address_socket socket;

        assert_true(targets_claim(targets, 3, 0));
        targets_resolved(targets, 3, found(TARGET_SOCKETS_MAX + 1), TARGET_SOCKETS_MAX + 1, 0);
        assert_int_equal(targets_socket(targets, 3, TARGET_SOCKETS_MAX - 1, &socket), 0);
        assert_int_equal(targets_socket(targets, 3, TARGET_SOCKETS_MAX, &socket), TARGET_END);
}

static void test_who_waits_is_told_or_leaves(void **state) {
        struct list_link links[3];

        for (size_t i = 0; i < 3; i++)
                list_init(&links[i]);
        assert_false(targets_wait(targets, 3, &links[0]));
        assert_true(targets_claim(targets, 3, 0));
        for (size_t i = 0; i < 3; i++)
                assert_true(targets_wait(targets, 3, &links[i]));
        assert_true(targets_leave(targets, &links[1]));
        assert_false(targets_leave(targets, &links[1]));
        targets_resolved(targets, 3, NULL, 0, 0);
        assert_ptr_equal(targets_next_waiting(targets, 3), &links[0]);
        assert_false(targets_leave(targets, &links[0]));
        assert_ptr_equal(targets_next_waiting(targets, 3), &links[2]);
        assert_null(targets_next_waiting(targets, 3));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_each_turn_begins_with_the_next_target),
                TEST(test_who_has_failed_comes_last_for_a_while),
                TEST(test_who_is_reached_again_rests_no_more),
                TEST(test_it_is_news_when_a_target_begins_to_rest_and_when_it_is_back),
                TEST(test_when_all_have_failed_all_are_tried),
                TEST(test_addresses_are_known_at_once),
                TEST(test_one_looks_a_name_up_for_all),
                TEST(test_what_is_known_of_a_name_stays_when_it_is_not_found_any_more),
                TEST(test_of_a_name_no_more_addresses_are_used_than_that),
                TEST(test_who_waits_is_told_or_leaves),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
