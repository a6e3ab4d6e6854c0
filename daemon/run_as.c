/* Users of programs. See run_as.h.
 *
 * To run a program as somebody else takes three capabilities: two to become him, one to end what
 * has become his. A service manager may have forbidden the system calls all the same, which can
 * only be found out by a call; and what it does to who makes one may be to end the process. So
 * where there is such a filter, a child tries.
 */
#include "daemon/run_as.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOKUP_BUFFER_MAX (1u << 20) /* for getpwnam_r(3) */

/* --- what this process may do ----------------------------------------------------------------- */

#define CAPABILITY(number) (UINT64_C(1) << (number))

static const struct {
        uint64_t bit;
        const char *name;
} needed[] = {
        {CAPABILITY(CAP_SETUID), "CAP_SETUID"},
        {CAPABILITY(CAP_SETGID), "CAP_SETGID"},
        {CAPABILITY(CAP_KILL), "CAP_KILL"},
};
#define N_NEEDED (sizeof(needed) / sizeof(needed[0]))

/* Written before there is any thread. */
static struct {
        uint64_t capabilities; /* in force */
        bool is_filtered;      /* the system calls are forbidden */
} rights;

struct capabilities {
        struct __user_cap_header_struct header;
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
};

static bool get_capabilities(struct capabilities *capabilities) {
        capabilities->header =
                (struct __user_cap_header_struct){.version = _LINUX_CAPABILITY_VERSION_3};
        return syscall(SYS_capget, &capabilities->header, capabilities->data) == 0;
}

static uint64_t read_capabilities(void) {
        struct capabilities own;

        return get_capabilities(&own)
                       ? (uint64_t)own.data[1].effective << 32 | own.data[0].effective
                       : 0;
}

/* Makes the calls, without any effect. Returns whether they are allowed. */
static bool try_calls(void) {
        struct capabilities own;
        gid_t *groups;
        int n = getgroups(0, NULL);
        bool is_allowed = false;

        groups = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(*groups));
        if (groups && getgroups(n, groups) == n)
                is_allowed = setgroups((size_t)n, groups) == 0 &&
                             setresgid((gid_t)-1, (gid_t)-1, (gid_t)-1) == 0 &&
                             setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1) == 0 &&
                             get_capabilities(&own) &&
                             syscall(SYS_capset, &own.header, own.data) == 0;
        free(groups);
        return is_allowed;
}

