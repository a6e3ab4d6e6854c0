/* Waiting for bytes from the server, and comparing them. */
#pragma once

#include "scene.h"

/*
 * A PING of the server that stands where a line begins and something else was expected is answered
 * and taken out of the input by all of these: servers send one some two seconds after CONNECT,
 * whatever is going on. A scenario that is about PINGs expects them, and so sees them.
 */

/* The next bytes from the server must be these. */
bool expectation_bytes(struct scene *scene, struct client *client, const char *expected,
                       size_t n_bytes);

/*
 * Waits for a whole line; *n_bytesp is its length without its CR LF. It lies at client_input() and
 * is to be consumed, CR LF included, by the caller.
 */
bool expectation_line(struct scene *scene, struct client *client, size_t *n_bytesp);

/* Takes PINGs from the start of the input; false if the start may yet become one. */
bool expectation_skip_pings(struct scene *scene, struct client *client);

/* Waits for more input, or the end of the connection; false if time is up or it has ended. */
bool expectation_wait(struct scene *scene, struct client *client);

/* Fails with both sides shown from shortly before offset. */
bool expectation_fail(struct scene *scene, const struct client *client, const char *expected,
                      size_t n_bytes, size_t offset);
