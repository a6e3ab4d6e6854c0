/* Admission: what a listener's limits let begin, in which order they are asked, and what is given
 * back. */
#include "daemon/admission.h"

#include "daemon/access_list.h"
#include "daemon/config.h"
#include "daemon/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PLACES_MAX 256

static struct admission admission;
static struct config_admission config;
static struct admission_place places[PLACES_MAX];
static unsigned n_places;

/* 2026-11-22T12:00:00Z, a Sunday. */
#define NOON ((time_t)1795348800)

static int set_up(void **state) {
        setenv("TZ", "UTC0", 1);
        schedule_renew_zone();
        memset(&admission, 0, sizeof(admission));
        admission_init(&admission);
        admission.log_limit.burst = 0;
        config = (struct config_admission){.max_connections = 0};
        n_places = 0;
        return 0;
}

static int tear_down(void **state) {
        while (n_places > 0)
                admission_leave(&admission, &places[--n_places]);
        assert_int_equal(admission.counts.n_sources, 0);
        assert_int_equal(admission.n_places, 0);
        assert_int_equal(atomic_load(&admission.n_told), 0);
        admission_deinit(&admission);
        access_list_unref(config.access);
        schedule_unref(config.schedule);
        return 0;
}

static void set(void) {
        admission_set(&admission, &config);
}

static struct visitor from_address(uint8_t last) {
        return (struct visitor){
                .has_host = true,
                .host = {.s6_addr = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = last}},
                .fd = -1,
        };
}

static struct visitor of_user(uid_t uid) {
        return (struct visitor){.has_uid = true, .uid = uid, .fd = -1};
}

static enum refusal enter_at(struct visitor visitor, uint64_t now_ms) {
        enum refusal why;

        assert_true(n_places < PLACES_MAX);
        why = admission_enter(&admission, &visitor, now_ms, NOON, &places[n_places]);
        assert_int_equal(places[n_places].refusal, why);
        n_places += why == REFUSAL_NONE;
        return why;
}

static enum refusal enter(struct visitor visitor) {
        return enter_at(visitor, 1000000);
}

static void leave(unsigned i) {
        admission_leave(&admission, &places[i]);
}

static uint64_t count_refused(enum refusal why) {
        return atomic_load(&admission.n_refused[why]);
}

static void admit_only(const char *text) {
        struct access_prefix prefix, conflict;
        char *reason = NULL;

        config.access = access_list_new();
        assert_non_null(config.access);
        access_list_restrict(config.access);
        assert_int_equal(access_prefix_parse(&prefix, text, &reason), 0);
        assert_int_equal(access_list_add(config.access, &prefix, true), 0);
        assert_int_equal(access_list_seal(config.access, &conflict), 0);
}

static void open_at(const char *text) {
        const char *reason;

        config.schedule = schedule_new();
        assert_non_null(config.schedule);
        assert_int_equal(schedule_add(config.schedule, text, &reason), 0);
}

static void test_without_limits_all_are_admitted(void **state) {
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(enter(i % 2 ? from_address(1) : of_user(1)), REFUSAL_NONE);
}

static void test_there_are_so_many_at_once(void **state) {
        config.max_connections = 2;
        set();
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(of_user(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(2)), REFUSAL_CONNECTIONS);
        assert_int_equal(enter(of_user(2)), REFUSAL_CONNECTIONS);
        assert_int_equal(count_refused(REFUSAL_CONNECTIONS), 2);
        leave(0);
        assert_int_equal(enter(from_address(3)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(3)), REFUSAL_CONNECTIONS);
}

static void test_there_are_so_many_of_an_address(void **state) {
        config.max_connections_per_source = 2;
        set();
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_SOURCE);
        assert_int_equal(enter(from_address(2)), REFUSAL_NONE);
        assert_int_equal(count_refused(REFUSAL_SOURCE), 1);
        leave(1);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_SOURCE);
        /* Users have no address. */
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(enter(of_user(1)), REFUSAL_NONE);
}

static void test_there_are_so_many_of_a_user(void **state) {
        config.max_connections_per_uid = 1;
        set();
        assert_int_equal(enter(of_user(0)), REFUSAL_NONE);
        assert_int_equal(enter(of_user(0)), REFUSAL_UID);
        assert_int_equal(enter(of_user(1000)), REFUSAL_NONE);
        assert_int_equal(enter(of_user(1000)), REFUSAL_UID);
        assert_int_equal(count_refused(REFUSAL_UID), 2);
        /* Of whom nobody knows the user. */
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
}

