/* What the parts of a listener need of each other: listener.c (its life, and what it is bound to),
 * listener_options.c and listener_accept.c. The server's thread.
 */
#pragma once

#include "daemon/listener.h"

/* One option of a socket. Return 0, or the value, or a negative errno. */
int listener_set_option(int fd, int level, int option, int value);
int listener_get_option(int fd, int option);

/* Sizes the buffers of the listener's own socket, and warns of one that is smaller than configured.
 */
void listener_apply_buffers(const struct listener *listener);

/* Options of an Internet socket, which accepted connections inherit. Returns 0 or a negative errno.
 */
int listener_apply_internet(int fd, const struct config_listener *config);

/* Has the datagrams of its socket tell who sent them, or where they were sent to, and has it tell
 * of errors of the network. Returns 0 or a negative errno. */
int listener_apply_datagram(const struct listener *listener);

/* Joins the multicast groups that are configured. Returns 0, or a negative errno with *reasonp. */
int listener_join_groups(const struct listener *listener, const struct config_listener *config,
                         char **reasonp);
