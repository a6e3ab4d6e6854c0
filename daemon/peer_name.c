/* Names of Unix datagram peers. See peer_name.h. */
#include "daemon/peer_name.h"

#include "daemon/abstract_names.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct bytes peer_name_bytes(const struct sockaddr_un *peer, socklen_t length) {
        const size_t offset = offsetof(struct sockaddr_un, sun_path);
        struct bytes name = {peer->sun_path, length > offset ? length - offset : 0};

        if (name.length > 0 && name.data[0] != '\0')
                name.length = strnlen(name.data, name.length);
        return name;
}

/* The socket itself: what its path leads to can be exchanged at any time. */
static int open_path(const char *path, uid_t uid, int *fdp) {
        struct stat status;
        int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno
                                                                             : PEER_NAME_FOREIGN;
        if (fstat(fd, &status) < 0 || !S_ISSOCK(status.st_mode) || status.st_uid != uid) {
                (void)close(fd);
                return PEER_NAME_FOREIGN;
        }
        *fdp = fd;
        return 0;
}

int peer_name_open(const struct sockaddr_un *peer, socklen_t length, uid_t uid,
                   struct abstract_names *names, int *fdp) {
        struct bytes name = peer_name_bytes(peer, length);
        const size_t end = offsetof(struct sockaddr_un, sun_path) + name.length;
        int r;

        *fdp = -1;
        if (peer_name_is_abstract(name)) {
                r = names ? abstract_names_check(names, name, uid) : 0;
                return r == ABSTRACT_NAMES_FOREIGN ? PEER_NAME_FOREIGN : r;
        }
        /* The kernel allows a path that fills the field, with its end behind. */
        if (name.length == 0 || name.data[0] != '/' || end >= length || length > sizeof(*peer))
                return PEER_NAME_FOREIGN;
        return open_path(name.data, uid, fdp);
}

socklen_t peer_name_address(struct sockaddr_un *address, int fd) {
        int n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d", fd);

        address->sun_family = AF_UNIX;
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
}

static bool is_trusted(uid_t uid) {
        return uid == 0 || uid == geteuid();
}

/* Whether only trusted users can exchange what is in a directory, which is theirs then. */
static bool is_firm_directory(const char *path) {
        struct stat status;

        return lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && is_trusted(status.st_uid) &&
               ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0 || (status.st_mode & S_ISVTX));
}

bool peer_name_is_firm(struct bytes path, uid_t uid) {
        char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];

        if (!is_trusted(uid) || path.length >= sizeof(directory) || path.data[0] != '/' ||
            !is_firm_directory("/"))
                return false;
        /* From the root on, so that nobody can exchange what has been looked at. */
        for (size_t i = 1; i < path.length; i++) {
                if (path.data[i] != '/')
                        continue;
                *bytes_copy(directory, (struct bytes){path.data, i}) = '\0';
                if (!is_firm_directory(directory))
                        return false;
        }
        return true;
}

bool peer_name_is_same(int a, int b) {
        struct stat x, y;

        return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
               x.st_ino == y.st_ino;
}
