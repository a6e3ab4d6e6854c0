/* Memory for keys: what a private key is in while OpenSSL has it.
 *
 * OpenSSL keeps such a key in many places: the bytes of the file, numbers, and what it computes
 * from them once to be fast. Here all of them are in one range of memory that is not in core dumps,
 * is not swapped out where the limit on locked memory allows it, and is wiped when it is freed.
 */
#pragma once

#include <stdbool.h>

/* The most that a block may have, and all of them together. */
#define KEY_MEMORY_BLOCK_MAX ((size_t)1024 * 1024)
#define KEY_MEMORY_SIZE      ((size_t)16 * 1024 * 1024)

/* Has OpenSSL take its memory here; before it has taken any, so first of all. Returns whether it
 * does; otherwise there is no such memory, and the other functions do nothing. */
bool key_memory_install(void);

/* What OpenSSL allocates in this thread from the one to the other is such memory, as long as it is
 * not freed. Without any left an allocation fails. They may be nested. */
void key_memory_begin(void);
void key_memory_end(void);
