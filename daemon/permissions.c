/* Permissions. See permissions.h.
 *
 * Of each list, the entries without wildcards are found by their hash. The others are looked at in
 * turn: most differ in the bytes before their first wildcard, which one comparison tells.
 */
#include "daemon/permissions.h"

#include "lib/hash.h"
#include "lib/subject.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define NONE UINT32_MAX

struct permissions_entry {
        char *text; /* owned: the subject; behind a blank the queue */
        struct bytes subject, queue;
        size_t n_literal; /* bytes before the first token that is a wildcard */
        const char *file; /* one of the permissions' */
        unsigned line;
        uint32_t next; /* among those of the same bucket, or with wildcards; NONE: none */
};

struct list {
        bool is_given;
        const char *file; /* one of the permissions' */
        unsigned line;
        struct permissions_entry *entries; /* owned; in the order of the configuration */
        uint32_t n_entries, capacity;
        uint32_t *buckets;  /* owned; those without wildcards, by hash */
        uint32_t n_buckets; /* a power of two; 0: there are none */
        uint32_t first_pattern;
};

struct permissions {
        _Atomic unsigned n_references;
        uint64_t id;
        struct list lists[N_PERMISSIONS_LISTS];
        uint64_t max_responses, response_ms;
        char **files; /* owned, as is each name */
        size_t n_files;
};

/* --- building ------------------------------------------------------------------------------- */

struct permissions *permissions_new(void) {
        static _Atomic uint64_t last_id;
        struct permissions *permissions = calloc(1, sizeof(*permissions));

        if (!permissions)
                return NULL;
        atomic_init(&permissions->n_references, 1);
        permissions->id = atomic_fetch_add(&last_id, 1) + 1;
        for (unsigned i = 0; i < N_PERMISSIONS_LISTS; i++)
                permissions->lists[i].first_pattern = NONE;
        return permissions;
}

struct permissions permissions_nothing = {
        .n_references = 1,
        .id = UINT64_MAX,
        .lists = {[PERMISSIONS_PUBLISH_ALLOW] = {.is_given = true, .first_pattern = NONE},
                  [PERMISSIONS_PUBLISH_DENY] = {.first_pattern = NONE},
                  [PERMISSIONS_SUBSCRIBE_ALLOW] = {.is_given = true, .first_pattern = NONE},
                  [PERMISSIONS_SUBSCRIBE_DENY] = {.first_pattern = NONE}},
};

struct permissions *permissions_ref(struct permissions *permissions) {
        atomic_fetch_add(&permissions->n_references, 1);
        return permissions;
}

static void list_deinit(struct list *list) {
        for (uint32_t i = 0; i < list->n_entries; i++)
                free(list->entries[i].text);
        free(list->entries);
        free(list->buckets);
}

struct permissions *permissions_unref(struct permissions *permissions) {
        if (!permissions || atomic_fetch_sub(&permissions->n_references, 1) > 1)
                return NULL;
        for (unsigned i = 0; i < N_PERMISSIONS_LISTS; i++)
                list_deinit(&permissions->lists[i]);
        for (size_t i = 0; i < permissions->n_files; i++)
                free(permissions->files[i]);
        free(permissions->files);
        free(permissions);
        return NULL;
}

/* A copy of the name that lives as long as the permissions. Entries of one file stand together. */
static const char *keep_file(struct permissions *permissions, const char *file) {
        size_t n = permissions->n_files;
        char **files, *copy;

        if (n > 0 && strcmp(permissions->files[n - 1], file) == 0)
                return permissions->files[n - 1];
        copy = strdup(file);
        files = copy ? reallocarray(permissions->files, n + 1, sizeof(*files)) : NULL;
        if (!files) {
                free(copy);
                return NULL;
        }
        files[n] = copy;
        permissions->files = files;
        permissions->n_files++;
        return copy;
}

int permissions_open(struct permissions *permissions, enum permissions_list list, const char *file,
                     unsigned line) {
        struct list *opened = &permissions->lists[list];

        opened->file = keep_file(permissions, file);
        opened->line = line;
        opened->is_given = true;
        return opened->file ? 0 : -ENOMEM;
}

static int list_grow(struct list *list) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 8;
        struct permissions_entry *entries;

        if (list->n_entries < list->capacity)
                return 0;
        entries = reallocarray(list->entries, capacity, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        list->entries = entries;
        list->capacity = capacity;
        return 0;
}