static void test_a_place_is_given_back_once(void **state) {
        config.max_connections = 2;
        set();
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        leave(0);
        leave(0);
        assert_int_equal(admission.n_places, 0);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_CONNECTIONS);
}

static void test_who_was_there_counts_for_a_new_limit(void **state) {
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        config.max_connections_per_source = 2;
        set();
        assert_int_equal(enter(from_address(1)), REFUSAL_SOURCE);
        leave(0);
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        /* Nobody has to go. */
        config.max_connections = 1;
        set();
        assert_int_equal(enter(from_address(2)), REFUSAL_CONNECTIONS);
        assert_int_equal(admission.n_places, 2);
}

static void test_addresses_and_times_come_first(void **state) {
        struct admission_place place;
        struct visitor here = from_address(1), there = from_address(2), local = of_user(1);

        admit_only("192.0.2.1");
        open_at("08:00-18:00");
        config.max_connections = 1;
        set();
        assert_int_equal(enter(there), REFUSAL_ADDRESS);
        assert_int_equal(enter(here), REFUSAL_NONE);
        assert_int_equal(enter(there), REFUSAL_ADDRESS);
        assert_int_equal(enter(local), REFUSAL_CONNECTIONS);
        assert_int_equal(count_refused(REFUSAL_ADDRESS), 2);
        assert_int_equal(admission_enter(&admission, &here, 1000000, NOON + 6 * 3600, &place),
                         REFUSAL_TIME);
        assert_int_equal(admission_enter(&admission, &local, 1000000, NOON - 5 * 3600, &place),
                         REFUSAL_TIME);
        assert_int_equal(admission_enter(&admission, &local, 1000000, NOON, &place),
                         REFUSAL_CONNECTIONS);
        assert_int_equal(count_refused(REFUSAL_TIME), 2);
}

static void test_so_many_begin_in_a_second(void **state) {
        config.cps = (struct config_cps){.connections = 3, .pause_ms = 10000};
        set();
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(enter_at(of_user(1), 5000 + i * 400), REFUSAL_NONE);
        assert_int_equal(enter_at(of_user(1), 5999), REFUSAL_CPS);
        /* Then nobody does, for a while. */
        assert_int_equal(enter_at(of_user(1), 6000), REFUSAL_CPS);
        assert_int_equal(enter_at(from_address(1), 15998), REFUSAL_CPS);
        assert_int_equal(enter_at(of_user(1), 15999), REFUSAL_NONE);
        assert_int_equal(count_refused(REFUSAL_CPS), 3);
        /* A second begins with somebody who comes. */
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(enter_at(of_user(1), 20500), REFUSAL_NONE);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(enter_at(of_user(1), 21500), REFUSAL_NONE);
        assert_int_equal(enter_at(of_user(1), 21500), REFUSAL_CPS);
}

static void test_without_a_pause_only_what_is_too_much_is_refused(void **state) {
        config.cps = (struct config_cps){.connections = 1};
        set();
        assert_int_equal(enter_at(of_user(1), 5000), REFUSAL_NONE);
        assert_int_equal(enter_at(of_user(1), 5000), REFUSAL_CPS);
        assert_int_equal(enter_at(of_user(1), 5999), REFUSAL_CPS);
        assert_int_equal(enter_at(of_user(1), 6000), REFUSAL_NONE);
}

static void test_who_is_refused_takes_nothing_of_the_second(void **state) {
        /* One source that has all it may cannot have others refused. */
        config.cps = (struct config_cps){.connections = 2, .pause_ms = 10000};
        config.max_connections_per_source = 1;
        set();
        assert_int_equal(enter(from_address(1)), REFUSAL_NONE);
        for (unsigned i = 0; i < 50; i++)
                assert_int_equal(enter(from_address(1)), REFUSAL_SOURCE);
        assert_int_equal(enter(from_address(2)), REFUSAL_NONE);
        assert_int_equal(enter(from_address(3)), REFUSAL_CPS);
}

static void test_a_reload_ends_the_pause(void **state) {
        config.cps = (struct config_cps){.connections = 1, .pause_ms = 3600000};
        set();
        assert_int_equal(enter_at(of_user(1), 5000), REFUSAL_NONE);
        assert_int_equal(enter_at(of_user(1), 5000), REFUSAL_CPS);
        set();
        assert_int_equal(enter_at(of_user(1), 5001), REFUSAL_NONE);
}

