/* Credentials: what a client says of itself in CONNECT (protocol.md 7). Nothing of it counts before
 * it is proved; see identity.h. */
#pragma once

#include <stdbool.h>

struct credentials {
        char *user, *password, *token; /* owned; NULL: not given */
        char *nkey, *signature;        /* the same */
};

/* Replaces one of them by a copy, and wipes what was there. Returns 0 or -ENOMEM. */
int credentials_set(char **which, const char *text);

/* Whether any is given, and is not empty. */
bool credentials_are_given(const struct credentials *credentials);

/* Wipes what is secret. What remains names who it is. */
void credentials_forget(struct credentials *credentials);

/* Wipes and frees all. */
void credentials_deinit(struct credentials *credentials);
