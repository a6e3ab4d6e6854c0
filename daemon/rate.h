/* Rates: how many messages and bytes a source may send to a listener.
 *
 * Sources are told apart by a keyed hash. They are kept in a table of fixed size, so that no flood
 * of them costs memory: a new one takes the place, of a few that it can have, whose source has been
 * quiet for longest, which then begins anew. A place holds the time at which what has come so
 * far would have been in order at the steady rate (the generic cell rate algorithm of ATM, ITU-T
 * I.371): a source may be ahead of the clock by the burst, and no more. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* How many sources are kept, in sets of those that are in each other's way. */
#define RATE_SETS   4096
#define RATE_IN_SET 4

struct rate_place {
        _Atomic uint32_t source;
        _Atomic uint64_t messages_ns, bytes_ns;
};

struct rate {
        _Atomic uint64_t message_ns;         /* what one message takes; 0: no limit */
        _Atomic uint64_t messages_burst;     /* how far messages may be ahead, in nanoseconds */
        _Atomic uint64_t bytes;              /* a second; 0: no limit */
        _Atomic(struct rate_place *) places; /* owned; NULL until a limit is set */
};

void rate_deinit(struct rate *rate);

/* Sets the limits: messages and bytes a second, 0: none; burst: messages that may come at once, 0:
 * as many as in a second. Returns 0 or -ENOMEM. The server's thread. */
int rate_set(struct rate *rate, uint64_t messages, uint64_t bytes, uint64_t burst);

static inline bool rate_is_limited(const struct rate *rate) {
        return atomic_load_explicit(&rate->message_ns, memory_order_relaxed) != 0 ||
               atomic_load_explicit(&rate->bytes, memory_order_relaxed) != 0;
}

/* Whether a message of so many bytes may come now; it is charged if so. */
bool rate_admit(struct rate *rate, uint32_t source, uint64_t n_bytes, uint64_t now_ns);

/* How many of some messages, whose bytes are paid for, may come now; they are charged. */
uint64_t rate_admit_messages(struct rate *rate, uint32_t source, uint64_t n, uint64_t now_ns);

/* For how many nanoseconds nothing may come, because of what has come; 0: something may. */
uint64_t rate_debt_ns(struct rate *rate, uint32_t source, uint64_t now_ns);

/* Whether nothing that has come counts any more. */
bool rate_is_unused(struct rate *rate, uint32_t source, uint64_t now_ns);

/* Takes back what was charged for messages. */
void rate_refund(struct rate *rate, uint32_t source, uint64_t n_messages, uint64_t n_bytes);

/* Charges messages that have come. Returns for how many nanoseconds nothing more may come. */
uint64_t rate_charge(struct rate *rate, uint32_t source, uint64_t n_messages, uint64_t n_bytes,
                     uint64_t now_ns);
