/* Schedules: their text, hostile text too, and when they are open, with ranges over midnight and
 * days on which the clock is changed. */
#include "daemon/schedule.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define MINUTE 60
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* 2026-11-22T00:00:00Z, a Sunday. */
#define SUNDAY ((time_t)1795305600)

static struct schedule *schedule;

static void set_zone(const char *zone) {
        setenv("TZ", zone, 1);
        schedule_renew_zone();
}

static int set_up(void **state) {
        set_zone("UTC0");
        schedule = schedule_new();
        return schedule ? 0 : -1;
}

static int tear_down(void **state) {
        schedule = schedule_unref(schedule);
        return 0;
}

static void add(const char *text) {
        const char *reason = NULL;

        if (schedule_add(schedule, text, &reason) < 0)
                fail_msg("%s: %s", text, reason);
}

static bool is_open(unsigned day, unsigned hour, unsigned minute) {
        return schedule_is_open(schedule,
                                SUNDAY + day * DAY + hour * HOUR + (time_t)minute * MINUTE);
}

/* How many minutes of a week it is open. */
static unsigned count_minutes(void) {
        unsigned n = 0;

        for (time_t at = SUNDAY; at < SUNDAY + 7 * DAY; at += MINUTE)
                n += schedule_is_open(schedule, at);
        return n;
}

static void test_without_a_schedule_it_is_open(void **state) {
        assert_true(schedule_is_open(NULL, SUNDAY));
        assert_null(schedule_unref(NULL));
        assert_null(schedule_ref(NULL));
}

static void test_without_a_range_it_is_closed(void **state) {
        assert_int_equal(count_minutes(), 0);
}

static void test_a_range_is_of_each_day(void **state) {
        add("08:00-18:00");
        assert_int_equal(count_minutes(), 7 * 600);
        for (unsigned day = 0; day < 7; day++) {
                assert_false(is_open(day, 7, 59));
                assert_true(is_open(day, 8, 0));
                assert_true(is_open(day, 17, 59));
                assert_false(is_open(day, 18, 0));
        }
        /* To the second. */
        assert_false(schedule_is_open(schedule, SUNDAY + 8 * HOUR - 1));
        assert_true(schedule_is_open(schedule, SUNDAY + 18 * HOUR - 1));
}

static void test_a_range_goes_over_midnight(void **state) {
        /* Friday's into Saturday, but not that of Saturday, which does not begin. */
        add("mon-fri 22:00-06:00");
        assert_int_equal(count_minutes(), 5 * 480);
        assert_false(is_open(1, 5, 59));
        assert_true(is_open(1, 22, 0));
        assert_true(is_open(2, 0, 0));
        assert_true(is_open(2, 5, 59));
        assert_false(is_open(2, 6, 0));
        assert_true(is_open(5, 23, 59));
        assert_true(is_open(6, 5, 59));
        assert_false(is_open(6, 22, 0));
        assert_false(is_open(0, 0, 0));
}

static void test_a_range_goes_over_the_end_of_the_week(void **state) {
        add("sat 23:00-01:00");
        assert_int_equal(count_minutes(), 120);
        assert_true(is_open(6, 23, 0));
        assert_true(is_open(0, 0, 59));
        assert_false(is_open(0, 1, 0));
}

static void test_days_are_lists_and_ranges(void **state) {
        add("Sat-MON,wed 00:00-24:00");
        assert_int_equal(count_minutes(), 4 * 1440);
        assert_true(is_open(6, 0, 0));
        assert_true(is_open(0, 12, 0));
        assert_true(is_open(1, 23, 59));
        assert_false(is_open(2, 0, 0));
        assert_true(is_open(3, 0, 0));
        assert_false(is_open(4, 0, 0));
        assert_false(is_open(5, 23, 59));
}

static void test_ranges_add_up(void **state) {
        add("08:00-12:00");
        add("11:00-13:00");
        add("sun \t 9:05-9:06");
        add("sun 23:00-00:00");
        assert_int_equal(count_minutes(), 7 * 300 + 60);
        assert_true(is_open(0, 23, 59));
        assert_false(is_open(1, 0, 0));
}

static void test_the_whole_week(void **state) {
        add("00:00-24:00");
        assert_int_equal(count_minutes(), 7 * 1440);
}

