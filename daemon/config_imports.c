/* Whether exports and imports fit together. See config_imports.h.
 *
 * Imports are the edges of a graph: what is published in one account comes to another one, where it
 * may be what a further import is for. Whether it is, is told by the patterns of the subjects: they
 * overlap or not. So no message can come back, as long as the graph has no cycle.
 */
#include "daemon/config_imports.h"

#include "daemon/config_accounts.h"
#include "lib/subject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In all accounts together: each is compared with many others. */
#define ALL_IMPORTS_MAX 4096

/* What only sockd itself answers. */
#define CONTROL_SUBJECTS BYTES("$SYS.REQ.>")

/* --- exports -------------------------------------------------------------------------------- */

/* Whom an export is for has to exist. */
static void check_importers(struct config_reader *reader, const struct config *config,
                            const struct config_export *export, const config_setting_t *setting,
                            const char *path) {
        for (char **names = export->accounts; names && *names; names++)
                if (!config_accounts_exists(config, *names))
                        config_accounts_refuse_unknown(
                                reader, config_setting_get_member(setting, "accounts"), path,
                                "accounts", *names);
}

static void check_exports(struct config_reader *reader, const config_setting_t *group,
                          const struct config *config, size_t i) {
        const struct config_account *account = &config->accounts[i];
        const config_setting_t *list =
                config_setting_get_member(config_accounts_setting(group, i), "exports");
        bool is_system = account->name && strcmp(account->name, config->system_account) == 0;
        char path[CONFIG_PATH_MAX];

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

/* --- imports -------------------------------------------------------------------------------- */

/* An import on its way through the checks. */
struct import_place {
        const struct config_account *account; /* that has it */
        const struct config_import *import;
        const config_setting_t *setting;
        char path[CONFIG_PATH_MAX];
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

static const config_setting_t *imports_of(const config_setting_t *group, size_t i) {
        return config_setting_get_member(config_accounts_setting(group, i), "imports");
}

/* Whether an import of the account, which has a name, is what it was meant to be. */
static bool is_import_read(const struct config_reader *reader, const config_setting_t *group,
                           const struct config *config, size_t i, size_t k) {
        return config->accounts[i].name &&
               !config_reader_has_refused(
                       reader, config_setting_get_elem(imports_of(group, i), (unsigned)k));
}

static void place_init(struct import_place *place, const config_setting_t *group,
                       const struct config *config, size_t i, size_t k) {
        const struct config_account *account = &config->accounts[i];
        const struct config_import *import = &account->imports[k];
        struct bytes there = bytes_from_string(config_import_subject(import));
        struct bytes here = bytes_from_string(import->to);

        *place = (struct import_place){
                .account = account,
                .import = import,
                .setting = config_setting_get_elem(imports_of(group, i), (unsigned)k),
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

        return exported && subject_is_subset(bytes_from_string(config_import_subject(import)),
                                             bytes_from_string(exported));
}

/* Whether the exports of an account are what they were meant to be. NULL: it is not described. */
static bool are_exports_read(const struct config_reader *reader, const config_setting_t *group,
                             const struct config *config, const struct config_account *account) {
        const config_setting_t *setting;

        if (!account)
                return config_accounts_are_named(config);
        setting = config_accounts_setting(group, (size_t)(account - config->accounts));
        return !config_reader_has_refused(reader, config_setting_get_member(setting, "exports"));
}

static void check_exported(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config, const struct import_place *place) {
        const struct config_import *import = place->import;
        const struct config_account *exporter = config_find_account(config, import->account);
        const char *key = import->stream ? "stream" : "service";
        bool is_covered = false;

        if (!are_exports_read(reader, group, config, exporter))
                return;
        for (size_t i = 0; exporter && i < exporter->n_exports; i++) {
                const struct config_export *export = &exporter->exports[i];

                if (!covers(export, import))
                        continue;
                if (!export->accounts || has_text(export->accounts, place->account->name))
                        return;
                is_covered = true;
        }
        config_reader_complain(
                reader, config_setting_get_member(place->setting, key), place->path, key,
                is_covered ? "found \"%s\", which account \"%s\" does not export to "
                             "account \"%s\""
                           : "found \"%s\", which account \"%s\" does not export",
                config_import_subject(import), import->account, place->account->name);
}

static bool check_import_account(struct config_reader *reader, const struct config *config,
                                 const struct import_place *place) {
        const char *name = place->import->account;
        const config_setting_t *setting = config_setting_get_member(place->setting, "account");

        if (!config_accounts_exists(config, name)) {
                config_accounts_refuse_unknown(reader, setting, place->path, "account", name);
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
                        if (is_import_read(reader, group, config, i, k))
                                place_init(&places.all[places.n++], group, config, i, k);
        for (size_t i = 0; i < places.n; i++) {
                bool is_known = check_import_account(reader, config, &places.all[i]);

                are_known &= is_known;
                if (is_known)
                        check_exported(reader, group, config, &places.all[i]);
                check_repeated(reader, &places, i);
        }
        if (are_known)
                check_chains(reader, &places);
        free(places.all);
}

void config_imports_check(struct config_reader *reader, const config_setting_t *group,
                          const struct config *config) {
        for (size_t i = 0; i < config->n_accounts; i++)
                check_exports(reader, group, config, i);
        check_imports(reader, group, config);
}
