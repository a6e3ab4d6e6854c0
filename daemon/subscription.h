/* A subscription: who wants which subject, under which name.
 *
 * Made and ended by its owner; read by every worker between its quiescent states, hence freed by
 * reclaim. The subject stands in the index's node.
 */
#pragma once

#include "daemon/reclaim.h"
#include "lib/bytes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct index_node;
struct message;
struct subscription;
struct worker;

/* Whoever can get a message: a client, or a service of sockd's own. */
struct receiver {
        /* Takes a message for a subscription of this receiver, in the thread of `worker`, which is
         * the publisher's. Returns how many of the run were taken, the first ones; it is asked
         * again for the rest, until it takes none. */
        size_t (*deliver)(struct receiver *receiver, struct worker *worker,
                          struct subscription *subscription, const struct message *message);
        /* How many of a run may be delivered to it in one go, so that it does not take too long;
         * NULL: there is no need to ask. In the same thread. */
        size_t (*limit_run)(struct receiver *receiver, struct worker *worker,
                            const struct message *message);
};

struct subscription {
        union {
                struct {                               /* while it lives: */
                        struct subscription *sid_next; /* the owner's table */
                        struct subscription *previous; /* in the index; for its writers only */
                };
                struct reclaim_node reclaim; /* afterwards */
        };
        _Atomic(struct subscription *) next; /* in the index; under the index's lock for writers */
        struct index_node *node;             /* borrowed from the index */
        struct receiver *receiver;           /* outlives the subscription */
        _Atomic uint64_t n_delivered;
        _Atomic uint64_t max; /* end after so many; 0: no end */
        uint16_t sid_length;
        uint16_t queue_length;    /* 0: no queue group */
        _Atomic bool is_filtered; /* not all messages of the subject are for its receiver */
        char text[];              /* sid, queue */
};

/* A new subscription on no index, or NULL if there is no memory. */
struct subscription *subscription_new(struct receiver *receiver, struct bytes sid,
                                      struct bytes queue);

/* Frees one that readers never saw. NULL is allowed. Returns NULL. */
struct subscription *subscription_free(struct subscription *subscription);

/* Frees it after a grace period; it must be out of the index already. */
void subscription_retire(struct subscription *subscription, struct reclaim *reclaim);

static inline struct bytes subscription_sid(const struct subscription *subscription) {
        return (struct bytes){subscription->text, subscription->sid_length};
}

static inline struct bytes subscription_queue(const struct subscription *subscription) {
        return (struct bytes){subscription->text + subscription->sid_length,
                              subscription->queue_length};
}

/* Takes up to `wanted` off what is left until the maximum. *np: the count before. */
static inline uint64_t subscription_claim(struct subscription *subscription, uint64_t wanted,
                                          uint64_t *np) {
        uint64_t max = atomic_load(&subscription->max), claimed;

        if (max == 0) {
                *np = atomic_fetch_add(&subscription->n_delivered, wanted);
                return wanted;
        }
        *np = atomic_load(&subscription->n_delivered);
        do {
                if (*np >= max)
                        return 0;
                claimed = wanted < max - *np ? wanted : max - *np;
        } while (!atomic_compare_exchange_weak(&subscription->n_delivered, np, *np + claimed));
        return claimed;
}

/* Counts up to `wanted` deliveries. Returns how many may take place until the maximum is reached;
 * *lastp: with the last of them it is. Whoever sets a maximum looks at the count afterwards, and
 * this at the maximum, all in one order: one of them sees that it was reached. */
static inline size_t subscription_count(struct subscription *subscription, size_t wanted,
                                        bool *lastp) {
        uint64_t n, claimed = subscription_claim(subscription, wanted, &n), taken;
        uint64_t max = atomic_load(&subscription->max);

        *lastp = false;
        if (claimed == 0 || max == 0 || n + claimed < max)
                return claimed;
        /* A maximum that was set meanwhile may be less than what was claimed. */
        taken = n < max ? max - n : 0;
        *lastp = taken > 0;
        if (taken < claimed)
                atomic_fetch_sub(&subscription->n_delivered, claimed - taken);
        return taken;
}

/* Whether it has reached its maximum. */
static inline bool subscription_is_exhausted(const struct subscription *subscription) {
        uint64_t max = atomic_load(&subscription->max);

        return max > 0 && atomic_load(&subscription->n_delivered) >= max;
}
