/* Tables of configuration keys; see config_table.h.
 *
 * One loop over the settings of a group finds the row of each; groups and lists of groups recurse.
 * What is refused leaves its default behind, and the loop goes on, so that all errors are found.
 */
#include "daemon/config_table.h"

#include "lib/suggest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SHOWN_MAX  64  /* of a key that is not known */
#define KNOWN_SHOWN_MAX 200 /* of those that are; more are no help */

static int key_default(const struct config_key *key, void *field) {
        if (key->type == CONFIG_LATER || key->type == CONFIG_LIST || key->type == CONFIG_ORIGIN)
                return 0;
        if (key->type == CONFIG_TABLE)
                return config_table_default(key->table, field);
        return config_value_default(key, field);
}

int config_table_default(const struct config_table *table, void *target) {
        int r = 0;

        for (size_t i = 0; i < table->n_keys && r == 0; i++)
                r = key_default(&table->keys[i], (char *)target + table->keys[i].offset);
        return r;
}

void config_table_deinit(const struct config_table *table, void *target) {
        for (size_t i = 0; i < table->n_keys; i++) {
                const struct config_key *key = &table->keys[i];
                char *field = (char *)target + key->offset;

                if (key->type == CONFIG_STRING) {
                        free(*(char **)(void *)field);
                } else if (key->type == CONFIG_STRINGS) {
                        config_strings_free(*(char ***)(void *)field);
                } else if (key->type == CONFIG_SECRET || key->type == CONFIG_SECRET_FILE) {
                        struct secret **secretp = (struct secret **)(void *)field;

                        *secretp = secret_free(*secretp);
                } else if (key->type == CONFIG_ORIGIN) {
                        free(((struct config_origin *)(void *)field)->file);
                } else if (key->type == CONFIG_OTHER && key->release) {
                        key->release(field);
                } else if (key->type == CONFIG_TABLE) {
                        config_table_deinit(key->table, field);
                } else if (key->type == CONFIG_LIST) {
                        char *array = *(char **)(void *)field;
                        size_t n = *(size_t *)(void *)((char *)target + key->count_offset);

                        for (size_t k = 0; k < n; k++)
                                config_table_deinit(key->table, array + k * key->table->size);
                        free(array);
                }
        }
        if (table->release)
                table->release(target);
}

static void read_table(const struct config_place *place) {
        char path[CONFIG_PATH_MAX];

        config_place_path(place, path);
        if (!config_setting_is_group(place->setting))
                config_value_refuse(place, "expected a group { ... }");
        else
                config_table_read(place->reader, place->key->table, path, place->setting,
                                  place->field);
}

/* Appends one element to the array. Returns it with its defaults, or NULL. */
static void *list_append_element(const struct config_place *place) {
        size_t size = place->key->table->size;
        size_t *countp = (size_t *)(void *)((char *)place->field - place->key->offset +
                                            place->key->count_offset);
        char *array = *(void **)place->field, *element;

        array = realloc(array, (*countp + 1) * size);
        if (!array)
                return NULL;
        *(void **)place->field = array;
        element = array + *countp * size;
        memset(element, 0, size);
        (*countp)++;
        return config_table_default(place->key->table, element) < 0 ? NULL : element;
}

static void read_list(const struct config_place *place) {
        int n = config_setting_length(place->setting);
        char path[CONFIG_PATH_MAX], name[CONFIG_PATH_MAX], found[CONFIG_FOUND_MAX];

        if (!config_setting_is_list(place->setting)) {
                config_value_refuse(place, "expected a list of groups ( { ... }, { ... } )");
                return;
        }
        config_place_path(place, path);
        if ((uint64_t)n < place->key->minimum || (uint64_t)n > place->key->maximum) {
                config_reader_complain(place->reader, place->setting, path, NULL,
                                       "found a list of %d, expected %s", n, place->key->expected);
                return;
        }
        for (int i = 0; i < n && place->reader->error == 0; i++) {
                const config_setting_t *group;
                void *element = list_append_element(place);

                group = config_setting_get_elem(place->setting, (unsigned)i);
                snprintf(name, sizeof(name), "%.100s[%d]", path, i);
                if (!element)
                        place->reader->error = -ENOMEM;
                else if (config_setting_is_group(group))
                        config_table_read(place->reader, place->key->table, name, group, element);
                else /* the element stays, so that indexes stay right */
                        config_reader_complain(place->reader, group, name, NULL,
                                               "found %s, expected a group { ... }",
                                               config_value_describe(group, found));
        }
}

