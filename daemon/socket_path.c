/* Paths of Unix sockets. See socket_path.h. */
#include "daemon/socket_path.h"

#include "lib/log.h"
#include "lib/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* How often, and after how many milliseconds each, it is tried to lock a directory. */
#define LOCK_TRIES    100
#define LOCK_PAUSE_MS 10

/* The directory of an absolute path. */
struct directory {
        char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

static struct directory directory_of(const char *path) {
        size_t length = (size_t)(strrchr(path, '/') - path);
        struct directory directory;

        memcpy(directory.path, path, length ? length : 1);
        directory.path[length ? length : 1] = '\0';
        return directory;
}

void socket_path_make_directory(const char *path) {
        static const char name[] = "/sockd/sockd.sock";
        size_t length = strlen(path), n = sizeof(name) - 1;
        struct directory directory = directory_of(path);

        if (length > n && strcmp(path + length - n, name) == 0 && mkdir(directory.path, 0755) == 0)
                log_info("made the directory %s", directory.path);
}

int socket_path_lock(const char *path) {
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000L};
        struct directory directory = directory_of(path);
        int fd = open(directory.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        for (int i = 0; fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
                if (errno != EWOULDBLOCK || i == LOCK_TRIES) {
                        log_warning("the directory of %s cannot be locked: %s; going on without",
                                    path,
                                    errno == EWOULDBLOCK ? "another process holds the lock"
                                                         : strerror(errno));
                        (void)close(fd);
                        return -1;
                }
                (void)nanosleep(&pause, NULL);
        }
        return fd;
}

/* Whether somebody listens at a Unix path: 0 no, 1 yes, or a negative errno. */
static int path_is_alive(const struct address_socket *socket_address) {
        int fd = socket(AF_UNIX, socket_address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        int r;

        if (fd < 0)
                return -errno;
        r = connect(fd, &socket_address->socket.any, socket_address->length) < 0 ? -errno : 0;
        (void)close(fd);
        if (r == -ECONNREFUSED)
                return 0;
        /* A full backlog, or a socket of another type: alive as well. */
        if (r == 0 || r == -EAGAIN || r == -EPROTOTYPE)
                return 1;
        return r;
}

/* Whether somebody listens, whatever the mode. A daemon that was killed between bind(2) and
 * chmod(2) left a socket of mode 0, to which even the same user cannot connect to find out. */
static int path_try(const char *path, const struct stat *now, const struct address_socket *socket) {
        mode_t mode = now->st_mode & 07777;
        int alive = path_is_alive(socket);

        if (alive != -EACCES || now->st_uid != geteuid() || (mode & S_IWUSR) ||
            fchmodat(AT_FDCWD, path, mode | S_IWUSR, AT_SYMLINK_NOFOLLOW) < 0)
                return alive;
        alive = path_is_alive(socket);
        if (alive != 0 && fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) < 0)
                log_warning("cannot give %s its mode %04o again: %s", path, (unsigned)mode,
                            strerror(errno));
        return alive;
}

int socket_path_clear(const struct address_socket *socket, char **reasonp) {
        const char *path = socket->socket.un.sun_path;
        struct stat before, now;
        int alive;

        if (lstat(path, &before) < 0)
                return errno == ENOENT
                               ? 0
                               : reason_set(reasonp, -errno, "%s: %s", path, strerror(errno));
        if (!S_ISSOCK(before.st_mode))
                return reason_set(reasonp, -EEXIST,
                                  "%s exists and is not a socket; it is left alone", path);
        alive = path_try(path, &before, socket);
        if (alive > 0)
                return reason_set(reasonp, -EADDRINUSE, "another process is listening at %s", path);
        if (alive < 0)
                return reason_set(reasonp, alive, "%s exists and cannot be tried: %s", path,
                                  strerror(-alive));
        if (lstat(path, &now) < 0 || now.st_ino != before.st_ino || now.st_dev != before.st_dev)
                return reason_set(reasonp, -EADDRINUSE, "%s is being replaced by another process",
                                  path);
        if (unlink(path) < 0)
                return reason_set(reasonp, -errno, "cannot remove the stale socket %s: %s", path,
                                  strerror(errno));
        log_info("removed the stale socket %s", path);
        return 0;
}
