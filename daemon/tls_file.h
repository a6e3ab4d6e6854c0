/* Files of certificates: found, checked and read. Those of keys are secrets (lib/secret.h). */
#pragma once

#include <stddef.h>

struct tls_file {
        char *bytes; /* owned */
        size_t length;
};

/* Reads a file. A path that does not begin with "/" is that of a credential, below
 * $CREDENTIALS_DIRECTORY. Unless it succeeds *reasonp is a text for people, owned by the caller
 * (free(3)). Returns 0 or a negative errno. */
int tls_file_read(struct tls_file *file, const char *path, char **reasonp);

/* Frees what was read; a file of zeroes is an empty one. */
void tls_file_deinit(struct tls_file *file);
