/* Files that a configuration or an option names: found, opened and read, without ever waiting. What
 * goes wrong comes with a clause that says why (reason.h), which does not name the path. Any
 * thread.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Finds out where a file is: a path that does not begin with "/" is that of a credential, below
 * $CREDENTIALS_DIRECTORY (systemd.exec(5)). Returns 0 or a negative errno with *reasonp set. */
int file_locate(char place[PATH_MAX], const char *path, char **reasonp);

/* Opens a regular file. Returns a descriptor, which the caller closes, with what fstat(2) says of
 * it; or a negative errno with *reasonp set. */
int file_open(const char *path, struct stat *status, char **reasonp);

/* Reads as many bytes as there are, at most n_max. Returns how many, or a negative errno. */
ssize_t file_read(int fd, char *bytes, size_t n_max);
