/* Counts of durations. See latency.h. */
#include "daemon/latency.h"

#include <stddef.h>

/* Small values have a bucket each; of larger ones the first four bits choose it. */
#define EXACT (UINT64_C(1) << LATENCY_BITS)

static size_t bucket_of(uint64_t ns) {
        unsigned power;

        if (ns > LATENCY_MAX_NS)
                ns = LATENCY_MAX_NS;
        if (ns < EXACT)
                return (size_t)ns;
        power = 63 - (unsigned)__builtin_clzll(ns) - LATENCY_BITS;
        return ((size_t)(power + 1) << LATENCY_BITS) + (size_t)((ns >> power) - EXACT);
}

static uint64_t middle_of(size_t bucket) {
        unsigned power;

        if (bucket < EXACT)
                return bucket;
        power = (unsigned)(bucket >> LATENCY_BITS) - 1;
        return ((EXACT + (bucket & (EXACT - 1))) << power) + ((UINT64_C(1) << power) - 1) / 2;
}

void latency_add(struct latency *latency, uint64_t ns) {
        atomic_fetch_add_explicit(&latency->counts[bucket_of(ns)], 1, memory_order_relaxed);
}

static uint64_t count_of(const struct latency *latency, size_t bucket) {
        return atomic_load_explicit(&latency->counts[bucket], memory_order_relaxed);
}

uint64_t latency_count(const struct latency *latency) {
        uint64_t n = 0;

        for (size_t i = 0; i < LATENCY_BUCKETS; i++)
                n += count_of(latency, i);
        return n;
}

uint64_t latency_percentile(const struct latency *latency, double share) {
        double wanted = share * (double)latency_count(latency);
        uint64_t n = 0;
        size_t last = 0;

        for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
                if (count_of(latency, i) == 0)
                        continue;
                n += count_of(latency, i);
                last = i;
                if ((double)n >= wanted)
                        break;
        }
        return middle_of(last);
}
