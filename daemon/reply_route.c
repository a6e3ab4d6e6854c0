/* The way of replies between accounts. See reply_route.h. */
#include "daemon/reply_route.h"

#include "daemon/bus.h"
#include "daemon/worker.h"
#include "lib/base62.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* Whoever has not answered by then will not. */
#define PATIENCE_MS (UINT64_C(120) * 1000)

static uint64_t now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The reply's own reply goes the opposite way. */
static void answer_reply(struct reply_route *route, struct worker *worker, struct message *reply,
                         char subject[REPLY_ROUTE_SUBJECT_LENGTH]) {
        bool is_awaited = route->reverse &&
                          reply_route_await(route->reverse, worker, reply->reply, subject) == 0;

        reply->reply = is_awaited ? (struct bytes){subject, REPLY_ROUTE_SUBJECT_LENGTH}
                                  : (struct bytes){NULL, 0};
}

/* A reply: the first one is passed on, the others go nowhere. */
static size_t route_deliver(struct receiver *receiver, struct worker *worker,
                            struct subscription *subscription, const struct message *message) {
        struct reply_route *route = container_of(receiver, struct reply_route, receiver);
        struct bytes token = {message->subject.data + REPLY_ROUTE_PREFIX_LENGTH,
                              message->subject.length - REPLY_ROUTE_PREFIX_LENGTH};
        char *target = reply_table_take(&route->table, token);
        char subject[REPLY_ROUTE_SUBJECT_LENGTH];
        struct message onward = *message;

        if (!target)
                return 0;
        onward.subject = bytes_from_string(target);
        onward.bus = route->target;
        onward.count = 1;
        onward.rendering = NULL;
        if (message->reply.length > 0)
                answer_reply(route, worker, &onward, subject);
        if (bus_publish_onward(route->target, worker, &onward) == 0 && onward.reply.length > 0)
                reply_route_forget(route->reverse, subject);
        free(target);
        return 1;
}

/* Names the route by a random token: there are so many that no two will be the same, and if they
 * were, the tokens of their replies would differ. */
static int route_name(struct reply_route *route) {
        char *end = bytes_copy(route->prefix, BYTES(REPLY_ROUTE_PREFIX));
        uint64_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        base62_write(end, REPLY_TOKEN_LENGTH, random);
        end[REPLY_TOKEN_LENGTH] = '.';
        return 0;
}

static int route_subscribe(struct reply_route *route, struct reclaim *reclaim) {
        char subject[REPLY_ROUTE_PREFIX_LENGTH + 1];
        int r = route_name(route);

        if (r < 0)
                return r;
        *bytes_copy(subject, (struct bytes){route->prefix, sizeof(route->prefix)}) = '*';
        route->subscription = subscription_new(&route->receiver, BYTES(""), BYTES(""));
        if (!route->subscription)
                return -ENOMEM;
        r = bus_subscribe_own(route->source, reclaim, (struct bytes){subject, sizeof(subject)},
                              route->subscription);
        if (r < 0)
                route->subscription = subscription_free(route->subscription);
        return r;
}

int reply_route_new(struct reply_route **routep, struct bus *source, struct bus *target,
                    struct reclaim *reclaim) {
        struct reply_route *route = calloc(1, sizeof(*route));
        int r;

        if (!route)
                return -ENOMEM;
        route->receiver.deliver = route_deliver;
        route->source = source;
        route->target = target;
        reply_table_init(&route->table);
        r = route_subscribe(route, reclaim);
        if (r < 0)
                reply_route_free(route, reclaim);
        else
                *routep = route;
        return r;
}

struct reply_route *reply_route_free(struct reply_route *route, struct reclaim *reclaim) {
        if (!route)
                return NULL;
        if (route->subscription)
                bus_unsubscribe_own(route->source, reclaim, route->subscription);
        reply_table_deinit(&route->table);
        free(route);
        return NULL;
}

int reply_route_await(struct reply_route *route, struct worker *worker, struct bytes reply,
                      char subject[REPLY_ROUTE_SUBJECT_LENGTH]) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        char *token = bytes_copy(subject, (struct bytes){route->prefix, sizeof(route->prefix)});
        uint64_t random;
        int r;

        if (!atomic_load_explicit(&route->is_open, memory_order_relaxed))
                return -EACCES;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EAGAIN;
        r = reply_table_add(&route->table, reply, random, now_ms(), token);
        if (r != REPLY_TABLE_FORGOT)
                return r;
        counter_add(&worker->stats.forgotten_replies, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "too many replies are awaited from account \"%s\" for account \"%s\": the "
                    "oldest are forgotten",
                    route->source->account, route->target->account);
        return 0;
}

void reply_route_open(struct reply_route *route, bool is_open) {
        atomic_store(&route->is_open, is_open);
}

void reply_route_forget(struct reply_route *route, const char subject[REPLY_ROUTE_SUBJECT_LENGTH]) {
        free(reply_table_take(&route->table, (struct bytes){subject + REPLY_ROUTE_PREFIX_LENGTH,
                                                            REPLY_TOKEN_LENGTH}));
}

void reply_route_expire(struct reply_route *route) {
        uint64_t now = now_ms();

        reply_table_expire(&route->table, now > PATIENCE_MS ? now - PATIENCE_MS : 0);
}
