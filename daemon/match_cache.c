/* Matches of the last subjects. See match_cache.h. */
#include "daemon/match_cache.h"

#include "daemon/subject_index.h"
#include "lib/hash.h"

#include <stdlib.h>

static void entry_free(struct match_cache_entry *entry) {
        if (!entry)
                return;
        match_deinit(&entry->match);
        free(entry);
}

void match_cache_deinit(struct match_cache *cache) {
        for (size_t i = 0; i < MATCH_CACHE_SIZE; i++)
                entry_free(cache->entries[i]);
        match_deinit(&cache->scratch);
}

static bool entry_is(const struct match_cache_entry *entry, const struct subject_index *index,
                     struct bytes subject) {
        return entry->index == index &&
               bytes_equal((struct bytes){entry->subject, entry->length}, subject);
}

static struct match *look_up(struct match_cache *cache, struct subject_index *index,
                             struct bytes subject, int *rp) {
        *rp = subject_index_match(index, subject, &cache->scratch);
        cache->n_visited += cache->scratch.n_visited + match_count(&cache->scratch);
        return &cache->scratch;
}

/* Drops all entries but the one that was just made. */
static void cache_shrink(struct match_cache *cache, const struct match_cache_entry *except) {
        for (size_t i = 0; i < MATCH_CACHE_SIZE; i++) {
                struct match_cache_entry *entry = cache->entries[i];

                if (!entry || entry == except)
                        continue;
                entry->index = NULL;
                match_deinit(&entry->match);
        }
        cache->n_room = match_room(&except->match);
}

static struct match *cache_fill(struct match_cache *cache, struct match_cache_entry *entry,
                                struct subject_index *index, struct bytes subject, int *rp) {
        cache->n_room -= match_room(&entry->match);
        /* Before the lookup, so that what changes meanwhile is noticed. */
        entry->generation = subject_index_generation(index);
        entry->index = index;
        entry->length = subject.length;
        bytes_copy(entry->subject, subject);
        *rp = subject_index_match(index, subject, &entry->match);
        if (*rp < 0)
                entry->index = NULL;
        cache->n_room += match_room(&entry->match);
        cache->n_visited += entry->match.n_visited + match_count(&entry->match);
        if (cache->n_room > MATCH_CACHE_ROOM_MAX)
                cache_shrink(cache, entry);
        return &entry->match;
}

struct match *match_cache_find(struct match_cache *cache, struct subject_index *index,
                               struct bytes subject, int *rp) {
        struct match_cache_entry **place, *entry;

        if (subject.length > MATCH_CACHE_SUBJECT_MAX)
                return look_up(cache, index, subject, rp);
        place = &cache->entries[hash_cheap(subject) >> 56];
        if (!*place)
                *place = calloc(1, sizeof(**place));
        entry = *place;
        if (!entry)
                return look_up(cache, index, subject, rp);
        if (!entry_is(entry, index, subject) ||
            entry->generation != subject_index_generation(index))
                return cache_fill(cache, entry, index, subject, rp);
        *rp = 0;
        return &entry->match;
}
