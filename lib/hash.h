/* A keyed hash of short byte ranges, for tables whose keys strangers choose.
 *
 * Multiplies and folds eight bytes at a time, as wyhash does; the key is random for each process,
 * so that nobody outside can prepare keys that collide. Not for cryptography.
 */
#pragma once

#include "lib/bytes.h"

/* The hash of bytes; seed distinguishes tables or parts of a key. Any thread. */
uint64_t hash_bytes(struct bytes bytes, uint64_t seed);

/* Draws the process's random key. Once, before any thread. Without it the key is a constant. */
void hash_init(void);
