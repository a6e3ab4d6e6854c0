/* The bus. See bus.h. */
#include "daemon/bus.h"

#include "daemon/block.h"
#include "daemon/inbox.h"
#include "daemon/subject_index.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <errno.h>

/* How much work a run may be, so that others have their turn in time. */
#define RUN_WORK 50000
/* So many messages of a run are as much work as one by itself. */
#define RUN_DISCOUNT 4

int bus_init(struct bus *bus, const char *account) {
        bus->account = account;
        atomic_init(&bus->n_own, 0);
        atomic_init(&bus->n_clients, 0);
        atomic_init(&bus->inboxes, NULL);
        bus->index = subject_index_new();
        return bus->index ? 0 : -ENOMEM;
}

void bus_deinit(struct bus *bus) {
        inboxes_free(atomic_load(&bus->inboxes));
        bus->index = subject_index_free(bus->index);
}

int bus_subscribe(struct bus *bus, struct reclaim *reclaim, struct bytes subject,
                  struct subscription *subscription) {
        return subject_index_add(bus->index, subject, subscription, reclaim);
}

void bus_unsubscribe(struct bus *bus, struct reclaim *reclaim, struct subscription *subscription) {
        subject_index_remove(bus->index, subscription, reclaim);
        subscription_retire(subscription, reclaim);
}

int bus_subscribe_own(struct bus *bus, struct reclaim *reclaim, struct bytes subject,
                      struct subscription *subscription) {
        int r = bus_subscribe(bus, reclaim, subject, subscription);

        if (r >= 0)
                atomic_fetch_add(&bus->n_own, 1);
        return r;
}

void bus_unsubscribe_own(struct bus *bus, struct reclaim *reclaim,
                         struct subscription *subscription) {
        bus_unsubscribe(bus, reclaim, subscription);
        atomic_fetch_sub(&bus->n_own, 1);
}

uint64_t bus_count(const struct bus *bus) {
        uint64_t n = subject_index_count(bus->index), n_own = atomic_load(&bus->n_own);

        return n > n_own ? n - n_own : 0;
}

static size_t deliver(struct worker *worker, struct subscription *subscription,
                      const struct message *message, const struct receiver *except) {
        struct receiver *receiver = subscription->receiver;
        struct message rest = *message;
        size_t n = receiver != except;

        while (n > 0 && rest.count > 0) {
                n = receiver->deliver(receiver, worker, subscription, &rest);
                rest.count -= n;
                rest.payload.data += n * rest.stride;
                rest.rendering = NULL; /* it is of the whole run */
        }
        return message->count - rest.count;
}

static size_t deliver_to_all(struct worker *worker, const struct match *match,
                             const struct message *message, const struct receiver *except) {
        struct rendering rendering = {.block = NULL};
        struct message shared = *message;
        size_t n_taken = 0;

        shared.rendering = match->n_plain > 1 ? &rendering : NULL;
        for (unsigned i = 0; i < match->n_plain; i++)
                n_taken += deliver(worker, match->plain[i], &shared, except);
        block_unref(rendering.block);
        return n_taken;
}

/* One member takes the message: a random one, or the next in turn that can. */
static size_t deliver_to_one(struct worker *worker, const struct match_group *group,
                             const struct message *message, const struct receiver *except) {
        unsigned n = group->n_members;
        unsigned first = n > 1 ? (unsigned)(worker_random(worker) % n) : 0;

        for (unsigned i = 0; i < n; i++)
                if (deliver(worker, group->members[(first + i) % n], message, except))
                        return 1;
        return 0;
}

/* Delivers each message of a run by itself, in turn to all. */
static size_t deliver_singly(struct worker *worker, const struct match *match,
                             const struct message *run, const struct receiver *except) {
        struct message message = *run;
        size_t n_taken = 0;

        message.count = 1;
        for (size_t left = run->count; left > 0; left--) {
                n_taken += deliver_to_all(worker, match, &message, except);
                for (unsigned i = 0; i < match->n_groups; i++)
                        n_taken += deliver_to_one(worker, &match->groups[i], &message, except);
                message.payload.data += run->stride;
        }
        return n_taken;
}

static struct match *bus_match(struct bus *bus, struct worker *worker, struct bytes subject) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        struct match *match;
        int r;

        match = match_cache_find(&worker->matches[worker->depth], bus->index, subject, &r);
        if (r < 0)
                log_limited(&limit, LOG_LEVEL_ERROR,
                            "no memory to find all receivers of a message");
        return match;
}

