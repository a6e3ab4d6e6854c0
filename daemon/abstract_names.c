/* Abstract names and their users. See abstract_names.h. */
#include "daemon/abstract_names.h"

#include "daemon/sock_diag.h"
#include "lib/hash.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <uv.h>

/* The part of the time that asking may take; and how much of it may be taken at once. */
#define ASK_PART     20
#define ASK_BURST_NS UINT64_C(20000000)
/* How long an answer is believed. */
#define FRESH_NS UINT64_C(1000000000)

struct abstract_names {
        uint32_t inode;    /* of our own socket */
        uint64_t asked_ns; /* when it was told */
        uint64_t due_ns;   /* when what was asked so far would have been in order */
        bool is_ours;      /* the kernel has told of our own socket */
        size_t n_keys, capacity;
        uint64_t *keys; /* owned; of users with their names, in order */
};

struct abstract_names *abstract_names_new(int fd) {
        struct abstract_names *names = calloc(1, sizeof(*names));
        struct stat status;

        if (!names)
                return NULL;
        if (fstat(fd, &status) == 0)
                names->inode = (uint32_t)status.st_ino;
        return names;
}

void abstract_names_free(struct abstract_names *names) {
        if (names)
                free(names->keys);
        free(names);
}

/* --- the table ------------------------------------------------------------------------------ */

static uint64_t key_of(struct bytes name, uid_t uid) {
        return hash_bytes(name, uid);
}

static int compare_keys(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

static int grow(struct abstract_names *names) {
        size_t capacity = names->capacity ? names->capacity * 2 : 256;
        uint64_t *keys;

        if (names->n_keys < names->capacity)
                return 0;
        keys = realloc(names->keys, capacity * sizeof(*keys));
        if (!keys)
                return -ENOMEM;
        names->keys = keys;
        names->capacity = capacity;
        return 0;
}

static void note_socket(void *context, const struct sock_diag_unix *socket) {
        struct abstract_names *names = context;

        names->is_ours |= socket->inode == names->inode;
        if (socket->name.data[0] != '\0' || socket->uid == (uid_t)-1)
                return;
        /* Without memory some are missing: they are asked for again. */
        if (grow(names) == 0)
                names->keys[names->n_keys++] = key_of(socket->name, socket->uid);
}

static bool is_told(const struct abstract_names *names, uint64_t key) {
        return names->n_keys > 0 && uv_hrtime() - names->asked_ns < FRESH_NS &&
               bsearch(&key, names->keys, names->n_keys, sizeof(key), compare_keys);
}

/* --- asking --------------------------------------------------------------------------------- */

/* That is the case after a start by the service manager, in a network namespace that is ours alone.
 */
static void complain(int error) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 600000};

        log_limited(&limit, LOG_LEVEL_WARNING,
                    "the kernel does not tell whose abstract names are%s%s; peers of unix+dgram "
                    "that have one are not answered, but where the listener has one as well",
                    error ? ": " : ", as the listener is of another network namespace",
                    error ? strerror(error) : "");
}

/* What this thread has worked: that others were on its processor meanwhile is nobody's fault. */
static uint64_t worked_ns(void) {
        struct timespec worked;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &worked);
        return (uint64_t)worked.tv_sec * 1000000000u + (uint64_t)worked.tv_nsec;
}

/* Returns 0, or -EAGAIN if it cannot be asked now. */
static int ask(struct abstract_names *names) {
        uint64_t begin_ns = uv_hrtime(), before_ns;
        int r;

        if (names->due_ns > begin_ns + ASK_BURST_NS * ASK_PART)
                return -EAGAIN;
        names->n_keys = 0;
        names->is_ours = false;
        before_ns = worked_ns();
        r = sock_diag_unix_datagrams(note_socket, names);
        if (r < 0 || !names->is_ours)
                names->n_keys = 0;
        if (names->n_keys > 0)
                qsort(names->keys, names->n_keys, sizeof(*names->keys), compare_keys);
        names->asked_ns = uv_hrtime();
        if (names->due_ns < begin_ns)
                names->due_ns = begin_ns;
        names->due_ns += (worked_ns() - before_ns) * ASK_PART;
        if (r < 0 || !names->is_ours)
                complain(-r);
        return 0;
}

int abstract_names_check(struct abstract_names *names, struct bytes name, uid_t uid) {
        uint64_t key = key_of(name, uid);
        int r = is_told(names, key) ? 0 : ask(names);

        if (r < 0)
                return r;
        return is_told(names, key) ? 0 : ABSTRACT_NAMES_FOREIGN;
}
