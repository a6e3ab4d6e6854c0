/* A client's subscriptions by sid. See sid_table.h. */
#include "daemon/sid_table.h"

#include "lib/hash.h"

#include <errno.h>
#include <stdlib.h>

void sid_table_deinit(struct sid_table *table) {
        if (table->mask > 0)
                free(table->buckets);
        *table = (struct sid_table){.bucket = NULL};
}

static struct subscription **buckets_of(const struct sid_table *table) {
        return table->mask > 0 ? table->buckets : (struct subscription **)&table->bucket;
}

/* Sids are mostly numbers that ascend. Those that differ in their last digit are neighbours, so
 * that many subscriptions made one after the other touch little memory. */
static struct subscription **bucket_of(const struct sid_table *table, struct bytes sid) {
        struct bytes rest = {sid.data, sid.length - 1};
        uint64_t hash = hash_bytes(rest, 0) + (unsigned char)sid.data[rest.length];

        return &buckets_of(table)[hash & table->mask];
}

struct subscription *sid_table_find(const struct sid_table *table, struct bytes sid) {
        struct subscription *s = *bucket_of(table, sid);

        while (s && !bytes_equal(subscription_sid(s), sid))
                s = s->sid_next;
        return s;
}

static void link_to(struct subscription **bucket, struct subscription *subscription) {
        subscription->sid_next = *bucket;
        *bucket = subscription;
}

static int sid_table_grow(struct sid_table *table) {
        struct sid_table grown = {.mask = table->mask * 2 + 1, .count = table->count};

        grown.buckets = calloc(grown.mask + 1, sizeof(*grown.buckets));
        if (!grown.buckets)
                return -ENOMEM;
        for (size_t i = 0; i <= table->mask; i++)
                for (struct subscription *s = buckets_of(table)[i], *next; s; s = next) {
                        next = s->sid_next;
                        link_to(bucket_of(&grown, subscription_sid(s)), s);
                }
        sid_table_deinit(table);
        *table = grown;
        return 0;
}

int sid_table_add(struct sid_table *table, struct subscription *subscription) {
        if (table->count > table->mask && sid_table_grow(table) < 0)
                return -ENOMEM;
        link_to(bucket_of(table, subscription_sid(subscription)), subscription);
        table->count++;
        return 0;
}

void sid_table_remove(struct sid_table *table, struct subscription *subscription) {
        struct subscription **link = bucket_of(table, subscription_sid(subscription));

        while (*link != subscription)
                link = &(*link)->sid_next;
        *link = subscription->sid_next;
        table->count--;
}

struct subscription *sid_table_next(const struct sid_table *table, size_t *bucketp,
                                    struct subscription *subscription) {
        if (subscription && subscription->sid_next)
                return subscription->sid_next;
        *bucketp = subscription ? *bucketp + 1 : 0;
        while (*bucketp <= table->mask && !buckets_of(table)[*bucketp])
                ++*bucketp;
        return *bucketp <= table->mask ? buckets_of(table)[*bucketp] : NULL;
}
