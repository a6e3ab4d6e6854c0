/* Rates. See rate.h. */
#include "daemon/rate.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)
/* However low the rate of bytes, the largest datagram may come at once. */
#define BYTES_BURST_MIN 65536

/* What may come, as time: how long it takes at the steady rate, and how far ahead it may be. */
struct claim {
        uint64_t cost_ns, burst_ns;
};

void rate_deinit(struct rate *rate) {
        free(atomic_load(&rate->places));
        atomic_store(&rate->places, NULL);
}

int rate_set(struct rate *rate, uint64_t messages, uint64_t bytes, uint64_t burst) {
        uint64_t message_ns = messages ? SECOND_NS / messages : 0;

        if ((messages || bytes) && !atomic_load(&rate->places)) {
                struct rate_place *places = calloc(RATE_SETS * RATE_IN_SET, sizeof(*places));

                if (!places)
                        return -ENOMEM;
                atomic_store(&rate->places, places);
        }
        atomic_store(&rate->messages_burst, (burst ? burst : messages) * message_ns);
        atomic_store(&rate->message_ns, message_ns);
        atomic_store(&rate->bytes, bytes);
        return 0;
}

static struct claim messages_claim(const struct rate *rate, uint64_t n) {
        return (struct claim){
                n * atomic_load_explicit(&rate->message_ns, memory_order_relaxed),
                atomic_load_explicit(&rate->messages_burst, memory_order_relaxed),
        };
}

static struct claim bytes_claim(const struct rate *rate, uint64_t n) {
        uint64_t bytes = atomic_load_explicit(&rate->bytes, memory_order_relaxed);
        uint64_t burst = bytes > BYTES_BURST_MIN ? bytes : BYTES_BURST_MIN;

        if (bytes == 0)
                return (struct claim){0, 0};
        return (struct claim){n * SECOND_NS / bytes, burst * SECOND_NS / bytes};
}

/* Charges a claim, unless it is over the limit and may be refused. Returns how long it is too
 * early. */
static uint64_t charge(_Atomic uint64_t *due, struct claim claim, uint64_t now_ns,
                       bool may_refuse) {
        uint64_t before = atomic_load_explicit(due, memory_order_relaxed), after, early;

        if (claim.cost_ns == 0)
                return 0;
        do {
                after = (before > now_ns ? before : now_ns) + claim.cost_ns;
                early = after - now_ns > claim.burst_ns ? after - now_ns - claim.burst_ns : 0;
                if (early > 0 && may_refuse)
                        return early;
        } while (!atomic_compare_exchange_weak_explicit(due, &before, after, memory_order_relaxed,
                                                        memory_order_relaxed));
        return early;
}

static uint64_t place_due(struct rate_place *place) {
        uint64_t a = atomic_load_explicit(&place->messages_ns, memory_order_relaxed);
        uint64_t b = atomic_load_explicit(&place->bytes_ns, memory_order_relaxed);

        return a > b ? a : b;
}

/* Gives a place to a source. Returns false if somebody else was faster. */
static bool place_take(struct rate_place *place, uint32_t source) {
        uint32_t before = atomic_load_explicit(&place->source, memory_order_relaxed);

        if (!atomic_compare_exchange_strong_explicit(&place->source, &before, source,
                                                     memory_order_relaxed, memory_order_relaxed))
                return before == source;
        atomic_store_explicit(&place->messages_ns, 0, memory_order_relaxed);
        atomic_store_explicit(&place->bytes_ns, 0, memory_order_relaxed);
        return true;
}

/* The place of a source, taken from another one if it has none. */
static struct rate_place *place_of(struct rate *rate, uint32_t source) {
        struct rate_place *set = atomic_load_explicit(&rate->places, memory_order_acquire) +
                                 (size_t)(source % RATE_SETS) * RATE_IN_SET;
        struct rate_place *oldest;

