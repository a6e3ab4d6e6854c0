/* A client's subscriptions by sid. Belongs to the client's worker. */
#pragma once

#include "daemon/subscription.h"

struct sid_table {
        union {
                struct subscription *bucket;   /* the only one; most clients need no more */
                struct subscription **buckets; /* owned */
        };
        size_t mask; /* the number of buckets, a power of two, less one */
        size_t count;
};

/* A table of zeroes is an empty one. Frees the table, not the subscriptions. */
void sid_table_deinit(struct sid_table *table);

struct subscription *sid_table_find(const struct sid_table *table, struct bytes sid);

/* Adds one whose sid is not in the table. Returns 0 or -ENOMEM. */
int sid_table_add(struct sid_table *table, struct subscription *subscription);

void sid_table_remove(struct sid_table *table, struct subscription *subscription);

/* Iterates in no order: the first with NULL; NULL at the end. The table must not change meanwhile,
 * but for removing a subscription whose successor is known. */
struct subscription *sid_table_next(const struct sid_table *table, size_t *bucketp,
                                    struct subscription *subscription);