static void test_what_is_no_range_is_refused(void **state) {
        static const char *const texts[] = {
                "",
                " ",
                "-",
                "08:00",
                "08:00-",
                "-18:00",
                "8-18",
                "08:00 - 18:00",
                "08:00-18:00 ",
                " 08:00-18:00",
                "08:00-18:00,19:00-20:00",
                "08:0-18:00",
                "08:000-18:00",
                "008:00-18:00",
                "08:60-18:00",
                "25:00-26:00",
                "24:01-06:00",
                "08:00-24:01",
                "+8:00-18:00",
                "-8:00-18:00",
                "08:00-18:00-20:00",
                "mon",
                "mon ",
                "mon08:00-18:00",
                "mon- 08:00-18:00",
                "mon-fri",
                "monday 08:00-18:00",
                "mon,,tue 08:00-18:00",
                "mon, 08:00-18:00",
                ",mon 08:00-18:00",
                "mon tue 08:00-18:00",
                "mon-wed-fri 08:00-18:00",
                "xyz 08:00-18:00",
                "mo 08:00-18:00",
                "08.00-18.00",
                "08:00\n-18:00",
                "99999999999999999999:00-18:00",
                "08:00-18:00mon",
                "\xff\xfe",
                "%s%n",
        };
        const char *reason;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                reason = NULL;
                if (schedule_add(schedule, texts[i], &reason) != -EINVAL)
                        fail_msg("\"%s\" was taken", texts[i]);
                assert_non_null(strstr(reason, "expected a range of time"));
        }
        assert_int_equal(count_minutes(), 0);
}

static void test_empty_ranges_are_refused(void **state) {
        static const char *const texts[] = {"08:00-08:00", "00:00-00:00", "24:00-24:00",
                                            "24:00-06:00"};
        const char *reason;

        for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
                assert_int_equal(schedule_add(schedule, texts[i], &reason), -EINVAL);
                assert_non_null(strstr(reason, "the whole day is \"00:00-24:00\""));
        }
        assert_int_equal(count_minutes(), 0);
}

static void test_the_zone_is_the_local_one(void **state) {
        add("mon 08:00-09:00");
        assert_true(is_open(1, 8, 30));
        set_zone("EST5");
        assert_false(is_open(1, 8, 30));
        assert_true(is_open(1, 13, 30));
        set_zone("NZST-12");
        assert_true(is_open(0, 20, 30));
}

/* Central Europe: in 2026 summer began on March 29 at 02:00, which became 03:00, and ended on
 * October 25 at 03:00, which became 02:00. */
#define ZONE   "CET-1CEST,M3.5.0,M10.5.0/3"
#define SPRING ((time_t)1774746000) /* 2026-03-29T01:00:00Z */
#define AUTUMN ((time_t)1792890000) /* 2026-10-25T01:00:00Z */

static void test_an_hour_that_is_left_out_does_not_come(void **state) {
        set_zone(ZONE);
        add("01:30-02:30");
        assert_true(schedule_is_open(schedule, SPRING - 30 * MINUTE));
        assert_true(schedule_is_open(schedule, SPRING - 1));
        assert_false(schedule_is_open(schedule, SPRING));
        add("03:00-03:30");
        assert_true(schedule_is_open(schedule, SPRING));
        assert_false(schedule_is_open(schedule, SPRING + 30 * MINUTE));
}

static void test_an_hour_that_comes_twice_is_the_same_twice(void **state) {
        set_zone(ZONE);
        add("02:15-02:30");
        assert_false(schedule_is_open(schedule, AUTUMN - 50 * MINUTE));
        assert_true(schedule_is_open(schedule, AUTUMN - 45 * MINUTE));
        assert_false(schedule_is_open(schedule, AUTUMN - 30 * MINUTE));
        assert_true(schedule_is_open(schedule, AUTUMN + 15 * MINUTE));
        assert_false(schedule_is_open(schedule, AUTUMN + 30 * MINUTE));
}

static void test_a_night_with_a_change_is_open_all_the_time(void **state) {
        set_zone(ZONE);
        add("sat 22:00-06:00");
        for (time_t at = SPRING - 4 * HOUR; at < SPRING + 3 * HOUR; at += MINUTE)
                assert_true(schedule_is_open(schedule, at));
        assert_false(schedule_is_open(schedule, SPRING + 3 * HOUR));
        for (time_t at = AUTUMN - 5 * HOUR; at < AUTUMN + 4 * HOUR; at += MINUTE)
                assert_true(schedule_is_open(schedule, at));
        assert_false(schedule_is_open(schedule, AUTUMN + 5 * HOUR));
}

static void test_times_that_no_calendar_has_are_closed(void **state) {
        add("00:00-24:00");
        assert_false(schedule_is_open(schedule, (time_t)INT64_MAX));
        assert_false(schedule_is_open(schedule, (time_t)INT64_MIN));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_without_a_schedule_it_is_open),
                TEST(test_without_a_range_it_is_closed),
                TEST(test_a_range_is_of_each_day),
                TEST(test_a_range_goes_over_midnight),
                TEST(test_a_range_goes_over_the_end_of_the_week),
                TEST(test_days_are_lists_and_ranges),
                TEST(test_ranges_add_up),
                TEST(test_the_whole_week),
                TEST(test_what_is_no_range_is_refused),
                TEST(test_empty_ranges_are_refused),
                TEST(test_the_zone_is_the_local_one),
                TEST(test_an_hour_that_is_left_out_does_not_come),
                TEST(test_an_hour_that_comes_twice_is_the_same_twice),
                TEST(test_a_night_with_a_change_is_open_all_the_time),
                TEST(test_times_that_no_calendar_has_are_closed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
