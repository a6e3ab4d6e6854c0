/* Who a peer is. See identity.h. */
#include "daemon/identity.h"

#include "daemon/config.h"
#include "daemon/connection.h"

#include <unistd.h>

static bool user_fits(const struct config_user *user, const struct connection *connection) {
        const struct peer *peer = &connection->peer;

        if (!user->has_peer)
                return false;
        if (user->peer.uid != (uid_t)-1 && user->peer.uid != peer->uid)
                return false;
        return user->peer.gid == (gid_t)-1 || connection_has_group(connection, user->peer.gid);
}

/* Of those of whom no rule says it. */
static enum role role_by_default(const struct peer *peer) {
        if (!peer->has_credentials)
                return ROLE_NONE;
        return peer->uid == 0 || peer->uid == geteuid() ? ROLE_ADMIN : ROLE_LOCAL;
}

struct identity identity_of(const struct connection *connection, const struct config *config) {
        const struct peer *peer = &connection->peer;

        for (size_t i = 0; peer->has_credentials && i < config->n_users; i++) {
                const struct config_user *user = &config->users[i];

                if (user_fits(user, connection))
                        return (struct identity){user, user->role != ROLE_NONE
                                                               ? (enum role)user->role
                                                               : role_by_default(peer)};
        }
        return (struct identity){NULL, role_by_default(peer)};
}
