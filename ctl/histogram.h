/* Counts of durations, from which percentiles are told within 1.6 % of the value.
 *
 * 64 buckets for each power of two, so the memory is fixed and recording is a few instructions.
 */
#pragma once

#include <stdint.h>

#define HISTOGRAM_BITS    6
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS)

struct histogram {
        uint64_t counts[HISTOGRAM_BUCKETS];
        uint64_t n, maximum;
};

/* All zero is an empty histogram. */
void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *histogram, const struct histogram *other);

/* The value that a share of all values, 0.99 for instance, does not exceed; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double share);
