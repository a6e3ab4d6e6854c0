/* A peer without a library: a UDP socket, and the bytes of the protocol. */

#pragma once

#include "scene.h"

enum { DATAGRAM_MAX = 65507 };

/* A datagram that came, and a NUL behind it. */
struct datagram {
        char bytes[DATAGRAM_MAX + 1];
        size_t n_bytes;
};

/* Returns a socket that speaks to the server and belongs to the scene. Skips the case if the server
 * has no UDP port. */
int peer_open(struct scene *scene);

/* Each sends one datagram; that of the first is a text. */
void peer_send(int peer, const char *text);
void peer_send_bytes(int peer, const void *bytes, size_t n_bytes);

/* Waits for a datagram, in any thread. Returns false if none comes until the deadline. */
bool peer_receive(int peer, struct datagram *datagram);

/* The next datagram that comes is this. */
void peer_expect(int peer, const char *text);
void peer_expect_bytes(int peer, const void *bytes, size_t n_bytes);
void peer_expect_info(int peer);

/* The next two datagrams are INFO, the answer to a CONNECT, and this, the answer of a service to a
 * request that stood behind it. Either may come first: different workers of the server send them.
 */
void peer_expect_info_and(int peer, const char *text);

/* Sends this and a PING; what comes next is the PONG. */
void peer_send_and_sync(int peer, const char *text);
