/* Permissions: which subjects may be published to, and which may be subscribed to.
 *
 * Four lists of entries, as the configuration has them; each entry knows where it stands there, so
 * that a decision can be explained. An entry is a subject, which may have wildcards, and for
 * subscriptions it may name a queue, which may have wildcards as well (protocol.md 7.8).
 *
 * What is published is a text, which an entry matches or not. What is subscribed to is a set of
 * texts: it is allowed if all of it is in an entry, and refused if all of it is in an entry that
 * denies; if it has but some in common with such an entry, those are kept from it as they come.
 *
 * One thread builds them. From permissions_seal() on they never change, so any thread may ask who
 * holds a reference. Functions that decide take NULL as well: then everything is allowed.
 */
#pragma once

#include "lib/bytes.h"

enum permissions_list {
        PERMISSIONS_PUBLISH_ALLOW,
        PERMISSIONS_PUBLISH_DENY,
        PERMISSIONS_SUBSCRIBE_ALLOW,
        PERMISSIONS_SUBSCRIBE_DENY,
        N_PERMISSIONS_LISTS,
};

enum permissions_verdict {
        PERMISSIONS_ALLOWED,
        PERMISSIONS_REFUSED,
        PERMISSIONS_FILTERED, /* a subscription is allowed, but not all messages of its subject */
};

struct permissions;
struct permissions_entry;

struct permissions_decision {
        enum permissions_verdict verdict;
        enum permissions_list list;            /* which decided */
        const struct permissions_entry *entry; /* of it; NULL: none fits, or there is no such list.
                                                  Borrowed from the permissions */
};

/* For answers without limit, or without end. */
#define PERMISSIONS_UNLIMITED UINT64_MAX

/* New ones, which allow everything, or NULL if there is no memory. */
struct permissions *permissions_new(void);

/* Those that allow nothing: for who must have some when there is no memory. They last for ever,
 * whether somebody has a reference or not. */
extern struct permissions permissions_nothing;

struct permissions *permissions_ref(struct permissions *permissions);
/* Gives the reference back; NULL is allowed. Returns NULL. Any thread. */
struct permissions *permissions_unref(struct permissions *permissions);

/* Says that there is such a list, be it an empty one, and where it stands. Returns 0 or -ENOMEM.
 * Before permissions_seal(), as are the next two. */
int permissions_open(struct permissions *permissions, enum permissions_list list, const char *file,
                     unsigned line);

/* Adds an entry to a list: a valid subject, and a queue or none (of length 0); both are copied.
 * Returns 0 or -ENOMEM. */
int permissions_add(struct permissions *permissions, enum permissions_list list,
                    struct bytes subject, struct bytes queue, const char *file, unsigned line);

/* Allows to answer: so many messages to the reply of each one that was received, for so long. What
 * may be published else has to be in a list then. Returns 0 or -ENOMEM. */
int permissions_allow_responses(struct permissions *permissions, uint64_t max, uint64_t expires_ms,
                                const char *file, unsigned line);

/* After the last entry. Returns 0 or -ENOMEM. */
int permissions_seal(struct permissions *permissions);

/* Whether a message to that text, as it was published, may be published; not as an answer. */
struct permissions_decision permissions_may_publish(const struct permissions *permissions,
                                                    struct bytes subject);

/* Whether there may be a subscription to the valid subject, in a queue group unless the length of
 * the queue's name is 0. */
struct permissions_decision permissions_may_subscribe(const struct permissions *permissions,
                                                      struct bytes subject, struct bytes queue);

/* Whether a message to that text is to be kept from a subscription, in a queue group or none, that
 * it would reach: if not, it is allowed. */
struct permissions_decision permissions_filter(const struct permissions *permissions,
                                               struct bytes subject, struct bytes queue);

/* How many answers there may be to a message; 0: none because of that. */
uint64_t permissions_max_responses(const struct permissions *permissions);
/* For how long, in milliseconds. */
uint64_t permissions_response_ms(const struct permissions *permissions);

/* Whether they decide the same, as they have the same entries, wherever those stand. */
bool permissions_is_equal(const struct permissions *a, const struct permissions *b);

/* A number that no others have or had. */
uint64_t permissions_id(const struct permissions *permissions);

/* Writes what decided and where it stands, for people: `denied by "a.>", sockd.conf:12`. Returns
 * text, cut if need be. */
const char *permissions_explain(const struct permissions *permissions,
                                struct permissions_decision decision, char *text, size_t size);

/* The entry as it is written, `subject` or `subject queue`; valid as long as the permissions. */
struct bytes permissions_entry_text(const struct permissions_entry *entry);

/* Where the list stands that decided, or its entry: the file, valid as long as the permissions,
 * or NULL if it stands nowhere. */
const char *permissions_locate(const struct permissions *permissions,
                               struct permissions_decision decision, unsigned *linep);
