/* Schedules: a bit for each minute of the week. See schedule.h. */
#include "daemon/schedule.h"

#include <ctype.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define N_DAYS         7
#define MINUTES_A_DAY  (24 * 60)
#define MINUTES_A_WEEK (N_DAYS * MINUTES_A_DAY)

struct schedule {
        _Atomic unsigned n_references;
        uint64_t open[(MINUTES_A_WEEK + 63) / 64]; /* from midnight of Sunday on */
};

struct schedule *schedule_new(void) {
        struct schedule *schedule = calloc(1, sizeof(*schedule));

        if (schedule)
                atomic_init(&schedule->n_references, 1);
        return schedule;
}

struct schedule *schedule_ref(struct schedule *schedule) {
        if (schedule)
                atomic_fetch_add_explicit(&schedule->n_references, 1, memory_order_relaxed);
        return schedule;
}

struct schedule *schedule_unref(struct schedule *schedule) {
        if (schedule &&
            atomic_fetch_sub_explicit(&schedule->n_references, 1, memory_order_acq_rel) == 1)
                free(schedule);
        return NULL;
}

/* --- text ------------------------------------------------------------------------------------- */

/* Each takes what it reads off the beginning of *textp, and returns whether it was there. */

static bool take_character(const char **textp, char character) {
        if (**textp != character)
                return false;
        ++*textp;
        return true;
}

static bool take_day(const char **textp, unsigned *dayp) {
        static const char *const names[N_DAYS] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

        for (*dayp = 0; *dayp < N_DAYS; ++*dayp) {
                if (strncasecmp(*textp, names[*dayp], 3) != 0)
                        continue;
                *textp += 3;
                return true;
        }
        return false;
}

/* "mon" or "sat-mon": adds to the set of days, a bit for each. */
static bool take_days(const char **textp, unsigned *daysp) {
        unsigned first, last;

        if (!take_day(textp, &first))
                return false;
        last = first;
        if (take_character(textp, '-') && !take_day(textp, &last))
                return false;
        for (; first != last; first = (first + 1) % N_DAYS)
                *daysp |= 1u << first;
        *daysp |= 1u << last;
        return true;
}

/* "mon-fri,sun " before a time; all days if there is none. */
static bool take_day_list(const char **textp, unsigned *daysp) {
        *daysp = 0;
        if (isdigit((unsigned char)**textp)) {
                *daysp = (1u << N_DAYS) - 1;
                return true;
        }
        do {
                if (!take_days(textp, daysp))
                        return false;
        } while (take_character(textp, ','));
        if (**textp != ' ' && **textp != '\t')
                return false;
        *textp += strspn(*textp, " \t");
        return true;
}

/* One or two digits. */
static bool take_number(const char **textp, unsigned *numberp) {
        size_t n = strspn(*textp, "0123456789");

        *numberp = 0;
        for (size_t i = 0; i < n && i < 2; i++)
                *numberp = *numberp * 10 + (unsigned)((*textp)[i] - '0');
        *textp += n;
        return n == 1 || n == 2;
}

/* "8:00" or "08:00", in minutes since midnight, 24:00 at most. */
static bool take_time(const char **textp, unsigned *minutep) {
        unsigned hour, minute;
        const char *minutes;

        if (!take_number(textp, &hour) || !take_character(textp, ':'))
                return false;
        minutes = *textp;
        if (!take_number(textp, &minute) || *textp - minutes != 2 || minute > 59)
                return false;
        *minutep = hour * 60 + minute;
        return *minutep <= MINUTES_A_DAY;
}

/* --- filling ---------------------------------------------------------------------------------- */

/* Opens so many minutes from one of a day on, be it into the next week. */
static void open_from(struct schedule *schedule, unsigned day, unsigned begin, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                unsigned minute = (day * MINUTES_A_DAY + begin + i) % MINUTES_A_WEEK;

                schedule->open[minute / 64] |= UINT64_C(1) << minute % 64;
        }
}

int schedule_add(struct schedule *schedule, const char *text, const char **reasonp) {
        unsigned days, begin, end;

        *reasonp = "expected a range of time, such as \"08:00-18:00\", or days before it, as in "
                   "\"mon-fri 22:00-06:00\" or \"sat,sun 00:00-24:00\"";
        if (!take_day_list(&text, &days) || !take_time(&text, &begin) ||
            !take_character(&text, '-') || !take_time(&text, &end) || *text != '\0')
                return -EINVAL;
        *reasonp = "expected a range that ends at another time than it begins; the whole day is "
                   "\"00:00-24:00\"";
        if (begin == end || begin == MINUTES_A_DAY)
                return -EINVAL;
        for (unsigned day = 0; day < N_DAYS; day++)
                if (days & 1u << day)
                        open_from(schedule, day, begin,
                                  end > begin ? end - begin : MINUTES_A_DAY - begin + end);
        return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

bool schedule_is_open(const struct schedule *schedule, time_t now) {
        unsigned minute;
        struct tm tm;

        if (!schedule)
                return true;
        if (!localtime_r(&now, &tm))
                return false;
        minute = (unsigned)(tm.tm_wday * MINUTES_A_DAY + tm.tm_hour * 60 + tm.tm_min);
        return schedule->open[minute / 64] >> minute % 64 & 1;
}

void schedule_renew_zone(void) {
        /* localtime_r() need not look for a change; that of glibc does so the first time only. */
        tzset();
}
