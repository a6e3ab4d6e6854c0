/* Guesses. See guesses.h. */
#include "daemon/guesses.h"

#include <errno.h>
#include <stdlib.h>

/* The fast memory: failures a second, and at once. */
#define FAST_RATE  10
#define FAST_BURST 20
/* The slow one is made of a rate of bytes, of which one comes at once as well (rate.c): 65536 of
 * them, that is 256 failures. */
#define SLOW_FAILURE 256
#define SLOW_RATE    (SLOW_FAILURE / 2)

#define MS_NS UINT64_C(1000000)

/* Places for what was given back. */
#define N_PLACES 4096

int guesses_init(struct guesses *guesses) {
        guesses->returned_ns = calloc(N_PLACES, sizeof(*guesses->returned_ns));
        if (!guesses->returned_ns)
                return -ENOMEM;
        return rate_set(&guesses->rate, FAST_RATE, SLOW_RATE, FAST_BURST);
}

void guesses_deinit(struct guesses *guesses) {
        rate_deinit(&guesses->rate);
        free(guesses->returned_ns);
        guesses->returned_ns = NULL;
}

static _Atomic uint64_t *returned_of(const struct guesses *guesses, uint32_t source) {
        return &guesses->returned_ns[source % N_PLACES];
}

bool guesses_has_failed(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return !rate_is_unused(&guesses->rate, source, now_ns);
}

bool guesses_must_wait(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return rate_debt_ns(&guesses->rate, source, now_ns) > 0;
}

/* Returns for how many nanoseconds nothing more may come. */
static uint64_t charge_failure(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return rate_charge(&guesses->rate, source, 1, SLOW_FAILURE, now_ns);
}

enum guess_state guesses_begin(struct guesses *guesses, uint32_t source, uint64_t now_ns,
                               struct guess_turn *turn) {
        if (!guesses_has_failed(guesses, source, now_ns))
                return GUESS_FREE;
        if (rate_debt_ns(&guesses->rate, source, now_ns) >= GUESSES_WAIT_MAX_MS * MS_NS)
                return GUESS_CROWD;
        turn->returned_ns =
                atomic_load_explicit(returned_of(guesses, source), memory_order_relaxed);
        turn->due_ns = now_ns + charge_failure(guesses, source, now_ns);
        return GUESS_TURN;
}

uint64_t guesses_wait_ms(const struct guesses *guesses, uint32_t source,
                         const struct guess_turn *turn, uint64_t now_ns) {
        uint64_t earlier_ns =
                atomic_load_explicit(returned_of(guesses, source), memory_order_relaxed) -
                turn->returned_ns;

        return turn->due_ns > now_ns + earlier_ns ? (turn->due_ns - now_ns - earlier_ns) / MS_NS
                                                  : 0;
}

uint64_t guesses_fail(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return charge_failure(guesses, source, now_ns) / MS_NS;
}

void guesses_give_up(struct guesses *guesses, uint32_t source) {
        rate_refund(&guesses->rate, source, 1, SLOW_FAILURE);
}

void guesses_return(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        uint64_t before_ns = rate_debt_ns(&guesses->rate, source, now_ns), after_ns;

        guesses_give_up(guesses, source);
        after_ns = rate_debt_ns(&guesses->rate, source, now_ns);
        if (after_ns < before_ns)
                atomic_fetch_add_explicit(returned_of(guesses, source), before_ns - after_ns,
                                          memory_order_relaxed);
}
