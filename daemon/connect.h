/* CONNECT: what a client says of itself (protocol.md, section 3). */
#pragma once

#include "lib/bytes.h"

struct client;

enum connect_result {
        CONNECT_OK,
        CONNECT_MALFORMED,     /* no JSON object, or a value of the wrong type */
        CONNECT_COOKIE,        /* not one of this datagram peer, or too old */
        CONNECT_FORBIDDEN,     /* names an account */
        CONNECT_PROTOCOL,      /* a protocol that is not known */
        CONNECT_NO_RESPONDERS, /* without headers */
};

/* Merges the JSON object over what the client said before: keys that are absent or null stay as
 * they are. Keys are compared without case; unknown ones are ignored. Returns CONNECT_OK,
 * CONNECT_MALFORMED or CONNECT_COOKIE. */
enum connect_result connect_apply(struct client *client, struct bytes json);

/* Judges the rest of what the client said, once it is known who it is (protocol.md 3.2). Returns
 * CONNECT_OK or one of the last three. */
enum connect_result connect_judge(const struct client *client);

/* Whether the bytes are a JSON object. */
bool connect_is_object(struct bytes json);
