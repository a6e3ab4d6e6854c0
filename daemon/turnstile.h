/* A turnstile: of those who want something at the same time only so many may; the others wait in
 * the order in which they came, each in its own worker.
 *
 * Any thread, each turn by its own.
 */
#pragma once

#include "daemon/mailbox.h"

struct turnstile {
        pthread_mutex_t lock; /* a leaf */
        unsigned max;         /* how many may be inside */
        unsigned n_inside;
        size_t n_waiting;
        struct list_link waiting; /* turns */
};

enum turn_state {
        TURN_OUT,
        TURN_WAITING,
        TURN_CALLED, /* it is its turn, which it will be told */
        TURN_INSIDE,
};

/* One who wants in. Part of whoever that is. */
struct turn {
        struct turnstile *turnstile; /* borrowed */
        struct mailbox *mailbox;     /* of its worker; borrowed */
        enum turn_state state;       /* with the turnstile's lock, as is the next one */
        struct list_link link;
        struct task task;

        /* It is its turn: it is inside, unless it was given back meanwhile. In its worker's thread.
         */
        void (*come)(struct turn *turn);
};

void turnstile_init(struct turnstile *turnstile);
void turnstile_deinit(struct turnstile *turnstile);

/* How many may be inside from now on; at first nobody may. Those who wait go in as far as they may
 * now; those who are inside stay. */
void turnstile_set_max(struct turnstile *turnstile, unsigned max);

/* Goes in, if one more may and nobody waits; else waits, if fewer than max_waiting do. Returns
 * whether it is its turn at once (TURN_CALLED), which it is told by turn->task, that the caller has
 * to run; or it waits (TURN_WAITING) to be told; or neither (TURN_OUT). It must stay until it is
 * told. */
enum turn_state turn_take(struct turn *turn, struct turnstile *turnstile, size_t max_waiting,
                          struct mailbox *mailbox);

/* Goes out, or does not wait any more. Returns whether turn->come is still to be called, which
 * tells only that the turn need not stay any longer. */
bool turn_give(struct turn *turn);

/* How many wait. */
size_t turnstile_count_waiting(struct turnstile *turnstile);
