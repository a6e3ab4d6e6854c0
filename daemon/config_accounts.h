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

/* Complains about what does not fit together: names that are taken or unknown, and imports without
 * an export, or that come back to where they began. group: the whole file. is_whole: nothing else
 * is wrong. */
void config_accounts_check(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config, bool is_whole);
