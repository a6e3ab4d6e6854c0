/* The types of configuration values; see config_value.h.
 *
 * Each type has one function that reads a setting into a field, or says what was expected instead.
 */
#include "daemon/config_value.h"

#include "daemon/config_errors.h"
#include "daemon/password.h"
#include "lib/text.h"
#include "lib/units.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOUND_TEXT_MAX    64         /* bytes of a string that are shown */
#define LOOKUP_BUFFER_MAX (1u << 20) /* for getpwnam_r(3) */

static void free_string(char **stringp) {
        free(*stringp);
}

/* Adds a line about a setting to the errors or the warnings. */
__attribute__((format(printf, 6, 0))) static void
reader_add(struct config_reader *reader, struct config_errors *lines,
           const config_setting_t *setting, const char *path, const char *name, const char *format,
           va_list arguments) {
        __attribute__((cleanup(free_string))) char *what = NULL;
        const char *file;
        unsigned line;
        int r = vasprintf(&what, format, arguments);

        if (r < 0) {
                what = NULL;
                reader->error = -ENOMEM;
                return;
        }
        file = config_text_locate(reader->text, config_setting_source_line(setting), &line);
        r = config_errors_add(lines, "%s:%u: %s%s%s: %s", file, line, path,
                              *path && name ? "." : "", name ? name : "", what);
        if (r < 0)
                reader->error = r;
}

void config_reader_complain(struct config_reader *reader, const config_setting_t *setting,
                            const char *path, const char *name, const char *format, ...) {
        va_list arguments;

        if (!reader->is_read && reader->n_refused < CONFIG_REFUSED_MAX)
                reader->refused[reader->n_refused++] = setting;
        va_start(arguments, format);
        reader_add(reader, reader->errors, setting, path, name, format, arguments);
        va_end(arguments);
}

bool config_reader_has_refused(const struct config_reader *reader,
                               const config_setting_t *setting) {
        for (size_t i = 0; i < reader->n_refused; i++)
                for (const config_setting_t *at = reader->refused[i]; at;
                     at = config_setting_parent(at))
                        if (at == setting)
                                return true;
        return false;
}

void config_reader_warn(struct config_reader *reader, const config_setting_t *setting,
                        const char *path, const char *name, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        reader_add(reader, reader->warnings, setting, path, name, format, arguments);
        va_end(arguments);
}

const char *config_place_path(const struct config_place *place, char path[CONFIG_PATH_MAX]) {
        snprintf(path, CONFIG_PATH_MAX, "%s%s%s", place->path, *place->path ? "." : "",
                 place->key->name);
        return path;
}

const char *config_value_describe(const config_setting_t *setting, char text[CONFIG_FOUND_MAX]) {
        const char *string;
        size_t n, shown;

        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
                snprintf(text, CONFIG_FOUND_MAX, "%lld", config_setting_get_int64(setting));
                break;
        case CONFIG_TYPE_FLOAT:
                snprintf(text, CONFIG_FOUND_MAX, "%g", config_setting_get_float(setting));
                break;
        case CONFIG_TYPE_BOOL:
                strcpy(text, config_setting_get_bool(setting) ? "true" : "false");
                break;
        case CONFIG_TYPE_STRING:
                string = config_setting_get_string(setting);
                n = strlen(string);
                shown = text_cut(string, n, FOUND_TEXT_MAX);
                snprintf(text, CONFIG_FOUND_MAX, "\"%.*s\"%s", (int)shown, string,
                         shown < n ? "..." : "");
                break;
        case CONFIG_TYPE_GROUP:
                strcpy(text, "a group { ... }");
                break;
        case CONFIG_TYPE_ARRAY:
                strcpy(text, "an array [ ... ]");
                break;
        default:
                strcpy(text, "a list ( ... )");
                break;
        }
        return text;
}

