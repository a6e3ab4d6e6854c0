/* Guesses: how often a source may try to log in, once it has failed.
 *
 * Whoever has not failed lately waits for nothing. Each failure counts, in a fast memory, which
 * allows some at once and ten a second, and in a slow one, which allows some hundreds and one in
 * two seconds; both forget in time. While a failure is remembered each attempt takes its turn
 * before it is looked at, so that the wait is the same for a right password as for a wrong one, and
 * many connections guess no faster than one. A good login gives its turn back.
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
};

enum guess_turn {
        GUESS_FREE,  /* nothing has failed: the attempt takes no turn */
        GUESS_TURN,  /* it has taken a turn, and is to wait */
        GUESS_CROWD, /* too many wait already */
};

/* Returns 0 or -ENOMEM. */
int guesses_init(struct guesses *guesses);
void guesses_deinit(struct guesses *guesses);

/* An attempt of a source begins. With GUESS_TURN *wait_msp is how long it is to wait, perhaps 0. */
enum guess_turn guesses_begin(struct guesses *guesses, uint32_t source, uint64_t now_ns,
                              uint64_t *wait_msp);

/* An attempt failed that had no turn. Returns how long the next one would have to wait. */
uint64_t guesses_fail(struct guesses *guesses, uint32_t source, uint64_t now_ns);

/* An attempt was good, or was given up before it was looked at: it gives its turn back. */
void guesses_return(struct guesses *guesses, uint32_t source);

/* Whether an attempt would take a turn. */
bool guesses_has_failed(struct guesses *guesses, uint32_t source, uint64_t now_ns);

/* Whether an attempt would have to wait. */
bool guesses_must_wait(struct guesses *guesses, uint32_t source, uint64_t now_ns);
