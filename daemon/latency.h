/* How long something takes: counts of durations, from which percentiles are told within an eighth
 * of the value.
 *
 * Eight buckets for each power of two: fixed memory, less than 3 KiB, and an addition for each
 * duration. Any thread may add; who reads meanwhile sees counts that are at most a moment old.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define LATENCY_BITS 3
/* Longer ones, of more than two hours, count as this. */
#define LATENCY_MAX_NS  ((UINT64_C(1) << 43) - 1)
#define LATENCY_BUCKETS ((43 - LATENCY_BITS + 1) << LATENCY_BITS)

/* One of zeroes is empty. */
struct latency {
        _Atomic uint64_t counts[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);

/* How many there were. */
uint64_t latency_count(const struct latency *latency);

/* The duration in nanoseconds that a share of all, 0.99 for instance, does not exceed: the middle
 * of its bucket; 0 if there are none. */
uint64_t latency_percentile(const struct latency *latency, double share);
