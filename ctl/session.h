/* The connection of a verb: where the daemon is, and what to tell when it is not. */
#pragma once

#include "ctl/context.h"

/* Connects: to --server, else $SOCKD_URL, else the system's socket, else the user's own. Returns
 * EXIT_DONE, or a code after having said what to do. */
int session_open(struct context *context);

/* Says what a result of the library means for this verb, and returns the code. subject: what was
 * spoken about, or NULL. */
int session_fail(struct context *context, int result, const char *subject);

/* The same for a failure to connect to an address; is_control: DESIGN's one line for a daemon that
 * is not running. Split off for tests. */
int session_fail_connect(struct context *context, int result, const char *address,
                         const char *reason);
