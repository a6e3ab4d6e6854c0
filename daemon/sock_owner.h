/* Who made the other end of a TCP connection, as the kernel knows it by sock_diag(7).
 *
 * That end is found if it is a socket of this network namespace. Its owner is the user who made it,
 * and its control group the one in which that was done; a process that inherited the socket is not
 * known.
 */
#pragma once

#include "lib/bytes.h"

#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

struct sock_owner {
        uid_t uid;
        uint64_t cgroup; /* the id of the control group of version 2; 0: not told */
};

/* The two ends of a connection as the socket that is looked for sees them. Addresses of IPv4 are
 * mapped to IPv6; ports are in network order. */
struct sock_ends {
        struct in6_addr own, other;
        in_port_t own_port, other_port;
};

/* Asks for the peer of a connection that was accepted. Returns 0, or a negative errno: -ENOENT if
 * the peer is not of this host, is nobody's any more, or cannot be found. Does not wait. Any
 * thread. */
int sock_owner_of_peer(int fd, struct sock_owner *owner);

/* Reads the kernel's answer to the question for the socket with these ends, of which it must be;
 * returns as above. */
int sock_owner_read(struct bytes answer, const struct sock_ends *ends, struct sock_owner *owner);
