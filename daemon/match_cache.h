/* Matches of the last subjects, so that publishing to the same ones again costs no lookup.
 *
 * An entry holds as long as the index's generation is the one it was made at: then nothing has been
 * subscribed or unsubscribed since. Belongs to one worker.
 */
#pragma once

#include "daemon/match.h"

#define MATCH_CACHE_SIZE 256
/* Longer subjects are not kept. */
#define MATCH_CACHE_SUBJECT_MAX 96
/* Subscriptions that all entries together have memory for; all are dropped when it is more. */
#define MATCH_CACHE_ROOM_MAX (512 * 1024)

struct subject_index;

struct match_cache_entry {
        const struct subject_index *index; /* NULL: empty */
        uint64_t generation;
        size_t length;
        char subject[MATCH_CACHE_SUBJECT_MAX];
        struct match match;
};

struct match_cache {
        struct match_cache_entry *entries[MATCH_CACHE_SIZE]; /* owned; made when first used */
        size_t n_room;                                       /* of all entries */
        uint64_t n_visited;                                  /* work done so far, for a measure */
        struct match scratch;                                /* for what is not kept */
};

/* A cache of zeroes is an empty one. */
void match_cache_deinit(struct match_cache *cache);

/* What a subject reaches; valid until the next call and the calling thread's quiescent state.
 * Incomplete if there is no memory: then *rp is -ENOMEM, else 0. */
struct match *match_cache_find(struct match_cache *cache, struct subject_index *index,
                               struct bytes subject, int *rp);