static void test_sessions_keep_the_pace(void **state) {
        config.cps = (struct config_cps){.connections = 2, .pause_ms = 1000};
        set();
        assert_true(admission_keeps_pace(&admission, 5000));
        assert_true(admission_keeps_pace(&admission, 5000));
        assert_false(admission_keeps_pace(&admission, 5000));
        /* The clocks of workers differ by a little. */
        assert_false(admission_keeps_pace(&admission, 4999));
        assert_true(admission_keeps_pace(&admission, 6000));
        assert_true(admission_keeps_pace(&admission, 5999 + 1));
        assert_false(admission_keeps_pace(&admission, 6001));
}

static void test_few_are_told_at_the_same_time(void **state) {
        static struct admission_place told[ADMISSION_TOLD_MAX + 1];

        for (unsigned i = 0; i < ADMISSION_TOLD_MAX; i++)
                assert_true(admission_may_tell(&admission, &told[i]));
        assert_false(admission_may_tell(&admission, &told[ADMISSION_TOLD_MAX]));
        admission_leave(&admission, &told[ADMISSION_TOLD_MAX]);
        assert_int_equal(atomic_load(&admission.n_told), ADMISSION_TOLD_MAX);
        admission_leave(&admission, &told[0]);
        assert_true(admission_may_tell(&admission, &told[ADMISSION_TOLD_MAX]));
        for (unsigned i = 0; i <= ADMISSION_TOLD_MAX; i++)
                admission_leave(&admission, &told[i]);
}

static void test_a_copy_of_the_gate_decides_the_same(void **state) {
        struct visitor here = from_address(1), there = from_address(2);
        struct gate gate = {.asked_s = 0};

        assert_true(gate_is_wide_open(&gate));
        admit_only("192.0.2.1");
        open_at("sun 08:00-18:00");
        set();
        admission_copy_gate(&admission, &gate);
        assert_false(gate_is_wide_open(&gate));
        assert_int_equal(gate_ask(&gate, &here.host, NOON), REFUSAL_NONE);
        assert_int_equal(gate_ask(&gate, &there.host, NOON), REFUSAL_ADDRESS);
        assert_int_equal(gate_ask(&gate, NULL, NOON), REFUSAL_NONE);
        assert_int_equal(gate_ask(&gate, NULL, NOON + 6 * 3600), REFUSAL_TIME);
        assert_int_equal(gate_ask(&gate, &here.host, NOON + 6 * 3600), REFUSAL_TIME);
        assert_int_equal(gate_ask(&gate, &here.host, NOON + 24 * 3600), REFUSAL_TIME);
        assert_int_equal(gate_ask(&gate, &here.host, NOON + 6 * 3600 - 1), REFUSAL_NONE);
        /* It has references of its own. */
        access_list_unref(config.access);
        schedule_unref(config.schedule);
        config = (struct config_admission){.access = NULL};
        set();
        assert_int_equal(gate_ask(&gate, &there.host, NOON), REFUSAL_ADDRESS);
        admission_copy_gate(&admission, &gate);
        assert_true(gate_is_wide_open(&gate));
        gate_deinit(&gate);
}

static void test_refusals_have_words(void **state) {
        for (enum refusal why = REFUSAL_NONE + 1; why < N_REFUSALS; why++) {
                assert_true(strlen(refusal_name(why)) > 0);
                assert_true(strlen(refusal_explanation(why)) > 0);
                assert_true(strlen(refusal_text(why)) > 0);
        }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_without_limits_all_are_admitted),
                TEST(test_there_are_so_many_at_once),
                TEST(test_there_are_so_many_of_an_address),
                TEST(test_there_are_so_many_of_a_user),
                TEST(test_a_place_is_given_back_once),
                TEST(test_who_was_there_counts_for_a_new_limit),
                TEST(test_addresses_and_times_come_first),
                TEST(test_so_many_begin_in_a_second),
                TEST(test_without_a_pause_only_what_is_too_much_is_refused),
                TEST(test_who_is_refused_takes_nothing_of_the_second),
                TEST(test_a_reload_ends_the_pause),
                TEST(test_sessions_keep_the_pace),
                TEST(test_few_are_told_at_the_same_time),
                TEST(test_a_copy_of_the_gate_decides_the_same),
                TEST(test_refusals_have_words),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
