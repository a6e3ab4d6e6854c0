/* Secrets: a password, a token or a key as text, in memory of its own.
 *
 * That memory is not in core dumps, is not swapped out where the limit on locked memory allows it,
 * and is wiped before it is given back. Any thread; a secret does not change.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <stddef.h>

/* The most that a file may hold. */
#define SECRET_MAX ((size_t)64 * 1024)

struct secret;

/* A copy of the text, which may be empty. Returns 0 or a negative errno (-ENOMEM, -EIO if OpenSSL
 * fails). */
int secret_from_text(struct secret **secretp, struct bytes text);

/* What a file holds, without one newline at its end. A file that others than its owner and group
 * may read, that is not a regular file, empty, larger than SECRET_MAX, or has a NUL byte is
 * refused. Returns 0, or a negative errno with *reasonp set (reason.h), which does not name the
 * path. */
int secret_from_file(struct secret **secretp, const char *path, char **reasonp);

/* The same, but a path that does not begin with "/" is that of a credential, below
 * $CREDENTIALS_DIRECTORY (systemd.exec(5)). */
int secret_from_credential(struct secret **secretp, const char *path, char **reasonp);

/* Wipes and frees; NULL is allowed. Returns NULL. */
struct secret *secret_free(struct secret *secret);

/* The text, followed by a NUL; as long as the secret lives. */
struct bytes secret_text(const struct secret *secret);

/* Whether it is that text. How long that takes depends on what is given, never on the secret. */
bool secret_equals(const struct secret *secret, struct bytes given);
