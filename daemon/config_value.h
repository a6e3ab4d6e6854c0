/* The types of configuration values: from libconfig's settings into fields of structs. */
#pragma once

#include "daemon/config.h"
#include "daemon/config_text.h"

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
        CONFIG_STRING,      /* char *, owned by the struct */
        CONFIG_STRINGS,     /* char **, NULL at its end; all owned by the struct; NULL: none */
        CONFIG_BOOL,        /* bool */
        CONFIG_INTEGER,     /* int, unsigned, uint64_t */
        CONFIG_SIZE,        /* uint64_t, bytes */
        CONFIG_DURATION,    /* uint64_t, milliseconds */
        CONFIG_MODE,        /* mode_t */
        CONFIG_USER,        /* uid_t; default: (uid_t)-1 */
        CONFIG_GROUP,       /* gid_t; default: (gid_t)-1 */
        CONFIG_ADDRESS,     /* struct address */
        CONFIG_ENUM,        /* int, by parse */
        CONFIG_SECRET,      /* struct secret *, owned by the struct: a password or a token */
        CONFIG_SECRET_FILE, /* the same, from the file of that name */
        CONFIG_NKEY,        /* struct nkey_public */
        CONFIG_TABLE,       /* a struct, by table: { ... } */
        CONFIG_LIST,        /* pointer to an array of structs, by table: ( { ... } ) */
        CONFIG_OTHER,       /* by read; freed by release */
        CONFIG_ORIGIN, /* struct config_origin: where the group itself stands; a row without a name
                        */
        CONFIG_LATER,  /* known, but this version does not have it yet */
};

struct config_place;

#define CONFIG_REFUSED_MAX 100
struct config_reader {
        const struct config_text *text;
        struct config_errors *errors;
        struct config_errors *warnings;
        int error; /* -ENOMEM sticks here */

        /* What was complained of while the file was read. Of what comes behind that many there is
         * no room for lines about what follows from it either. */
        const config_setting_t *refused[CONFIG_REFUSED_MAX];
        size_t n_refused;
        bool is_read; /* complaints are about what does not fit together from now on */
};

/* A row: what a key is called, what it may be, and which field of a struct it fills. */
struct config_key {
        const char *name;
        enum config_type type;
        size_t offset, size;       /* of the field */
        size_t count_offset;       /* list: of the size_t with the number of elements */
        uint64_t minimum, maximum; /* integer, size, duration; list: of elements */
        const char *fallback;      /* the default as text; NULL: nothing, or required */
        bool is_required;
        const char *expected;             /* strings, enum: what check and parse accept */
        bool (*check)(const char *text);  /* strings: whether it is good; may be NULL */
        int (*parse)(const char *text);   /* enum: the value, or negative */
        const struct config_table *table; /* table, list */
        void (*read)(const struct config_place *place); /* other: reads a setting into the field */
        /* other: frees what the field has; it may be zeroes. NULL: nothing. */
        void (*release)(void *field);
};

/* Adds the complaint "FILE:LINE: PATH.NAME: ..." about a setting; path may be "", name NULL. */
__attribute__((format(printf, 5, 6))) void
config_reader_complain(struct config_reader *reader, const config_setting_t *setting,
                       const char *path, const char *name, const char *format, ...);

/* Whether something in a setting was refused while it was read, so that its field is not what it
 * should be. NULL, for one that is not given: false. */
bool config_reader_has_refused(const struct config_reader *reader, const config_setting_t *setting);

/* Adds a warning of the same form. */
__attribute__((format(printf, 5, 6))) void config_reader_warn(struct config_reader *reader,
                                                              const config_setting_t *setting,
                                                              const char *path, const char *name,
                                                              const char *format, ...);

/* A setting on its way into a field. */
struct config_place {
        struct config_reader *reader;
        const struct config_key *key;
        const char *path; /* of the group, for messages */
        const config_setting_t *setting;
        void *field;
};

/* Room for the path of a setting: "listeners[1023].name" and deeper. */
#define CONFIG_PATH_MAX 128

/* Writes the path of a setting, for messages about what is in it. Returns path. */
const char *config_place_path(const struct config_place *place, char path[CONFIG_PATH_MAX]);

/* Reads a setting of any type but table, list, other and later. A setting that is refused leaves
 * the field as it was. Complaints go to the reader. */
void config_value_read(const struct config_place *place);

/* Frees strings. Returns NULL. */
char **config_strings_free(char **strings);

/* Stores the default of a key in its zeroed field. Returns 0 or -ENOMEM. */
int config_value_default(const struct config_key *key, void *field);

/* Adds the complaint "FILE:LINE: KEY: found WHAT, " with the text behind it. */
__attribute__((format(printf, 2, 3))) void config_value_refuse(const struct config_place *place,
                                                               const char *format, ...);

/* Room for the text of config_value_describe(). */
#define CONFIG_FOUND_MAX 128

/* Writes what a setting holds, as it may stand after "found": 20, "text", a list. Returns text. */
const char *config_value_describe(const config_setting_t *setting, char text[CONFIG_FOUND_MAX]);
