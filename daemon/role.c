/* Roles. See role.h. */
#include "daemon/role.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const names[] = {
        [ROLE_LOCAL] = "none",
        [ROLE_MONITOR] = "monitor",
        [ROLE_ADMIN] = "admin",
};

const char *role_name(enum role role) {
        return role >= ROLE_MONITOR ? names[role] : "";
}

int role_parse(const char *word) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (names[i] && strcmp(names[i], word) == 0)
                        return (int)i;
        return -EINVAL;
}
