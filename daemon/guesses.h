/* Guesses: how often a source may try to log in, once it has failed.
 *
 * Whoever has not failed lately waits for nothing. Each failure counts, in a fast memory, which
 * allows some at once and ten a second, and in a slow one, which allows some hundreds and one in
 * two seconds; both forget in time. While a failure is remembered each attempt takes its turn
 * before it is looked at, so that the wait is the same for a right password as for a wrong one, and
 * many connections guess no faster than one. A good login gives its turn back, and those that wait
 * behind it move up: so many that are right do not wait for the one that was wrong.
 *
 * Turns are GUESSES_WAIT_MAX_MS ahead at most: so long has an honest neighbour of somebody who
 * guesses to wait, and so soon is that over. Any thread.
 */
#pragma once

#include "daemon/rate.h"

/* What an attempt waits at most. */
#define GUESSES_WAIT_MAX_MS 30000

struct guesses {
        struct rate rate; /* failures, and turns that are taken */
        /* By source, where some share a place: for how long turns were that good logins have given
         * back. */
        _Atomic uint64_t *returned_ns; /* owned */
};

enum guess_state {
        GUESS_FREE,  /* nothing has failed: the attempt takes no turn */
        GUESS_TURN,  /* it has taken a turn, and is to wait */
        GUESS_CROWD, /* too many wait already: it may ask again */
};

/* A turn that was taken. */
struct guess_turn {
        uint64_t due_ns;      /* when it comes if none is given back */
        uint64_t returned_ns; /* what was given back before it was taken */
};

/* Returns 0 or -ENOMEM. */
int guesses_init(struct guesses *guesses);
void guesses_deinit(struct guesses *guesses);

/* An attempt of a source begins. With GUESS_TURN *turn tells when. */
enum guess_state guesses_begin(struct guesses *guesses, uint32_t source, uint64_t now_ns,
                               struct guess_turn *turn);

/* How long it still is until that; 0: it has come. To be asked now and then, as it may come earlier
 * than it was said before. */
uint64_t guesses_wait_ms(const struct guesses *guesses, uint32_t source,
                         const struct guess_turn *turn, uint64_t now_ns);

/* An attempt failed that had no turn. Returns how long the next one would have to wait. */
uint64_t guesses_fail(struct guesses *guesses, uint32_t source, uint64_t now_ns);

/* An attempt was good: it gives its turn back. */
void guesses_return(struct guesses *guesses, uint32_t source, uint64_t now_ns);

/* An attempt ended before its turn came: who comes next may have it. Nobody who waits moves up, or
 * somebody could guess faster by coming and going. */
void guesses_give_up(struct guesses *guesses, uint32_t source);

/* Whether an attempt would take a turn. */
bool guesses_has_failed(struct guesses *guesses, uint32_t source, uint64_t now_ns);

/* Whether an attempt would have to wait. */
bool guesses_must_wait(struct guesses *guesses, uint32_t source, uint64_t now_ns);
