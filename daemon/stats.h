/* Counters, one set for each worker, summed when read.
 *
 * Each set is written by one thread only, so that counting costs no locked instruction; readers in
 * other threads see values that are at most a moment old.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct counter {
        _Atomic uint64_t value;
};

struct stats {
        struct counter in_messages, in_bytes;   /* published by clients; payload bytes */
        struct counter out_messages, out_bytes; /* delivered to clients */
        struct counter slow_consumers;
        struct counter stale_connections;
        struct counter protocol_errors;
        struct counter refused_logins;
        struct counter denied_publishes, denied_subscriptions; /* by permissions */
        struct counter failed_targets;    /* each that could not be reached, of several too */
        struct counter forgotten_replies; /* of other accounts: too many were awaited */
        struct counter held_publishers;   /* times a publisher waited for receivers */
        struct counter accept_errors;
        struct counter failed_handshakes;     /* of TLS */
        struct counter tls_floods;            /* connections that sent records without data */
        struct counter exec_asked, exec_over; /* of listeners, among the next ones */
        struct counter programs_asked, programs_over; /* of the spawner; that it is done with */
        struct counter programs_ended, programs_late; /* that ran; of them, that took too long */
        struct counter programs_refused;     /* that a limit on programs kept from running */
        struct counter programs_failed;      /* that could not run for another reason */
        struct counter failed_introductions; /* by the PROXY protocol */
        struct counter unreachable_targets;  /* connections for which there was no target */
};

/* In the owning thread. */
static inline void counter_add(struct counter *counter, uint64_t n) {
        atomic_store_explicit(&counter->value,
                              atomic_load_explicit(&counter->value, memory_order_relaxed) + n,
                              memory_order_relaxed);
}

/* Any thread. */
static inline uint64_t counter_read(const struct counter *counter) {
        return atomic_load_explicit(&counter->value, memory_order_relaxed);
}
