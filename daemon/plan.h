/* The listeners that a configuration asks for: those that run already, and new ones beside them.
 *
 * Making the plan does all that can fail; until it is carried out everybody is served as before. A
 * new TCP socket whose port is held by a listener that goes, as when one moves from 127.0.0.1 to
 * any address, is bound beside it: both share the port while the plan is made.
 */
#pragma once

#include "daemon/server.h"

struct plan {
        struct server *server;
        const struct config *config; /* the new one; borrowed */
        struct config_errors *errors;
        struct plan_entry *entries; /* owned */
        size_t n_entries;
        struct listener **listeners; /* room for those of the server; owned */
};

/* Opens the listeners of a configuration, using again those that run already. The configuration is
 * borrowed as long as the plan lives. On failure errors says why. Returns 0 or a negative errno;
 * the plan is to be deinitialised in any case. */
int plan_make(struct plan *plan, struct server *server, const struct config *config,
              struct config_errors *errors);

/* Starts what is new and stops what is gone: server->listeners are those of the plan then. */
void plan_carry_out(struct plan *plan);

/* Closes what was not carried out, and gives what runs the properties back that it had. */
void plan_deinit(struct plan *plan);
