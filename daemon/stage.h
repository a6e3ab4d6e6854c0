/* What one worker's current batch produces for each connection.
 *
 * Delivering a message only appends to a stage, without a lock. At the end of the batch each
 * touched connection is flushed once: then the lock is taken and one system call made for all that
 * the batch produced. A worker has a stage only for the connections that the batch has touched, so
 * an idle connection costs nothing here.
 *
 * A `struct stages` belongs to one worker.
 */
#pragma once

#include "daemon/outbox.h"
#include "lib/list.h"

#include <stdint.h>

struct connection;

struct stage {
        struct list_link link;         /* touched, or the pool */
        struct connection *connection; /* valid until the end of the batch */
        struct outbox outbox;
        uint64_t n_messages; /* counted when flushed */
        uint64_t n_payload_bytes;
};

struct stages {
        struct stage **by_slot; /* connection's slot to stage; grows as needed */
        size_t n_slots;
        struct list_link foreign; /* touched connections of other workers */
        struct list_link own;     /* touched connections of this worker */
        struct list_link pool;    /* free stages */
        unsigned n_pool;
};

void stages_init(struct stages *stages);
void stages_deinit(struct stages *stages);

/* Frees what is kept for the next batch. */
void stages_shrink(struct stages *stages);

/* The stage of a connection, NULL if this batch has not touched it. */
static inline struct stage *stages_find(const struct stages *stages, uint32_t slot) {
        return slot < stages->n_slots ? stages->by_slot[slot] : NULL;
}

/* Makes a stage for a connection that has none. Returns NULL if there is no memory. */
struct stage *stages_add(struct stages *stages, struct connection *connection, uint32_t slot,
                         bool is_own);

/* Gives a flushed stage back. */
void stages_remove(struct stages *stages, struct stage *stage, uint32_t slot);

/* Has a stage of this worker's own flushed after all others. */
void stages_put_last(struct stages *stages, struct stage *stage);

/* The next stages to flush, connections of other workers first; at most max. Returns how many, 0 if
 * there are none. That order matters: when a peer learns by a PONG that its messages have been
 * dealt with, they are on their way to peers of other workers already. */
unsigned stages_next(struct stages *stages, struct stage **next, unsigned max);