/* The same without what must not be shown. */
static const char *describe_secret(const config_setting_t *setting) {
        switch (config_setting_type(setting)) {
        case CONFIG_TYPE_STRING:
                return "a string";
        case CONFIG_TYPE_INT:
        case CONFIG_TYPE_INT64:
        case CONFIG_TYPE_FLOAT:
        case CONFIG_TYPE_BOOL:
                return "a value without quotes";
        default:
                return "a group or a list";
        }
}

/* Those that hold a secret, or may by mistake: a seed where the public key is wanted. */
static bool is_secret(enum config_type type) {
        return type == CONFIG_SECRET || type == CONFIG_NKEY;
}

void config_value_refuse(const struct config_place *place, const char *format, ...) {
        __attribute__((cleanup(free_string))) char *expected = NULL;
        char found[CONFIG_FOUND_MAX];
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(&expected, format, arguments);
        va_end(arguments);
        if (n < 0) {
                expected = NULL;
                place->reader->error = -ENOMEM;
                return;
        }
        config_reader_complain(
                place->reader, place->setting, place->path, place->key->name, "found %s, %s",
                is_secret(place->key->type) ? describe_secret(place->setting)
                                            : config_value_describe(place->setting, found),
                expected);
}

/* The string of a setting, or NULL. */
static const char *setting_text(const config_setting_t *setting) {
        return config_setting_type(setting) == CONFIG_TYPE_STRING
                       ? config_setting_get_string(setting)
                       : NULL;
}

/* Whether a setting is an integer; it is then in *numberp. */
static bool setting_integer(const config_setting_t *setting, long long *numberp) {
        *numberp = 0;
        if (config_setting_type(setting) != CONFIG_TYPE_INT &&
            config_setting_type(setting) != CONFIG_TYPE_INT64)
                return false;
        *numberp = config_setting_get_int64(setting);
        return true;
}

/* Stores a number in a field of 4 or 8 bytes. */
static void store(const struct config_key *key, void *field, uint64_t value) {
        uint32_t narrow = (uint32_t)value;

        if (key->size == sizeof(value))
                memcpy(field, &value, sizeof(value));
        else
                memcpy(field, &narrow, sizeof(narrow));
}

static int store_string(void *field, const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*(char **)field);
        *(char **)field = copy;
        return 0;
}

static bool is_in_range(const struct config_key *key, uint64_t value) {
        return value >= key->minimum && value <= key->maximum;
}

static void read_string(const struct config_place *place) {
        const char *text = setting_text(place->setting);

        if (!text || (place->key->check && !place->key->check(text)))
                config_value_refuse(place, "expected %s", place->key->expected);
        else if (store_string(place->field, text) < 0)
                place->reader->error = -ENOMEM;
}

char **config_strings_free(char **strings) {
        for (size_t i = 0; strings && strings[i]; i++)
                free(strings[i]);
        free(strings);
        return NULL;
}

/* [ "a", "b" ] or ( "a", "b" ). */
static void read_strings(const struct config_place *place) {
        int n = config_setting_length(place->setting);
        char **strings;

        if (!config_setting_is_array(place->setting) && !config_setting_is_list(place->setting)) {
                config_value_refuse(place, "expected [ \"...\", ... ], %s", place->key->expected);
                return;
        }
        strings = calloc((size_t)n + 1, sizeof(*strings));
        for (int i = 0; strings && i < n; i++) {
                struct config_place element = *place;

                element.setting = config_setting_get_elem(place->setting, (unsigned)i);
                element.field = &strings[i];
                read_string(&element);
                if (!strings[i])
                        break; /* what is refused has been said; what follows would have no place */
        }
        if (!strings)
                place->reader->error = -ENOMEM;
        config_strings_free(*(char ***)place->field);
        *(char ***)place->field = strings;
}

static void read_bool(const struct config_place *place) {
        if (config_setting_type(place->setting) != CONFIG_TYPE_BOOL)
                config_value_refuse(place, "expected true or false");
        else
                *(bool *)place->field = config_setting_get_bool(place->setting);
}

