/* The keys of the configuration file: the tables that describe struct config. */
#pragma once

#include "daemon/config_table.h"

/* Describes struct config, and all that is in it. */
extern const struct config_table config_keys;

/* Describes struct config_listener. */
extern const struct config_table config_keys_listener;

/* Describe struct config_tls, of a listener and towards targets. */
extern const struct config_table config_keys_tls, config_keys_forward_tls;

/* Makes the context of what was read, or not, towards targets; complains of what is wrong. */
void config_tls_make_forward(struct config_reader *reader, const char *path,
                             const config_setting_t *group, struct config_tls *tls);

/* Describes struct config_user, and how many there may be in a list. */
extern const struct config_table config_keys_user;
#define CONFIG_USERS_MAX 4096

/* Whether text is printable ASCII without blanks and none of the excluded characters. */
bool config_keys_is_name(const char *text, size_t n_max, const char *excluded);

/* Whether text can be the name of a server. */
bool config_keys_is_server_name(const char *text);
