/* Replies that are awaited. See reply_table.h.
 *
 * A token is the number of an entry together with a stamp that the entry has for this one use, so
 * that it is found without a search and a late reply finds nothing. Used entries are in a list by
 * age; the others in one in which each is used again as late as possible.
 */
#include "daemon/reply_table.h"

#include "lib/base62.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No entry. */
#define NONE UINT32_MAX
/* Of tokens: 62^10 of them, shared out among the entries. */
#define N_STAMPS (UINT64_C(839299365868340224) / REPLY_TABLE_MAX)

struct reply_entry {
        char *subject; /* owned; NULL: not used */
        uint64_t stamp;
        uint32_t length;
        uint32_t previous, next; /* older and younger; of free ones the next alone */
        uint64_t since_ms;
};

void reply_table_init(struct reply_table *table) {
        *table = (struct reply_table){
                .oldest = NONE, .youngest = NONE, .first_free = NONE, .last_free = NONE};
        pthread_mutex_init(&table->lock, NULL);
}

void reply_table_deinit(struct reply_table *table) {
        for (uint32_t i = 0; i < table->n_entries; i++)
                free(table->entries[i].subject);
        free(table->entries);
        pthread_mutex_destroy(&table->lock);
}

static void free_list_append(struct reply_table *table, uint32_t i) {
        table->entries[i].next = NONE;
        if (table->last_free == NONE)
                table->first_free = i;
        else
                table->entries[table->last_free].next = i;
        table->last_free = i;
}

static int table_grow(struct reply_table *table) {
        uint32_t n = table->n_entries ? 2 * table->n_entries : 64;
        struct reply_entry *entries = reallocarray(table->entries, n, sizeof(*entries));

        if (!entries)
                return -ENOMEM;
        memset(entries + table->n_entries, 0, (n - table->n_entries) * sizeof(*entries));
        table->entries = entries;
        for (; table->n_entries < n; table->n_entries++)
                free_list_append(table, table->n_entries);
        return 0;
}

/* Takes an entry out of use. Returns its subject, which is the caller's. */
static char *entry_release(struct reply_table *table, uint32_t i) {
        struct reply_entry *entry = &table->entries[i];
        char *subject = entry->subject;

        if (entry->previous == NONE)
                table->oldest = entry->next;
        else
                table->entries[entry->previous].next = entry->next;
        if (entry->next == NONE)
                table->youngest = entry->previous;
        else
                table->entries[entry->next].previous = entry->previous;
        table->n_bytes -= entry->length;
        table->n_used--;
        entry->subject = NULL;
        free_list_append(table, i);
        return subject;
}

/* Makes room for a subject of that length. Returns 0, REPLY_TABLE_FORGOT or -ENOMEM. */
static int table_make_room(struct reply_table *table, size_t length) {
        int r = 0;

        while (table->n_used == REPLY_TABLE_MAX ||
               (table->n_used > 0 && table->n_bytes + length > REPLY_TABLE_MAX_BYTES)) {
                free(entry_release(table, table->oldest));
                r = REPLY_TABLE_FORGOT;
        }
        if (table->first_free == NONE && table_grow(table) < 0)
                return -ENOMEM;
        return r;
}

/* Takes the first free entry. */
static uint32_t table_use(struct reply_table *table) {
        uint32_t i = table->first_free;
        struct reply_entry *entry = &table->entries[i];

        table->first_free = entry->next;
        if (table->first_free == NONE)
                table->last_free = NONE;
        entry->previous = table->youngest;
        entry->next = NONE;
        if (table->youngest == NONE)
                table->oldest = i;
        else
                table->entries[table->youngest].next = i;
        table->youngest = i;
        table->n_used++;
        return i;
}

static int add(struct reply_table *table, char *subject, size_t length, uint64_t random,
               uint64_t now_ms, char token[REPLY_TOKEN_LENGTH]) {
        int r = table_make_room(table, length);
        struct reply_entry *entry;
        uint32_t i;

        if (r < 0)
                return r;
        i = table_use(table);
        entry = &table->entries[i];
        /* Another one than last time. */
        entry->stamp = (entry->stamp + 1 + random % (N_STAMPS - 1)) % N_STAMPS;
        entry->subject = subject;
        entry->length = (uint32_t)length;
        entry->since_ms = now_ms;
        table->n_bytes += length;
        base62_write(token, REPLY_TOKEN_LENGTH, entry->stamp * REPLY_TABLE_MAX + i);
        return r;
}

int reply_table_add(struct reply_table *table, struct bytes subject, uint64_t random,
                    uint64_t now_ms, char token[REPLY_TOKEN_LENGTH]) {
        char *copy = malloc(subject.length + 1);
        int r;

        if (!copy)
                return -ENOMEM;
        *bytes_copy(copy, subject) = '\0';
        pthread_mutex_lock(&table->lock);
        r = add(table, copy, subject.length, random, now_ms, token);
        pthread_mutex_unlock(&table->lock);
        if (r < 0)
                free(copy);
        return r;
}

unsigned reply_table_room(struct reply_table *table) {
        unsigned n_used;

        pthread_mutex_lock(&table->lock);
        n_used = table->n_used;
        pthread_mutex_unlock(&table->lock);
        return REPLY_TABLE_MAX - n_used;
}

char *reply_table_take(struct reply_table *table, struct bytes token) {
        uint64_t number = token.length == REPLY_TOKEN_LENGTH ? base62_read(token) : UINT64_MAX;
        uint32_t i = (uint32_t)(number % REPLY_TABLE_MAX);
        char *subject = NULL;

        if (number == UINT64_MAX)
                return NULL;
        pthread_mutex_lock(&table->lock);
        if (i < table->n_entries && table->entries[i].subject &&
            table->entries[i].stamp == number / REPLY_TABLE_MAX)
                subject = entry_release(table, i);
        pthread_mutex_unlock(&table->lock);
        return subject;
}

void reply_table_expire(struct reply_table *table, uint64_t before_ms) {
        pthread_mutex_lock(&table->lock);
        while (table->n_used > 0 && table->entries[table->oldest].since_ms < before_ms)
                free(entry_release(table, table->oldest));
        pthread_mutex_unlock(&table->lock);
}
