/* Usage: what all clients of one user have together, against the limits of the user.
 *
 * It lasts as long as one of them does, across reloads, which only change the limits. Any thread.
 */
#pragma once

#include "daemon/rate.h"
#include "lib/list.h"

#include <pthread.h>
#include <stdatomic.h>

struct config_user;

struct usage {
        char *user; /* owned */
        struct list_link link;
        unsigned n_references; /* under the list's lock */
        _Atomic uint64_t n_connections;
        struct rate rate; /* of what is published */
};

struct usages {
        pthread_mutex_t lock; /* a leaf */
        struct list_link list;
};

/* Returns 0 or a negative errno. */
int usages_init(struct usages *usages);
void usages_deinit(struct usages *usages);

/* The usage of a user, with its limits as they are now: a reference, or NULL if there is no memory.
 */
struct usage *usage_take(struct usages *usages, const struct config_user *user);
/* Gives it back; NULL is allowed. Returns NULL. */
struct usage *usage_give(struct usages *usages, struct usage *usage);
