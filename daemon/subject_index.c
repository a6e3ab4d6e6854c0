/* The subject index. See subject_index.h.
 *
 * The table is an array of slots with linear probing. A slot holds a node's pointer and, in the 16
 * bits that user-space pointers leave free, a part of its hash, so that a probe rarely touches a
 * node that is not meant. To grow, a writer copies the slots into a larger array and publishes
 * that; readers of the old array find what was there when they began.
 */
#include "daemon/subject_index.h"

#include "daemon/match.h"
#include "lib/hash.h"
#include "lib/list.h"
#include "lib/subject.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* A subject without wildcards, or one token of a pattern. */
struct index_node {
        struct index_node *parent; /* NULL for the two roots */
        struct reclaim_node reclaim;
        _Atomic(struct subscription *) ending; /* subscriptions that end here */
        _Atomic(struct subscription *) open;   /* those that go on with `>` */
        _Atomic(struct index_node *) star;     /* the child for `*` */
        uint32_t n_children;                   /* with star; writers only */
        uint32_t length;
        uint64_t hash;
        char text[];
};

struct index_table {
        struct reclaim_node reclaim;
        size_t mask;   /* number of slots - 1 */
        size_t n_used; /* slots that are not empty */
        _Atomic uint64_t slots[];
};

struct subject_index {
        pthread_mutex_t lock; /* a leaf: nothing is locked under it */
        _Atomic(struct index_table *) table;
        size_t n_nodes;
        _Atomic uint64_t generation;
        _Atomic uint64_t n_subscriptions;
        _Atomic uint64_t n_patterns; /* those with wildcards */
        struct index_node *literals; /* parent of the nodes of whole subjects; owned */
        struct index_node *trie;     /* parent of first tokens; owned */
};

#define SLOT_EMPTY   UINT64_C(0)
#define SLOT_REMOVED UINT64_C(1)
#define SLOT_POINTER UINT64_C(0x0000ffffffffffff)
#define TABLE_MIN    16

static uint64_t slot_make(struct index_node *node) {
        uint64_t pointer = (uint64_t)(uintptr_t)node;

        assert((pointer & ~SLOT_POINTER) == 0);
        return pointer | (node->hash & ~SLOT_POINTER);
}

static struct index_node *slot_node(uint64_t slot) {
        return (struct index_node *)(uintptr_t)(slot & SLOT_POINTER);
}

static uint64_t node_hash(const struct index_node *parent, struct bytes text) {
        return hash_bytes(text, (uint64_t)(uintptr_t)parent);
}

static bool node_is(const struct index_node *node, const struct index_node *parent,
                    struct bytes text) {
        return node->parent == parent && node->length == text.length &&
               memcmp(node->text, text.data, text.length) == 0;
}

/* Finds the node of `text` below parent, or NULL. Any thread. */
static struct index_node *table_find(const struct index_table *table,
                                     const struct index_node *parent, struct bytes text) {
        uint64_t hash = node_hash(parent, text);

        for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
                uint64_t slot = atomic_load_explicit(&table->slots[i], memory_order_acquire);

                if (slot == SLOT_EMPTY)
                        return NULL;
                if (((slot ^ hash) & ~SLOT_POINTER) == 0 && slot != SLOT_REMOVED &&
                    node_is(slot_node(slot), parent, text))
                        return slot_node(slot);
        }
}

static void table_put(struct index_table *table, uint64_t slot, uint64_t hash) {
        size_t i = hash & table->mask;
        uint64_t found;

        while ((found = atomic_load_explicit(&table->slots[i], memory_order_relaxed)) !=
                       SLOT_EMPTY &&
               found != SLOT_REMOVED)
                i = (i + 1) & table->mask;
        table->n_used += found == SLOT_EMPTY;
        atomic_store_explicit(&table->slots[i], slot, memory_order_release);
}

static struct index_table *table_new(size_t n_slots) {
        struct index_table *table = calloc(1, sizeof(*table) + n_slots * sizeof(table->slots[0]));

        if (table)
                table->mask = n_slots - 1;
        return table;
}

