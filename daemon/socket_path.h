/* The path of a Unix socket, before it is bound: a daemon that died leaves its own behind, which is
 * in the way of the next one. It is taken from the dead only. */
#pragma once

#include "lib/address.h"

/* Removes what a dead daemon left behind, and nothing else. Returns 0 if nothing is in the way, or
 * a negative errno with *reasonp, owned by the caller (free(3)). */
int socket_path_clear(const struct address_socket *socket, char **reasonp);
