/* The bus: the subject space of one account, and the routing on it.
 *
 * Receivers are found first and served afterwards: all plain subscriptions, then one member of each
 * queue group, beginning with a random one (protocol.md, section 6).
 */
#pragma once

#include "daemon/message.h"
#include "daemon/subscription.h"

struct bus {
        const char *account;         /* its name; borrowed */
        struct subject_index *index; /* owned */
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

/* How many of a run may be published in one go, so that it does not take too long. */
size_t bus_limit_run(struct bus *bus, struct worker *worker, const struct message *message);

/* Delivers a message, or a run, to all that it reaches, but not to `except` (NULL: nobody is left
 * out). In a worker's thread, within a batch. Returns how many deliveries that were. */
size_t bus_publish(struct bus *bus, struct worker *worker, const struct message *message,
                   const struct receiver *except);

/* Delivers a message to the subscriptions of one receiver only, which nobody else can read or
 * answer in its place. Otherwise as above. */
size_t bus_publish_to(struct bus *bus, struct worker *worker, const struct message *message,
                      const struct receiver *receiver);

/* The plain subscription of `receiver` that a message to `subject` would reach, or NULL. In a
 * worker's thread; valid until the end of the batch. */
struct subscription *bus_find_plain(struct bus *bus, struct worker *worker, struct bytes subject,
                                    const struct receiver *receiver);
