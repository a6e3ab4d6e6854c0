/* Which users have which abstract names, in our network namespace.
 *
 * A socket with a path can be reached from other network namespaces, where the same abstract names
 * are those of other sockets. What is sent to such a name comes to whoever has it here, so it has
 * to be his who asks for it. The kernel tells of all sockets at once (sock_diag), which may take a
 * twentieth of the time. What it told is believed for a second, so that a flood of names that are
 * not here keeps nobody out for longer than until it is asked again.
 *
 * Belongs to one thread.
 */
#pragma once

#include "lib/bytes.h"

#include <sys/types.h>

struct abstract_names;

/* For a Unix datagram socket, which must outlive it. NULL if there is no memory. */
struct abstract_names *abstract_names_new(int fd);
void abstract_names_free(struct abstract_names *names);

/* Outcomes of abstract_names_check(). */
enum {
        ABSTRACT_NAMES_FOREIGN = 1, /* it is not there, or of another user */
};

/* Whether a name, with the zero before it, is that of a socket of the user here. Returns 0 if it
 * is, ABSTRACT_NAMES_FOREIGN, or -EAGAIN if the kernel cannot be asked now. */
int abstract_names_check(struct abstract_names *names, struct bytes name, uid_t uid);
