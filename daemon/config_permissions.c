/* Permissions in the configuration. See config_permissions.h.
 *
 * Tables say what the groups may hold, as for all others. They fill a draft, whose fields tell the
 * functions that read entries where those belong.
 */
#include "daemon/config_permissions.h"

#include "daemon/config_table.h"
#include "daemon/permissions.h"
#include "lib/subject.h"
#include "lib/units.h"

#include <errno.h>
#include <inttypes.h>

#define RESPONSES_MAX         UINT64_C(1000000000)
#define RESPONSES_DEFAULT     1
#define EXPIRES_MAX_MS        UINT64_C(86400000)
#define EXPIRES_DEFAULT_MS    UINT64_C(120000)
#define ARRAY_SIZE(array)     (sizeof(array) / sizeof((array)[0]))
#define FIELD(struct, member) .offset = offsetof(struct, member)

/* A list to be filled. */
struct list_draft {
        struct permissions *permissions; /* borrowed */
        enum permissions_list list;
};

struct rules_draft {
        struct list_draft allow, deny;
};

struct responses_draft {
        const config_setting_t *setting; /* NULL: none are allowed */
        uint64_t max, expires_ms;
};

struct draft {
        struct rules_draft publish, subscribe;
        struct responses_draft responses;
};

static const char *locate(const struct config_place *place, unsigned *linep) {
        return config_text_locate(place->reader->text, config_setting_source_line(place->setting),
                                  linep);
}

/* --- entries -------------------------------------------------------------------------------- */

/* Whether it is one word, which nothing but blanks could end. */
static bool is_word(struct bytes word) {
        for (size_t i = 0; i < word.length; i++)
                if ((unsigned char)word.data[i] <= ' ' || word.data[i] == 0x7f)
                        return false;
        return subject_is_valid(word);
}

/* Takes an entry apart, `subject` or `subject queue`. Returns whether it is one. */
static bool parse_entry(const char *text, struct bytes *subjectp, struct bytes *queuep) {
        const char *queue;
        size_t n = strcspn(text, " \t");

        *subjectp = (struct bytes){text, n};
        queue = text + n + strspn(text + n, " \t");
        *queuep = bytes_from_string(queue);
        return is_word(*subjectp) && (text[n] == '\0' || is_word(*queuep));
}

static bool may_have_queue(enum permissions_list list) {
        return list == PERMISSIONS_SUBSCRIBE_ALLOW || list == PERMISSIONS_SUBSCRIBE_DENY;
}

static const char *expected_entry(enum permissions_list list) {
        return may_have_queue(list)
                       ? "expected a subject, such as \"a.b\", \"a.*\" or \"a.>\", or a subject "
                         "and a queue, as in \"a.b workers\""
                       : "expected a subject, such as \"a.b\", \"a.*\" or \"a.>\"";
}

static void read_entry(const struct config_place *place) {
        const struct list_draft *draft = place->field;
        const char *text = config_setting_get_string(place->setting), *file;
        struct bytes subject, queue;
        unsigned line;

        if (!text || !parse_entry(text, &subject, &queue) ||
            (queue.length > 0 && !may_have_queue(draft->list))) {
                config_value_refuse(place, "%s", expected_entry(draft->list));
                return;
        }
        file = locate(place, &line);
        if (permissions_add(draft->permissions, draft->list, subject, queue, file, line) < 0)
                place->reader->error = -ENOMEM;
}

static bool is_list(const config_setting_t *setting) {
        return config_setting_is_array(setting) || config_setting_is_list(setting);
}

static void read_entries(const struct config_place *place) {
        const struct list_draft *draft = place->field;
        int n = config_setting_length(place->setting);
        const char *file;
        unsigned line;

        if (!is_list(place->setting)) {
                config_value_refuse(place, "expected [ \"...\", ... ], a list of subjects");
                return;
        }
        file = locate(place, &line);
        if (permissions_open(draft->permissions, draft->list, file, line) < 0)
                place->reader->error = -ENOMEM;
        for (int i = 0; i < n && place->reader->error == 0; i++) {
                struct config_place element = *place;

                element.setting = config_setting_get_elem(place->setting, (unsigned)i);
                read_entry(&element);
        }
}

static const struct config_key rules_keys[] = {
        {"allow", CONFIG_OTHER, FIELD(struct rules_draft, allow), .read = read_entries},
        {"deny", CONFIG_OTHER, FIELD(struct rules_draft, deny), .read = read_entries},
};

static const struct config_table rules_table = {
        .keys = rules_keys,
        .n_keys = ARRAY_SIZE(rules_keys),
        .size = sizeof(struct rules_draft),
};

/* A list by itself says what is allowed. */
static void read_rules(const struct config_place *place) {
        struct rules_draft *draft = place->field;
        struct config_place list = *place;
        char path[CONFIG_PATH_MAX];

        list.field = &draft->allow;
        if (config_setting_is_group(place->setting))
                config_table_read(place->reader, &rules_table, config_place_path(place, path),
                                  place->setting, draft);
        else if (is_list(place->setting))
                read_entries(&list);
        else
                config_value_refuse(place, "expected [ \"...\", ... ], a list of subjects that are "
                                           "allowed, or { allow = [ ... ]; deny = [ ... ]; }");
}

