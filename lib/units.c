/* Durations and sizes; see units.h.
 *
 * Both are a decimal number and a unit, so both share one reader and one writer over a table of
 * units. All is integer arithmetic: what is not exact in the smallest unit is refused, and no
 * locale decides what a decimal point is.
 */
#include "lib/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* More decimals than this are never whole milliseconds: a day is 2^10 * 5^5 * 27 of them. */
#define DECIMALS_MAX 10

#define DURATION_MAX ((UINT64_C(1) << 53) - 1)

struct unit {
        const char *name;
        uint64_t factor;
};

static const struct unit durations[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

static const struct unit sizes[] = {
        {"", 1},
        {"K", UINT64_C(1) << 10},
        {"M", UINT64_C(1) << 20},
        {"G", UINT64_C(1) << 30},
        {"T", UINT64_C(1) << 40},
};

/* whole + fraction / scale, as it stood in the text. */
struct number {
        uint64_t whole;
        uint64_t fraction;
        uint64_t scale;
        bool is_large; /* whole does not fit 64 bits */
        bool is_fine;  /* more decimals than DECIMALS_MAX that are not zero */
};

/* Reads the digits behind the point, of which zeros at the end do not count. */
static const char *number_fraction(struct number *number, const char *text) {
        size_t length = strspn(text, "0123456789"), n = length;

        while (n > 0 && text[n - 1] == '0')
                n--;
        number->is_fine = n > DECIMALS_MAX;
        for (size_t i = 0; i < n && !number->is_fine; i++) {
                number->fraction = number->fraction * 10 + (uint64_t)(text[i] - '0');
                number->scale *= 10;
        }
        return text + length;
}

/* Reads digits, and a point with more digits. Returns what follows, or NULL. */
static const char *number_parse(struct number *number, const char *text) {
        *number = (struct number){.scale = 1};
        if (*text < '0' || *text > '9')
                return NULL;
        for (; *text >= '0' && *text <= '9'; text++)
                if (__builtin_mul_overflow(number->whole, 10u, &number->whole) ||
                    __builtin_add_overflow(number->whole, (unsigned)(*text - '0'), &number->whole))
                        number->is_large = true;
        if (*text != '.')
                return text;
        if (text[1] < '0' || text[1] > '9')
                return NULL;
        return number_fraction(number, text + 1);
}

/* Returns 0 and stores number * factor, if that is whole and at most limit. */
static int number_scale(const struct number *number, uint64_t factor, uint64_t limit,
                        uint64_t *valuep) {
        uint64_t value, part;

        if (number->is_fine || __builtin_mul_overflow(number->fraction, factor, &part) ||
            part % number->scale != 0)
                return -EINVAL;
        if (number->is_large || __builtin_mul_overflow(number->whole, factor, &value) ||
            __builtin_add_overflow(value, part / number->scale, &value) || value > limit)
                return -ERANGE;
        *valuep = value;
        return 0;
}

int units_parse_duration(const char *text, uint64_t *msp) {
        struct number number;
        const char *unit = number_parse(&number, text);

        if (!unit)
                return -EINVAL;
        for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
                if (strcmp(unit, durations[i].name) == 0)
                        return number_scale(&number, durations[i].factor, DURATION_MAX, msp);
        return -EINVAL;
}

int units_parse_size(const char *text, uint64_t *bytesp) {
        static const char letters[] = "KMGTkmgt";
        struct number number;
        const char *unit = number_parse(&number, text), *letter;
        uint64_t factor = 1;

        if (!unit)
                return -EINVAL;
        letter = *unit ? strchr(letters, *unit) : NULL;
        if (letter) {
                factor = sizes[1 + (letter - letters) % 4].factor;
                unit++;
        }
        if (*unit && strcmp(unit, "B") != 0 && !(letter && strcmp(unit, "iB") == 0))
                return -EINVAL;
        return number_scale(&number, factor, UINT64_MAX, bytesp);
}

/* Writes value in this unit with at most three decimals. Returns the length, or 0 if that is not
 * exact. */
static int unit_format(char text[UNITS_TEXT_MAX], uint64_t value, const struct unit *unit) {
        uint64_t whole = value / unit->factor, part = value % unit->factor * 1000;
        unsigned thousandths = (unsigned)(part / unit->factor);
        int n_decimals = 3;

        if (part % unit->factor != 0)
                return 0;
        if (thousandths == 0)
                return snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", whole, unit->name);
        for (; thousandths % 10 == 0; n_decimals--)
                thousandths /= 10;
        return snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 ".%0*u%s", whole, n_decimals, thousandths,
                        unit->name);
}

/* The shortest of all exact forms that are at least 1 of their unit; of equals, that of the smaller
 * unit. */
static char *units_format(char text[UNITS_TEXT_MAX], uint64_t value, const struct unit *units,
                          size_t n_units) {
        int shortest = unit_format(text, value, &units[0]);

        for (size_t i = 1; i < n_units && value >= units[i].factor; i++) {
                char candidate[UNITS_TEXT_MAX];
                int length = unit_format(candidate, value, &units[i]);

                if (length > 0 && length < shortest) {
                        memcpy(text, candidate, (size_t)length + 1);
                        shortest = length;
                }
        }
        return text;
}

char *units_format_duration(char text[UNITS_TEXT_MAX], uint64_t ms) {
        if (ms == 0)
                return memcpy(text, "0s", sizeof("0s"));
        return units_format(text, ms, durations, ARRAY_SIZE(durations));
}

char *units_format_size(char text[UNITS_TEXT_MAX], uint64_t bytes) {
        return units_format(text, bytes, sizes, ARRAY_SIZE(sizes));
}

char *units_format_size_approximate(char text[UNITS_TEXT_MAX], uint64_t bytes) {
        const struct unit *unit = &sizes[0];
        uint64_t thousandths;

        for (size_t i = 1; i < ARRAY_SIZE(sizes) && bytes >= sizes[i].factor; i++)
                unit = &sizes[i];
        if (bytes % unit->factor == 0) {
                snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", bytes / unit->factor, unit->name);
                return text;
        }
        thousandths = bytes / unit->factor * 1000 + bytes % unit->factor * 1000 / unit->factor;
        if (thousandths < 9995)
                snprintf(text, UNITS_TEXT_MAX, "%u.%02u%s", (unsigned)(thousandths + 5) / 1000,
                         (unsigned)(thousandths + 5) / 10 % 100, unit->name);
        else if (thousandths < 99950)
                snprintf(text, UNITS_TEXT_MAX, "%u.%u%s", (unsigned)(thousandths + 50) / 1000,
                         (unsigned)(thousandths + 50) / 100 % 10, unit->name);
        else
                snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", (thousandths + 500) / 1000,
                         unit->name);
        return text;
}
