/* The targets of a forward: which comes next, which rest because they failed, and what the names
 * among them stand for at the moment.
 *
 * Each connection takes a turn, which begins one target further than the one before; those that
 * failed lately come last in it. What a name stands for is found out elsewhere (resolver.h) and
 * told here; until it is told anew, what is known stays good. Plain data with a lock, which is a
 * leaf; any thread, unless stated otherwise.
 */
#pragma once

#include "lib/address.h"
#include "lib/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How many targets there may be, and addresses that are used of each name. */
#define TARGETS_MAX        64
#define TARGET_SOCKETS_MAX 16
/* How long a target that has failed comes last. */
#define TARGET_REST_MS 10000

struct target {
        struct address address;      /* fixed, as the next two */
        char text[ADDRESS_TEXT_MAX]; /* the address, for people */
        bool is_name;
        _Atomic bool has_failed; /* since it was reached last; written with the lock */

        /* With the lock. */
        struct address_socket *sockets; /* owned; what it stands for; NULL: not known */
        size_t n_sockets;
        bool is_resolving;        /* somebody finds it out */
        uint64_t resolve_due_ms;  /* when it should be found out again */
        uint64_t rest_until_ms;   /* it has failed, and comes last; 0: it has not */
        struct list_link waiting; /* those who wait until it is found out; see resolver.h */
};

struct targets {
        struct target *all; /* owned */
        size_t count;
        uint64_t resolve_interval_ms;
        _Atomic uint64_t n_turns;
        pthread_mutex_t lock;
};

/* The order in which one connection tries them. */
struct target_turn {
        uint8_t order[TARGETS_MAX];
        unsigned count;
};

/* The addresses are copied. Returns NULL if there is no memory. */
struct targets *targets_new(const struct address *addresses, size_t count,
                            uint64_t resolve_interval_ms);
/* Nobody waits any more. NULL is allowed. Returns NULL. */
struct targets *targets_free(struct targets *targets);

/* Writes whose turn it is. Times here are in milliseconds of a monotonic clock. */
void targets_take_turn(struct targets *targets, uint64_t now_ms, struct target_turn *turn);

/* Outcomes of targets_socket(). */
enum {
        TARGET_END = 1,     /* it has no more addresses */
        TARGET_UNKNOWN = 2, /* it is a name, and not known what it stands for */
};

/* Copies the n-th address of a target, from 0 on. Returns 0 or an outcome. */
int targets_socket(struct targets *targets, unsigned target, unsigned n,
                   struct address_socket *socketp);

/* Whether it should be found out (again) what the target stands for. Who is told so has to do
 * that, and to call targets_resolved(). */
bool targets_claim(struct targets *targets, unsigned target, uint64_t now_ms);

/* What a name stands for: the sockets, which are taken over (free(3)); NULL: that was not found,
 * and what was known stays. Then those who wait are to be told. */
void targets_resolved(struct targets *targets, unsigned target, struct address_socket *sockets,
                      size_t n_sockets, uint64_t now_ms);

/* Takes one of those who wait out, to be told; NULL: there is none. */
struct list_link *targets_next_waiting(struct targets *targets, unsigned target);

/* Puts somebody among those who wait, if somebody is finding it out. Returns whether that is so. */
bool targets_wait(struct targets *targets, unsigned target, struct list_link *link);
/* Takes him out again. Returns whether he was still there; if not he is being told. */
bool targets_leave(struct targets *targets, struct list_link *link);

/* A target could be reached, or could not. Returns whether that is worth telling: it could not be
 * before, or it begins to rest. */
bool targets_note(struct targets *targets, unsigned target, bool is_reached, uint64_t now_ms);
