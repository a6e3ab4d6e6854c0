/* Paths of Unix sockets. See socket_path.h. */
#include "daemon/socket_path.h"

#include "lib/log.h"
#include "lib/reason.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
        alive = path_is_alive(socket);
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
