/* Who a peer is. See identity.h. */
#include "daemon/identity.h"

#include "daemon/config.h"
#include "daemon/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Supplementary groups that are asked for at first. */
#define GROUPS_FIRST 32

static const char *const names[] = {
        [ROLE_LOCAL] = "none",
        [ROLE_MONITOR] = "monitor",
        [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role) {
        return role >= ROLE_MONITOR ? names[role] : "";
}

int role_parse(const char *word) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (names[i] && strcmp(names[i], word) == 0)
                        return (int)i;
        return -EINVAL;
}

/* Whether the process had the group as a supplementary one when it connected (SO_PEERGROUPS in
 * socket(7)). */
static bool has_supplementary_group(int fd, gid_t gid) {
        socklen_t length = GROUPS_FIRST * sizeof(gid_t);
        gid_t *groups = malloc(length), *larger;
        bool has = false;
        int r = -1;

        while (groups && (r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length)) < 0 &&
               errno == ERANGE) {
                larger = realloc(groups, length);
                if (!larger)
                        break;
                groups = larger;
        }
        for (size_t i = 0; r == 0 && i < length / sizeof(gid_t); i++)
                has |= groups[i] == gid;
        free(groups);
        return has;
}

static bool peer_has_group(const struct connection *connection, gid_t gid) {
        /* Of a datagram peer the kernel tells no others. */
        return connection->peer.gid == gid ||
               (!connection->session && has_supplementary_group(connection->fd, gid));
}

static bool user_fits(const struct config_user *user, const struct connection *connection) {
        const struct peer *peer = &connection->peer;

        if (user->peer.uid != (uid_t)-1 && user->peer.uid != peer->uid)
                return false;
        return user->peer.gid == (gid_t)-1 || peer_has_group(connection, user->peer.gid);
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