/* Whether each message of a run is delivered by itself: groups choose anew for each, and who
 * subscribed twice gets each message twice before the next one. */
static bool is_delivered_singly(struct match *match, const struct message *run) {
        return match->n_groups > 0 || (run->count > 1 && !match_is_distinct(match));
}

static size_t discount(struct match *match, const struct message *run) {
        return is_delivered_singly(match, run) ? 1 : RUN_DISCOUNT;
}

/* What the receivers that publish further allow. They are sockd's own. */
static size_t limit_by(struct worker *worker, struct subscription *const *subscriptions, unsigned n,
                       const struct message *message, size_t max) {
        for (unsigned i = 0; i < n; i++) {
                struct receiver *receiver = subscriptions[i]->receiver;
                size_t allowed =
                        receiver->limit_run ? receiver->limit_run(receiver, worker, message) : max;

                if (allowed < max)
                        max = allowed;
        }
        return max;
}

size_t bus_limit_run(struct bus *bus, struct worker *worker, const struct message *message) {
        struct match *match = bus_match(bus, worker, message->subject);
        size_t max = RUN_WORK / (match_count(match) + 1) * discount(match, message) + 1;

        if (match_has_limits(match)) {
                max = limit_by(worker, match->plain, match->n_plain, message, max);
                max = limit_by(worker, match->queued, match->n_queued, message, max);
        }
        return message->count < max ? message->count : max;
}

size_t bus_publish(struct bus *bus, struct worker *worker, const struct message *message,
                   const struct receiver *except) {
        struct match_cache *matches = &worker->matches[worker->depth];
        uint64_t n_visited = matches->n_visited;
        struct match *match = bus_match(bus, worker, message->subject);
        size_t n_receivers = match->n_plain + match->n_groups;
        size_t n_rounds = message->count / discount(match, message) + 1;

        worker->pressure.n_work += matches->n_visited - n_visited + n_rounds * (n_receivers + 1);
        return is_delivered_singly(match, message) ? deliver_singly(worker, match, message, except)
                                                   : deliver_to_all(worker, match, message, except);
}

/* Whether something may be looked up while a message is being delivered. */
static bool may_go_onward(const struct worker *worker) {
        return worker->depth + 1 < WORKER_DEPTH_MAX;
}

size_t bus_publish_onward(struct bus *bus, struct worker *worker, const struct message *message) {
        size_t n_taken;

        if (!may_go_onward(worker))
                return 0;
        worker->depth++;
        n_taken = bus_publish(bus, worker, message, NULL);
        worker->depth--;
        return n_taken;
}

size_t bus_limit_onward(struct bus *bus, struct worker *worker, const struct message *message) {
        size_t max;

        if (!may_go_onward(worker))
                return message->count;
        worker->depth++;
        max = bus_limit_run(bus, worker, message);
        worker->depth--;
        return max;
}

bool bus_reaches_onward(struct bus *bus, struct worker *worker, struct bytes subject) {
        size_t n_receivers;

        if (!may_go_onward(worker))
                return false;
        worker->depth++;
        n_receivers = match_count(bus_match(bus, worker, subject));
        worker->depth--;
        return n_receivers > 0;
}

size_t bus_publish_to(struct bus *bus, struct worker *worker, const struct message *message,
                      const struct receiver *receiver) {
        const struct match *match = bus_match(bus, worker, message->subject);
        size_t n_taken = 0;

        for (unsigned i = 0; i < match->n_plain; i++)
                if (match->plain[i]->receiver == receiver)
                        n_taken += deliver(worker, match->plain[i], message, NULL);
        return n_taken;
}

size_t bus_publish_onward_to(struct bus *bus, struct worker *worker, const struct message *message,
                             const struct receiver *receiver) {
        size_t n_taken;

        if (worker->depth + 1 >= WORKER_DEPTH_MAX)
                return 0;
        worker->depth++;
        n_taken = bus_publish_to(bus, worker, message, receiver);
        worker->depth--;
        return n_taken;
}

struct subscription *bus_find_plain(struct bus *bus, struct worker *worker, struct bytes subject,
                                    const struct receiver *receiver) {
        const struct match *match = bus_match(bus, worker, subject);

        for (unsigned i = 0; i < match->n_plain; i++)
                if (match->plain[i]->receiver == receiver)
                        return match->plain[i];
        return NULL;
}
