/* Whether a peer is whom a rule describes, by what the kernel says of it. */
#pragma once

#include <stdbool.h>

struct config_peer;
struct connection;

/* Whether all that is given holds; what is not known does not, and a rule that gives nothing fits
 * nobody. The kernel is asked for what it takes, once. In the connection's worker. */
bool identity_peer_fits(const struct config_peer *rule, struct connection *connection);
