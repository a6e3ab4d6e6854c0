/* The difference of two configurations, applied or refused as a whole. */
#pragma once

#include "daemon/server.h"

/* Opens the listeners of a configuration, using again those that run already. The result replaces
 * server->listeners: new ones are started, those that are gone stopped. On failure nothing has
 * changed and errors says why. Returns 0 or a negative errno. */
int reload_listeners(struct server *server, const struct config *config,
                     struct config_errors *errors);

/* Reads the configuration again and applies it. done is called with the errors, none on success,
 * when all workers have it; the errors are valid during the call. */
void reload_start(struct server *server,
                  void (*done)(void *context, const struct config_errors *errors), void *context);
