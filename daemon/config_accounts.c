/* The accounts of the configuration. See config_accounts.h.
 *
 * Imports are the edges of a graph: what is published in one account comes to another one, where it
 * may be what a further import is for. Whether it is, is told by the patterns of the subjects: they
 * overlap or not. So no message can come back, as long as the graph has no cycle.
 */
#include "daemon/config_accounts.h"

#include "daemon/config_keys.h"
#include "lib/subject.h"
#include "lib/subject_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define ACCOUNT_NAME_MAX 64
#define SUBJECT_MAX      1024
#define EXPORTS_MAX      1024
#define IMPORTS_MAX      1024
/* In all accounts together: each is compared with many others. */
#define ALL_IMPORTS_MAX 4096
/* Room for the path of an element, as in "accounts[1023].imports[1023]". */
#define PATH_MAX_LENGTH 64

/* What only sockd itself answers. */
#define CONTROL_SUBJECTS BYTES("$SYS.REQ.>")

bool config_accounts_is_name(const char *text) {
        return config_keys_is_name(text, ACCOUNT_NAME_MAX, "*>.");
}

static bool is_subject(const char *text) {
        return strlen(text) <= SUBJECT_MAX && !strpbrk(text, " \t\r\n") &&
               subject_is_valid(bytes_from_string(text));
}

static bool is_prefix(const char *text) {
        return is_subject(text) && subject_is_literal(bytes_from_string(text));
}

/* --- one export, one import ----------------------------------------------------------------- */

#define SUBJECT_EXPECTED "a subject, such as \"a.b\", \"a.*\" or \"a.>\""

/* Of stream and service there is one. */
static bool has_one(struct config_reader *reader, const char *path, const config_setting_t *group) {
        bool has_stream = config_setting_get_member(group, "stream");
        bool has_service = config_setting_get_member(group, "service");

        if (has_stream != has_service)
                return true;
        config_reader_complain(reader, group, path, NULL, "found %s, expected stream or service",
                               has_stream ? "both" : "neither");
        return false;
}

static void check_export(struct config_reader *reader, const char *path,
                         const config_setting_t *group, void *target, bool is_whole) {
        (void)has_one(reader, path, group);
}

