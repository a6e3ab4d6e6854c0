/* The process at the other end. See peer_facts.h.
 *
 * A pid may be that of another process by the time that something is read about it. So the
 * directory of the pid in /proc is opened first, which from then on is of the process that had the
 * pid at that moment, and of no other; then a descriptor of the process, which was taken before,
 * says that it still lives. It had its pid all the time then, and the directory is its own.
 */
#include "daemon/peer_facts.h"

#include "daemon/cgroup.h"
#include "daemon/cgroup_tree.h"
#include "lib/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Since Linux 6.5; the number is another one on these. */
#if !defined(SO_PEERPIDFD) && !defined(__sparc__) && !defined(__hppa__)
#define SO_PEERPIDFD 77
#endif

/* A file in /proc that is longer is not read: it has a line for each of some ten hierarchies. */
#define CGROUP_FILE_MAX 16384

static int close_if_open(int fd) {
        if (fd >= 0)
                (void)close(fd);
        return -1;
}

/* --- which process ---------------------------------------------------------------------------- */

/* A descriptor of the process that connected a socket, or -errno: -ENOPROTOOPT if this kernel has
 * none. */
static int open_peer(int fd) {
        int r = -ENOPROTOOPT;
#ifdef SO_PEERPIDFD
        int process = -1;
        socklen_t size = sizeof(process);

        r = getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &process, &size) < 0 ? -errno : process;
#endif
        return r;
}

static int open_pid(pid_t pid) {
        long fd = syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -errno : (int)fd;
}

static bool is_alive(int process) {
        struct pollfd pollfd = {.fd = process, .events = POLLIN};

        return process >= 0 && poll(&pollfd, 1, 0) == 0;
}

/* Opens the process's directory. Returns a descriptor or -errno. */
static int open_directory(int process, pid_t pid) {
        char path[32];
        int directory;

        snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
        directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        if (is_alive(process))
                return directory;
        close_if_open(directory);
        return -ESRCH;
}

/* Whether the process is a user's, as its files are; those of one that shall not be looked into are
 * root's. */
static bool is_of_user(int directory, uid_t uid) {
        struct stat stat;

        return fstat(directory, &stat) == 0 && stat.st_uid == uid;
}

/* --- what it is ------------------------------------------------------------------------------- */

static void read_exe(int directory, struct peer_facts *facts) {
        char path[PATH_MAX + 1];
        ssize_t n = readlinkat(directory, "exe", path, sizeof(path) - 1);
        struct statx file;

        if (n < 0) {
                facts->exe_error = errno;
                return;
        }
        path[n] = '\0';
        facts->exe = strdup(path);
        /* Nothing is asked of the file system, which may be one that a user made to keep us. */
        if (statx(directory, "exe", AT_STATX_DONT_SYNC, STATX_INO, &file) < 0)
                return;
        facts->exe_file = file.stx_ino;
        facts->exe_device = makedev(file.stx_dev_major, file.stx_dev_minor);
}

static char *copy_bytes(struct bytes bytes) {
        return bytes.length > 0 ? bytes_duplicate(bytes) : NULL;
}

static void note_cgroup(struct peer_facts *facts, struct bytes path) {
        struct cgroup_unit found = cgroup_unit_of(path);

        facts->slice = copy_bytes(found.slice);
        facts->unit = copy_bytes(found.unit);
        facts->user_unit = copy_bytes(found.user_unit);
}

/* Reads a file from its beginning. Returns its length, size if it is longer, or -errno. */
static ssize_t read_whole(int fd, char *text, size_t size) {
        size_t length = 0;
        ssize_t n = 1;

        while (n > 0 && length < size) {
                n = read(fd, text + length, size - length);
                if (n < 0)
                        return -errno;
                length += (size_t)n;
        }
        return (ssize_t)length;
}

static void read_cgroup(int directory, struct peer_facts *facts) {
        int fd = openat(directory, "cgroup", O_RDONLY | O_CLOEXEC);
        char text[CGROUP_FILE_MAX];
        ssize_t length = fd < 0 ? -errno : read_whole(fd, text, sizeof(text));

        close_if_open(fd);
        if (length > 0 && (size_t)length < sizeof(text))
                note_cgroup(facts, cgroup_path((struct bytes){text, (size_t)length}));
}

/* Reads what there is about a process, by a descriptor of it, which is closed. */
static struct peer_facts *facts_of(int process, pid_t pid, const uid_t *user) {
        struct peer_facts *facts = calloc(1, sizeof(*facts));
        int directory = process < 0 ? process : open_directory(process, pid);

        close_if_open(process);
        if (facts && directory >= 0 && (!user || is_of_user(directory, *user))) {
                read_exe(directory, facts);
                read_cgroup(directory, facts);
        }
        close_if_open(directory);
        return facts;
}

struct peer_facts *peer_facts_of_pid(pid_t pid, uid_t uid) {
        return facts_of(pid > 0 ? open_pid(pid) : -ESRCH, pid, &uid);
}

struct peer_facts *peer_facts_of_socket(int fd, pid_t pid, uid_t uid) {
        int process = pid > 0 ? open_peer(fd) : -ESRCH; /* 0: not in this pid namespace */

        return process == -ENOPROTOOPT ? peer_facts_of_pid(pid, uid) : facts_of(process, pid, NULL);
}

struct peer_facts *peer_facts_of_cgroup(uint64_t id) {
        struct peer_facts *facts = calloc(1, sizeof(*facts));
        char path[CGROUP_PATH_SIZE];

        if (facts && id > 0 && cgroup_tree_find(id, path) == 0)
                note_cgroup(facts, bytes_from_string(path));
        return facts;
}

struct peer_facts *peer_facts_free(struct peer_facts *facts) {
        if (!facts)
                return NULL;
        free(facts->exe);
        free(facts->slice);
        free(facts->unit);
        free(facts->user_unit);
        free(facts);
        return NULL;
}

bool peer_facts_runs(const struct peer_facts *facts, const char *path) {
        struct statx file;

        return facts->exe_file != 0 &&
               statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO, &file) == 0 &&
               file.stx_ino == facts->exe_file &&
               makedev(file.stx_dev_major, file.stx_dev_minor) == facts->exe_device;
}
