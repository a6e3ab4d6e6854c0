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

/* What subscriptions hang on: a subject without wildcards, or one token of a pattern. There may be
 * millions of the former, which therefore have nothing else. */
struct index_node {
        union {
                struct { /* for writers: */
                        uint64_t hash;
                        uint32_t n_children; /* of a branch, with star */
                        bool is_branch;
                };
                struct reclaim_node reclaim; /* after it was unlinked */
        };
        _Atomic(struct subscription *) ending; /* subscriptions that end here */
        uint16_t length;
        char text[];
};

/* The node of a token in the trie of patterns. */
struct index_branch {
        struct index_branch *parent;         /* NULL for the root */
        _Atomic(struct subscription *) open; /* subscriptions that go on with `>` */
        _Atomic(struct index_branch *) star; /* the child for `*` */
        struct index_node node;              /* the last, for its text */
};

struct index_table {
        struct reclaim_node reclaim;
        size_t mask;   /* number of slots - 1 */
        size_t n_used; /* slots that are not empty */
        _Atomic uint64_t slots[];
};

/* Nodes by parent and text, in a table that grows and shrinks. */
struct index_map {
        _Atomic(struct index_table *) table;
        size_t n_nodes; /* writers only */
};

struct subject_index {
        pthread_mutex_t lock;      /* a leaf: nothing is locked under it */
        struct index_map literals; /* whole subjects, which have no parent */
        struct index_map branches; /* tokens of patterns, but for `*` */
        struct index_branch *root; /* parent of first tokens; owned */
        _Atomic uint64_t generation;
        _Atomic uint64_t n_subscriptions;
        _Atomic uint64_t n_patterns; /* those with wildcards */
};

#define SLOT_EMPTY   UINT64_C(0)
#define SLOT_REMOVED UINT64_C(1)
#define SLOT_POINTER UINT64_C(0x0000ffffffffffff)
#define TABLE_MIN    16

static struct index_branch *branch_of(const struct index_node *node) {
        return container_of(node, struct index_branch, node);
}

static struct bytes node_text(const struct index_node *node) {
        return (struct bytes){node->text, node->length};
}

static uint64_t slot_make(struct index_node *node) {
        uint64_t pointer = (uint64_t)(uintptr_t)node;

        assert((pointer & ~SLOT_POINTER) == 0);
        return pointer | (node->hash & ~SLOT_POINTER);
}

static struct index_node *slot_node(uint64_t slot) {
        return (struct index_node *)(uintptr_t)(slot & SLOT_POINTER);
}

static uint64_t node_hash(const struct index_branch *parent, struct bytes text) {
        return hash_bytes(text, (uint64_t)(uintptr_t)parent);
}

static bool node_is(const struct index_node *node, const struct index_branch *parent,
                    struct bytes text) {
        return bytes_equal(node_text(node), text) && (!parent || branch_of(node)->parent == parent);
}

static struct index_table *map_table(const struct index_map *map) {
        return atomic_load_explicit(&map->table, memory_order_acquire);
}

/* Finds the node of `text` below parent, or NULL. Any thread. */
static struct index_node *map_find(const struct index_map *map, const struct index_branch *parent,
                                   struct bytes text) {
        const struct index_table *table = map_table(map);
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

/* Copies the nodes into a table that fits their number and has no removed slots. */
static int map_resize(struct index_map *map, struct reclaim *reclaim) {
        struct index_table *old = map_table(map), *table;
        size_t n_slots = TABLE_MIN;

        while (n_slots < 2 * (map->n_nodes + 1))
                n_slots *= 2;
        table = table_new(n_slots);
        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i <= old->mask; i++) {
                uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);

                if (slot != SLOT_EMPTY && slot != SLOT_REMOVED)
                        table_put(table, slot, slot_node(slot)->hash);
        }
        atomic_store_explicit(&map->table, table, memory_order_release);
        reclaim_later(reclaim, &old->reclaim, table_release);
        return 0;
}

