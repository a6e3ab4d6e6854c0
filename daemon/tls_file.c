/* Files of certificates. See tls_file.h. */
#include "daemon/tls_file.h"

#include "lib/file.h"
#include "lib/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A list of all authorities of the web has a quarter of this. */
#define FILE_MAX (1024 * 1024)

/* Reads as much as it has, which may have become less. */
static int read_all(struct tls_file *file, int fd, size_t size, char **reasonp) {
        ssize_t n;

        file->bytes = malloc(size + 1);
        if (!file->bytes)
                return reason_set(reasonp, -ENOMEM, "no memory");
        n = file_read(fd, file->bytes, size);
        if (n < 0)
                return reason_set(reasonp, (int)n, "%s", strerror((int)-n));
        file->length = (size_t)n;
        return 0;
}

int tls_file_read(struct tls_file *file, const char *path, char **reasonp) {
        char place[PATH_MAX];
        struct stat status;
        int fd, r;

        *file = (struct tls_file){.bytes = NULL};
        r = file_locate(place, path, reasonp);
        if (r < 0)
                return r;
        fd = file_open(place, &status, reasonp);
        if (fd < 0)
                return fd;
        if (status.st_size > FILE_MAX)
                r = reason_set(reasonp, -EFBIG, "it is larger than 1M");
        else
                r = read_all(file, fd, (size_t)status.st_size, reasonp);
        (void)close(fd);
        if (r < 0)
                tls_file_deinit(file);
        return r;
}

void tls_file_deinit(struct tls_file *file) {
        free(file->bytes);
        *file = (struct tls_file){.bytes = NULL};
}
