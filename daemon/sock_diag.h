/* What the kernel knows of sockets that are not ours, by sock_diag(7). */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>

/* Tells of each bound Unix datagram socket of this network namespace: its name, as sun_path has it
 * (one of a path with its end, an abstract one with the zero before it), and whether something is
 * there that it has not read. Returns 0 or a negative errno. Any thread. */
typedef void sock_diag_unix_fn(void *context, struct bytes name, bool has_unread);
int sock_diag_unix_datagrams(sock_diag_unix_fn *tell, void *context);
