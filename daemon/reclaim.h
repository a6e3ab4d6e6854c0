/* Freeing what other threads may still be reading.
 *
 * Subscriptions and index nodes are read by all workers without a lock (userspace RCU, the QSBR
 * flavour of liburcu). What was unlinked is freed when every worker has passed a quiescent state:
 * the end of an iteration of its loop, after which it keeps no pointer. A struct that is freed in
 * this way embeds a reclaim_node; handing it over cannot fail.
 *
 * A `struct reclaim` belongs to one thread, which collects in it and hands over in batches.
 */
#pragma once

#include <stddef.h>

struct reclaim_node {
        struct reclaim_node *next;
        void (*release)(struct reclaim_node *node); /* runs in any thread */
};

struct reclaim {
        struct reclaim_node *first;
};

/* Has release(node) called after a grace period. */
void reclaim_later(struct reclaim *reclaim, struct reclaim_node *node,
                   void (*release)(struct reclaim_node *node));

/* Starts the grace period of all that was collected. At the end of every batch. */
void reclaim_flush(struct reclaim *reclaim);

/* Around each thread that reads shared structures: from reclaim_thread_begin() on it must either
 * pass quiescent states or be offline. */
void reclaim_thread_begin(void);
void reclaim_thread_end(void);

/* This thread now reads; it keeps no pointer any more. Both are cheap. */
void reclaim_thread_online(void);
void reclaim_thread_offline(void);

/* Waits until everything that was handed over has been freed. Not while online. */
void reclaim_drain(void);