static void table_release(struct reclaim_node *node) {
        free(container_of(node, struct index_table, reclaim));
}

static struct index_table *index_table(struct subject_index *index) {
        return atomic_load_explicit(&index->table, memory_order_acquire);
}

/* Copies the nodes into a table that fits their number and has no removed slots. */
static int index_resize(struct subject_index *index, struct reclaim *reclaim) {
        struct index_table *old = index_table(index), *table;
        size_t n_slots = TABLE_MIN;

        while (n_slots < 2 * (index->n_nodes + 1))
                n_slots *= 2;
        table = table_new(n_slots);
        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i <= old->mask; i++) {
                uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);

                if (slot != SLOT_EMPTY && slot != SLOT_REMOVED)
                        table_put(table, slot, slot_node(slot)->hash);
        }
        atomic_store_explicit(&index->table, table, memory_order_release);
        reclaim_later(reclaim, &old->reclaim, table_release);
        return 0;
}

/* Grows the table when it is three quarters full, shrinks it when it is nearly empty. */
static int index_fit(struct subject_index *index, struct reclaim *reclaim) {
        const struct index_table *table = index_table(index);
        size_t n_slots = table->mask + 1;

        if ((table->n_used + 1) * 4 > n_slots * 3)
                return index_resize(index, reclaim);
        if (n_slots > TABLE_MIN && index->n_nodes * 16 < n_slots)
                (void)index_resize(index, reclaim); /* a large table is no harm */
        return 0;
}

static struct index_node *node_new(struct index_node *parent, struct bytes text) {
        struct index_node *node = calloc(1, sizeof(*node) + text.length);

        if (!node)
                return NULL;
        node->parent = parent;
        node->length = (uint32_t)text.length;
        node->hash = node_hash(parent, text);
        bytes_copy(node->text, text);
        return node;
}

static void node_release(struct reclaim_node *node) {
        free(container_of(node, struct index_node, reclaim));
}

static bool node_is_star(const struct index_node *node) {
        return atomic_load_explicit(&node->parent->star, memory_order_relaxed) == node;
}

/* The node of `text` below parent, made if need be. */
static int node_obtain(struct subject_index *index, struct index_node *parent, struct bytes text,
                       struct index_node **nodep, struct reclaim *reclaim) {
        bool is_star = parent != index->literals && subject_token_is(text, '*');
        struct index_node *node =
                is_star ? atomic_load_explicit(&parent->star, memory_order_relaxed)
                        : table_find(index_table(index), parent, text);
        int r;

        *nodep = node;
        if (node)
                return 0;
        node = node_new(parent, text);
        if (!node)
                return -ENOMEM;
        if (is_star) {
                atomic_store_explicit(&parent->star, node, memory_order_release);
        } else {
                index->n_nodes++;
                r = index_fit(index, reclaim);
                if (r < 0) {
                        index->n_nodes--;
                        free(node);
                        return r;
                }
                table_put(index_table(index), slot_make(node), node->hash);
        }
        parent->n_children++;
        *nodep = node;
        return 0;
}

/* Takes a node out of the table. */
static void table_remove(struct index_table *table, const struct index_node *node) {
        for (size_t i = node->hash & table->mask;; i = (i + 1) & table->mask) {
                uint64_t slot = atomic_load_explicit(&table->slots[i], memory_order_relaxed);

                assert(slot != SLOT_EMPTY);
                if (slot != SLOT_REMOVED && slot_node(slot) == node) {
                        atomic_store_explicit(&table->slots[i], SLOT_REMOVED, memory_order_release);
                        return;
                }
        }
}

/* Removes a node that nothing hangs on, and then its parents likewise. */
static void node_prune(struct subject_index *index, struct index_node *node,
                       struct reclaim *reclaim) {
        while (node->parent && node->n_children == 0 &&
               !atomic_load_explicit(&node->ending, memory_order_relaxed) &&
               !atomic_load_explicit(&node->open, memory_order_relaxed)) {
                struct index_node *parent = node->parent;

                if (node_is_star(node)) {
                        atomic_store_explicit(&parent->star, NULL, memory_order_release);
                } else {
                        table_remove(index_table(index), node);
                        index->n_nodes--;
                        (void)index_fit(index, reclaim);
                }
                parent->n_children--;
                reclaim_later(reclaim, &node->reclaim, node_release);
                node = parent;
        }
}

