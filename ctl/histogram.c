/* Log-linear buckets: values below 64 have one each; above, the six bits behind the leading one
 * choose it. */
#include "ctl/histogram.h"

#include <stddef.h>

#define N_LINEAR ((uint64_t)1 << HISTOGRAM_BITS)

static size_t bucket_of(uint64_t value) {
        unsigned shift;

        if (value < N_LINEAR)
                return (size_t)value;
        shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
        return ((size_t)shift << HISTOGRAM_BITS) + (size_t)(value >> shift);
}

/* The largest value that falls into a bucket. */
static uint64_t value_of(size_t bucket) {
        size_t shift;

        if (bucket < 2 * N_LINEAR)
                return bucket;
        shift = (bucket >> HISTOGRAM_BITS) - 1;
        return (((bucket & (N_LINEAR - 1)) + N_LINEAR) << shift) + (((uint64_t)1 << shift) - 1);
}

void histogram_add(struct histogram *histogram, uint64_t value) {
        histogram->counts[bucket_of(value)]++;
        histogram->n++;
        if (value > histogram->maximum)
                histogram->maximum = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *other) {
        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
                histogram->counts[i] += other->counts[i];
        histogram->n += other->n;
        if (other->maximum > histogram->maximum)
                histogram->maximum = other->maximum;
}

uint64_t histogram_percentile(const struct histogram *histogram, double share) {
        uint64_t wanted = (uint64_t)(share * (double)histogram->n + 0.5), n = 0;

        for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
                n += histogram->counts[i];
                if (n >= wanted && n > 0)
                        return value_of(i) < histogram->maximum ? value_of(i) : histogram->maximum;
        }
        return histogram->maximum;
}
