/* Who a peer is, and what it may therefore do: its role on the control subjects, its permissions on
 * all others.
 *
 * The users of the configuration are asked in their order, and the first that fits decides; all
 * that it asks for has to hold. The kernel vouches for local peers. What a client says of itself in
 * CONNECT has to be proved: by a password, a token, or a signature of the nonce that it was given.
 * Whom no user fits is anonymous, if his listener admits such.
 */
#pragma once

#include "daemon/role.h"

#include <stdbool.h>
#include <stddef.h>

struct bus;
struct config;
struct config_user;
struct connection;
struct credentials;
struct permissions;

/* That somebody has proved to be a user, for as long as the user's secrets stay the same: a digest
 * of them. */
struct proof {
        bool is_given;
        unsigned char digest[32];
};

/* What is known of somebody; all of it borrowed. */
struct login {
        struct connection *connection;
        const struct config *config;
        const struct credentials *credentials;
        const char *nonce; /* that a signature is of; "": none was given */
        const struct proof *proof;
};

enum identity_state {
        IDENTITY_KNOWN,
        IDENTITY_UNPROVED, /* it is the user if identity_is_proved(), which takes long */
        IDENTITY_REFUSED,
};

struct identity {
        enum identity_state state;
        const struct config_user *user; /* borrowed from the configuration; NULL: anonymous */
        enum role role;
        struct permissions *permissions; /* borrowed likewise; NULL: everything is allowed */
        struct bus *bus;                 /* of its account; borrowed */
        size_t rule;                     /* which one that user is among those that were asked */
};

/* Decides, asking the rules from the first-th on. In the connection's worker. */
struct identity identity_of(const struct login *login, size_t first);

/* Whether a client that says to be a user has its password and its token. Any thread; a hash of a
 * password takes its time. */
bool identity_is_proved(const struct config_user *user, const struct credentials *credentials);

/* The user whose password, which takes long, is checked for nothing when a password was given that
 * is nobody's: always the same for a name. NULL: none has such a one, or none was given. */
const struct config_user *identity_decoy(const struct config *config,
                                         const struct credentials *credentials);

/* The proof of having been a user, none if the kernel is enough. */
struct proof identity_proof(const struct config_user *user);
