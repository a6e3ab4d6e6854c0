/* The difference of two configurations, applied or refused as a whole. */
#pragma once

#include "daemon/server.h"

/* Opens the listeners of a configuration, using again those that run already. The result replaces
 * server->listeners: new ones are started, those that are gone stopped. On failure nothing has
 * changed and errors says why. Returns 0 or a negative errno. */
int reload_listeners(struct server *server, const struct config *config,
                     struct config_errors *errors);

/* Begins with the services of a configuration. Returns 0 or a negative errno. */
int reload_services(struct server *server, const struct config *config);

/* Called when all workers have the new configuration, or with the errors why nothing was changed.
 * Warnings are what whoever asked should know all the same. Both are valid during the call. */
typedef void reload_done_fn(void *context, const struct config_errors *errors,
                            const struct config_errors *warnings);

/* Reads the configuration again and applies it. */
void reload_start(struct server *server, reload_done_fn *done, void *context);

/* Logs a warning, and tells it to whoever asked for the reload, if one is under way. */
__attribute__((format(printf, 2, 3))) void reload_warn(struct server *server, const char *format,
                                                       ...);
