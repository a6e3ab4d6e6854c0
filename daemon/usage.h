/* Usage: what all clients of one user have together, against the limits of the user.
 *
 * It stays when they have gone, so that what was published too fast is not forgotten; there is one
 * for each name that a user ever had. A reload only changes the limits. Any thread.
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
        _Atomic uint64_t n_connections;
        _Atomic uint64_t max_connections; /* 0: no limit */
        struct rate rate;                 /* of what is published */
};

struct usages {
        pthread_mutex_t lock; /* a leaf */
        struct list_link list;
};

/* Returns 0 or a negative errno. */
int usages_init(struct usages *usages);
void usages_deinit(struct usages *usages);

/* The usage of a user, with its limits as they are now, valid until usages_deinit(); NULL if there
 * is no memory. */
struct usage *usage_take(struct usages *usages, const struct config_user *user);
