/* Roles: what a client may do on the control subjects. */
#pragma once

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
