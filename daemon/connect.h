/* CONNECT: what a client says of itself (protocol.md, section 3). */
#pragma once

#include "lib/bytes.h"

struct client;

enum connect_result {
        CONNECT_OK,
        CONNECT_MALFORMED,     /* no JSON object, or a key of the wrong type */
        CONNECT_FORBIDDEN,     /* names an account */
        CONNECT_PROTOCOL,      /* a protocol that is not known */
        CONNECT_NO_RESPONDERS, /* without headers */
        CONNECT_COOKIE,        /* not one of this datagram peer, or too old */
};

/* Merges the JSON object over what the client said before: keys that are absent or null stay as
 * they are. Keys are compared without case; unknown ones are ignored. */
enum connect_result connect_apply(struct client *client, struct bytes json);

/* Whether the bytes are a JSON object. */
bool connect_is_object(struct bytes json);