/* How many bytes stand before the first wildcard; all of them if there is none. */
static size_t count_literal(struct bytes subject) {
        struct bytes rest = subject, token;

        while (subject_next_token(&rest, &token))
                if (subject_token_is(token, '*') || subject_token_is(token, '>'))
                        return (size_t)(token.data - subject.data);
        return subject.length;
}

int permissions_add(struct permissions *permissions, enum permissions_list list,
                    struct bytes subject, struct bytes queue, const char *file, unsigned line) {
        struct list *target = &permissions->lists[list];
        const char *kept = keep_file(permissions, file);
        struct permissions_entry *entry;
        char *text;

        if (!kept || list_grow(target) < 0)
                return -ENOMEM;
        text = malloc(subject.length + 1 + queue.length + 1);
        if (!text)
                return -ENOMEM;
        entry = &target->entries[target->n_entries++];
        *entry = (struct permissions_entry){
                .text = text,
                .subject = {text, subject.length},
                .queue = {text + subject.length + 1, queue.length},
                .file = kept,
                .line = line,
                .next = NONE,
        };
        text = bytes_copy(text, subject);
        *text++ = ' ';
        *bytes_copy(text, queue) = '\0';
        entry->n_literal = count_literal(entry->subject);
        return 0;
}

int permissions_allow_responses(struct permissions *permissions, uint64_t max, uint64_t expires_ms,
                                const char *file, unsigned line) {
        permissions->max_responses = max;
        permissions->response_ms = expires_ms;
        return permissions->lists[PERMISSIONS_PUBLISH_ALLOW].is_given
                       ? 0
                       : permissions_open(permissions, PERMISSIONS_PUBLISH_ALLOW, file, line);
}

static bool entry_is_pattern(const struct permissions_entry *entry) {
        return entry->n_literal < entry->subject.length;
}

static uint32_t *list_bucket(const struct list *list, struct bytes subject) {
        return &list->buckets[hash_bytes(subject, 0) & (list->n_buckets - 1)];
}

static int list_make_buckets(struct list *list) {
        uint32_t n = 1;

        while (n < 2 * list->n_entries)
                n *= 2;
        list->buckets = malloc(n * sizeof(*list->buckets));
        if (!list->buckets)
                return -ENOMEM;
        memset(list->buckets, 0xff, n * sizeof(*list->buckets)); /* NONE */
        list->n_buckets = n;
        return 0;
}

/* From the last one, so that the first in the configuration is the first in its chain. */
static int list_seal(struct list *list) {
        for (uint32_t i = list->n_entries; i-- > 0;) {
                struct permissions_entry *entry = &list->entries[i];
                uint32_t *first = &list->first_pattern;

                if (!entry_is_pattern(entry)) {
                        if (!list->buckets && list_make_buckets(list) < 0)
                                return -ENOMEM;
                        first = list_bucket(list, entry->subject);
                }
                entry->next = *first;
                *first = i;
        }
        return 0;
}

int permissions_seal(struct permissions *permissions) {
        int r = 0;

        for (unsigned i = 0; i < N_PERMISSIONS_LISTS && r == 0; i++)
                r = list_seal(&permissions->lists[i]);
        return r;
}

/* --- searching ------------------------------------------------------------------------------ */

/* Whether a pattern matches a text without empty tokens. */
static bool pattern_matches(const struct permissions_entry *entry, struct bytes subject) {
        size_t n = entry->n_literal;

        return subject.length > n && memcmp(subject.data, entry->subject.data, n) == 0 &&
               subject_tokens_match(
                       (struct bytes){entry->subject.data + n, entry->subject.length - n},
                       (struct bytes){subject.data + n, subject.length - n});
}

/* Whether it has all of a subscription's subject. */
static bool pattern_covers(const struct permissions_entry *entry, struct bytes subject) {
        return subject_is_subset(subject, entry->subject);
}

/* Entries that fit a subject, one after the other. */
struct search {
        const struct list *list;
        struct bytes subject;
        bool (*fits)(const struct permissions_entry *entry, struct bytes subject); /* of patterns */
        uint32_t next;
        bool is_at_patterns;
};

static struct search search_of(const struct list *list, struct bytes subject,
                               bool (*fits)(const struct permissions_entry *entry,
                                            struct bytes subject)) {
        return (struct search){
                .list = list,
                .subject = subject,
                .fits = fits,
                .next = list->n_buckets > 0 ? *list_bucket(list, subject) : NONE,
        };
}

