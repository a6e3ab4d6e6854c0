/* Who a peer is, and what it may therefore do on the control subjects.
 *
 * The users of the configuration are asked in their order, and the first that fits decides. Nobody
 * but the kernel vouches for a peer: what it says of itself does not count.
 */
#pragma once

struct config;
struct config_user;
struct connection;

/* Each may what those before it may. */
enum role {
        ROLE_NONE,    /* no control subject at all */
        ROLE_LOCAL,   /* how the daemon is */
        ROLE_MONITOR, /* who is there, and what for */
        ROLE_ADMIN,   /* and to change that */
};

/* The word for it: "admin"; "" for ROLE_NONE and ROLE_LOCAL, which are none to speak of. */
const char *role_name(enum role role);

/* The role of a word, of which "none" is that of any local peer; or -EINVAL. */
int role_parse(const char *word);

struct identity {
        const struct config_user *user; /* borrowed from the configuration; NULL: none fits */
        enum role role;
};

/* Decides. In the connection's worker. */
struct identity identity_of(const struct connection *connection, const struct config *config);
