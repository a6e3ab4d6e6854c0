/* Tables of configuration keys: one describes one struct, a row one key and one field.
 *
 * What is here knows tables but no key: a new key is a new row in config_keys.c.
 */
#pragma once

#include "daemon/config_value.h"

struct config_table {
        const struct config_key *keys;
        size_t n_keys;
        size_t size; /* of the struct */
        /* Looks for conflicts between keys after all are read; may be NULL. is_whole: no error in
         * this struct so far. */
        void (*check)(struct config_reader *reader, const char *path, const config_setting_t *group,
                      void *target, bool is_whole);
        /* Frees what the struct has beside what its keys filled; it may be zeroes. NULL: nothing.
         */
        void (*release)(void *target);
};

/* For rows: where a field is. */
#define CONFIG_FIELD(name, member)                                                                 \
        .offset = offsetof(struct name, member), .size = sizeof(((struct name *)0)->member)

/* Sets all fields of a zeroed struct to their defaults. Returns 0 or -ENOMEM. */
int config_table_default(const struct config_table *table, void *target);

/* Reads a group into a struct that has its defaults. path: the name of the group for messages,
 * "" for the whole file. Complaints go to the reader. */
void config_table_read(struct config_reader *reader, const struct config_table *table,
                       const char *path, const config_setting_t *group, void *target);

/* Frees what the fields of a struct own; the struct may be half built. */
void config_table_deinit(const struct config_table *table, void *target);
