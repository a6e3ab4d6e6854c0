/* Counting sources. See source_counts.h. */
#include "daemon/source_counts.h"

#include "lib/hash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 16

enum {
        KIND_ADDRESS,
        KIND_USER,
};

struct source_key source_key_of_address(const struct in6_addr *host) {
        struct source_key key = {.kind = KIND_ADDRESS};

        memcpy(key.value, host->s6_addr, sizeof(key.value));
        return key;
}

struct source_key source_key_of_user(uid_t uid) {
        struct source_key key = {.kind = KIND_USER};

        memcpy(key.value, &uid, sizeof(uid));
        return key;
}

static uint32_t key_hash(const struct source_key *key) {
        return (uint32_t)hash_bytes((struct bytes){(const char *)key->value, sizeof(key->value)},
                                    key->kind);
}

static struct source_count **bucket_of(const struct source_counts *counts, uint32_t hash) {
        return &counts->buckets[hash & (counts->n_buckets - 1)];
}

static void put(struct source_counts *counts, struct source_count *count) {
        struct source_count **bucket = bucket_of(counts, count->hash);

        count->next = *bucket;
        *bucket = count;
}

/* Makes room for one more. Returns whether there is some; a table that is too full does as well. */
static bool grow(struct source_counts *counts) {
        struct source_counts old = *counts;
        size_t n = old.n_buckets ? old.n_buckets * 2 : BUCKETS_MIN;
        struct source_count **buckets;

        if (old.n_sources < old.n_buckets)
                return true;
        buckets = calloc(n, sizeof(struct source_count *));
        if (!buckets)
                return old.n_buckets > 0;
        counts->buckets = buckets;
        counts->n_buckets = n;
        for (size_t i = 0; i < old.n_buckets; i++)
                for (struct source_count *count = old.buckets[i], *next; count; count = next) {
                        next = count->next;
                        put(counts, count);
                }
        free(old.buckets);
        return true;
}

static struct source_count *find(const struct source_counts *counts, uint32_t hash,
                                 const struct source_key *key) {
        struct source_count *count = counts->n_buckets > 0 ? *bucket_of(counts, hash) : NULL;

        while (count && (count->hash != hash || memcmp(&count->key, key, sizeof(*key)) != 0))
                count = count->next;
        return count;
}

struct source_count *source_counts_take(struct source_counts *counts,
                                        const struct source_key *key) {
        uint32_t hash = key_hash(key);
        struct source_count *count = find(counts, hash, key);

        if (!count) {
                if (!grow(counts))
                        return NULL;
                count = calloc(1, sizeof(*count));
                if (!count)
                        return NULL;
                count->key = *key;
                count->hash = hash;
                put(counts, count);
                counts->n_sources++;
        }
        count->n++;
        return count;
}

void source_counts_give(struct source_counts *counts, struct source_count *count) {
        struct source_count **link;

        if (!count || --count->n > 0)
                return;
        link = bucket_of(counts, count->hash);
        while (*link != count)
                link = &(*link)->next;
        *link = count->next;
        free(count);
        counts->n_sources--;
        if (counts->n_sources == 0)
                source_counts_deinit(counts); /* a flood of sources leaves nothing behind */
}

void source_counts_deinit(struct source_counts *counts) {
        for (size_t i = 0; i < counts->n_buckets; i++)
                while (counts->buckets[i]) {
                        struct source_count *count = counts->buckets[i];

                        counts->buckets[i] = count->next;
                        free(count);
                }
        free(counts->buckets);
        *counts = (struct source_counts){.n_buckets = 0};
}
