/* The bus: the subject space of one account, and the routing on it.
 *
 * Receivers are found first and served afterwards: all plain subscriptions, then one member of each
 * queue group, beginning with a random one (protocol.md, section 6).
 */
#pragma once

#include "daemon/message.h"
#include "daemon/subscription.h"

struct inbox;

struct bus {
        const char *account;             /* its name; borrowed */
        struct subject_index *index;     /* owned */
        _Atomic uint64_t n_own;          /* subscriptions of sockd itself; any thread */
        _Atomic uint64_t n_clients;      /* that are counted; any thread */
        _Atomic(struct inbox *) inboxes; /* owned; see inbox.h */
};

/* Returns 0 or -ENOMEM. */
int bus_init(struct bus *bus, const char *account);
/* When nobody publishes and subscribes any more. */
void bus_deinit(struct bus *bus);

/* Adds a subscription to a valid subject; removes and retires one. In the owner's thread. Adding
 * returns 0 or a negative errno, see subject_index_add(). */
int bus_subscribe(struct bus *bus, struct reclaim *reclaim, struct bytes subject,
                  struct subscription *subscription);
void bus_unsubscribe(struct bus *bus, struct reclaim *reclaim, struct subscription *subscription);

/* The same for subscriptions of sockd itself, which are not among those that are shown. Any thread
 * that makes changes by itself. */
int bus_subscribe_own(struct bus *bus, struct reclaim *reclaim, struct bytes subject,
                      struct subscription *subscription);
void bus_unsubscribe_own(struct bus *bus, struct reclaim *reclaim,
                         struct subscription *subscription);

/* How many subscriptions there are, but for those of sockd itself. Any thread. */
uint64_t bus_count(const struct bus *bus);

/* How many of a run may be published in one go, so that it does not take too long. */
size_t bus_limit_run(struct bus *bus, struct worker *worker, const struct message *message);

/* Delivers a message, or a run, to all that it reaches, but not to `except` (NULL: nobody is left
 * out). In a worker's thread, within a batch. Returns how many deliveries that were. */
size_t bus_publish(struct bus *bus, struct worker *worker, const struct message *message,
                   const struct receiver *except);

/* The same, and bus_limit_run(), for who does so while a message is being delivered to it; and
 * whether a message that is published so would reach anybody. Beyond WORKER_DEPTH_MAX nothing is
 * delivered. */
size_t bus_publish_onward(struct bus *bus, struct worker *worker, const struct message *message);
size_t bus_limit_onward(struct bus *bus, struct worker *worker, const struct message *message);
bool bus_reaches_onward(struct bus *bus, struct worker *worker, struct bytes subject);

/* Delivers a message to the subscriptions of one receiver only, which nobody else can read or
 * answer in its place. Otherwise as above. */
size_t bus_publish_to(struct bus *bus, struct worker *worker, const struct message *message,
                      const struct receiver *receiver);

/* The same, for who does so while a message is being delivered to it. */
size_t bus_publish_onward_to(struct bus *bus, struct worker *worker, const struct message *message,
                             const struct receiver *receiver);

/* The plain subscription of `receiver` that a message to `subject` would reach, or NULL. In a
 * worker's thread; valid until the end of the batch. */
struct subscription *bus_find_plain(struct bus *bus, struct worker *worker, struct bytes subject,
                                    const struct receiver *receiver);
