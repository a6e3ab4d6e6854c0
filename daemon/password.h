/* Passwords as the configuration stores them: a hash of crypt(3), or the plain text.
 *
 * No state, any thread.
 */
#pragma once

#include "lib/bytes.h"
#include "lib/secret.h"

#include <stdbool.h>

/* Whether what is stored is a hash: bcrypt ($2a$, $2b$, $2x$, $2y$), yescrypt ($y$), or another one
 * that is known by how it begins. All else is a plain text. */
bool password_is_hash(struct bytes stored);

/* Whether it begins like a hash, but was cut or is of a kind that libcrypt does not know. */
bool password_is_malformed(const struct secret *stored);

/* Whether password_matches() takes long, as a good hash does: milliseconds to seconds, in which a
 * loop must not stand still. */
bool password_is_slow(const struct secret *stored);

/* Whether that is more than a second or so on a machine of today, or needs very much memory: bcrypt
 * with a cost above 14, yescrypt or scrypt with more than 2^16 blocks, and the older ones with more
 * than two million rounds. */
bool password_is_costly(const struct secret *stored);

/* Whether the password given is the one that is stored. A hash that is malformed matches nothing,
 * and so does a password with a NUL. How long it takes does not depend on where a plain text
 * differs, nor on its length. */
bool password_matches(const struct secret *stored, struct bytes given);
