/* What the kernel knows of the process at the other end of a socket: which program it runs, and
 * which systemd unit it belongs to.
 *
 * It is asked for once, and costs some system calls. The program is what the process runs at that
 * time: whoever may execute a program can have it show here, with what he likes in its place. A
 * unit is what the system's manager has put the process into, and stays.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Texts are owned; NULL: not known. */
struct peer_facts {
        char *exe;         /* as the kernel shows it; it ends in " (deleted)" where that is so */
        int exe_error;     /* why it is not known, an errno */
        uint64_t exe_file; /* the number of its inode, on that device */
        dev_t exe_device;
        char *slice, *unit, *user_unit; /* as cgroup.h says */
};

/* Of the process that connected a Unix socket, by a descriptor of it, as long as it lives. pid and
 * uid: what SO_PEERCRED says. Returns facts that may be empty, or NULL if there is no memory. */
struct peer_facts *peer_facts_of_socket(int fd, pid_t pid, uid_t uid);

/* The same where the kernel gives no descriptor for a socket (before Linux 6.5): of the process
 * that has the pid now. It might be a later one than that which connected, so it has to be the
 * user's. */
struct peer_facts *peer_facts_of_pid(pid_t pid, uid_t uid);

/* Of who is in the control group with that id, as far as it is a unit's or a slice's own. Returns
 * as above. */
struct peer_facts *peer_facts_of_cgroup(uint64_t id);

/* Frees them. NULL is allowed. Returns NULL. */
struct peer_facts *peer_facts_free(struct peer_facts *facts);

/* Whether the program is the file that has this path now, and here. The text of exe does not say
 * that: a process can have file systems of its own, in which others have the same path. */
bool peer_facts_runs(const struct peer_facts *facts, const char *path);
