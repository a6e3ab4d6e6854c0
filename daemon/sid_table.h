/* A client's subscriptions by sid. Belongs to the client's worker. */
#pragma once

#include "daemon/subscription.h"

struct sid_table {
        struct subscription **buckets; /* owned; NULL while there is none */
        size_t n_buckets;              /* a power of two, or 0 */
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