static const struct config_key export_keys[] = {
        {"stream", CONFIG_STRING, CONFIG_FIELD(config_export, stream), .check = is_subject,
         .expected = SUBJECT_EXPECTED},
        {"service", CONFIG_STRING, CONFIG_FIELD(config_export, service), .check = is_subject,
         .expected = SUBJECT_EXPECTED},
        {"accounts", CONFIG_STRINGS, CONFIG_FIELD(config_export, accounts),
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
};

static const struct config_table export_table = {
        .keys = export_keys,
        .n_keys = ARRAY_SIZE(export_keys),
        .size = sizeof(struct config_export),
        .check = check_export,
};

static const char *import_subject(const struct config_import *import) {
        return import->stream ? import->stream : import->service;
}

/* Says what the subject is here, if the import does not. */
static void import_complete(struct config_reader *reader, struct config_import *import) {
        const char *subject = import_subject(import);
        int n = 0;

        if (import->prefix)
                n = asprintf(&import->to, "%s.%s", import->prefix, subject);
        else if (!import->to)
                import->to = strdup(subject);
        if (n < 0)
                import->to = NULL;
        if (!import->to)
                reader->error = -ENOMEM;
}

static void check_import(struct config_reader *reader, const char *path,
                         const config_setting_t *group, void *target, bool is_whole) {
        struct config_import *import = target;

        if (!has_one(reader, path, group) || !is_whole)
                return;
        if (import->prefix && import->service) {
                config_reader_complain(reader, config_setting_get_member(group, "prefix"), path,
                                       "prefix", "only for streams; a service has \"to\"");
                return;
        }
        if (import->prefix && import->to) {
                config_reader_complain(reader, config_setting_get_member(group, "prefix"), path,
                                       "prefix", "there is \"to\" already, which says it all");
                return;
        }
        if (import->to && !subject_map_is_possible(bytes_from_string(import_subject(import)),
                                                   bytes_from_string(import->to))) {
                config_reader_complain(reader, config_setting_get_member(group, "to"), path, "to",
                                       "found \"%s\", expected the wildcards of \"%s\" in the same "
                                       "order",
                                       import->to, import_subject(import));
                return;
        }
        import_complete(reader, import);
}

static const struct config_key import_keys[] = {
        {"stream", CONFIG_STRING, CONFIG_FIELD(config_import, stream), .check = is_subject,
         .expected = SUBJECT_EXPECTED},
        {"service", CONFIG_STRING, CONFIG_FIELD(config_import, service), .check = is_subject,
         .expected = SUBJECT_EXPECTED},
        {"account", CONFIG_STRING, CONFIG_FIELD(config_import, account), .is_required = true,
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
        {"prefix", CONFIG_STRING, CONFIG_FIELD(config_import, prefix), .check = is_prefix,
         .expected = "a subject without wildcards, such as \"a.b\""},
        {"to", CONFIG_STRING, CONFIG_FIELD(config_import, to), .check = is_subject,
         .expected = SUBJECT_EXPECTED},
};

static const struct config_table import_table = {
        .keys = import_keys,
        .n_keys = ARRAY_SIZE(import_keys),
        .size = sizeof(struct config_import),
        .check = check_import,
};

static const struct config_key account_keys[] = {
        {"name", CONFIG_STRING, CONFIG_FIELD(config_account, name), .is_required = true,
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
        {"users", CONFIG_LIST, CONFIG_FIELD(config_account, users), .table = &config_keys_user,
         .count_offset = offsetof(struct config_account, n_users), .maximum = CONFIG_USERS_MAX,
         .expected = "at most 4096 users"},
        {"exports", CONFIG_LIST, CONFIG_FIELD(config_account, exports), .table = &export_table,
         .count_offset = offsetof(struct config_account, n_exports), .maximum = EXPORTS_MAX,
         .expected = "at most 1024 exports"},
        {"imports", CONFIG_LIST, CONFIG_FIELD(config_account, imports), .table = &import_table,
         .count_offset = offsetof(struct config_account, n_imports), .maximum = IMPORTS_MAX,
         .expected = "at most 1024 imports"},
};

const struct config_table config_accounts_table = {
        .keys = account_keys,
        .n_keys = ARRAY_SIZE(account_keys),
        .size = sizeof(struct config_account),
};

/* --- names ---------------------------------------------------------------------------------- */

/* An account or a user, of whom some things have to be unique. */
struct element {
        const char *name;                /* NULL: it has none */
        const struct nkey_public *nkey;  /* the same */
        const config_setting_t *setting; /* its group */
        size_t order;                    /* in the file */
        char path[PATH_MAX_LENGTH];
};

struct elements {
        struct element *all;
        size_t n;
};

/* Adds the elements of a list, as `fill` describes the i-th. A list of the wrong length or type was
 * not read at all. */
static void elements_add(struct config_reader *reader, struct elements *elements,
                         const config_setting_t *list, const char *path, const void *array,
                         size_t n,
                         void (*fill)(struct element *element, const void *array, size_t i)) {
        struct element *all;

        if (!list || n == 0 || n != (size_t)config_setting_length(list))
                return;
        all = reallocarray(elements->all, elements->n + n, sizeof(*all));
        if (!all) {
                reader->error = -ENOMEM;
                return;
        }
        elements->all = all;
        for (size_t i = 0; i < n; i++) {
                struct element *element = &all[elements->n];

                *element = (struct element){.order = elements->n++};
                fill(element, array, i);
                element->setting = config_setting_get_elem(list, (unsigned)i);
                snprintf(element->path, sizeof(element->path), "%.40s[%zu]", path, i);
        }
}

static void fill_account(struct element *element, const void *array, size_t i) {
        element->name = ((const struct config_account *)array)[i].name;
}

static void fill_user(struct element *element, const void *array, size_t i) {
        const struct config_user *user = &((const struct config_user *)array)[i];

        element->name = user->name;
        element->nkey = user->has_nkey ? &user->nkey : NULL;
}

static int compare_names(const struct element *a, const struct element *b) {
        return a->name && b->name ? strcmp(a->name, b->name)
                                  : (a->name != NULL) - (b->name != NULL);
}

static int compare_nkeys(const struct element *a, const struct element *b) {
        return a->nkey && b->nkey ? memcmp(a->nkey, b->nkey, sizeof(*a->nkey))
                                  : (a->nkey != NULL) - (b->nkey != NULL);
}

static int compare_orders(const struct element *a, const struct element *b) {
        return (a->order > b->order) - (a->order < b->order);
}

/* Those that are the same are in the order of the file. */
static int sort_by_name(const void *a, const void *b) {
        int r = compare_names(a, b);

        return r != 0 ? r : compare_orders(a, b);
}

static int sort_by_nkey(const void *a, const void *b) {
        int r = compare_nkeys(a, b);

        return r != 0 ? r : compare_orders(a, b);
}

static void check_names_of(struct config_reader *reader, struct elements *elements) {
        const struct element *first = elements->all;

        if (elements->n > 0)
                qsort(elements->all, elements->n, sizeof(*elements->all), sort_by_name);
        for (size_t i = 1; i < elements->n; i++) {
                const struct element *element = &elements->all[i];

                if (compare_names(first, element) != 0)
                        first = element;
                else if (element->name)
                        config_reader_complain(
                                reader, config_setting_get_member(element->setting, "name"),
                                element->path, "name", "found \"%s\", which %s has already",
                                element->name, first->path);
        }
}

static void check_nkeys_of(struct config_reader *reader, struct elements *elements) {
        const struct element *first = elements->all;

        if (elements->n > 0)
                qsort(elements->all, elements->n, sizeof(*elements->all), sort_by_nkey);
        for (size_t i = 1; i < elements->n; i++) {
                const struct element *element = &elements->all[i];

                if (compare_nkeys(first, element) != 0)
                        first = element;
                else if (element->nkey)
                        config_reader_complain(
                                reader, config_setting_get_member(element->setting, "nkey"),
                                element->path, "nkey", "it is that of %s", first->path);
        }
}

static const config_setting_t *account_setting(const config_setting_t *group, size_t i) {
        const config_setting_t *list = config_setting_get_member(group, "accounts");

        return config_setting_get_elem(list, (unsigned)i);
}

/* Names of accounts are unique; names and nkeys of users are so over all accounts. */
static void check_names(struct config_reader *reader, const config_setting_t *group,
                        const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "accounts");
        struct elements accounts = {NULL, 0}, users = {NULL, 0};
        char path[PATH_MAX_LENGTH];

        elements_add(reader, &accounts, list, "accounts", config->accounts, config->n_accounts,
                     fill_account);
        elements_add(reader, &users, config_setting_get_member(group, "users"), "users",
                     config->users, config->n_users, fill_user);
        for (size_t i = 0; i < config->n_accounts; i++) {
                const struct config_account *account = &config->accounts[i];
                const config_setting_t *setting = account_setting(group, i);

                if (!setting || !config_setting_is_group(setting))
                        continue;
                snprintf(path, sizeof(path), "accounts[%zu].users", i);
                elements_add(reader, &users, config_setting_get_member(setting, "users"), path,
                             account->users, account->n_users, fill_user);
        }
        check_names_of(reader, &accounts);
        check_names_of(reader, &users);
        check_nkeys_of(reader, &users);
        free(accounts.all);
        free(users.all);
}

/* Whether there is an account of that name, be it one that the file does not describe. */
static bool account_exists(const struct config *config, const char *name) {
        return strcmp(name, CONFIG_DEFAULT_ACCOUNT) == 0 ||
               strcmp(name, config->system_account) == 0 || config_find_account(config, name);
}

static void refuse_unknown(struct config_reader *reader, const config_setting_t *setting,
                           const char *path, const char *name, const char *found) {
        config_reader_complain(reader, setting, path, name,
                               "found \"%s\", expected an account; \"accounts\" has none of that "
                               "name",
                               found);
}

static void check_system_account(struct config_reader *reader, const config_setting_t *group,
                                 const struct config *config) {
        const config_setting_t *setting = config_setting_get_member(group, "system_account");
        const char *name = config->system_account;

        if (strcmp(name, CONFIG_DEFAULT_ACCOUNT) == 0)
                config_reader_complain(reader, setting, "", "system_account",
                                       "found \"%s\", which is the default account; expected "
                                       "another one",
                                       name);
        else if (strcmp(name, CONFIG_SYSTEM_ACCOUNT) != 0 && !config_find_account(config, name))
                refuse_unknown(reader, setting, "", "system_account", name);
}

static void check_listeners(struct config_reader *reader, const config_setting_t *group,
                            const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "listeners");
        char path[PATH_MAX_LENGTH];

        for (size_t i = 0; i < config->n_listeners; i++) {
                const char *name = config->listeners[i].account;
                const config_setting_t *setting;

                if (!name || account_exists(config, name))
                        continue;
                setting = config_setting_get_elem(list, (unsigned)i);
                snprintf(path, sizeof(path), "listeners[%zu]", i);
                refuse_unknown(reader, config_setting_get_member(setting, "account"), path,
                               "account", name);
        }
}

/* --- exports and imports -------------------------------------------------------------------- */

/* An import on its way through the checks. */
struct import_place {
        const struct config_account *account; /* that has it */
        const struct config_import *import;
        const config_setting_t *setting;
        char path[PATH_MAX_LENGTH];
        /* What goes in and comes out by it, and where: of a service it is requests. */
        const char *from_account, *to_account;
        struct bytes from, to;
        /* Of the walk along the graph. */
        enum { PLACE_UNSEEN, PLACE_ACTIVE, PLACE_DONE } state;
        unsigned length; /* of the longest chain that begins here */
};

struct import_places {
        struct import_place *all;
        size_t n;
};

static void place_init(struct import_place *place, const config_setting_t *group,
                       const struct config *config, size_t i, size_t k) {
        const struct config_account *account = &config->accounts[i];
        const struct config_import *import = &account->imports[k];
        const config_setting_t *list =
                config_setting_get_member(account_setting(group, i), "imports");
        struct bytes there = bytes_from_string(import_subject(import));
        struct bytes here = bytes_from_string(import->to);

        *place = (struct import_place){
                .account = account,
                .import = import,
                .setting = config_setting_get_elem(list, (unsigned)k),
                .from_account = import->stream ? import->account : account->name,
                .to_account = import->stream ? account->name : import->account,
                .from = import->stream ? there : here,
                .to = import->stream ? here : there,
        };
        snprintf(place->path, sizeof(place->path), "accounts[%zu].imports[%zu]", i, k);
}

static bool has_text(char *const *texts, const char *text) {
        for (; *texts; texts++)
                if (strcmp(*texts, text) == 0)
                        return true;
        return false;
}

/* Whether an export covers what is imported. */
static bool covers(const struct config_export *export, const struct config_import *import) {
        const char *exported = import->stream ? export->stream : export->service;

        return exported && subject_is_subset(bytes_from_string(import_subject(import)),
                                             bytes_from_string(exported));
}

static void check_exported(struct config_reader *reader, const struct config *config,
                           const struct import_place *place) {
        const struct config_import *import = place->import;
        const struct config_account *exporter = config_find_account(config, import->account);
        const char *key = import->stream ? "stream" : "service";
        bool is_covered = false;

        for (size_t i = 0; exporter && i < exporter->n_exports; i++) {
                const struct config_export *export = &exporter->exports[i];

                if (!covers(export, import))
                        continue;
                if (!export->accounts || has_text(export->accounts, place->account->name))
                        return;
                is_covered = true;
        }
        config_reader_complain(reader, config_setting_get_member(place->setting, key), place->path,
                               key,
                               is_covered ? "found \"%s\", which account \"%s\" does not export to "
                                            "account \"%s\""
                                          : "found \"%s\", which account \"%s\" does not export",
                               import_subject(import), import->account, place->account->name);
}

static bool check_import_account(struct config_reader *reader, const struct config *config,
                                 const struct import_place *place) {
        const char *name = place->import->account;
        const config_setting_t *setting = config_setting_get_member(place->setting, "account");

        if (!account_exists(config, name)) {
                refuse_unknown(reader, setting, place->path, "account", name);
                return false;
        }
        if (strcmp(name, place->account->name) != 0)
                return true;
        config_reader_complain(reader, setting, place->path, "account",
                               "found \"%s\", which has it already; expected another account",
                               name);
        return false;
}

/* Whether the same would come to the same subject twice. */
static bool is_repeated(const struct import_place *a, const struct import_place *b) {
        if (a->account != b->account || !a->import->stream != !b->import->stream ||
            strcmp(a->import->to, b->import->to) != 0)
                return false;
        /* To a service there is one way. */
        return a->import->service || (strcmp(a->import->account, b->import->account) == 0 &&
                                      strcmp(a->import->stream, b->import->stream) == 0);
}

static void check_repeated(struct config_reader *reader, const struct import_places *places,
                           size_t i) {
        const struct import_place *place = &places->all[i];

        for (size_t k = i; k > 0 && places->all[k - 1].account == place->account; k--)
                if (is_repeated(&places->all[k - 1], place))
                        config_reader_complain(reader, place->setting, place->path, NULL,
                                               "it comes to \"%s\", where %s is already",
                                               place->import->to, places->all[k - 1].path);
}

static bool leads_to(const struct import_place *a, const struct import_place *b) {
        return strcmp(a->to_account, b->from_account) == 0 && subject_overlaps(a->to, b->from);
}

/* Finds how long the longest chain is that begins with an import. Returns the import that comes
 * back to one before it, or NULL. */
static const struct import_place *walk(const struct import_places *places,
                                       struct import_place *place) {
        const struct import_place *culprit;

        if (place->state == PLACE_DONE)
                return NULL;
        if (place->state == PLACE_ACTIVE)
                return place;
        place->state = PLACE_ACTIVE;
        place->length = 1;
        for (size_t i = 0; i < places->n; i++) {
                struct import_place *next = &places->all[i];

                if (!leads_to(place, next))
                        continue;
                culprit = walk(places, next);
                if (culprit)
                        return culprit;
                if (next->length + 1 > place->length)
                        place->length = next->length + 1;
        }
        place->state = PLACE_DONE;
        return NULL;
}

static void check_chains(struct config_reader *reader, const struct import_places *places) {
        for (size_t i = 0; i < places->n; i++) {
                struct import_place *place = &places->all[i];
                const struct import_place *culprit = walk(places, place);

                if (culprit) {
                        config_reader_complain(reader, culprit->setting, culprit->path, NULL,
                                               "what comes by it would come back to it by other "
                                               "imports, for ever");
                        return;
                }
                if (place->length > CONFIG_IMPORT_CHAIN_MAX)
                        config_reader_complain(reader, place->setting, place->path, NULL,
                                               "what comes by it would go by %u imports in all, "
                                               "expected at most %d",
                                               place->length, CONFIG_IMPORT_CHAIN_MAX);
        }
}

static void check_imports(struct config_reader *reader, const config_setting_t *group,
                          const struct config *config) {
        struct import_places places = {NULL, 0};
        bool are_known = true;
        size_t n = 0;

        for (size_t i = 0; i < config->n_accounts; i++)
                n += config->accounts[i].n_imports;
        if (n > ALL_IMPORTS_MAX) {
                config_reader_complain(reader, config_setting_get_member(group, "accounts"), "",
                                       "accounts", "found %zu imports in all, expected at most %d",
                                       n, ALL_IMPORTS_MAX);
                return;
        }
        places.all = calloc(n + 1, sizeof(*places.all));
        if (!places.all) {
                reader->error = -ENOMEM;
                return;
        }
        for (size_t i = 0; i < config->n_accounts; i++)
                for (size_t k = 0; k < config->accounts[i].n_imports; k++)
                        place_init(&places.all[places.n++], group, config, i, k);
        for (size_t i = 0; i < n; i++) {
                bool is_known = check_import_account(reader, config, &places.all[i]);

                are_known &= is_known;
                if (is_known)
                        check_exported(reader, config, &places.all[i]);
                check_repeated(reader, &places, i);
        }
        if (are_known)
                check_chains(reader, &places);
        free(places.all);
}

/* Whom an export is for has to exist. */
static void check_importers(struct config_reader *reader, const struct config *config,
                            const struct config_export *export, const config_setting_t *setting,
                            const char *path) {
        for (char **names = export->accounts; names && *names; names++)
                if (!account_exists(config, *names))
                        refuse_unknown(reader, config_setting_get_member(setting, "accounts"), path,
                                       "accounts", *names);
}

static void check_exports(struct config_reader *reader, const config_setting_t *group,
                          const struct config *config, size_t i) {
        const struct config_account *account = &config->accounts[i];
        const config_setting_t *list =
                config_setting_get_member(account_setting(group, i), "exports");
        bool is_system = strcmp(account->name, config->system_account) == 0;
        char path[PATH_MAX_LENGTH];

        for (size_t k = 0; k < account->n_exports; k++) {
                const config_setting_t *setting = config_setting_get_elem(list, (unsigned)k);
                const struct config_export *export = &account->exports[k];

                snprintf(path, sizeof(path), "accounts[%zu].exports[%zu]", i, k);
                check_importers(reader, config, export, setting, path);
                if (is_system && export->service &&
                    subject_overlaps(bytes_from_string(export->service), CONTROL_SUBJECTS))
                        config_reader_complain(
                                reader, config_setting_get_member(setting, "service"), path,
                                "service",
                                "found \"%s\", but control subjects are there in every account, "
                                "and the role of users decides about them",
                                export->service);
        }
}

void config_accounts_check(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config, bool is_whole) {
        check_names(reader, group, config);
        /* What is missing or wrong would be missed here again. */
        if (!is_whole || reader->error < 0)
                return;
        check_system_account(reader, group, config);
        check_listeners(reader, group, config);
        for (size_t i = 0; i < config->n_accounts; i++)
                check_exports(reader, group, config, i);
        check_imports(reader, group, config);
}