static void list_insert(_Atomic(struct subscription *) *list, struct subscription *subscription) {
        struct subscription *first = atomic_load_explicit(list, memory_order_relaxed);

        subscription->previous = NULL;
        atomic_store_explicit(&subscription->next, first, memory_order_relaxed);
        if (first)
                first->previous = subscription;
        atomic_store_explicit(list, subscription, memory_order_release);
}

/* The subscription keeps its own next, since a reader may stand on it. */
static void list_remove(struct index_node *node, struct subscription *subscription) {
        struct subscription *next = atomic_load_explicit(&subscription->next, memory_order_relaxed);
        struct subscription *previous = subscription->previous;
        _Atomic(struct subscription *) *link = &node->ending;

        if (previous)
                link = &previous->next;
        else if (subscription->is_open)
                link = &node->open;
        atomic_store_explicit(link, next, memory_order_release);
        if (next)
                next->previous = previous;
}

/* Walks the tokens of a pattern down the trie, making nodes. *listp: where the pattern ends. */
static int trie_obtain(struct subject_index *index, struct bytes pattern, struct index_node **nodep,
                       _Atomic(struct subscription *) **listp, struct reclaim *reclaim) {
        struct bytes token;
        int r;

        *nodep = index->trie;
        while (subject_next_token(&pattern, &token)) {
                if (subject_token_is(token, '>')) {
                        *listp = &(*nodep)->open;
                        return 0;
                }
                struct index_node *parent = *nodep;

                r = node_obtain(index, parent, token, nodep, reclaim);
                if (r < 0) {
                        *nodep = parent;
                        return r;
                }
        }
        *listp = &(*nodep)->ending;
        return 0;
}

static int index_add_locked(struct subject_index *index, struct bytes subject,
                            struct subscription *subscription, struct reclaim *reclaim) {
        bool is_pattern = subject_has_wildcard(subject);
        _Atomic(struct subscription *) *list;
        struct index_node *node = NULL;
        int r;

        if (is_pattern) {
                r = trie_obtain(index, subject, &node, &list, reclaim);
        } else {
                r = node_obtain(index, index->literals, subject, &node, reclaim);
                if (r >= 0)
                        list = &node->ending;
        }
        if (r < 0) {
                if (node)
                        node_prune(index, node, reclaim);
                return r;
        }
        subscription->node = node;
        subscription->is_open = list == &node->open;
        list_insert(list, subscription);
        atomic_fetch_add_explicit(&index->n_patterns, is_pattern, memory_order_release);
        atomic_fetch_add_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&index->generation, 1, memory_order_release);
        return 0;
}

int subject_index_add(struct subject_index *index, struct bytes subject,
                      struct subscription *subscription, struct reclaim *reclaim) {
        int r;

        pthread_mutex_lock(&index->lock);
        r = index_add_locked(index, subject, subscription, reclaim);
        pthread_mutex_unlock(&index->lock);
        return r;
}

void subject_index_remove(struct subject_index *index, struct subscription *subscription,
                          struct reclaim *reclaim) {
        struct index_node *node = subscription->node;

        pthread_mutex_lock(&index->lock);
        list_remove(node, subscription);
        atomic_fetch_sub_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
        if (node->parent != index->literals)
                atomic_fetch_sub_explicit(&index->n_patterns, 1, memory_order_relaxed);
        node_prune(index, node, reclaim);
        atomic_fetch_add_explicit(&index->generation, 1, memory_order_release);
        pthread_mutex_unlock(&index->lock);
}

static int match_list(struct match *match, _Atomic(struct subscription *) *list) {
        struct subscription *s = atomic_load_explicit(list, memory_order_acquire);
        int r = 0;

        for (; s && r >= 0; s = atomic_load_explicit(&s->next, memory_order_acquire))
                r = match_add(match, s);
        return r;
}

