/* The keys of the configuration file: the tables that describe struct config. */
#pragma once

#include "daemon/config_table.h"

/* Describes struct config, and all that is in it. */
extern const struct config_table config_keys;

/* Describes struct config_listener. */
extern const struct config_table config_keys_listener;

/* Whether text can be the name of a server. */
bool config_keys_is_server_name(const char *text);

/* Whether this version can listen on addresses of this scheme. */
bool config_keys_has_scheme(enum address_scheme scheme);
