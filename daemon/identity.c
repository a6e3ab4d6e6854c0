/* Who a peer is. See identity.h. */
#include "daemon/identity.h"

#include "daemon/connection.h"

#include <unistd.h>

enum client_role identity_role(const struct peer *peer) {
        if (peer->has_credentials && (peer->uid == 0 || peer->uid == geteuid()))
                return ROLE_ADMIN;
        return ROLE_NONE;
}