static bool try_calls_in_child(void) {
        pid_t pid = fork();
        int status;

        if (pid == 0)
                _exit(try_calls() ? 0 : 1);
        return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool has_all(uint64_t capabilities) {
        for (size_t i = 0; i < N_NEEDED; i++)
                if (!(capabilities & needed[i].bit))
                        return false;
        return true;
}

void run_as_init(void) {
        rights.capabilities = read_capabilities();
        rights.is_filtered = has_all(rights.capabilities) &&
                             prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER && !try_calls_in_child();
}

/* The names of those capabilities that are missing. */
static void list_missing(char *text, size_t size) {
        *text = '\0';
        for (size_t i = 0; i < N_NEEDED; i++)
                if (!(rights.capabilities & needed[i].bit))
                        snprintf(text + strlen(text), size - strlen(text), "%s%s",
                                 *text ? ", " : "", needed[i].name);
}

int run_as_check(const struct run_as *run_as, char reason[RUN_AS_REASON_MAX]) {
        char missing[64];

        if (run_as->is_own || (has_all(rights.capabilities) && !rights.is_filtered))
                return 0;
        list_missing(missing, sizeof(missing));
        snprintf(reason, RUN_AS_REASON_MAX,
                 "the user that sockd runs as, or the right to run programs as others: %s%s; under "
                 "systemd, a drop-in gives it with AmbientCapabilities= and CapabilityBoundingSet= "
                 "CAP_SETUID CAP_SETGID CAP_KILL and with SystemCallFilter=@setuid capset",
                 *missing ? "sockd lacks " : "the system calls for it are filtered", missing);
        return -EPERM;
}

/* --- looking up ------------------------------------------------------------------------------- */

/* Reads an id that is written as a number. */
static bool parse_id(const char *text, uint32_t *idp) {
        size_t length = strspn(text, "0123456789");
        unsigned long long id = strtoull(text, NULL, 10);

        *idp = (uint32_t)id;
        return length > 0 && length <= 10 && text[length] == '\0' && id < UINT32_MAX;
}

/* A lookup with a buffer of that size. Returns 0, whether or not something was found, ERANGE: the
 * buffer is too small; or another errno. */
typedef int look_up_fn(const char *key, char *buffer, size_t size, void *result);

/* Repeats a lookup until its buffer is large enough. Returns 0 or -errno. */
static int look_up(look_up_fn *once, const char *key, void *result) {
        int r = ERANGE;

        for (size_t size = 1024; r == ERANGE && size <= LOOKUP_BUFFER_MAX; size *= 4) {
                char *buffer = malloc(size);

                if (!buffer)
                        return -ENOMEM;
                r = once(key, buffer, size, result);
                free(buffer);
        }
        /* As the manual allows for what is not there. */
        return r == ENOENT || r == ESRCH || r == EBADF || r == EPERM ? 0 : -r;
}

static int copy_user(struct run_as *run_as, const struct passwd *entry) {
        run_as->uid = entry->pw_uid;
        run_as->gid = entry->pw_gid;
        run_as->login = strdup(entry->pw_name);
        run_as->home = strdup(entry->pw_dir);
        run_as->shell = strdup(*entry->pw_shell ? entry->pw_shell : "/bin/sh");
        return run_as->login && run_as->home && run_as->shell ? 0 : ENOMEM;
}

static int look_up_user(const char *key, char *buffer, size_t size, void *result) {
        struct passwd entry, *found = NULL;
        uint32_t uid;
        int r = parse_id(key, &uid) ? getpwuid_r(uid, &entry, buffer, size, &found)
                                    : getpwnam_r(key, &entry, buffer, size, &found);

        return found ? copy_user(result, found) : r;
}

struct group_found {
        bool is_found;
        gid_t gid;
};

static int look_up_group(const char *key, char *buffer, size_t size, void *result) {
        struct group_found *group = result;
        struct group entry, *found = NULL;
        int r = getgrnam_r(key, &entry, buffer, size, &found);

        group->is_found = found != NULL;
        if (found)
                group->gid = found->gr_gid;
        return found ? 0 : r;
}

static int find_user(struct run_as *run_as, const char *user, bool has_group) {
        int r = look_up(look_up_user, user, run_as);

        run_as->name = strdup(user);
        if (r == 0 && !run_as->name)
                r = -ENOMEM;
        if (r < 0 || run_as->login)
                return r;
        if (!parse_id(user, &run_as->uid))
                return -ENOENT;
        return has_group ? 0 : -EINVAL;
}

static int find_group(struct run_as *run_as, const char *group) {
        struct group_found found = {.is_found = false};
        int r;

        if (parse_id(group, &found.gid)) {
                run_as->gid = found.gid;
                return 0;
        }
        r = look_up(look_up_group, group, &found);
        if (r == 0 && !found.is_found)
                r = -ESRCH;
        if (r == 0)
                run_as->gid = found.gid;
        return r;
}

/* Those of the user's entries, or of this process if it is its own. */
static int find_groups(struct run_as *run_as, bool is_own) {
        int n = RUN_AS_GROUPS_MAX;

        if (!is_own && !run_as->login)
                return 0;
        run_as->groups = calloc(RUN_AS_GROUPS_MAX, sizeof(*run_as->groups));
        if (!run_as->groups)
                return -ENOMEM;
        if (is_own)
                n = getgroups(n, run_as->groups);
        else if (getgrouplist(run_as->login, run_as->gid, run_as->groups, &n) < 0)
                return -E2BIG;
        if (n < 0)
                return errno == EINVAL ? -E2BIG : -errno;
        run_as->n_groups = (size_t)n;
        return 0;
}

static bool is_among(gid_t gid, const gid_t *groups, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (groups[i] == gid)
                        return true;
        return false;
}

/* Whether this process has the user and the group, all of the groups, and no other one. */
static bool is_own(const struct run_as *run_as) {
        gid_t groups[RUN_AS_GROUPS_MAX];
        int n = getgroups(RUN_AS_GROUPS_MAX, groups);

        if (n < 0 || run_as->uid != geteuid() || run_as->gid != getegid())
                return false;
        for (size_t i = 0; i < run_as->n_groups; i++)
                if (run_as->groups[i] != run_as->gid &&
                    !is_among(run_as->groups[i], groups, (size_t)n))
                        return false;
        for (int i = 0; i < n; i++)
                if (groups[i] != run_as->gid &&
                    !is_among(groups[i], run_as->groups, run_as->n_groups))
                        return false;
        return true;
}

static int find(struct run_as *run_as, const char *user, const char *group) {
        int r = 0;

        run_as->uid = geteuid();
        run_as->gid = getegid();
        if (user)
                r = find_user(run_as, user, group != NULL);
        if (r == 0 && group)
                r = find_group(run_as, group);
        if (r == 0)
                r = find_groups(run_as, !user);
        run_as->is_own = r == 0 && is_own(run_as);
        return r;
}

int run_as_find(struct run_as **run_asp, const char *user, const char *group) {
        struct run_as *run_as = calloc(1, sizeof(*run_as));
        int r = run_as ? find(run_as, user, group) : -ENOMEM;

        if (r < 0)
                run_as = run_as_free(run_as);
        *run_asp = run_as;
        return r;
}

struct run_as *run_as_free(struct run_as *run_as) {
        if (!run_as)
                return NULL;
        free(run_as->name);
        free(run_as->login);
        free(run_as->home);
        free(run_as->shell);
        free(run_as->groups);
        free(run_as);
        return NULL;
}
