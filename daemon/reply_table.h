/* Replies that are awaited: under which token one will come, and to which subject it is to go.
 *
 * Each is passed on once. Their number and length are bounded: when it is too much, the oldest one
 * is forgotten, as it is the least likely to be still awaited. Any thread; each call takes the
 * table's lock, a leaf.
 */
#pragma once

#include "lib/bytes.h"

#include <pthread.h>

#define REPLY_TABLE_MAX       65536
#define REPLY_TABLE_MAX_BYTES (16 * 1024 * 1024)
/* Characters of a token, each a letter or a digit. */
#define REPLY_TOKEN_LENGTH 10

struct reply_entry;

struct reply_table {
        pthread_mutex_t lock;
        struct reply_entry *entries; /* owned; as many as there ever were at a time */
        uint32_t n_entries, n_used;
        uint32_t oldest, youngest;      /* the list of those that are used */
        uint32_t first_free, last_free; /* and of the others, used again in turn */
        size_t n_bytes;                 /* of all subjects */
};

void reply_table_init(struct reply_table *table);
void reply_table_deinit(struct reply_table *table);

/* An outcome of reply_table_add(): an older reply was forgotten for it. */
enum {
        REPLY_TABLE_FORGOT = 1,
};

/* Awaits a reply for `subject`, of which it makes a copy. `random`, which has to be that, keeps the
 * token from being guessed.
 * Returns 0, REPLY_TABLE_FORGOT or -ENOMEM. */
int reply_table_add(struct reply_table *table, struct bytes subject, uint64_t random,
                    uint64_t now_ms, char token[REPLY_TOKEN_LENGTH]);

/* How many more replies of a few bytes there is room for without forgetting one; for who adds them
 * alone. */
unsigned reply_table_room(struct reply_table *table);

/* Where the reply under this token goes, once, as text that the caller frees; NULL: nowhere. */
char *reply_table_take(struct reply_table *table, struct bytes token);

/* Forgets what has been awaited since before a time. */
void reply_table_expire(struct reply_table *table, uint64_t before_ms);