/* Grows the table when it is three quarters full, shrinks it when it is nearly empty. */
static int map_fit(struct index_map *map, struct reclaim *reclaim) {
        const struct index_table *table = map_table(map);
        size_t n_slots = table->mask + 1;

        if ((table->n_used + 1) * 4 > n_slots * 3)
                return map_resize(map, reclaim);
        if (n_slots > TABLE_MIN && map->n_nodes * 16 < n_slots)
                (void)map_resize(map, reclaim); /* a large table is no harm */
        return 0;
}

static int map_add(struct index_map *map, struct index_node *node, struct reclaim *reclaim) {
        int r;

        map->n_nodes++;
        r = map_fit(map, reclaim);
        if (r < 0)
                map->n_nodes--;
        else
                table_put(map_table(map), slot_make(node), node->hash);
        return r;
}

static void map_remove(struct index_map *map, const struct index_node *node,
                       struct reclaim *reclaim) {
        struct index_table *table = map_table(map);
        size_t i = node->hash & table->mask;

        for (;; i = (i + 1) & table->mask) {
                uint64_t slot = atomic_load_explicit(&table->slots[i], memory_order_relaxed);

                assert(slot != SLOT_EMPTY);
                if (slot != SLOT_REMOVED && slot_node(slot) == node)
                        break;
        }
        atomic_store_explicit(&table->slots[i], SLOT_REMOVED, memory_order_release);
        map->n_nodes--;
        (void)map_fit(map, reclaim);
}

static void node_init(struct index_node *node, const struct index_branch *parent,
                      struct bytes text) {
        node->hash = node_hash(parent, text);
        node->length = (uint16_t)text.length;
        bytes_copy(node->text, text);
}

static void node_release(struct reclaim_node *reclaim) {
        free(container_of(reclaim, struct index_node, reclaim));
}

static void branch_release(struct reclaim_node *reclaim) {
        free(container_of(reclaim, struct index_branch, node.reclaim));
}

/* The node of a subject without wildcards, made if need be. */
static int literal_obtain(struct subject_index *index, struct bytes subject,
                          struct index_node **nodep, struct reclaim *reclaim) {
        struct index_node *node = map_find(&index->literals, NULL, subject);
        int r;

        *nodep = node;
        if (node)
                return 0;
        if (subject.length > UINT16_MAX)
                return -ENAMETOOLONG;
        node = calloc(1, offsetof(struct index_node, text) + subject.length);
        if (!node)
                return -ENOMEM;
        node_init(node, NULL, subject);
        r = map_add(&index->literals, node, reclaim);
        if (r < 0) {
                free(node);
                return r;
        }
        *nodep = node;
        return 0;
}

static struct index_branch *branch_new(struct index_branch *parent, struct bytes text) {
        /* Without the padding that a text could use. */
        size_t size = offsetof(struct index_branch, node) + offsetof(struct index_node, text) +
                      text.length;
        struct index_branch *branch = calloc(1, size > sizeof(*branch) ? size : sizeof(*branch));

        if (!branch)
                return NULL;
        branch->parent = parent;
        node_init(&branch->node, parent, text);
        branch->node.is_branch = true;
        return branch;
}

static struct index_branch *branch_star(struct index_branch *branch) {
        return atomic_load_explicit(&branch->star, memory_order_acquire);
}

static struct index_branch *branch_find(const struct index_map *branches,
                                        struct index_branch *parent, struct bytes token) {
        struct index_node *node = map_find(branches, parent, token);

        return node ? branch_of(node) : NULL;
}

/* The node of a token below parent, made if need be. */
static int branch_obtain(struct subject_index *index, struct index_branch *parent,
                         struct bytes token, struct index_branch **branchp,
                         struct reclaim *reclaim) {
        bool is_star = subject_token_is(token, '*');
        struct index_branch *branch =
                is_star ? branch_star(parent) : branch_find(&index->branches, parent, token);
        int r = 0;

        *branchp = branch;
        if (branch)
                return 0;
        if (token.length > UINT16_MAX)
                return -ENAMETOOLONG;
        branch = branch_new(parent, token);
        if (!branch)
                return -ENOMEM;
        if (is_star)
                atomic_store_explicit(&parent->star, branch, memory_order_release);
        else
                r = map_add(&index->branches, &branch->node, reclaim);
        if (r < 0) {
                free(branch);
                return r;
        }
        parent->node.n_children++;
        *branchp = branch;
        return 0;
}

