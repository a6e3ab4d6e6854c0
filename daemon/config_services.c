/* The services of the configuration. See config_services.h. */
#include "daemon/config_services.h"

#include "daemon/config_accounts.h"
#include "daemon/config_table.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static const struct config_key builtin_keys[] = {
        {"echo", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, echo), .fallback = "true"},
        {"time", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, time), .fallback = "true"},
        {"info", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, info), .fallback = "true"},
        {"accounts", CONFIG_STRINGS, CONFIG_FIELD(config_builtin_services, accounts),
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
};

const struct config_table config_builtin_services_table = {
        .keys = builtin_keys,
        .n_keys = ARRAY_SIZE(builtin_keys),
        .size = sizeof(struct config_builtin_services),
};

void config_services_check(struct config_reader *reader, const struct config_setting_t *group,
                           const struct config *config) {
        const config_setting_t *setting = config_setting_get_member(group, "builtin_services");

        for (char **names = config->builtin_services.accounts; names && *names; names++)
                if (!config_accounts_exists(config, *names))
                        config_accounts_refuse_unknown(
                                reader, config_setting_get_member(setting, "accounts"),
                                "builtin_services", "accounts", *names);
}
