/* The subject index: which subscriptions does a subject reach?
 *
 * Subscriptions without wildcards hang on a node for their whole subject, found by one hash lookup.
 * Those with wildcards hang in a trie with a node for each token, `*` being a child of its own; a
 * wildcard at the end has no node, but the token before it has one for each way to end. All nodes
 * are found through a hash table, keyed by parent, kind and text, so that the trie needs no
 * containers of its own.
 *
 * Many threads read without a lock while one writes under the index's lock: what was unlinked stays
 * readable until the reader's next quiescent state (reclaim.h). The cost of a lookup does not grow
 * with the number of subscriptions that do not match.
 */
#pragma once

#include "daemon/subscription.h"

struct match;

struct subject_index;

/* A new, empty index, or NULL if there is no memory. */
struct subject_index *subject_index_new(void);

/* Frees an index that nobody reads any more and whose subscriptions were removed. NULL is allowed.
 * Returns NULL. */
struct subject_index *subject_index_free(struct subject_index *index);

/* Adds a subscription to a valid subject. Returns 0, -ENOMEM, or -ENAMETOOLONG if a subject without
 * wildcards or a token is longer than UINT16_MAX. */
int subject_index_add(struct subject_index *index, struct bytes subject,
                      struct subscription *subscription, struct reclaim *reclaim);

/* Takes a subscription out; the caller retires it. Nodes that became empty go to reclaim. */
void subject_index_remove(struct subject_index *index, struct subscription *subscription,
                          struct reclaim *reclaim);

/* Collects in match all subscriptions that a message to `subject` (any text) reaches. What it
 * found is valid until the calling thread's next quiescent state.
 * Returns 0, or -ENOMEM with match incomplete. */
int subject_index_match(struct subject_index *index, struct bytes subject, struct match *match);

/* A number that changes with every subscription that comes or goes. As long as it is the same, a
 * match that was made after reading it is still true, and its subscriptions are still there. Any
 * thread. */
uint64_t subject_index_generation(const struct subject_index *index);

/* How many subscriptions there are. Any thread. */
uint64_t subject_index_count(const struct subject_index *index);

/* Writes the subject of a subscription that is in an index to `text`, at most `size` bytes with a
 * NUL. Returns the length it has in full. For the subscription's owner. */
size_t subject_index_subject(const struct subscription *subscription, char *text, size_t size);
