/* What the kernel knows of sockets that are not ours, by sock_diag(7). */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A bound Unix datagram socket. */
struct sock_diag_unix {
        struct bytes name; /* as sun_path has it: one of a path without its end, an abstract one
                              with the zero before it; valid while it is told of */
        uid_t uid;         /* who made the socket; -1: the kernel does not say, before Linux 5.5 */
        uint32_t inode;    /* of the socket, as fstat(2) tells it, not of its path */
        bool has_unread;   /* something is there that it has not read */
};

/* Tells of each one of this network namespace. Returns 0 or a negative errno. Any thread. */
typedef void sock_diag_unix_fn(void *context, const struct sock_diag_unix *socket);
int sock_diag_unix_datagrams(sock_diag_unix_fn *tell, void *context);
