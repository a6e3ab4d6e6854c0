/* What the kernel says of a peer when it is asked. See connection.h. */
#include "daemon/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Supplementary groups that are asked for at first. */
#define GROUPS_FIRST 32

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

bool connection_has_group(const struct connection *connection, gid_t gid) {
        /* Of a datagram peer the kernel tells no others. */
        return connection->peer.gid == gid ||
               (!connection->session && has_supplementary_group(connection->fd, gid));
}