/* One step of the walk: the node was reached, `rest` is left of the subject. */
static int match_node(const struct index_table *table, struct match *match, struct index_node *node,
                      struct bytes rest) {
        struct index_node *child;
        struct bytes token;
        int r;

        if (!subject_next_token(&rest, &token))
                return match_list(match, &node->ending);
        r = match_list(match, &node->open);
        child = atomic_load_explicit(&node->star, memory_order_acquire);
        if (child && r >= 0)
                r = match_push(match, child, rest);
        child = r >= 0 ? table_find(table, node, token) : NULL;
        return child ? match_push(match, child, rest) : r;
}

static bool subject_has_empty_token(struct bytes subject) {
        if (subject.length == 0 || subject.data[0] == '.' ||
            subject.data[subject.length - 1] == '.')
                return true;
        return memmem(subject.data, subject.length, "..", 2) != NULL;
}

static int match_patterns(struct subject_index *index, const struct index_table *table,
                          struct bytes subject, struct match *match) {
        struct match_step step;
        int r;

        if (subject_has_empty_token(subject))
                return 0;
        r = match_push(match, index->trie, subject);
        while (r >= 0 && match_pop(match, &step))
                r = match_node(table, match, step.node, step.rest);
        return r;
}

int subject_index_match(struct subject_index *index, struct bytes subject, struct match *match) {
        const struct index_table *table = index_table(index);
        struct index_node *node = table_find(table, index->literals, subject);
        int r = 0;

        match_clear(match);
        if (node)
                r = match_list(match, &node->ending);
        if (r >= 0 && atomic_load_explicit(&index->n_patterns, memory_order_acquire) > 0)
                r = match_patterns(index, table, subject, match);
        match_finish(match);
        return r;
}

uint64_t subject_index_generation(const struct subject_index *index) {
        return atomic_load_explicit(&index->generation, memory_order_acquire);
}

uint64_t subject_index_count(const struct subject_index *index) {
        return atomic_load_explicit(&index->n_subscriptions, memory_order_relaxed);
}

/* Copies `piece` so that it ends at offset `end` of a text of `size` bytes, cutting what is
 * beyond. */
static void copy_ending_at(char *text, size_t size, size_t end, struct bytes piece) {
        size_t start = end - piece.length;

        for (size_t i = 0; i < piece.length && start + i + 1 < size; i++)
                text[start + i] = piece.data[i];
}

static struct bytes node_text(const struct index_node *node) {
        return (struct bytes){node->text, node->length};
}

size_t subject_index_subject(const struct subscription *subscription, char *text, size_t size) {
        size_t length = subscription->is_open ? 2 : 0, end;
        const struct index_node *node;

        for (node = subscription->node; node->parent; node = node->parent)
                length += node->length + 1;
        length -= 1; /* the dot before the first token */
        end = length;
        if (subscription->is_open) {
                copy_ending_at(text, size, end, BYTES(">"));
                end -= 1;
        }
        for (node = subscription->node; node->parent; node = node->parent) {
                if (end < length)
                        copy_ending_at(text, size, end--, BYTES("."));
                copy_ending_at(text, size, end, node_text(node));
                end -= node->length;
        }
        if (size > 0)
                text[length < size ? length : size - 1] = '\0';
        return length;
}

struct subject_index *subject_index_new(void) {
        struct subject_index *index = calloc(1, sizeof(*index));

        if (!index)
                return NULL;
        pthread_mutex_init(&index->lock, NULL);
        atomic_init(&index->table, table_new(TABLE_MIN));
        index->literals = calloc(1, sizeof(*index->literals));
        index->trie = calloc(1, sizeof(*index->trie));
        if (!index_table(index) || !index->literals || !index->trie)
                return subject_index_free(index);
        return index;
}

struct subject_index *subject_index_free(struct subject_index *index) {
        if (!index)
                return NULL;
        assert(subject_index_count(index) == 0);
        free(index_table(index));
        free(index->literals);
        free(index->trie);
        pthread_mutex_destroy(&index->lock);
        free(index);
        return NULL;
}
