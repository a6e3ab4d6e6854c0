/* Accounts: subject spaces by name.
 *
 * An account that was made stays as long as the daemon runs, also when the configuration has it no
 * more: clients and messages under way refer to it, and workers know it by its address. So the list
 * only grows, and is read without a lock.
 */
#pragma once

#include "daemon/bus.h"

struct account {
        struct account *next; /* fixed from the beginning */
        struct bus bus;
        char name[];
};

/* An empty list is one of zeroes. */
struct accounts {
        _Atomic(struct account *) first;
};

/* When nobody publishes and subscribes any more. */
void accounts_deinit(struct accounts *accounts);

/* The bus of the account of that name, made if need be; borrowed. Returns 0 or -ENOMEM. The
 * server's thread. */
int accounts_obtain(struct accounts *accounts, const char *name, struct bus **busp);

/* The same, or NULL if there is none. Any thread. */
struct bus *accounts_find(struct accounts *accounts, const char *name);

/* The first account and, by its `next`, all others. Any thread. */
static inline struct account *accounts_first(struct accounts *accounts) {
        return atomic_load_explicit(&accounts->first, memory_order_acquire);
}

/* How many subscriptions clients have, in all accounts. Any thread. */
uint64_t accounts_count_subscriptions(struct accounts *accounts);
