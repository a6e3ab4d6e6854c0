/* How many connections each source has, exactly: an address, or a user.
 *
 * A hash table with an entry for each source that has any, so that it is bounded by the number of
 * connections. Whoever owns it sees to it that one thread at a time is here.
 */
#pragma once

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a source is told apart by. */
struct source_key {
        uint32_t kind; /* an address or a user */
        uint8_t value[16];
};

struct source_count {
        struct source_key key;
        uint32_t hash;
        uint64_t n;
        struct source_count *next; /* in its bucket */
};

struct source_counts {
        struct source_count **buckets; /* owned; NULL while there is no source */
        size_t n_buckets;              /* a power of two, or 0 */
        size_t n_sources;
};

/* An address, of IPv4 mapped to IPv6; a user. */
struct source_key source_key_of_address(const struct in6_addr *host);
struct source_key source_key_of_user(uid_t uid);

/* Counts one more of a source. Returns its entry, which is good until that one is given back, or
 * NULL if there is no memory. */
struct source_count *source_counts_take(struct source_counts *counts, const struct source_key *key);

/* Counts one less; NULL is allowed. */
void source_counts_give(struct source_counts *counts, struct source_count *count);

/* Frees all. */
void source_counts_deinit(struct source_counts *counts);