        do {
                oldest = set;
                for (unsigned i = 0; i < RATE_IN_SET; i++) {
                        if (atomic_load_explicit(&set[i].source, memory_order_relaxed) == source)
                                return &set[i];
                        if (place_due(&set[i]) < place_due(oldest))
                                oldest = &set[i];
                }
        } while (!place_take(oldest, source));
        return oldest;
}

bool rate_admit(struct rate *rate, uint32_t source, uint64_t n_bytes, uint64_t now_ns) {
        struct rate_place *place = place_of(rate, source);
        struct claim message = messages_claim(rate, 1);

        if (charge(&place->messages_ns, message, now_ns, true) > 0)
                return false;
        if (charge(&place->bytes_ns, bytes_claim(rate, n_bytes), now_ns, true) == 0)
                return true;
        if (message.cost_ns > 0)
                atomic_fetch_sub_explicit(&place->messages_ns, message.cost_ns,
                                          memory_order_relaxed);
        return false;
}

uint64_t rate_admit_messages(struct rate *rate, uint32_t source, uint64_t n, uint64_t now_ns) {
        _Atomic uint64_t *due = &place_of(rate, source)->messages_ns;
        struct claim message = messages_claim(rate, 1);
        uint64_t before = atomic_load_explicit(due, memory_order_relaxed), base, n_admitted;

        if (message.cost_ns == 0)
                return n;
        do {
                base = before > now_ns ? before : now_ns;
                n_admitted = base - now_ns < message.burst_ns
                                     ? (message.burst_ns - (base - now_ns)) / message.cost_ns
                                     : 0;
                if (n_admitted > n)
                        n_admitted = n;
        } while (n_admitted > 0 && !atomic_compare_exchange_weak_explicit(
                                           due, &before, base + n_admitted * message.cost_ns,
                                           memory_order_relaxed, memory_order_relaxed));
        return n_admitted;
}

static uint64_t debt_ns(const _Atomic uint64_t *due, uint64_t burst_ns, uint64_t now_ns) {
        uint64_t at = atomic_load_explicit(due, memory_order_relaxed);

        return at > now_ns + burst_ns ? at - now_ns - burst_ns : 0;
}

uint64_t rate_debt_ns(struct rate *rate, uint32_t source, uint64_t now_ns) {
        struct rate_place *place;
        uint64_t a, b;

        if (!rate_is_limited(rate))
                return 0;
        place = place_of(rate, source);
        a = debt_ns(&place->messages_ns, messages_claim(rate, 1).burst_ns, now_ns);
        b = debt_ns(&place->bytes_ns, bytes_claim(rate, 1).burst_ns, now_ns);
        return a > b ? a : b;
}

uint64_t rate_charge(struct rate *rate, uint32_t source, uint64_t n_messages, uint64_t n_bytes,
                     uint64_t now_ns) {
        struct rate_place *place = place_of(rate, source);
        uint64_t a = charge(&place->messages_ns, messages_claim(rate, n_messages), now_ns, false);
        uint64_t b = charge(&place->bytes_ns, bytes_claim(rate, n_bytes), now_ns, false);

        return a > b ? a : b;
}

bool rate_is_unused(struct rate *rate, uint32_t source, uint64_t now_ns) {
        return place_due(place_of(rate, source)) <= now_ns;
}

static void refund(_Atomic uint64_t *due, uint64_t cost_ns) {
        uint64_t before = atomic_load_explicit(due, memory_order_relaxed), after;

        do {
                after = before > cost_ns ? before - cost_ns : 0;
        } while (!atomic_compare_exchange_weak_explicit(due, &before, after, memory_order_relaxed,
                                                        memory_order_relaxed));
}

void rate_refund(struct rate *rate, uint32_t source, uint64_t n_messages, uint64_t n_bytes) {
        struct rate_place *place = place_of(rate, source);

        refund(&place->messages_ns, messages_claim(rate, n_messages).cost_ns);
        refund(&place->bytes_ns, bytes_claim(rate, n_bytes).cost_ns);
}