static void read_integer(const struct config_place *place) {
        long long number;

        if (!setting_integer(place->setting, &number) || number < 0 ||
            !is_in_range(place->key, (uint64_t)number))
                config_value_refuse(place, "expected an integer from %" PRIu64 " to %" PRIu64,
                                    place->key->minimum, place->key->maximum);
        else
                store(place->key, place->field, (uint64_t)number);
}

/* Whether a text is a number with a minus in front; parse: of one without. */
static bool is_negative(const char *text, int (*parse)(const char *text, uint64_t *valuep)) {
        uint64_t value;

        return text && text[0] == '-' && parse(text + 1, &value) != -EINVAL;
}

static void read_size(const struct config_place *place) {
        char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
        const char *text = setting_text(place->setting);
        bool is_size = false;
        uint64_t value = 0;
        long long number;
        int r;

        if (setting_integer(place->setting, &number)) {
                is_size = true;
                value = number < 0 ? 0 : (uint64_t)number;
                if (number >= 0 && is_in_range(place->key, value)) {
                        store(place->key, place->field, value);
                        return;
                }
        } else if (text) {
                r = units_parse_size(text, &value);
                is_size = r != -EINVAL || is_negative(text, units_parse_size);
                if (r == 0 && is_in_range(place->key, value)) {
                        store(place->key, place->field, value);
                        return;
                }
        }
        units_format_size(least, place->key->minimum);
        units_format_size(most, place->key->maximum);
        if (is_size)
                config_value_refuse(place, "expected a size from %s to %s bytes", least, most);
        else
                config_value_refuse(place, "expected a number of bytes, or a string with a unit, "
                                           "such as \"64K\"");
}

static void read_duration(const struct config_place *place) {
        char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
        const char *text = setting_text(place->setting);
        uint64_t value = 0;
        long long number;
        int r = text ? units_parse_duration(text, &value) : -EINVAL;

        if (r == 0 && is_in_range(place->key, value)) {
                store(place->key, place->field, value);
        } else if (is_negative(text, units_parse_duration)) {
                config_value_refuse(place, "expected a duration that is not negative, up to \"%s\"",
                                    units_format_duration(most, place->key->maximum));
        } else if (r == -EINVAL) {
                /* A bare number most often means seconds: show how to say so. */
                if (!setting_integer(place->setting, &number) || number < 0)
                        number = 20;
                config_value_refuse(place, "expected a duration with a unit, such as \"%llds\"",
                                    number);
        } else {
                config_value_refuse(place, "expected a duration from \"%s\" to \"%s\"",
                                    units_format_duration(least, place->key->minimum),
                                    units_format_duration(most, place->key->maximum));
        }
}

static int parse_mode(const char *text, uint64_t *modep) {
        size_t length = strspn(text, "01234567");

        if (length < 3 || length > 4 || text[length] != '\0' || (length == 4 && *text != '0'))
                return -EINVAL;
        *modep = strtoul(text, NULL, 8);
        return 0;
}

static void read_mode(const struct config_place *place) {
        const char *text = setting_text(place->setting);
        long long number;
        uint64_t mode;

        if (text && parse_mode(text, &mode) == 0)
                store(place->key, place->field, mode);
        else if (setting_integer(place->setting, &number))
                config_value_refuse(place, "expected a string of octal digits, such as \"0660\"; a "
                                           "number without quotes is never octal here");
        else
                config_value_refuse(place, "expected the permission bits as octal digits, such as "
                                           "\"0660\"");
}

/* Reads an id that is written as a number. Returns whether text is one. */
static bool parse_id(const char *text, uint32_t *idp) {
        size_t length = strspn(text, "0123456789");
        unsigned long long id;

        if (length == 0 || length > 10 || text[length] != '\0')
                return false;
        id = strtoull(text, NULL, 10);
        *idp = (uint32_t)id;
        return id < UINT32_MAX; /* (uid_t)-1 is nobody's */
}

