/* A map of the subject index: its nodes by place and text.
 *
 * An array of slots with linear probing. A slot holds a node's pointer and, in the 16 bits that
 * user-space pointers leave free, a part of its hash, so that a probe rarely touches a node that is
 * not meant. To grow, a writer copies the slots into a larger array and publishes that; readers of
 * the old array find what was there when they began.
 *
 * Any thread finds nodes, between its quiescent states; one writer at a time changes the map.
 */
#pragma once

#include "daemon/subscription.h"
#include "lib/list.h"

/* What subscriptions hang on: a subject without wildcards, or a token of a pattern. There may be
 * millions of the former, which therefore have nothing else. */
struct index_node {
        union {
                struct { /* for writers: */
                        uint64_t hash;
                        bool is_token; /* in an index_token */
                };
                struct reclaim_node reclaim; /* after it was unlinked */
        };
        _Atomic(struct subscription *) first; /* of those that hang here */
        uint16_t length;
        char text[];
};

/* A node of the trie of patterns. Most patterns have nothing in common with others at their end,
 * so that this is what there may be many of, too. */
struct index_token {
        uintptr_t place; /* the parent and, in its lowest bits, the kind */
        struct index_node node;
};

/* The place of subjects without wildcards, which are an index_node only. */
#define INDEX_NOWHERE ((uintptr_t)0)

struct index_table;

struct index_map {
        _Atomic(struct index_table *) table;
        size_t n_nodes; /* writers only */
};

static inline struct index_token *index_token_of(const struct index_node *node) {
        return container_of(node, struct index_token, node);
}

static inline struct bytes index_node_text(const struct index_node *node) {
        return (struct bytes){node->text, node->length};
}

/* Sets what a new node of zeroes is found by; it has room for the text. */
void index_node_init(struct index_node *node, uintptr_t place, struct bytes text);

/* Makes an empty map. Returns 0 or -ENOMEM. */
int index_map_init(struct index_map *map);

/* Frees the map, which nobody reads any more, not its nodes. A map of zeroes is allowed. */
void index_map_deinit(struct index_map *map);

/* Finds the node of a text at its place, or NULL. Any thread. */
struct index_node *index_map_find(const struct index_map *map, uintptr_t place, struct bytes text);

/* The node of a text at its place, made by node_new() if need be. Returns 1 if it was, 0 if it was
 * there, -ENOMEM, or -ENAMETOOLONG if the text is longer than UINT16_MAX. */
int index_map_obtain(struct index_map *map, uintptr_t place, struct bytes text,
                     struct index_node *(*node_new)(uintptr_t place, struct bytes text),
                     struct index_node **nodep, struct reclaim *reclaim);

/* Takes a node of the map out, which readers may still see. */
void index_map_remove(struct index_map *map, const struct index_node *node,
                      struct reclaim *reclaim);
