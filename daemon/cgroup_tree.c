/* Control groups by number. See cgroup_tree.h. */
#include "daemon/cgroup_tree.h"

#include "daemon/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Slices within slices. */
#define DEPTH_MAX 16

/* Where it looks, and for what. */
struct search {
        uint64_t id;
        char *path; /* of the present directory, without a slash at its end */
        size_t length;
        unsigned depth;
};

/* Opens the root of the hierarchy of version 2, which is in another place beside version 1. Returns
 * a descriptor or -errno. */
static int open_root(void) {
        static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
                int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                struct statfs fs;

                if (fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                        return fd;
                if (fd >= 0)
                        (void)close(fd);
        }
        return -ENOENT;
}

static int find_in(int fd, struct search *search);

/* Looks at a directory's entry. Returns 0 if that is it, or something in it; else -ENOENT. */
static int look_at(int parent, const struct dirent *entry, struct search *search) {
        struct bytes name = bytes_from_string(entry->d_name);
        size_t length = search->length;
        int fd, r = -ENOENT;

        if (entry->d_type != DT_DIR || length + name.length + 2 > CGROUP_PATH_SIZE)
                return -ENOENT;
        search->length += (size_t)snprintf(search->path + length, CGROUP_PATH_SIZE - length, "/%s",
                                           entry->d_name);
        /* Of a control group the number of its inode is the id. */
        if (entry->d_ino == search->id)
                return 0;
        if (cgroup_is_slice(cgroup_unescape(name)) && search->depth < DEPTH_MAX) {
                fd = openat(parent, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                search->depth++;
                r = fd < 0 ? -errno : find_in(fd, search);
                search->depth--;
        }
        if (r < 0)
                search->length = length;
        return r;
}

/* Looks into a directory, and closes it. Returns 0 or -errno; what cannot be opened is passed
 * over. */
static int find_in(int fd, struct search *search) {
        DIR *directory = fdopendir(fd);
        const struct dirent *entry;
        int r = -ENOENT;

        if (!directory) {
                r = -errno;
                (void)close(fd);
                return r;
        }
        while (r < 0 && (entry = readdir(directory)))
                if (entry->d_name[0] != '.')
                        r = look_at(fd, entry, search);
        (void)closedir(directory);
        return r;
}

int cgroup_tree_find(uint64_t id, char path[CGROUP_PATH_SIZE]) {
        struct search search = {.id = id, .path = path};
        int fd = open_root();

        return fd < 0 ? fd : find_in(fd, &search);
}
