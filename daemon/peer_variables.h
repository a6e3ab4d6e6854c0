/* What a program is told of the peer that caused it to run: variables for its environment.
 *
 * Only what sockd itself knows is told; what a peer says of itself stands in none of them.
 */
#pragma once

#include <stddef.h>

struct connection;

/* How many there are at most, and the room for their texts. */
#define PEER_VARIABLES_MAX      8
#define PEER_VARIABLES_ROOM_MAX 512

/* Writes "NAME=value" texts, each with its NUL, one behind the other. Returns the length of all; 0
 * if nothing is known. In the connection's worker. */
size_t peer_variables_write(struct connection *connection, char to[PEER_VARIABLES_ROOM_MAX]);
