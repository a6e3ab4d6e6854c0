/* Whose rights a program has: a user, a group, and supplementary groups, as numbers.
 *
 * They are looked up when the configuration is read, so that neither a worker nor the spawner waits
 * for a directory service, and stay as they are until it is read again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* More supplementary groups a program cannot have. */
#define RUN_AS_GROUPS_MAX 1024

struct run_as {
        char *name; /* of the user, as it was given; for messages. NULL: only a group was */
        uid_t uid;
        gid_t gid;
        gid_t *groups; /* supplementary ones */
        size_t n_groups;
        char *login, *home, *shell; /* of the user's entry; NULL: there is none */
        bool is_own;                /* it is what sockd itself has: nothing is to be changed */
};

/* Notes what this process may do, for run_as_check(). Once, before any thread, and before it gives
 * up rights that the spawner keeps. Without it others' rights cannot be had. */
void run_as_init(void);

/* Looks up a user and a group, names or numbers; one of them may be NULL: the user that sockd runs
 * as with its groups, or the group of the user. May wait for a directory service.
 * Returns 0 and a new struct in *run_asp; -ENOENT: there is no such user; -ESRCH: there is no such
 * group; -EINVAL: the user is a number without an entry, so that a group has to be given; -E2BIG:
 * there are too many supplementary groups; or another negative errno of the lookup. */
int run_as_find(struct run_as **run_asp, const char *user, const char *group);

/* Room for what run_as_check() says. */
#define RUN_AS_REASON_MAX 512

/* Whether programs can be run so. Returns 0, or -EPERM and in reason what sockd lacks, and how the
 * service manager gives it, as it may stand after "expected". Any thread. */
int run_as_check(const struct run_as *run_as, char reason[RUN_AS_REASON_MAX]);

/* Frees it. NULL is allowed. Returns NULL. */
struct run_as *run_as_free(struct run_as *run_as);