static bool node_is_used(const struct index_node *node) {
        return node->n_children > 0 || atomic_load_explicit(&node->ending, memory_order_relaxed);
}

/* Removes a node that nothing hangs on, and then its parents likewise. */
static void branch_prune(struct subject_index *index, struct index_branch *branch,
                         struct reclaim *reclaim) {
        while (branch->parent && !node_is_used(&branch->node) &&
               !atomic_load_explicit(&branch->open, memory_order_relaxed)) {
                struct index_branch *parent = branch->parent;

                if (branch_star(parent) == branch)
                        atomic_store_explicit(&parent->star, NULL, memory_order_release);
                else
                        map_remove(&index->branches, &branch->node, reclaim);
                parent->node.n_children--;
                reclaim_later(reclaim, &branch->node.reclaim, branch_release);
                branch = parent;
        }
}

static void literal_prune(struct subject_index *index, struct index_node *node,
                          struct reclaim *reclaim) {
        if (node_is_used(node))
                return;
        map_remove(&index->literals, node, reclaim);
        reclaim_later(reclaim, &node->reclaim, node_release);
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
static void list_remove(struct subscription *subscription) {
        struct subscription *next = atomic_load_explicit(&subscription->next, memory_order_relaxed);
        struct subscription *previous = subscription->previous;
        _Atomic(struct subscription *) *link = &subscription->node->ending;

        if (previous)
                link = &previous->next;
        else if (subscription->is_open)
                link = &branch_of(subscription->node)->open;
        atomic_store_explicit(link, next, memory_order_release);
        if (next)
                next->previous = previous;
}

/* Walks the tokens of a pattern down the trie, making nodes, as far as there is memory. */
static int trie_obtain(struct subject_index *index, struct bytes pattern,
                       struct index_branch **branchp, bool *openp, struct reclaim *reclaim) {
        struct bytes token;
        int r = 0;

        *branchp = index->root;
        *openp = false;
        while (r >= 0 && subject_next_token(&pattern, &token)) {
                struct index_branch *branch;

                *openp = subject_token_is(token, '>');
                if (*openp)
                        break;
                r = branch_obtain(index, *branchp, token, &branch, reclaim);
                if (r >= 0)
                        *branchp = branch;
        }
        return r;
}

static int add_pattern(struct subject_index *index, struct bytes subject,
                       struct subscription *subscription, struct reclaim *reclaim) {
        struct index_branch *branch;
        int r = trie_obtain(index, subject, &branch, &subscription->is_open, reclaim);

        if (r < 0) {
                branch_prune(index, branch, reclaim);
                return r;
        }
        subscription->node = &branch->node;
        list_insert(subscription->is_open ? &branch->open : &branch->node.ending, subscription);
        atomic_fetch_add_explicit(&index->n_patterns, 1, memory_order_release);
        return 0;
}

static int add_literal(struct subject_index *index, struct bytes subject,
                       struct subscription *subscription, struct reclaim *reclaim) {
        int r = literal_obtain(index, subject, &subscription->node, reclaim);

        if (r >= 0)
                list_insert(&subscription->node->ending, subscription);
        return r;
}

int subject_index_add(struct subject_index *index, struct bytes subject,
                      struct subscription *subscription, struct reclaim *reclaim) {
        int r;

        pthread_mutex_lock(&index->lock);
        r = subject_has_wildcard(subject) ? add_pattern(index, subject, subscription, reclaim)
                                          : add_literal(index, subject, subscription, reclaim);
        if (r >= 0) {
                atomic_fetch_add_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
                atomic_fetch_add_explicit(&index->generation, 1, memory_order_release);
        }
        pthread_mutex_unlock(&index->lock);
        return r;
}

void subject_index_remove(struct subject_index *index, struct subscription *subscription,
                          struct reclaim *reclaim) {
        struct index_node *node = subscription->node;

        pthread_mutex_lock(&index->lock);
        list_remove(subscription);
        atomic_fetch_sub_explicit(&index->n_subscriptions, 1, memory_order_relaxed);
        if (node->is_branch) {
                atomic_fetch_sub_explicit(&index->n_patterns, 1, memory_order_relaxed);
                branch_prune(index, branch_of(node), reclaim);
        } else {
                literal_prune(index, node, reclaim);
        }
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

/* One step of the walk: the branch was reached, `rest` is left of the subject. */
static int match_branch(const struct index_map *branches, struct match *match,
                        struct index_branch *branch, struct bytes rest) {
        struct index_branch *child;
        struct bytes token;
        int r;

        if (!subject_next_token(&rest, &token))
                return match_list(match, &branch->node.ending);
        r = match_list(match, &branch->open);
        child = branch_star(branch);
        if (child && r >= 0)
                r = match_push(match, child, rest);
        child = r >= 0 ? branch_find(branches, branch, token) : NULL;
        return child ? match_push(match, child, rest) : r;
}

static bool subject_has_empty_token(struct bytes subject) {
        if (subject.length == 0 || subject.data[0] == '.' ||
            subject.data[subject.length - 1] == '.')
                return true;
        return memmem(subject.data, subject.length, "..", 2) != NULL;
}

static int match_patterns(struct subject_index *index, struct bytes subject, struct match *match) {
        struct match_step step;
        int r;

        if (subject_has_empty_token(subject))
                return 0;
        r = match_push(match, index->root, subject);
        while (r >= 0 && match_pop(match, &step))
                r = match_branch(&index->branches, match, step.branch, step.rest);
        return r;
}

int subject_index_match(struct subject_index *index, struct bytes subject, struct match *match) {
        struct index_node *node = map_find(&index->literals, NULL, subject);
        int r = 0;

        match_clear(match);
        if (node)
                r = match_list(match, &node->ending);
        if (r >= 0 && atomic_load_explicit(&index->n_patterns, memory_order_acquire) > 0)
                r = match_patterns(index, subject, match);
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

/* The pattern is read from its end, up the trie. */
static size_t pattern_subject(const struct subscription *subscription, char *text, size_t size) {
        const struct index_branch *first = branch_of(subscription->node), *branch;
        size_t length = subscription->is_open ? 2 : 0, end;

        for (branch = first; branch->parent; branch = branch->parent)
                length += branch->node.length + 1;
        length -= 1; /* the dot before the first token */
        end = length;
        if (subscription->is_open) {
                copy_ending_at(text, size, end, BYTES(">"));
                end -= 1;
        }
        for (branch = first; branch->parent; branch = branch->parent) {
                if (end < length)
                        copy_ending_at(text, size, end--, BYTES("."));
                copy_ending_at(text, size, end, node_text(&branch->node));
                end -= branch->node.length;
        }
        return length;
}

size_t subject_index_subject(const struct subscription *subscription, char *text, size_t size) {
        const struct index_node *node = subscription->node;
        size_t length = node->length;

        if (node->is_branch)
                length = pattern_subject(subscription, text, size);
        else
                copy_ending_at(text, size, length, node_text(node));
        if (size > 0)
                text[length < size ? length : size - 1] = '\0';
        return length;
}

struct subject_index *subject_index_new(void) {
        struct subject_index *index = calloc(1, sizeof(*index));

        if (!index)
                return NULL;
        pthread_mutex_init(&index->lock, NULL);
        atomic_init(&index->literals.table, table_new(TABLE_MIN));
        atomic_init(&index->branches.table, table_new(TABLE_MIN));
        index->root = branch_new(NULL, BYTES(""));
        if (!map_table(&index->literals) || !map_table(&index->branches) || !index->root)
                return subject_index_free(index);
        return index;
}

struct subject_index *subject_index_free(struct subject_index *index) {
        if (!index)
                return NULL;
        assert(subject_index_count(index) == 0);
        free(map_table(&index->literals));
        free(map_table(&index->branches));
        free(index->root);
        pthread_mutex_destroy(&index->lock);
        free(index);
        return NULL;
}
