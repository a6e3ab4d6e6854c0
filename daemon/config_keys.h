/* The keys of the configuration file: the tables that describe struct config. */
#pragma once

#include "daemon/config_table.h"

/* Describes struct config, and all that is in it. */
extern const struct config_table config_keys;

/* Describes struct config_listener. */
extern const struct config_table config_keys_listener;

/* Describes struct config_tls. */
extern const struct config_table config_keys_tls;

/* Describes struct config_user, and how many there may be in a list. */
extern const struct config_table config_keys_user;
#define CONFIG_USERS_MAX 4096

/* Whether text is printable ASCII without blanks and none of the excluded characters. */
bool config_keys_is_name(const char *text, size_t n_max, const char *excluded);

/* Whether text can be the name of a server. */
bool config_keys_is_server_name(const char *text);
