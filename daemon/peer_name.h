/* Whether the name of a Unix datagram peer is its own.
 *
 * A peer is what it calls itself, and answers go there: a path that is relative to where it is, or
 * in a mount namespace of its own, is that of another socket here; so may an abstract name be. What
 * sockd sends carries its own credentials and passes its own permissions. So a name is believed
 * only if what it leads to from here is a socket of the user that the kernel saw sending.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

struct abstract_names;

/* Outcomes of peer_name_open(). */
enum {
        PEER_NAME_FOREIGN = 1, /* it is not the user's, or none that can be sent to */
};

/* The name of a peer as sun_path has it, one of a path without its end. */
struct bytes peer_name_bytes(const struct sockaddr_un *peer, socklen_t length);

static inline bool peer_name_is_abstract(struct bytes name) {
        return name.length > 0 && name.data[0] == '\0';
}

/* Whether a peer is a user's. Of a path *fdp is a descriptor of the socket that stands there, for
 * peer_name_address(); the caller closes it. Of an abstract name it is -1. names: for those; NULL:
 * they are the peer's. Returns 0, PEER_NAME_FOREIGN, -EAGAIN if that cannot be known now, or
 * another negative errno. */
int peer_name_open(const struct sockaddr_un *peer, socklen_t length, uid_t uid,
                   struct abstract_names *names, int *fdp);

/* The address that leads to the socket of a descriptor, whatever becomes of its path. Returns its
 * length. */
socklen_t peer_name_address(struct sockaddr_un *address, int fd);

/* Whether a user's path leads to what he puts there and to nothing else, so that it can be sent to
 * by itself, which takes the kernel half as long: nobody can change it but root and the user that
 * we run as, and he is one of them. */
bool peer_name_is_firm(struct bytes path, uid_t uid);

/* Whether two descriptors are of one socket. */
bool peer_name_is_same(int a, int b);
