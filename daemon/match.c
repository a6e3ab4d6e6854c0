/* What one subject reaches. See match.h. */
#include "daemon/match.h"

#include "lib/hash.h"

#include <errno.h>
#include <stdlib.h>

void match_deinit(struct match *match) {
        free(match->plain);
        free(match->queued);
        free(match->queued_group);
        free(match->members);
        free(match->groups);
        free(match->buckets);
        free(match->steps);
        *match = (struct match){.n_plain = 0};
}

void match_clear(struct match *match) {
        match->n_plain = 0;
        match->n_queued = 0;
        match->n_steps = 0;
        match->n_visited = 0;
        match->distinct = DISTINCT_UNKNOWN;
        match->limits = LIMITS_UNKNOWN;
        if (match->n_groups > 0)
                memset(match->buckets, 0, match->n_buckets * sizeof(*match->buckets));
        match->n_groups = 0;
}

/* Makes an array hold at least one element more than n. */
static int grow(void **arrayp, size_t element_size, unsigned n, unsigned *capacityp) {
        unsigned capacity = *capacityp ? *capacityp * 2 : 16;
        void *array;

        if (n < *capacityp)
                return 0;
        array = realloc(*arrayp, capacity * element_size);
        if (!array)
                return -ENOMEM;
        *arrayp = array;
        *capacityp = capacity;
        return 0;
}

#define GROW(array, n, capacityp) grow((void **)&(array), sizeof(*(array)), n, capacityp)

static struct bytes group_name(const struct match *match, unsigned group) {
        return subscription_queue(match->groups[group].members[0]);
}

static unsigned *group_bucket(const struct match *match, struct bytes name) {
        return &match->buckets[hash_bytes(name, 0) & (match->n_buckets - 1)];
}

/* Puts a group into the bucket of its name. */
static void group_link(struct match *match, unsigned group) {
        unsigned *bucket = group_bucket(match, group_name(match, group));

        match->groups[group].next = *bucket;
        *bucket = group + 1;
}

static int buckets_grow(struct match *match) {
        unsigned n = match->n_buckets ? match->n_buckets * 2 : 16;
        unsigned *buckets;

        if (match->n_groups < match->n_buckets)
                return 0;
        buckets = calloc(n, sizeof(*buckets));
        if (!buckets)
                return -ENOMEM;
        free(match->buckets);
        match->buckets = buckets;
        match->n_buckets = n;
        for (unsigned i = 0; i < match->n_groups; i++)
                group_link(match, i);
        return 0;
}

/* The group of that name, made if need be. While members are being added, a group's `members`
 * points to the queued subscription that named it. Returns its number or -ENOMEM. */
static int group_of(struct match *match, struct subscription **first) {
        struct bytes name = subscription_queue(*first);
        int r = buckets_grow(match);

        if (r < 0)
                return r;
        for (unsigned i = *group_bucket(match, name); i > 0; i = match->groups[i - 1].next)
                if (bytes_equal(group_name(match, i - 1), name))
                        return (int)i - 1;
        r = GROW(match->groups, match->n_groups, &match->groups_capacity);
        if (r < 0)
                return r;
        match->groups[match->n_groups] = (struct match_group){.members = first};
        group_link(match, match->n_groups);
        return (int)match->n_groups++;
}

/* Grows the three arrays of queued subscriptions together. */
static int queued_grow(struct match *match) {
        unsigned capacity = match->queued_capacity ? match->queued_capacity * 2 : 16;
        struct subscription **queued, **members;
        unsigned *groups;

        if (match->n_queued < match->queued_capacity)
                return 0;
        groups = realloc(match->queued_group, capacity * sizeof(*groups));
        if (groups)
                match->queued_group = groups;
        members = realloc(match->members, capacity * sizeof(*members));
        if (members)
                match->members = members;
        queued = malloc(capacity * sizeof(*queued));
        if (!groups || !members || !queued) {
                free(queued);
                return -ENOMEM;
        }
        if (match->n_queued > 0)
                memcpy(queued, match->queued, match->n_queued * sizeof(*queued));
        for (unsigned i = 0; i < match->n_groups; i++)
                match->groups[i].members = queued + (match->groups[i].members - match->queued);
        free(match->queued);
        match->queued = queued;
        match->queued_capacity = capacity;
        return 0;
}

static int match_add_queued(struct match *match, struct subscription *subscription) {
        int r = queued_grow(match);

        if (r < 0)
                return r;
        match->queued[match->n_queued] = subscription;
        r = group_of(match, &match->queued[match->n_queued]);
        if (r < 0)
                return r;
        match->queued_group[match->n_queued++] = (unsigned)r;
        match->groups[r].n_members++;
        return 0;
}

int match_add(struct match *match, struct subscription *subscription) {
        int r;

        if (subscription->queue_length > 0)
                return match_add_queued(match, subscription);
        r = GROW(match->plain, match->n_plain, &match->plain_capacity);
        if (r < 0)
                return r;
        match->plain[match->n_plain++] = subscription;
        return 0;
}

void match_finish(struct match *match) {
        struct subscription **members = match->members;

        for (unsigned i = 0; i < match->n_groups; i++) {
                match->groups[i].members = members;
                members += match->groups[i].n_members;
                match->groups[i].n_members = 0;
        }
        for (unsigned i = 0; i < match->n_queued; i++) {
                struct match_group *group = &match->groups[match->queued_group[i]];

                group->members[group->n_members++] = match->queued[i];
        }
}

static int compare_pointers(const void *a, const void *b) {
        uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;

        return (x > y) - (x < y);
}

static bool receivers_are_distinct(const struct match *match) {
        struct receiver **receivers = calloc(match->n_plain, sizeof(struct receiver *));
        bool is_distinct = receivers != NULL;

        for (unsigned i = 0; receivers && i < match->n_plain; i++)
                receivers[i] = match->plain[i]->receiver;
        if (receivers)
                qsort(receivers, match->n_plain, sizeof(struct receiver *), compare_pointers);
        for (unsigned i = 1; is_distinct && i < match->n_plain; i++)
                is_distinct = receivers[i - 1] != receivers[i];
        free(receivers);
        return is_distinct;
}

bool match_is_distinct(struct match *match) {
        if (match->n_plain <= 1)
                return true;
        if (match->distinct == DISTINCT_UNKNOWN)
                match->distinct = receivers_are_distinct(match) ? DISTINCT_YES : DISTINCT_NO;
        return match->distinct == DISTINCT_YES;
}

static bool any_limits(struct subscription *const *subscriptions, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                if (subscriptions[i]->receiver->limit_run)
                        return true;
        return false;
}

bool match_has_limits(struct match *match) {
        if (match->limits == LIMITS_UNKNOWN)
                match->limits = any_limits(match->plain, match->n_plain) ||
                                                any_limits(match->queued, match->n_queued)
                                        ? LIMITS_YES
                                        : LIMITS_NO;
        return match->limits == LIMITS_YES;
}

int match_push(struct match *match, struct index_branch *branch, struct bytes rest) {
        int r = GROW(match->steps, match->n_steps, &match->steps_capacity);

        if (r < 0)
                return r;
        match->steps[match->n_steps++] = (struct match_step){branch, rest};
        return 0;
}

bool match_pop(struct match *match, struct match_step *step) {
        if (match->n_steps == 0)
                return false;
        *step = match->steps[--match->n_steps];
        match->n_visited++;
        return true;
}
