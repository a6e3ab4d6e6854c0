/* A block of memory that several owners share.
 *
 * Input is read into blocks and output waits in them; a large payload is one block that all its
 * receivers refer to. The reference count is atomic, so that any thread may give its reference
 * back; who may write into a block is a matter between its owners (whoever holds the only
 * reference may).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct block {
        _Atomic unsigned n_references;
        size_t capacity; /* bytes of data */
        char data[];
};

/* A new block with one reference, or NULL if there is no memory. */
struct block *block_new(size_t capacity);

/* Makes a block larger, of which the caller has the only reference; it may move. NULL if there is
 * no memory: then it is as it was. */
struct block *block_grow(struct block *block, size_t capacity);

static inline struct block *block_ref(struct block *block) {
        atomic_fetch_add_explicit(&block->n_references, 1, memory_order_relaxed);
        return block;
}

/* Gives a reference back; NULL is allowed. Returns NULL. */
struct block *block_unref(struct block *block);

/* Whether the caller's reference is the only one. */
static inline bool block_is_exclusive(struct block *block) {
        return atomic_load_explicit(&block->n_references, memory_order_acquire) == 1;
}
