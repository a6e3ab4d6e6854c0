/* Shared blocks of memory. See block.h. */
#include "daemon/block.h"

#include <stdlib.h>

struct block *block_new(size_t capacity) {
        struct block *block = malloc(sizeof(*block) + capacity);

        if (!block)
                return NULL;
        atomic_init(&block->n_references, 1);
        block->capacity = capacity;
        return block;
}

struct block *block_grow(struct block *block, size_t capacity) {
        struct block *larger = realloc(block, sizeof(*block) + capacity);

        if (larger)
                larger->capacity = capacity;
        return larger;
}

struct block *block_unref(struct block *block) {
        if (block && atomic_fetch_sub_explicit(&block->n_references, 1, memory_order_acq_rel) == 1)
                free(block);
        return NULL;
}
