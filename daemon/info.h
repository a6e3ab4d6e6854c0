/* INFO: what the server says of itself (protocol.md, section 2). */
#pragma once

struct client;

/* The complete INFO line for a client, which the caller frees; NULL if there is no memory. In the
 * client's worker. */
char *info_line(struct client *client);
