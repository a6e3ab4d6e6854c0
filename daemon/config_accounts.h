/* The accounts of the configuration: their tables, and what several of them have to agree on. */
#pragma once

#include "daemon/config_table.h"

/* Describes struct config_account, and how many there may be. */
extern const struct config_table config_accounts_table;
#define CONFIG_ACCOUNTS_MAX 1024

#define CONFIG_SYSTEM_ACCOUNT "$SYS"

/* Whether text can be the name of an account; what to say if not. */
bool config_accounts_is_name(const char *text);
#define CONFIG_ACCOUNT_EXPECTED                                                                    \
        "the name of an account, at most 64 printable ASCII characters without blanks, dots, * "   \
        "and >"

/* The i-th account's group in the whole file. */
const config_setting_t *config_accounts_setting(const config_setting_t *group, size_t i);

/* Whether the list of accounts could be read, if there is one; group: the whole file. */
bool config_accounts_are_read(const config_setting_t *group, const struct config *config);

/* Whether the names of all could be read: else one may be any. */
bool config_accounts_are_named(const struct config *config);

/* Whether there is an account of that name, be it one that the file does not describe. Of a list
 * with an account whose name could not be read: whether there may be. */
bool config_accounts_exists(const struct config *config, const char *name);

/* Complains about a setting that names an account that is not there, `found`. */
void config_accounts_refuse_unknown(struct config_reader *reader, const config_setting_t *setting,
                                    const char *path, const char *name, const char *found);

/* Complains about what does not fit together: see config_names.h and config_imports.h; and about
 * accounts that are not there. group: the whole file. */
void config_accounts_check(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config);
