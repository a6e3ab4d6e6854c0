/* Who a peer is, and what it may therefore do on the control subjects.
 *
 * The users of the configuration are asked in their order, and the first that fits decides. Nobody
 * but the kernel vouches for a peer: what it says of itself does not count.
 */
#pragma once

#include "daemon/role.h"

struct config;
struct config_user;
struct connection;

struct identity {
        const struct config_user *user; /* borrowed from the configuration; NULL: none fits */
        enum role role;
};

/* Decides. In the connection's worker. */
struct identity identity_of(const struct connection *connection, const struct config *config);
