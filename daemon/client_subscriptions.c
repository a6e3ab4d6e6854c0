/* The subscriptions of a client, by sid. See client.h. */
#include "daemon/client_parts.h"

#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/subject_index.h"
#include "daemon/transport.h"
#include "lib/log.h"
#include "lib/subject.h"
#include "lib/writer.h"

#include <errno.h>

/* What a datagram peer may have whose address may be forged: so many subscriptions, each to a
 * subject of so many bytes and tokens, as each token of a pattern takes memory. */
#define MAX_UNPROVED        16
#define MAX_UNPROVED_LENGTH 128
#define MAX_UNPROVED_TOKENS 8

static void client_count_subscriptions(struct client *client) {
        atomic_store_explicit(&client->n_subscriptions, client->subscriptions.count,
                              memory_order_relaxed);
}

void client_end_subscription(struct client *client, struct subscription *subscription) {
        sid_table_remove(&client->subscriptions, subscription);
        bus_unsubscribe(client->bus, &client->worker->reclaim, subscription);
        worker_turn_over(client->worker, sizeof(*subscription));
        /* A datagram peer is remembered for its subscriptions. */
        if (client->subscriptions.count == 0 && client->connection->transport->is_connectionless)
                connection_set_deadline(client->connection, CLIENT_FORGET_MS);
        client_count_subscriptions(client);
}

void client_end_subscriptions(struct client *client) {
        struct subscription *subscription, *next;
        size_t bucket = 0;

        subscription = sid_table_next(&client->subscriptions, &bucket, NULL);
        for (; subscription; subscription = next) {
                next = sid_table_next(&client->subscriptions, &bucket, subscription);
                client_end_subscription(client, subscription);
        }
}

struct subscription *client_expire(struct client *client, struct bytes sid) {
        struct subscription *subscription = sid_table_find(&client->subscriptions, sid);

        if (!subscription || !subscription_is_exhausted(subscription))
                return subscription;
        client_end_subscription(client, subscription);
        return NULL;
}

/* How many there may be; 0: any number. */
static uint64_t client_max_subscriptions(const struct client *client) {
        uint64_t max = client_limit(client->max_subscriptions,
                                    client->worker->config->server.max_subscriptions);

        return connection_is_proved(client->connection) ? max : client_limit(max, MAX_UNPROVED);
}

static unsigned count_tokens(struct bytes subject) {
        struct bytes token;
        unsigned n = 0;

        while (subject_next_token(&subject, &token))
                n++;
        return n;
}

static bool client_may_have_subject(const struct client *client, struct bytes subject) {
        return connection_is_proved(client->connection) ||
               (subject.length <= MAX_UNPROVED_LENGTH &&
                count_tokens(subject) <= MAX_UNPROVED_TOKENS);
}

/* Whether one more subscription may be had, and is filtered; says so if not. */
static bool client_may_subscribe(struct client *client, const struct operation *operation,
                                 bool *filteredp) {
        uint64_t max = client_max_subscriptions(client);
        char subject[512];

        if (!subject_is_valid(operation->subject)) {
                client_error(client, ERROR_INVALID_SUBJECT);
                return false;
        }
        if (bytes_equal(operation->queue, BYTES("_sys_"))) {
                client_error(client,
                             "Permissions Violation for Subscription to \"%s\" using queue "
                             "\"_sys_\"",
                             bytes_quote(subject, sizeof(subject), operation->subject));
                return false;
        }
        if (!client_permit_subscription(client, operation->subject, operation->queue, filteredp))
                return false;
        if (!client_may_have_subject(client, operation->subject)) {
                client_error(client, ERROR_LONG_SUBJECT);
                return false;
        }
        if (max > 0 && client->subscriptions.count >= max) {
                client_error(client, ERROR_MAX_SUBSCRIPTIONS);
                return false;
        }
        return true;
}

static int client_add_subscription(struct client *client, const struct operation *operation,
                                   bool is_filtered) {
        struct subscription *subscription =
                subscription_new(&client->receiver, operation->sid, operation->queue);
        int r;

        if (!subscription)
                return -ENOMEM;
        atomic_init(&subscription->is_filtered, is_filtered);
        r = sid_table_add(&client->subscriptions, subscription);
        if (r < 0) {
                subscription_free(subscription);
                return r;
        }
        r = bus_subscribe(client->bus, &client->worker->reclaim, operation->subject, subscription);
        if (r < 0) {
                sid_table_remove(&client->subscriptions, subscription);
                subscription_free(subscription);
                return r;
        }
        client_count_subscriptions(client);
        return 0;
}

/* Whether a subscription is what a SUB asks for. */
static bool is_same_subscription(const struct subscription *subscription,
                                 const struct operation *operation) {
        char subject[CLIENT_SUBJECT_MAX];
        size_t length = subject_index_subject(subscription, subject, sizeof(subject));

        return length < sizeof(subject) &&
               bytes_equal((struct bytes){subject, length}, operation->subject) &&
               bytes_equal(subscription_queue(subscription), operation->queue);
}

/* Whether the sid is in use, so that a SUB has no effect. That of a datagram peer has one if it
 * asks for something else: the peer is not the one that had the address before. */
static bool client_has_sid(struct client *client, const struct operation *operation) {
        struct subscription *subscription = client_expire(client, operation->sid);

        if (!subscription || !client->connection->transport->is_connectionless ||
            is_same_subscription(subscription, operation))
                return subscription;
        client_end_subscription(client, subscription);
        return false;
}

void client_subscribe(struct client *client, const struct operation *operation) {
        bool is_filtered;
        int r;

        if (client_has_sid(client, operation)) {
                client_acknowledge(client);
                return;
        }
        if (!client_may_subscribe(client, operation, &is_filtered) || !client_settle(client))
                return;
        r = client_add_subscription(client, operation, is_filtered);
        if (r == -ENAMETOOLONG) {
                client_error(client, ERROR_INVALID_SUBJECT);
                return;
        }
        if (r < 0) {
                log_warning("client %llu: no memory for a subscription", client_id(client));
                client_error(client, ERROR_MAX_SUBSCRIPTIONS);
                return;
        }
        client_acknowledge(client);
}

void client_unsubscribe(struct client *client, const struct operation *operation) {
        struct subscription *subscription = sid_table_find(&client->subscriptions, operation->sid);

        if (subscription) {
                atomic_store(&subscription->max, operation->max);
                if (operation->max == 0 || subscription_is_exhausted(subscription)) {
                        client_end_subscription(client, subscription);
                        client->needs_fence = true;
                }
        }
        client_acknowledge(client);
}
