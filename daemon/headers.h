/* Headers that sockd vouches for: those whose names begin with "Sockd-", in any case.
 *
 * What a client writes under such a name is taken out of its messages, always, so that whoever
 * reads one can trust it; with it goes what continues it, a line that begins with a blank, and
 * nothing of a client can continue what sockd wrote. Parsers differ in what a line is, so all that
 * any may take for the end of one, or for a blank, counts as such. Header blocks are otherwise not looked into (protocol.md 6.8). No state,
 * any thread.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>

/* The status in the first line of a block, as 503 of one that says that nobody responds; 0: none.
 */
unsigned headers_status(struct bytes block);

/* The value of the first line with that name, in any case; of length 0 if there is none. */
struct bytes headers_find(struct bytes block, const char *name);

/* Whether a header block has a line with such a name. */
bool headers_are_forged(struct bytes block);

/* Room for headers_write(). */
size_t headers_max(struct bytes block, struct bytes lines);

/* Writes a header block without those lines, and with `lines` ("Name: value\r\n"...) behind its
 * first one instead; a block that is none, or that is missing (length 0), is replaced. Without
 * lines to add, and without those lines, a block keeps what it is. Returns the length. */
size_t headers_write(char *to, struct bytes block, struct bytes lines);
