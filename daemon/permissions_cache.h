/* What was decided about the last subjects, so that publishing to the same ones again costs no
 * search.
 *
 * Permissions never change, so an entry holds for as long as they exist; and as each have a number
 * of their own, it is found for no others. Belongs to one worker, and serves all its clients.
 */
#pragma once

#include "daemon/permissions.h"

#define PERMISSIONS_CACHE_SIZE 256
/* Longer subjects are not kept. */
#define PERMISSIONS_CACHE_SUBJECT_MAX 96

struct permissions_cache_entry;

struct permissions_cache {
        struct permissions_cache_entry *entries; /* owned; made when first used */
};

/* A cache of zeroes is an empty one. */
void permissions_cache_deinit(struct permissions_cache *cache);

/* As permissions_may_publish(), and as permissions_filter() for a subscription in no queue group.
 * The permissions are not NULL. */
struct permissions_decision permissions_cache_may_publish(struct permissions_cache *cache,
                                                          const struct permissions *permissions,
                                                          struct bytes subject);
struct permissions_decision permissions_cache_filter(struct permissions_cache *cache,
                                                     const struct permissions *permissions,
                                                     struct bytes subject);
