/* Memory for keys. See key_memory.h.
 *
 * OpenSSL has a heap of its own for secrets (CRYPTO_secure_malloc(3)), which does not do: of an RSA
 * key the Montgomery contexts, which have its primes, are in ordinary memory all the same, and so
 * are copies of what was read. And each TLS 1.3 connection has a key of its handshake in that heap
 * until it ends: when the heap is full, handshakes fail.
 *
 * So which memory it is depends not on what it is for, but on when it is asked for: while a key is
 * read and used for the first time. What OpenSSL makes then for other purposes, to keep it for
 * ever, is here as well, and does no harm. Blocks have sizes of powers of two, and a freed one
 * serves the next of its size.
 */
#include "daemon/key_memory.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE_SHIFT_MIN 5 /* of the smallest block */
#define N_SIZES        16
#define LOCK_STEP      ((size_t)64 * 1024)

/* Before each block. */
struct key_block {
        struct key_block *next; /* while it is free */
        unsigned size;          /* 0: the smallest, 1: twice that ... */
} __attribute__((aligned(16)));

_Static_assert(((size_t)1 << (SIZE_SHIFT_MIN + N_SIZES - 1)) == KEY_MEMORY_BLOCK_MAX,
               "the last size is the largest");

static struct {
        char *bytes; /* KEY_MEMORY_SIZE of them; NULL: there is none */

        pthread_mutex_t lock; /* a leaf; for the rest */
        size_t n_used, n_locked;
        struct key_block *free[N_SIZES];
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local unsigned n_begun;

/* --- blocks -------------------------------------------------------------------------------- */

static size_t size_of(unsigned size) {
        return (size_t)1 << (SIZE_SHIFT_MIN + size);
}

static bool is_key_memory(const void *pointer) {
        uintptr_t from = (uintptr_t)memory.bytes, at = (uintptr_t)pointer;

        return at >= from && at - from < KEY_MEMORY_SIZE && from != 0;
}

/* Under the lock. Takes it from what nobody has used yet, which is locked bit by bit: all of it at
 * once would be more than the usual limit allows, and a limit of nothing is no reason not to
 * work. */
static struct key_block *take_new(unsigned size) {
        struct key_block *block = (struct key_block *)(memory.bytes + memory.n_used);

        if (KEY_MEMORY_SIZE - memory.n_used < size_of(size))
                return NULL;
        memory.n_used += size_of(size);
        for (; memory.n_locked < memory.n_used; memory.n_locked += LOCK_STEP)
                (void)mlock(memory.bytes + memory.n_locked, LOCK_STEP);
        return block;
}

/* Returns n_bytes of zeroes, or NULL. */
static void *take(size_t n_bytes) {
        struct key_block *block;
        unsigned size = 0;

        if (n_bytes > KEY_MEMORY_BLOCK_MAX - sizeof(*block))
                return NULL;
        while (size_of(size) < n_bytes + sizeof(*block))
                size++;
        pthread_mutex_lock(&memory.lock);
        block = memory.free[size];
        if (block)
                memory.free[size] = block->next;
        else
                block = take_new(size);
        pthread_mutex_unlock(&memory.lock);
        if (!block)
                return NULL;
        block->size = size;
        return block + 1;
}

static size_t usable_size(const void *pointer) {
        return size_of(((const struct key_block *)pointer - 1)->size) - sizeof(struct key_block);
}

static void give_back(void *pointer) {
        struct key_block *block = (struct key_block *)pointer - 1;

        explicit_bzero(pointer, usable_size(pointer));
        pthread_mutex_lock(&memory.lock);
        block->next = memory.free[block->size];
        memory.free[block->size] = block;
        pthread_mutex_unlock(&memory.lock);
}

/* --- what OpenSSL calls; see CRYPTO_set_mem_functions(3) ----------------------------------- */

static void *on_malloc(size_t n_bytes, const char *file, int line) {
        if (n_bytes == 0)
                return NULL;
        return n_begun > 0 ? take(n_bytes) : malloc(n_bytes);
}

static void on_free(void *pointer, const char *file, int line) {
        if (is_key_memory(pointer))
                give_back(pointer);
        else
                free(pointer);
}

/* Key memory stays that, and what grows meanwhile becomes it. */
static void *move(void *pointer, size_t n_bytes) {
        size_t n_old = is_key_memory(pointer) ? usable_size(pointer) : malloc_usable_size(pointer);
        void *larger = take(n_bytes);

        if (!larger)
                return NULL;
        memcpy(larger, pointer, n_old < n_bytes ? n_old : n_bytes);
        on_free(pointer, NULL, 0);
        return larger;
}

static void *on_realloc(void *pointer, size_t n_bytes, const char *file, int line) {
        if (!pointer)
                return on_malloc(n_bytes, file, line);
        if (n_bytes == 0) {
                on_free(pointer, file, line);
                return NULL;
        }
        if (!is_key_memory(pointer))
                return n_begun > 0 ? move(pointer, n_bytes) : realloc(pointer, n_bytes);
        return n_bytes <= usable_size(pointer) ? pointer : move(pointer, n_bytes);
}

/* --- the whole ----------------------------------------------------------------------------- */

bool key_memory_install(void) {
        char *bytes = mmap(NULL, KEY_MEMORY_SIZE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (bytes == MAP_FAILED)
                return false;
        /* A huge page would be resident as a whole. */
        (void)madvise(bytes, KEY_MEMORY_SIZE, MADV_NOHUGEPAGE);
        if (madvise(bytes, KEY_MEMORY_SIZE, MADV_DONTDUMP) < 0 ||
            CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free) != 1) {
                (void)munmap(bytes, KEY_MEMORY_SIZE);
                return false;
        }
        memory.bytes = bytes;
        return true;
}

void key_memory_begin(void) {
        n_begun += memory.bytes != NULL;
}

void key_memory_end(void) {
        n_begun -= memory.bytes != NULL;
}
