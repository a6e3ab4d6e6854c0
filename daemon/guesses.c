/* Guesses. See guesses.h. */
#include "daemon/guesses.h"

#include <stdlib.h>

/* The fast memory: failures a second, and at once. */
#define FAST_RATE  10
#define FAST_BURST 20
/* The slow one is made of a rate of bytes, of which one comes at once as well (rate.c): 65536 of
 * them, that is 256 failures. */
#define SLOW_FAILURE 256
#define SLOW_RATE    (SLOW_FAILURE / 2)

#define MS_NS UINT64_C(1000000)

int guesses_init(struct guesses *guesses) {
        return rate_set(&guesses->rate, FAST_RATE, SLOW_RATE, FAST_BURST);
}

void guesses_deinit(struct guesses *guesses) {
        rate_deinit(&guesses->rate);
}

bool guesses_has_failed(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return !rate_is_unused(&guesses->rate, source, now_ns);
}

bool guesses_must_wait(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return rate_debt_ns(&guesses->rate, source, now_ns) > 0;
}

enum guess_turn guesses_begin(struct guesses *guesses, uint32_t source, uint64_t now_ns,
                              uint64_t *wait_msp) {
        *wait_msp = 0;
        if (!guesses_has_failed(guesses, source, now_ns))
                return GUESS_FREE;
        if (rate_debt_ns(&guesses->rate, source, now_ns) >= GUESSES_WAIT_MAX_MS * MS_NS)
                return GUESS_CROWD;
        *wait_msp = guesses_fail(guesses, source, now_ns);
        return GUESS_TURN;
}

uint64_t guesses_fail(struct guesses *guesses, uint32_t source, uint64_t now_ns) {
        return rate_charge(&guesses->rate, source, 1, SLOW_FAILURE, now_ns) / MS_NS;
}

void guesses_return(struct guesses *guesses, uint32_t source) {
        rate_refund(&guesses->rate, source, 1, SLOW_FAILURE);
}
