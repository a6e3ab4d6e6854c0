/* Who is admitted to a listener: addresses, times of day, connections a second. See
 * config_admission.h. */
#include "daemon/config_admission.h"

#include "daemon/access_list.h"
#include "daemon/schedule.h"

#include <errno.h>
#include <stdlib.h>

#define FIELD(member) CONFIG_FIELD(config_cps, member)
#define HOUR          UINT64_C(3600000)

#define TIMES_MAX 1024

/* --- lists of strings ------------------------------------------------------------------------- */

static bool is_list(const config_setting_t *setting) {
        return config_setting_is_array(setting) || config_setting_is_list(setting);
}

/* Whether it is a list of so many at most. what: of which things. */
static bool check_list(const struct config_place *place, int most, const char *what) {
        int n = config_setting_length(place->setting);

        if (!is_list(place->setting))
                config_value_refuse(place, "expected [ \"...\", ... ], a list of %s", what);
        else if (n > most)
                config_reader_complain(place->reader, place->setting, place->path, place->key->name,
                                       "found a list of %d, expected at most %d %s", n, most, what);
        return is_list(place->setting) && n <= most;
}

/* Calls read for each element, as long as there is memory. */
static void read_each(const struct config_place *place,
                      void (*read)(const struct config_place *element, const char *text)) {
        int n = config_setting_length(place->setting);

        for (int i = 0; i < n && place->reader->error == 0; i++) {
                struct config_place element = *place;

                element.setting = config_setting_get_elem(place->setting, (unsigned)i);
                read(&element, config_setting_get_string(element.setting));
        }
}

/* --- addresses -------------------------------------------------------------------------------- */

static void add_prefix(const struct config_place *place, const char *text, bool is_allowed) {
        struct access_list **listp = place->field;
        struct access_prefix prefix;
        char *reason = NULL;
        int r = text ? access_prefix_parse(&prefix, text, &reason) : 0;

        if (!text)
                config_value_refuse(place, "expected a string with an address or a prefix, such as "
                                           "\"192.0.2.0/24\"");
        else if (reason)
                config_value_refuse(place, "%s", reason);
        else if (r == 0)
                r = access_list_add(*listp, &prefix, is_allowed);
        if (r == -ENOMEM || (r == -EINVAL && !reason))
                place->reader->error = -ENOMEM;
        free(reason);
}

static void read_allowed(const struct config_place *place, const char *text) {
        add_prefix(place, text, true);
}

static void read_denied(const struct config_place *place, const char *text) {
        add_prefix(place, text, false);
}

static void read_prefixes(const struct config_place *place, bool is_allowed) {
        struct access_list **listp = place->field;

        if (!check_list(place, ACCESS_PREFIXES_MAX / 2, "addresses and prefixes"))
                return;
        if (!*listp)
                *listp = access_list_new();
        if (!*listp) {
                place->reader->error = -ENOMEM;
                return;
        }
        if (is_allowed)
                access_list_restrict(*listp);
        read_each(place, is_allowed ? read_allowed : read_denied);
}

void config_admission_read_allow(const struct config_place *place) {
        read_prefixes(place, true);
}

void config_admission_read_deny(const struct config_place *place) {
        read_prefixes(place, false);
}

void config_admission_release_access(void *field) {
        struct access_list **listp = field;

        *listp = access_list_unref(*listp);
}

/* --- times of day ----------------------------------------------------------------------------- */

static void read_time(const struct config_place *place, const char *text) {
        struct schedule **schedulep = place->field;
        const char *reason = "expected a string with a range of time, such as \"08:00-18:00\"";

        if (!text || schedule_add(*schedulep, text, &reason) < 0)
                config_value_refuse(place, "%s", reason);
}

void config_admission_read_times(const struct config_place *place) {
        struct schedule **schedulep = place->field;

        if (!check_list(place, TIMES_MAX, "ranges of time"))
                return;
        schedule_unref(*schedulep);
        *schedulep = schedule_new();
        if (*schedulep)
                read_each(place, read_time);
        else
                place->reader->error = -ENOMEM;
}

void config_admission_release_times(void *field) {
        struct schedule **schedulep = field;

        *schedulep = schedule_unref(*schedulep);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void check_cps(struct config_reader *reader, const char *path, const config_setting_t *group,
                      void *target, bool is_whole) {
        const struct config_cps *cps = target;
        const config_setting_t *pause = config_setting_get_member(group, "pause");

        if (pause && cps->connections == 0 &&
            !config_reader_has_refused(reader, config_setting_get_member(group, "connections")))
                config_reader_complain(reader, pause, path, "pause",
                                       "it is for too many connections, which have no limit here");
}

static const struct config_key cps_keys[] = {
        {"connections", CONFIG_INTEGER, FIELD(connections), .maximum = 1000000, .fallback = "0"},
        {"pause", CONFIG_DURATION, FIELD(pause_ms), .maximum = HOUR, .fallback = "10s"},
};

const struct config_table config_admission_cps = {
        .keys = cps_keys,
        .n_keys = sizeof(cps_keys) / sizeof(cps_keys[0]),
        .size = sizeof(struct config_cps),
        .check = check_cps,
};

void config_admission_check(struct config_reader *reader, const char *path,
                            const config_setting_t *group, struct config_admission *admission) {
        char text[ACCESS_PREFIX_TEXT_MAX];
        struct access_prefix conflict;
        int r = admission->access ? access_list_seal(admission->access, &conflict) : 0;

        if (r < 0)
                reader->error = r;
        else if (r == ACCESS_CONFLICT)
                config_reader_complain(reader, config_setting_get_member(group, "deny"), path,
                                       "deny", "found \"%s\", which is in allow as well",
                                       access_prefix_format(text, &conflict));
}
