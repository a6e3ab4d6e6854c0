/* Files by name. See file.h. */
#include "lib/file.h"

#include "lib/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int file_locate(char place[PATH_MAX], const char *path, char **reasonp) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        int n;

        if (*path != '/' && (!directory || *directory != '/'))
                return reason_set(reasonp, -ENOENT,
                                  "a path that does not begin with \"/\" is that of a credential, "
                                  "and $CREDENTIALS_DIRECTORY is not set");
        if (*path == '/')
                n = snprintf(place, PATH_MAX, "%s", path);
        else
                n = snprintf(place, PATH_MAX, "%s/%s", directory, path);
        if (n < 0 || n >= PATH_MAX)
                return reason_set(reasonp, -ENAMETOOLONG, "%s", strerror(ENAMETOOLONG));
        return 0;
}

static int check(int fd, struct stat *status, char **reasonp) {
        if (fstat(fd, status) < 0)
                return reason_set(reasonp, -errno, "%s", strerror(errno));
        if (!S_ISREG(status->st_mode))
                return reason_set(reasonp, -EINVAL, "it is not a regular file");
        return 0;
}

int file_open(const char *path, struct stat *status, char **reasonp) {
        /* What is no file, such as a pipe that nobody writes to, must not hold us up. */
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        int r;

        if (fd < 0)
                return reason_set(reasonp, -errno, "%s", strerror(errno));
        r = check(fd, status, reasonp);
        if (r == 0)
                return fd;
        (void)close(fd);
        return r;
}

ssize_t file_read(int fd, char *bytes, size_t n_max) {
        size_t length = 0;
        ssize_t n;

        do {
                n = read(fd, bytes + length, n_max - length);
                if (n < 0 && errno != EINTR)
                        return -errno;
                length += n > 0 ? (size_t)n : 0;
        } while (n != 0 && length < n_max);
        return (ssize_t)length;
}