/* The next one, or NULL. A subject with wildcards is in no chain of literal ones. */
static const struct permissions_entry *search_next(struct search *search) {
        const struct list *list = search->list;

        for (;;) {
                const struct permissions_entry *entry;

                if (search->next == NONE) {
                        if (search->is_at_patterns)
                                return NULL;
                        search->is_at_patterns = true;
                        search->next = list->first_pattern;
                        continue;
                }
                entry = &list->entries[search->next];
                search->next = entry->next;
                if (search->is_at_patterns ? search->fits(entry, search->subject)
                                           : bytes_equal(entry->subject, search->subject))
                        return entry;
        }
}

/* Whether an entry is about subscriptions in this queue group, or in none. */
static bool entry_is_about(const struct permissions_entry *entry, struct bytes queue) {
        return entry->queue.length == 0 ||
               (queue.length > 0 && subject_tokens_match(entry->queue, queue));
}

/* --- publishing ----------------------------------------------------------------------------- */

static struct permissions_decision decide(enum permissions_verdict verdict,
                                          enum permissions_list list,
                                          const struct permissions_entry *entry) {
        return (struct permissions_decision){verdict, list, entry};
}

static const struct permissions_entry *find_match(const struct list *list, struct bytes subject) {
        struct search search = search_of(list, subject, pattern_matches);

        return search_next(&search);
}

struct permissions_decision permissions_may_publish(const struct permissions *permissions,
                                                    struct bytes subject) {
        const struct list *lists = permissions ? permissions->lists : NULL;
        const struct permissions_entry *entry = NULL;
        bool is_sound = lists && !subject_has_empty_token(subject);

        if (is_sound)
                entry = find_match(&lists[PERMISSIONS_PUBLISH_DENY], subject);
        if (entry)
                return decide(PERMISSIONS_REFUSED, PERMISSIONS_PUBLISH_DENY, entry);
        if (!lists || !lists[PERMISSIONS_PUBLISH_ALLOW].is_given)
                return decide(PERMISSIONS_ALLOWED, PERMISSIONS_PUBLISH_ALLOW, NULL);
        if (is_sound)
                entry = find_match(&lists[PERMISSIONS_PUBLISH_ALLOW], subject);
        return decide(entry ? PERMISSIONS_ALLOWED : PERMISSIONS_REFUSED, PERMISSIONS_PUBLISH_ALLOW,
                      entry);
}

/* --- subscribing ---------------------------------------------------------------------------- */

/* If entries with a queue have the subject, a member of a queue group has to be in one of theirs;
 * else entries without one count. */
static struct permissions_decision may_subscribe(const struct list *list, struct bytes subject,
                                                 struct bytes queue) {
        struct search search = search_of(list, subject, pattern_covers);
        const struct permissions_entry *entry, *plain = NULL, *queued = NULL;

        if (!list->is_given)
                return decide(PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_ALLOW, NULL);
        while ((entry = search_next(&search))) {
                if (entry->queue.length > 0 && entry_is_about(entry, queue))
                        return decide(PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_ALLOW, entry);
                if (entry->queue.length > 0 && !queued)
                        queued = entry;
                if (entry->queue.length == 0 && !plain)
                        plain = entry;
        }
        if (plain && (queue.length == 0 || !queued))
                return decide(PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_ALLOW, plain);
        return decide(PERMISSIONS_REFUSED, PERMISSIONS_SUBSCRIBE_ALLOW, queued);
}

/* The entry that has all of a subscription's subject, or NULL. */
static const struct permissions_entry *find_cover(const struct list *list, struct bytes subject,
                                                  struct bytes queue) {
        struct search search = search_of(list, subject, pattern_covers);
        const struct permissions_entry *entry;

        while ((entry = search_next(&search)))
                if (entry_is_about(entry, queue))
                        return entry;
        return NULL;
}

/* The first entry that has something in common with a subscription's subject, or NULL. */
static const struct permissions_entry *find_overlap(const struct list *list, struct bytes subject,
                                                    struct bytes queue) {
        for (uint32_t i = 0; i < list->n_entries; i++)
                if (entry_is_about(&list->entries[i], queue) &&
                    subject_overlaps(list->entries[i].subject, subject))
                        return &list->entries[i];
        return NULL;
}