/* Looks a name up with a buffer of that size. Returns 0, ENOENT, ERANGE: the buffer is too small,
 * or another errno. */
static int look_up_once(enum config_type type, const char *name, char *buffer, size_t size,
                        uint32_t *idp) {
        struct passwd user, *found_user = NULL;
        struct group group, *found_group = NULL;
        int r;

        if (type == CONFIG_USER)
                r = getpwnam_r(name, &user, buffer, size, &found_user);
        else
                r = getgrnam_r(name, &group, buffer, size, &found_group);
        if (found_user)
                *idp = user.pw_uid;
        else if (found_group)
                *idp = group.gr_gid;
        else if (r == 0 || r == ESRCH || r == EBADF || r == EPERM) /* as the manual allows */
                r = ENOENT;
        return r;
}

/* Returns 0 and the id of a user or a group, or -errno. */
static int look_up(enum config_type type, const char *name, uint32_t *idp) {
        int r = ERANGE;

        for (size_t size = 1024; r == ERANGE && size <= LOOKUP_BUFFER_MAX; size *= 4) {
                char *buffer = malloc(size);

                if (!buffer)
                        return -ENOMEM;
                r = look_up_once(type, name, buffer, size, idp);
                free(buffer);
        }
        return -r;
}

static void read_identity(const struct config_place *place) {
        const char *text = setting_text(place->setting);
        const char *kind = place->key->type == CONFIG_USER ? "user" : "group";
        uint32_t id = 0;
        int r;

        if (!text || *text == '\0') {
                config_value_refuse(place, "expected a string with the name or number of a %s",
                                    kind);
                return;
        }
        if (parse_id(text, &id)) {
                store(place->key, place->field, id);
                return;
        }
        r = look_up(place->key->type, text, &id);
        if (r == 0)
                store(place->key, place->field, id);
        else if (r == -ENOMEM)
                place->reader->error = r;
        else if (r == -ENOENT)
                config_value_refuse(place, "expected a %s that exists on this system", kind);
        else
                config_value_refuse(place, "which cannot be looked up: %s", strerror(-r));
}

static void read_address(const struct config_place *place) {
        const char *text = setting_text(place->setting), *reason;
        struct address address;

        if (!text)
                config_value_refuse(place, "expected an address, such as \"tcp://127.0.0.1:4222\"");
        else if (address_parse(&address, text, &reason) < 0)
                config_value_refuse(place, "expected an address, but %s", reason);
        else
                *(struct address *)place->field = address;
}

static void read_enum(const struct config_place *place) {
        const char *text = setting_text(place->setting);
        int value = text ? place->key->parse(text) : -1;

        if (value < 0)
                config_value_refuse(place, "expected %s", place->key->expected);
        else
                store(place->key, place->field, (uint64_t)value);
}

/* A file with a secret is not to be read by others. Said once for each. */
static void warn_of_readers(const struct config_place *place) {
        struct config_reader *reader = place->reader;
        unsigned source_line = config_setting_source_line(place->setting), line;
        const char *file = config_text_locate(reader->text, source_line, &line);
        int r;

        if (!config_text_is_public(reader->text, source_line))
                return;
        r = config_errors_add_once(reader->warnings,
                                   "%s: there are secrets in this file, and anyone may read it; "
                                   "chmod o-r would change that",
                                   file);
        if (r < 0)
                reader->error = r;
}

/* Gives the secret to the field, if it is a good one. Returns whether it is. */
static bool store_secret(const struct config_place *place, struct secret *secret) {
        if (password_is_malformed(secret)) {
                secret_free(secret);
                config_value_refuse(place, "which begins like a hash of crypt(3), but is none; "
                                           "expected one as sockctl passwd prints it");
                return false;
        }
        secret_free(*(struct secret **)place->field);
        *(struct secret **)place->field = secret;
        if (password_is_costly(secret))
                config_reader_warn(place->reader, place->setting, place->path, place->key->name,
                                   "each login by it takes a second or more, for which few have "
                                   "the patience; sockctl passwd makes hashes that take less");
        return true;
}

