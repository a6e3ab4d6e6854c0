/* What one subject reaches: plain subscriptions, and the members of each queue group.
 *
 * Queue groups are told apart by name only, whatever subject their members subscribed (protocol.md
 * 6.1). The arrays are reused from match to match. Belongs to one thread.
 */
#pragma once

#include "daemon/subscription.h"

struct match_group {
        struct subscription **members; /* into the match's own array */
        unsigned n_members;
        unsigned next; /* another group with the same bucket, plus one */
};

struct index_branch;

/* A branch of the index that is still to be looked at, with the tokens that are left. */
struct match_step {
        struct index_branch *branch;
        struct bytes rest;
};

struct match {
        struct subscription **plain;
        unsigned n_plain, plain_capacity;
        struct subscription **queued; /* in the order found */
        unsigned *queued_group;       /* the group of each */
        unsigned n_queued, queued_capacity;
        struct subscription **members; /* the same, by group; room for queued_capacity */
        struct match_group *groups;
        unsigned n_groups, groups_capacity;
        unsigned *buckets; /* of groups by the hash of their name, plus one */
        unsigned n_buckets;
        struct match_step *steps; /* a stack, for the index */
        unsigned n_steps, steps_capacity;
        unsigned n_visited; /* nodes that the index looked at */
        enum { DISTINCT_UNKNOWN, DISTINCT_YES, DISTINCT_NO } distinct; /* see match_is_distinct() */
        enum { LIMITS_UNKNOWN, LIMITS_YES, LIMITS_NO } limits;         /* see match_has_limits() */
};

/* How many subscriptions were found. */
static inline size_t match_count(const struct match *match) {
        return (size_t)match->n_plain + match->n_queued;
}

/* How many it has memory for, which it keeps when it is used again. */
static inline size_t match_room(const struct match *match) {
        return (size_t)match->plain_capacity + match->queued_capacity;
}

/* A match of zeroes is an empty one. */
void match_deinit(struct match *match);

/* Forgets what was found. */
void match_clear(struct match *match);

/* Adds one subscription. Returns 0 or -ENOMEM. */
int match_add(struct match *match, struct subscription *subscription);

/* After the last one: puts the members of each group together. */
void match_finish(struct match *match);

/* Whether no receiver is among the plain subscriptions twice. Found out when first asked; without
 * memory for that, false. */
bool match_is_distinct(struct match *match);

/* Whether any receiver limits what is delivered to it in one go. Found out when first asked. */
bool match_has_limits(struct match *match);

/* The stack of the index's walk. push returns 0 or -ENOMEM; pop false if it is empty. */
int match_push(struct match *match, struct index_branch *branch, struct bytes rest);
bool match_pop(struct match *match, struct match_step *step);