static void read_setting(const struct config_place *place) {
        switch (place->key->type) {
        case CONFIG_TABLE:
                read_table(place);
                break;
        case CONFIG_LIST:
                read_list(place);
                break;
        case CONFIG_OTHER:
                place->key->read(place);
                break;
        case CONFIG_LATER:
                config_reader_complain(place->reader, place->setting, place->path, place->key->name,
                                       "this version of sockd does not have this key yet");
                break;
        default:
                config_value_read(place);
                break;
        }
}

/* The key that was probably meant, or NULL. */
static const char *nearest_key(const struct config_table *table, const char *name) {
        unsigned best = suggest_limit(name) + 1;
        const char *nearest = NULL;

        for (size_t i = 0; i < table->n_keys; i++) {
                unsigned distance = suggest_distance(name, table->keys[i].name);

                if (distance < best) {
                        best = distance;
                        nearest = table->keys[i].name;
                }
        }
        return nearest;
}

/* Names all keys, if they fit on a line. Returns whether they do. */
static bool name_keys(const struct config_table *table, char *text, size_t size) {
        size_t length = 0;

        text[0] = '\0';
        for (size_t i = 0; i < table->n_keys && length < size; i++)
                if (table->keys[i].type != CONFIG_LATER && table->keys[i].type != CONFIG_ORIGIN)
                        length += (size_t)snprintf(text + length, size - length, "%s%s",
                                                   length ? ", " : "", table->keys[i].name);
        return length < size;
}

static void refuse_unknown(struct config_reader *reader, const struct config_table *table,
                           const char *path, const config_setting_t *setting) {
        const char *name = config_setting_name(setting), *nearest = nearest_key(table, name);
        char known[KNOWN_SHOWN_MAX], shown[NAME_SHOWN_MAX];

        snprintf(shown, sizeof(shown), "%s", name);
        if (nearest)
                config_reader_complain(reader, setting, path, shown,
                                       "unknown key, did you mean \"%s\"?", nearest);
        else if (name_keys(table, known, sizeof(known)))
                config_reader_complain(reader, setting, path, shown,
                                       "unknown key; known here are %s", known);
        else
                config_reader_complain(reader, setting, path, shown,
                                       "unknown key; sockd.conf(5) tells which there are");
}

static const struct config_key *find_key(const struct config_table *table, const char *name) {
        for (size_t i = 0; i < table->n_keys; i++)
                if (strcmp(table->keys[i].name, name) == 0)
                        return &table->keys[i];
        return NULL;
}

static void note_origin(struct config_reader *reader, const config_setting_t *group,
                        struct config_origin *origin) {
        const char *file =
                config_text_locate(reader->text, config_setting_source_line(group), &origin->line);

        free(origin->file);
        origin->file = strdup(file);
        if (!origin->file)
                reader->error = -ENOMEM;
}

void config_table_read(struct config_reader *reader, const struct config_table *table,
                       const char *path, const config_setting_t *group, void *target) {
        size_t n_errors = reader->errors->n_lines;
        int n = config_setting_length(group);

        for (size_t i = 0; i < table->n_keys; i++)
                if (table->keys[i].type == CONFIG_ORIGIN)
                        note_origin(reader, group,
                                    (void *)((char *)target + table->keys[i].offset));
        for (int i = 0; i < n && reader->error == 0; i++) {
                const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
                const struct config_key *key = find_key(table, config_setting_name(setting));
                struct config_place place = {reader, key, path, setting, NULL};

                if (!key) {
                        refuse_unknown(reader, table, path, setting);
                        continue;
                }
                place.field = (char *)target + key->offset;
                read_setting(&place);
        }
        for (size_t i = 0; i < table->n_keys; i++)
                if (table->keys[i].is_required &&
                    !config_setting_get_member(group, table->keys[i].name))
                        config_reader_complain(reader, group, path, NULL,
                                               "there is no \"%s\", which every entry needs",
                                               table->keys[i].name);
        if (table->check && reader->error == 0)
                table->check(reader, path, group, target, reader->errors->n_lines == n_errors);
}
