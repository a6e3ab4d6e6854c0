/* Files of certificates and keys. See tls_file.h. */
#include "daemon/tls_file.h"

#include "lib/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list of all authorities of the web has a quarter of this. */
#define FILE_MAX (1024 * 1024)

/* Where the file is. */
static int find(char place[PATH_MAX], const char *path, char **reasonp) {
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

static int check(int fd, size_t *lengthp, char **reasonp) {
        struct stat status;

        if (fstat(fd, &status) < 0)
                return reason_set(reasonp, -errno, "%s", strerror(errno));
        if (!S_ISREG(status.st_mode))
                return reason_set(reasonp, -EINVAL, "it is not a regular file");
        if (status.st_size > FILE_MAX)
                return reason_set(reasonp, -EFBIG, "it is larger than 1M");
        *lengthp = (size_t)status.st_size;
        return 0;
}

/* Reads as much as it has, which may have become less. */
static int read_all(struct tls_file *file, int fd, size_t size, char **reasonp) {
        ssize_t n;

        file->bytes = malloc(size + 1);
        if (!file->bytes)
                return reason_set(reasonp, -ENOMEM, "no memory");
        do {
                n = read(fd, file->bytes + file->length, size - file->length);
                if (n < 0 && errno != EINTR)
                        return reason_set(reasonp, -errno, "%s", strerror(errno));
                file->length += n > 0 ? (size_t)n : 0;
        } while (n != 0 && file->length < size);
        return 0;
}

int tls_file_read(struct tls_file *file, const char *path, char **reasonp) {
        char place[PATH_MAX];
        size_t size = 0;
        int fd, r;

        *file = (struct tls_file){.bytes = NULL};
        r = find(place, path, reasonp);
        if (r < 0)
                return r;
        /* A pipe must not hold us up. */
        fd = open(place, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return reason_set(reasonp, -errno, "%s", strerror(errno));
        r = check(fd, &size, reasonp);
        if (r == 0)
                r = read_all(file, fd, size, reasonp);
        (void)close(fd);
        if (r < 0)
                tls_file_deinit(file);
        return r;
}

void tls_file_deinit(struct tls_file *file) {
        free(file->bytes);
        *file = (struct tls_file){.bytes = NULL};
}