/* What libconfig keeps of it is wiped: it stands in the heap until then. */
static void read_secret(const struct config_place *place) {
        const char *text = setting_text(place->setting);
        struct secret *secret;
        int r;

        if (!text || *text == '\0') {
                config_value_refuse(place, "expected a string that is not empty");
                return;
        }
        r = secret_from_text(&secret, bytes_from_string(text));
        explicit_bzero((char *)text, strlen(text));
        if (r < 0) {
                place->reader->error = r;
                return;
        }
        warn_of_readers(place);
        if (store_secret(place, secret) && !password_is_hash(secret_text(secret)))
                config_reader_warn(place->reader, place->setting, place->path, place->key->name,
                                   "it stands here in plain text; sockctl passwd makes a hash of "
                                   "it, and %s%s keeps it elsewhere",
                                   place->key->name, "_file");
}

static void read_secret_file(const struct config_place *place) {
        __attribute__((cleanup(free_string))) char *reason = NULL;
        const char *path = setting_text(place->setting);
        struct secret *secret;
        int r;

        if (!path || *path == '\0') {
                config_value_refuse(place, "expected the path of a file, or the name of a "
                                           "credential");
                return;
        }
        r = secret_from_credential(&secret, path, &reason);
        if (r < 0 && !reason)
                place->reader->error = -ENOMEM;
        else if (r < 0)
                config_value_refuse(place, "which cannot be used: %s", reason);
        else
                store_secret(place, secret);
}

static void read_nkey(const struct config_place *place) {
        const char *text = setting_text(place->setting), *reason;

        if (!text)
                config_value_refuse(place, "expected the public key of a user, \"U...\"");
        else if (nkey_public_parse(place->field, bytes_from_string(text), &reason) < 0)
                config_value_refuse(place, "expected the public key of a user, \"U...\", but %s",
                                    reason);
}

static void (*const readers[])(const struct config_place *place) = {
        [CONFIG_STRING] = read_string,  [CONFIG_STRINGS] = read_strings,
        [CONFIG_BOOL] = read_bool,      [CONFIG_INTEGER] = read_integer,
        [CONFIG_SIZE] = read_size,      [CONFIG_DURATION] = read_duration,
        [CONFIG_MODE] = read_mode,      [CONFIG_USER] = read_identity,
        [CONFIG_GROUP] = read_identity, [CONFIG_ADDRESS] = read_address,
        [CONFIG_ENUM] = read_enum,      [CONFIG_SECRET] = read_secret,
        [CONFIG_NKEY] = read_nkey,      [CONFIG_SECRET_FILE] = read_secret_file,
};

void config_value_read(const struct config_place *place) {
        readers[place->key->type](place);
}

/* The table is right, so nothing is checked. */
int config_value_default(const struct config_key *key, void *field) {
        uint64_t value = 0;

        if (key->type == CONFIG_USER || key->type == CONFIG_GROUP)
                memset(field, 0xff, key->size);
        if (!key->fallback)
                return 0;
        switch (key->type) {
        case CONFIG_STRING:
                return store_string(field, key->fallback);
        case CONFIG_BOOL:
                *(bool *)field = strcmp(key->fallback, "true") == 0;
                return 0;
        case CONFIG_DURATION:
                units_parse_duration(key->fallback, &value);
                break;
        case CONFIG_MODE:
                parse_mode(key->fallback, &value);
                break;
        case CONFIG_ENUM:
                value = (uint64_t)key->parse(key->fallback);
                break;
        default:
                units_parse_size(key->fallback, &value);
                break;
        }
        store(key, field, value);
        return 0;
}
