/* The daemon's end of the spawner. See spawner.h. */
#include "daemon/spawner.h"

#include "daemon/spawner_parts.h"
#include "daemon/spawner_wire.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Room for some large records, and for many small ones. */
#define QUEUE_BYTES (4 * SPAWNER_RECORD_MAX)

/* Makes the two ends of a connection, the daemon's first. */
static int make_ends(int ends[2]) {
        int size = QUEUE_BYTES;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        /* The system may allow less, which is enough all the same. */
        (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        return 0;
}

static bool has_children(void) {
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Whoever executed this program may have had children, which are ours then, and whose orphans could
 * not be told from those of programs: they are let alone. Returns whether there are none. */
static bool become_heir(void) {
        return !has_children() && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

int spawner_start(struct spawner *spawner, char **arguments) {
        sigset_t all, before;
        int ends[2], r;

        *spawner = (struct spawner){.fd = -1};
        r = make_ends(ends);
        if (r < 0)
                return r;
        spawner->has_heir = become_heir();
        /* There is no moment at which a signal would reach it. */
        sigfillset(&all);
        (void)sigprocmask(SIG_SETMASK, &all, &before);
        spawner->pid = fork();
        if (spawner->pid == 0)
                spawner_process_run(ends[1], arguments);
        r = spawner->pid < 0 ? -errno : 0;
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        (void)close(ends[1]);
        if (r < 0) {
                spawner->pid = 0;
                (void)close(ends[0]);
                return r;
        }
        spawner->fd = ends[0];
        return 0;
}

/* Sends a record on a socket, of which any thread may do so: records do not mix. fd: goes with it;
 * -1: none. */
static int send_record(int socket, const char *record, size_t length, int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {.space = {0}};
        struct iovec part = {.iov_base = (char *)record, .iov_len = length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        if (fd >= 0) {
                control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)),
                                                  .cmsg_level = SOL_SOCKET,
                                                  .cmsg_type = SCM_RIGHTS};
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
                message.msg_control = control.space;
                message.msg_controllen = sizeof(control.space);
        }
        if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return errno == ECONNRESET ? -EPIPE : -errno;
        return 0;
}

int spawner_limit(const struct spawner *spawner, unsigned max_running, unsigned max_starts) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        size_t length = spawner_wire_limit(record, max_running, max_starts);

        return spawner->fd < 0 ? -EPIPE : send_record(spawner->fd, record, length, -1);
}

int spawner_open_channel(const struct spawner *spawner) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        int ends[2], r;

        if (spawner->fd < 0)
                return -EPIPE;
        r = make_ends(ends);
        if (r < 0)
                return r;
        r = send_record(spawner->fd, record, spawner_wire_channel(record), ends[1]);
        (void)close(ends[1]);
        if (r < 0)
                (void)close(ends[0]);
        return r < 0 ? r : ends[0];
}

int spawner_collect(struct spawner *spawner) {
        int status = -1;
        pid_t r;

        if (spawner->pid == 0)
                return -1;
        do {
                r = waitpid(spawner->pid, &status, 0);
        } while (r < 0 && errno == EINTR);
        spawner->pid = 0;
        return r < 0 ? -1 : status;
}

/* Those of one of our threads: which one adopts is the kernel's affair. */
static void kill_children_of(const char *thread) {
        char path[64];
        FILE *file;
        int pid;

        snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", thread);
        file = fopen(path, "re");
        while (file && fscanf(file, "%d", &pid) == 1)
                (void)kill(pid, SIGKILL);
        if (file)
                (void)fclose(file);
}

static void kill_children(void) {
        DIR *directory = opendir("/proc/self/task");
        struct dirent *entry;

        while (directory && (entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        kill_children_of(entry->d_name);
        if (directory)
                (void)closedir(directory);
}

bool spawner_kill_left(const struct spawner *spawner) {
        pid_t pid;

        if (!spawner->has_heir || spawner_is_running(spawner))
                return false;
        kill_children();
        do {
                pid = waitpid(-1, NULL, WNOHANG);
        } while (pid > 0);
        return pid == 0;
}

void spawner_stop(struct spawner *spawner) {
        if (spawner->fd >= 0)
                (void)close(spawner->fd);
        spawner->fd = -1;
        (void)spawner_collect(spawner);
}