struct permissions_decision permissions_may_subscribe(const struct permissions *permissions,
                                                      struct bytes subject, struct bytes queue) {
        struct permissions_decision decision;
        const struct permissions_entry *entry;
        const struct list *deny;

        if (!permissions)
                return decide(PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_ALLOW, NULL);
        deny = &permissions->lists[PERMISSIONS_SUBSCRIBE_DENY];
        entry = find_cover(deny, subject, queue);
        if (entry)
                return decide(PERMISSIONS_REFUSED, PERMISSIONS_SUBSCRIBE_DENY, entry);
        decision = may_subscribe(&permissions->lists[PERMISSIONS_SUBSCRIBE_ALLOW], subject, queue);
        if (decision.verdict == PERMISSIONS_REFUSED || !subject_has_wildcard(subject))
                return decision;
        entry = find_overlap(deny, subject, queue);
        return entry ? decide(PERMISSIONS_FILTERED, PERMISSIONS_SUBSCRIBE_DENY, entry) : decision;
}

struct permissions_decision permissions_filter(const struct permissions *permissions,
                                               struct bytes subject, struct bytes queue) {
        const struct permissions_entry *entry;
        struct search search;

        if (!permissions)
                return decide(PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_DENY, NULL);
        search = search_of(&permissions->lists[PERMISSIONS_SUBSCRIBE_DENY], subject,
                           pattern_matches);
        while ((entry = search_next(&search)) && !entry_is_about(entry, queue))
                ;
        return decide(entry ? PERMISSIONS_REFUSED : PERMISSIONS_ALLOWED, PERMISSIONS_SUBSCRIBE_DENY,
                      entry);
}

/* --- what else there is to know ------------------------------------------------------------- */

uint64_t permissions_max_responses(const struct permissions *permissions) {
        return permissions ? permissions->max_responses : 0;
}

uint64_t permissions_response_ms(const struct permissions *permissions) {
        return permissions ? permissions->response_ms : 0;
}

uint64_t permissions_id(const struct permissions *permissions) {
        return permissions->id;
}

static bool list_is_equal(const struct list *a, const struct list *b) {
        if (a->is_given != b->is_given || a->n_entries != b->n_entries)
                return false;
        for (uint32_t i = 0; i < a->n_entries; i++)
                if (strcmp(a->entries[i].text, b->entries[i].text) != 0)
                        return false;
        return true;
}

bool permissions_is_equal(const struct permissions *a, const struct permissions *b) {
        if (!a || !b)
                return a == b;
        for (unsigned i = 0; i < N_PERMISSIONS_LISTS; i++)
                if (!list_is_equal(&a->lists[i], &b->lists[i]))
                        return false;
        return a->max_responses == b->max_responses && a->response_ms == b->response_ms;
}

struct bytes permissions_entry_text(const struct permissions_entry *entry) {
        size_t n_queue = entry->queue.length;

        return (struct bytes){entry->text, entry->subject.length + (n_queue ? 1 + n_queue : 0)};
}

const char *permissions_locate(const struct permissions *permissions,
                               struct permissions_decision decision, unsigned *linep) {
        const struct list *list = permissions ? &permissions->lists[decision.list] : NULL;

        *linep = decision.entry ? decision.entry->line : list ? list->line : 0;
        return decision.entry ? decision.entry->file : list ? list->file : NULL;
}

/* What decided, in words that go before the entry, if there is one. */
static const char *reason_of(struct permissions_decision decision) {
        bool is_deny = decision.list == PERMISSIONS_PUBLISH_DENY ||
                       decision.list == PERMISSIONS_SUBSCRIBE_DENY;

        if (decision.verdict == PERMISSIONS_FILTERED)
                return "allowed but for";
        if (decision.entry && is_deny)
                return "denied by";
        if (decision.verdict == PERMISSIONS_ALLOWED)
                return decision.entry ? "allowed by" : is_deny ? "not denied" : "not restricted";
        return decision.entry ? "allowed for other queues, by" : "not among what is allowed";
}

const char *permissions_explain(const struct permissions *permissions,
                                struct permissions_decision decision, char *text, size_t size) {
        char entry[256], place[512];
        const char *file;
        unsigned line;

        if (decision.entry)
                bytes_quote(entry, sizeof(entry), permissions_entry_text(decision.entry));
        file = permissions_locate(permissions, decision, &line);
        if (file)
                snprintf(place, sizeof(place), ", %s:%u", file, line);
        snprintf(text, size, "%s%s%s%s%s", reason_of(decision), decision.entry ? " \"" : "",
                 decision.entry ? entry : "", decision.entry ? "\"" : "", file ? place : "");
        return text;
}
