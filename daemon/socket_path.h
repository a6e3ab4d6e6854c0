/* The path of a Unix socket, before it is bound: a daemon that died leaves its own behind, which is
 * in the way of the next one. It is taken from the dead only.
 *
 * Between bind(2) and listen(2) the living look like the dead. So daemons do all this one after the
 * other, by a lock on the directory.
 */
#pragma once

#include "lib/address.h"

/* Makes the directory of a path if that is the default one, .../sockd/sockd.sock, and only sockd/
 * is missing: without a service manager nobody else does. Any other directory is the
 * administrator's.
 */
void socket_path_make_directory(const char *path);

/* Locks the directory of a path against other daemons, from before socket_path_clear() until
 * listen(2). Returns a descriptor, the closing of which ends that, or a negative number if it goes
 * without: whoever can read the directory can hold the lock, so it is waited for a second at most,
 * and only the order of daemons that start at the same time depends on it. */
int socket_path_lock(const char *path);

/* Removes what a dead daemon left behind, and nothing else. Returns 0 if nothing is in the way, or
 * a negative errno with *reasonp, owned by the caller (free(3)). */
int socket_path_clear(const struct address_socket *socket, char **reasonp);
