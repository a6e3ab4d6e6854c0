/* Credentials. See credentials.h. */
#include "daemon/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void wipe(char **which) {
        if (*which)
                explicit_bzero(*which, strlen(*which));
        free(*which);
        *which = NULL;
}

int credentials_set(char **which, const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        wipe(which);
        *which = copy;
        return 0;
}

static bool is_given(const char *text) {
        return text && *text;
}

bool credentials_are_given(const struct credentials *credentials) {
        return is_given(credentials->user) || is_given(credentials->password) ||
               is_given(credentials->token) || is_given(credentials->nkey);
}

void credentials_forget(struct credentials *credentials) {
        wipe(&credentials->password);
        wipe(&credentials->token);
        wipe(&credentials->signature);
}

void credentials_deinit(struct credentials *credentials) {
        credentials_forget(credentials);
        wipe(&credentials->user);
        wipe(&credentials->nkey);
}
