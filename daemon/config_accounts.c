/* The accounts of the configuration. See config_accounts.h. */
#include "daemon/config_accounts.h"

#include "daemon/config_imports.h"
#include "daemon/config_keys.h"
#include "daemon/config_names.h"
#include "lib/subject.h"
#include "lib/subject_map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define ACCOUNT_NAME_MAX 64
#define SUBJECT_MAX      1024
#define EXPORTS_MAX      1024
#define IMPORTS_MAX      1024

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

/* Says what the subject is here, if the import does not. */
static void import_complete(struct config_reader *reader, struct config_import *import) {
        const char *subject = config_import_subject(import);
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

        if (!has_one(reader, path, group) || !config_import_subject(import))
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
        if (import->to && !subject_map_is_possible(bytes_from_string(config_import_subject(import)),
                                                   bytes_from_string(import->to))) {
                config_reader_complain(reader, config_setting_get_member(group, "to"), path, "to",
                                       "found \"%s\", expected the wildcards of \"%s\" in the same "
                                       "order",
                                       import->to, config_import_subject(import));
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

/* --- what others say of accounts ------------------------------------------------------------- */

const config_setting_t *config_accounts_setting(const config_setting_t *group, size_t i) {
        const config_setting_t *list = config_setting_get_member(group, "accounts");

        return config_setting_get_elem(list, (unsigned)i);
}

bool config_accounts_are_read(const config_setting_t *group, const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "accounts");

        return !list || (config_setting_is_list(list) &&
                         config->n_accounts == (size_t)config_setting_length(list));
}

bool config_accounts_are_named(const struct config *config) {
        for (size_t i = 0; i < config->n_accounts; i++)
                if (!config->accounts[i].name)
                        return false;
        return true;
}

static bool is_described(const struct config *config, const char *name) {
        return !config_accounts_are_named(config) || config_find_account(config, name);
}

bool config_accounts_exists(const struct config *config, const char *name) {
        return strcmp(name, CONFIG_DEFAULT_ACCOUNT) == 0 ||
               strcmp(name, config->system_account) == 0 || is_described(config, name);
}

void config_accounts_refuse_unknown(struct config_reader *reader, const config_setting_t *setting,
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
        else if (strcmp(name, CONFIG_SYSTEM_ACCOUNT) != 0 && !is_described(config, name))
                config_accounts_refuse_unknown(reader, setting, "", "system_account", name);
}

static void check_listeners(struct config_reader *reader, const config_setting_t *group,
                            const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "listeners");
        char path[CONFIG_PATH_MAX];

        for (size_t i = 0; i < config->n_listeners; i++) {
                const char *name = config->listeners[i].account;
                const config_setting_t *setting;

                if (!name || config_accounts_exists(config, name))
                        continue;
                setting = config_setting_get_elem(list, (unsigned)i);
                snprintf(path, sizeof(path), "listeners[%zu]", i);
                config_accounts_refuse_unknown(reader,
                                               config_setting_get_member(setting, "account"), path,
                                               "account", name);
        }
}

void config_accounts_check(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config) {
        config_names_check(reader, group, config);
        if (!config_accounts_are_read(group, config) || reader->error < 0)
                return;
        check_system_account(reader, group, config);
        check_listeners(reader, group, config);
        config_imports_check(reader, group, config);
}
