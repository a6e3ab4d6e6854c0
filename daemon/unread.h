/* What peers of a Unix datagram socket may not have read yet.
 *
 * That lies in the send buffer of our socket (SO_SNDBUF), which all of its peers share: without
 * more, one who does not read leaves no room for the others. So each has a share: a user three
 * quarters of what other users leave of the buffer, and a peer half of what the other peers leave
 * of its user's. However many do not read, something is left.
 *
 * What was sent is known, what was read is not. It is asked for when a peer has come to the end of
 * its share: how full the buffer is, and, if that does not help, whose queues are empty (by
 * sock_diag, which may take a twentieth of the time). Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct unread;

/* For a bound Unix datagram socket, which must outlive it. NULL if there is no memory. */
struct unread *unread_new(int fd);
void unread_free(struct unread *unread);

/* The socket's buffer has been set. */
void unread_resize(struct unread *unread);

/* Whether a datagram may be sent to a peer, a bound one, of a user. It counts as unread if so. */
bool unread_admit(struct unread *unread, const struct sockaddr *peer, socklen_t peer_length,
                  uid_t uid, size_t length);

/* A datagram that was admitted has not been sent. */
void unread_withdraw(struct unread *unread, const struct sockaddr *peer, socklen_t peer_length,
                     size_t length);
