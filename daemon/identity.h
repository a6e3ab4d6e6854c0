/* Who a peer is, and what it may therefore do. */
#pragma once

#include "daemon/client.h"

struct peer;

/* Root and the uid that sockd runs as are admin, on Unix sockets, where the kernel vouches for it;
 * everybody else has no role. */
enum client_role identity_role(const struct peer *peer);
