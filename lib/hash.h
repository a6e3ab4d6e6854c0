/* A keyed hash of short byte ranges, for tables whose keys strangers choose.
 *
 * Multiplies and folds eight bytes at a time, as wyhash does; the key is random for each process,
 * so that nobody outside can prepare keys that collide. Not for cryptography.
 */
#pragma once

#include "lib/bytes.h"

/* The hash of bytes; seed distinguishes tables or parts of a key. Any thread. */
uint64_t hash_bytes(struct bytes bytes, uint64_t seed);

/* A hash for a cache, whose good bits are the upper ones. Cheap rather than good: a collision costs
 * what the cache saves. Any thread. */
static inline uint64_t hash_cheap(struct bytes bytes) {
        size_t n = bytes.length;
        uint64_t head = 0, tail = 0;

        if (n >= 8) {
                head = bytes_load64(bytes.data);
                tail = bytes_load64(bytes.data + n - 8);
        } else if (n >= 4) {
                head = bytes_load32(bytes.data);
                tail = bytes_load32(bytes.data + n - 4);
        } else if (n > 0) {
                head = (unsigned char)bytes.data[0];
                tail = (unsigned char)bytes.data[n - 1];
        }
        return (head ^ (tail * 31) ^ n) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Draws the process's random key. Once, before any thread, and before any hash that is kept.
 * Without it the key is a constant. */
void hash_init(void);
