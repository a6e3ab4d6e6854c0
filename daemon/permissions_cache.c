/* What was decided about the last subjects. See permissions_cache.h. */
#include "daemon/permissions_cache.h"

#include "lib/hash.h"

#include <stdlib.h>

enum question { MAY_PUBLISH, FILTER };

struct permissions_cache_entry {
        uint64_t id; /* of the permissions; 0: empty */
        enum question question;
        uint32_t length;
        char subject[PERMISSIONS_CACHE_SUBJECT_MAX];
        struct permissions_decision decision;
};

void permissions_cache_deinit(struct permissions_cache *cache) {
        free(cache->entries);
        cache->entries = NULL;
}

static struct permissions_decision
decide(enum question question, const struct permissions *permissions, struct bytes subject) {
        return question == FILTER ? permissions_filter(permissions, subject, BYTES(""))
                                  : permissions_may_publish(permissions, subject);
}

static struct permissions_decision look_up(struct permissions_cache *cache, enum question question,
                                           const struct permissions *permissions,
                                           struct bytes subject) {
        uint64_t id = permissions_id(permissions);
        struct permissions_cache_entry *entry;

        if (!cache->entries)
                cache->entries = calloc(PERMISSIONS_CACHE_SIZE, sizeof(*cache->entries));
        if (!cache->entries || subject.length > PERMISSIONS_CACHE_SUBJECT_MAX)
                return decide(question, permissions, subject);
        entry = &cache->entries[hash_cheap(subject) >> 56];
        if (entry->id == id && entry->question == question &&
            bytes_equal((struct bytes){entry->subject, entry->length}, subject))
                return entry->decision;
        entry->id = id;
        entry->question = question;
        entry->length = (uint32_t)subject.length;
        bytes_copy(entry->subject, subject);
        entry->decision = decide(question, permissions, subject);
        return entry->decision;
}

struct permissions_decision permissions_cache_may_publish(struct permissions_cache *cache,
                                                          const struct permissions *permissions,
                                                          struct bytes subject) {
        return look_up(cache, MAY_PUBLISH, permissions, subject);
}

struct permissions_decision permissions_cache_filter(struct permissions_cache *cache,
                                                     const struct permissions *permissions,
                                                     struct bytes subject) {
        return look_up(cache, FILTER, permissions, subject);
}
