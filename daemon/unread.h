/* What peers of a Unix datagram socket may not have read yet.
 *
 * That lies in the send buffer of our socket (SO_SNDBUF), which all of its peers share: without
 * more, one who does not read leaves no room for the others. So each has a share: a user three
 * quarters of what other users leave of the buffer, and a peer half of what the other peers leave
 * of its user's. However many do not read, something is left.
 *
 * What was sent is known, what was read is not. It is asked for when a peer has come to the end of
 * its share: how full the buffer is, and, if that does not help, whose queues are empty (by
 * sock_diag, which may take a twentieth of the time). Peers of other network namespaces, of which
 * that does not tell, count as having read. So this is for peers that fail to read, and does not
 * stop one who means harm. Any thread.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct unread;

/* For a bound Unix datagram socket, which must outlive it. NULL if there is no memory. */
struct unread *unread_new(int fd);
void unread_free(struct unread *unread);

/* The socket's buffer has been set. */
void unread_resize(struct unread *unread);

/* What a peer is known by: its name as in peer_name.h, and its user. */
uint64_t unread_key(struct bytes name, uid_t uid);

/* Whether a datagram may be sent to a peer of a user. It counts as unread if so. */
bool unread_admit(struct unread *unread, uint64_t key, uid_t uid, size_t length);

/* A datagram that was admitted has not been sent. */
void unread_withdraw(struct unread *unread, uint64_t key, size_t length);