/* --- responses ------------------------------------------------------------------------------ */

/* Whether it is the integer -1, which stands for no limit. */
static bool is_unlimited(const config_setting_t *setting) {
        int type = config_setting_type(setting);

        return (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) &&
               config_setting_get_int64(setting) == -1;
}

static void read_max(const struct config_place *place) {
        uint64_t *maxp = place->field;
        int type = config_setting_type(place->setting);
        long long max = config_setting_get_int64(place->setting);

        if (is_unlimited(place->setting))
                *maxp = PERMISSIONS_UNLIMITED;
        else if ((type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) && max >= 0 &&
                 (uint64_t)max <= RESPONSES_MAX)
                *maxp = max > 0 ? (uint64_t)max : RESPONSES_DEFAULT;
        else
                config_value_refuse(place,
                                    "expected an integer from 1 to %" PRIu64 ", or -1 for no limit",
                                    RESPONSES_MAX);
}

static void read_expires(const struct config_place *place) {
        const char *text = config_setting_get_string(place->setting);
        uint64_t *expiresp = place->field, ms;
        char most[UNITS_TEXT_MAX];

        if (is_unlimited(place->setting))
                *expiresp = PERMISSIONS_UNLIMITED;
        else if (text && units_parse_duration(text, &ms) == 0 && ms <= EXPIRES_MAX_MS)
                *expiresp = ms > 0 ? ms : EXPIRES_DEFAULT_MS;
        else
                config_value_refuse(place,
                                    "expected a duration with a unit up to \"%s\", such as "
                                    "\"2m\", or -1 for no limit",
                                    units_format_duration(most, EXPIRES_MAX_MS));
}

static const struct config_key responses_keys[] = {
        {"max", CONFIG_OTHER, FIELD(struct responses_draft, max), .read = read_max},
        {"expires", CONFIG_OTHER, FIELD(struct responses_draft, expires_ms), .read = read_expires},
};

static const struct config_table responses_table = {
        .keys = responses_keys,
        .n_keys = ARRAY_SIZE(responses_keys),
        .size = sizeof(struct responses_draft),
};

static void read_responses(const struct config_place *place) {
        struct responses_draft *draft = place->field;
        bool is_group = config_setting_is_group(place->setting);
        char path[CONFIG_PATH_MAX];

        if (is_group)
                config_table_read(place->reader, &responses_table, config_place_path(place, path),
                                  place->setting, draft);
        else if (config_setting_type(place->setting) != CONFIG_TYPE_BOOL)
                config_value_refuse(place,
                                    "expected true, false or { max = 1; expires = \"2m\"; }");
        if (is_group || config_setting_get_bool(place->setting))
                draft->setting = place->setting;
}

/* --- all of it ------------------------------------------------------------------------------ */

static const struct config_key permissions_keys[] = {
        {"publish", CONFIG_OTHER, FIELD(struct draft, publish), .read = read_rules},
        {"subscribe", CONFIG_OTHER, FIELD(struct draft, subscribe), .read = read_rules},
        {"allow_responses", CONFIG_OTHER, FIELD(struct draft, responses), .read = read_responses},
};

static const struct config_table permissions_table = {
        .keys = permissions_keys,
        .n_keys = ARRAY_SIZE(permissions_keys),
        .size = sizeof(struct draft),
};

/* Reads the group into new permissions. Returns 0 or -ENOMEM. */
static int fill(const struct config_place *place, struct permissions *permissions) {
        struct draft draft = {
                .publish = {{permissions, PERMISSIONS_PUBLISH_ALLOW},
                            {permissions, PERMISSIONS_PUBLISH_DENY}},
                .subscribe = {{permissions, PERMISSIONS_SUBSCRIBE_ALLOW},
                              {permissions, PERMISSIONS_SUBSCRIBE_DENY}},
                .responses = {NULL, RESPONSES_DEFAULT, EXPIRES_DEFAULT_MS},
        };
        struct config_place responses = *place;
        char path[CONFIG_PATH_MAX];
        const char *file;
        unsigned line;

        config_table_read(place->reader, &permissions_table, config_place_path(place, path),
                          place->setting, &draft);
        if (draft.responses.setting) {
                responses.setting = draft.responses.setting;
                file = locate(&responses, &line);
                if (permissions_allow_responses(permissions, draft.responses.max,
                                                draft.responses.expires_ms, file, line) < 0)
                        return -ENOMEM;
        }
        return permissions_seal(permissions);
}

void config_permissions_read(const struct config_place *place) {
        struct permissions **permissionsp = place->field, *permissions;

        if (!config_setting_is_group(place->setting)) {
                config_value_refuse(place, "expected a group { publish = [ ... ]; subscribe = "
                                           "[ ... ]; }");
                return;
        }
        permissions = permissions_new();
        if (!permissions || fill(place, permissions) < 0)
                place->reader->error = -ENOMEM;
        permissions_unref(*permissionsp);
        *permissionsp = permissions;
}

void config_permissions_release(void *field) {
        struct permissions **permissionsp = field;

        *permissionsp = permissions_unref(*permissionsp);
}
