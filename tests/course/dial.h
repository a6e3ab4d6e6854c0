/* A socket that is connected to a server, of whatever family: the only part of the clients of the
 * course that knows of families.
 *
 * What goes wrong ends the program, with a word on standard error.
 */
#pragma once

#include <stdbool.h>

/* Returns a socket of this type, SOCK_STREAM or SOCK_DGRAM, to PORT of HOST; where PORT is NULL,
 * HOST is the path of a Unix socket. It is bound to OWN before, a port or a path; where that is
 * NULL, the kernel chooses when it is needed. A path stays behind, as a file: who gave it removes
 * it. */
int dial(int type, const char *host, const char *port, const char *own);

/* Whether these, which are the rest of a command line, are a HOST and a PORT, or a PATH. */
bool dial_is_address(int argc, char *const *argv);
