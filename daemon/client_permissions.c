/* What a client may publish and subscribe to. See client_parts.h.
 *
 * Its permissions are asked in two threads: its own, when it publishes and subscribes, and that of
 * a publisher, whose message is to be kept from it or has a reply that it may answer to. So they
 * are replaced as a whole, by a grant that others read within their batch.
 */
#include "daemon/client_parts.h"

#include "daemon/permissions.h"
#include "daemon/responses.h"
#include "daemon/subject_index.h"
#include "lib/log.h"

#include <stdlib.h>

/* How much of subjects, names of queues and sids an error shows: together they fit it. */
#define SUBJECT_SHOWN_MAX 512
#define QUEUE_SHOWN_MAX   256
#define SID_SHOWN_MAX     64
#define EXPLANATION_MAX   512

/* An error costs as much as so many deliveries. */
#define DENIAL_WORK 10

struct grant {
        struct reclaim_node reclaim;
        struct permissions *permissions; /* a reference */
        struct responses *responses;     /* the client's; NULL: none are allowed */
};

/* Of who should have permissions, and cannot for want of memory. */
static struct grant nothing_granted = {.permissions = &permissions_nothing};

/* --- granting ------------------------------------------------------------------------------- */

static struct grant *grant_free(struct grant *grant) {
        if (!grant || grant == &nothing_granted)
                return NULL;
        permissions_unref(grant->permissions);
        free(grant);
        return NULL;
}

static void grant_release(struct reclaim_node *node) {
        grant_free(container_of(node, struct grant, reclaim));
}

/* In the client's own thread. */
static struct grant *own_grant(const struct client *client) {
        return atomic_load_explicit(&client->grant, memory_order_relaxed);
}

static struct permissions *own_permissions(const struct client *client) {
        const struct grant *grant = own_grant(client);

        return grant ? grant->permissions : NULL;
}

/* A grant of these permissions, which are not NULL. */
static struct grant *grant_new(struct client *client, struct permissions *permissions) {
        bool may_respond = permissions_max_responses(permissions) > 0;
        struct grant *grant = calloc(1, sizeof(*grant));

        /* What it was asked outlasts a reload. */
        if (may_respond && !client->responses)
                client->responses = responses_new();
        if (!grant || (may_respond && !client->responses)) {
                log_error("client %llu: no memory for its permissions; nothing is allowed",
                          client_id(client));
                free(grant);
                return &nothing_granted;
        }
        grant->permissions = permissions_ref(permissions);
        grant->responses = may_respond ? client->responses : NULL;
        return grant;
}

void client_set_permissions(struct client *client, struct permissions *permissions) {
        struct grant *before = own_grant(client), *grant = NULL;

        if (permissions == own_permissions(client))
                return;
        if (permissions)
                grant = grant_new(client, permissions);
        atomic_store_explicit(&client->grant, grant, memory_order_release);
        if (!permissions_is_equal(before ? before->permissions : NULL,
                                  grant ? grant->permissions : NULL))
                client_review_subscriptions(client);
        if (before && before != &nothing_granted)
                reclaim_later(&client->worker->reclaim, &before->reclaim, grant_release);
}

bool client_has_permissions(const struct client *client, const struct permissions *permissions) {
        return own_permissions(client) == permissions;
}

void client_free_permissions(struct client *client) {
        grant_free(own_grant(client));
        responses_free(client->responses);
}

/* --- denying -------------------------------------------------------------------------------- */

/* A line for those who look for the reason. */
static void log_denial(const struct client *client, const char *what, struct bytes subject,
                       struct bytes queue, struct permissions_decision decision) {
        static struct log_limits limits = {.what = "denial", .burst = 10, .interval_ms = 10000};
        char quoted[SUBJECT_SHOWN_MAX], queue_quoted[QUEUE_SHOWN_MAX], why[EXPLANATION_MAX];
        bool has_queue = queue.length > 0;

        if (!log_is_enabled(LOG_LEVEL_WARNING) || !log_limits_pass(&limits, client_id(client)))
                return;
        permissions_explain(own_permissions(client), decision, why, sizeof(why));
        log_write(LOG_LEVEL_WARNING, "client %llu%s%s%s: may not %s \"%s\"%s%s%s: %s",
                  client_id(client), client->user ? " (" : "", client->user ? client->user : "",
                  client->user ? ")" : "", what, bytes_quote(quoted, sizeof(quoted), subject),
                  has_queue ? " in queue \"" : "",
                  has_queue ? bytes_quote(queue_quoted, sizeof(queue_quoted), queue) : "",
                  has_queue ? "\"" : "", why);
}

size_t client_permit_publish(struct client *client, const struct message *message,
                             struct permissions_decision *decisionp) {
        const struct grant *grant = own_grant(client);
        struct worker *worker = client->worker;

        if (!grant)
                return message->count;
        *decisionp = permissions_cache_may_publish(&worker->permissions, grant->permissions,
                                                   message->subject);
        if (decisionp->verdict == PERMISSIONS_ALLOWED)
                return message->count;
        return grant->responses ? responses_take(grant->responses, message->subject, message->count,
                                                 uv_now(&worker->loop))
                                : 0;
}

bool client_may_publish(const struct client *client, struct bytes subject) {
        const struct grant *grant = own_grant(client);

        return !grant || permissions_cache_may_publish(&client->worker->permissions,
                                                       grant->permissions, subject)
                                         .verdict == PERMISSIONS_ALLOWED;
}

void client_deny_publish(struct client *client, const struct message *message,
                         struct permissions_decision decision) {
        char subject[SUBJECT_SHOWN_MAX];

        bytes_quote(subject, sizeof(subject), message->subject);
        log_denial(client, "publish to", message->subject, BYTES(""), decision);
        counter_add(&client->denied_publishes, message->count);
        counter_add(&client->worker->stats.denied_publishes, message->count);
        client->worker->pressure.n_work += message->count * DENIAL_WORK;
        for (size_t i = 0; i < message->count; i++)
                client_error(client, "Permissions Violation for Publish to \"%s\"", subject);
}

/* Says that there may be no such subscription. sid: of one that ends because of that; of length 0:
 * there was none yet. */
static void deny_subscription(struct client *client, struct bytes subject, struct bytes queue,
                              struct bytes sid, struct permissions_decision decision) {
        char subject_text[SUBJECT_SHOWN_MAX], queue_text[QUEUE_SHOWN_MAX], sid_text[SID_SHOWN_MAX];
        bool has_queue = queue.length > 0, has_sid = sid.length > 0;

        log_denial(client, "subscribe to", subject, queue, decision);
        counter_add(&client->denied_subscriptions, 1);
        counter_add(&client->worker->stats.denied_subscriptions, 1);
        client->worker->pressure.n_work += DENIAL_WORK;
        client_error(client, "Permissions Violation for Subscription to \"%s\"%s%s%s%s%s%s",
                     bytes_quote(subject_text, sizeof(subject_text), subject),
                     has_queue ? " using queue \"" : "",
                     has_queue ? bytes_quote(queue_text, sizeof(queue_text), queue) : "",
                     has_queue ? "\"" : "", has_sid ? " (sid \"" : "",
                     has_sid ? bytes_quote(sid_text, sizeof(sid_text), sid) : "",
                     has_sid ? "\")" : "");
}

bool client_permit_subscription(struct client *client, struct bytes subject, struct bytes queue,
                                bool *filteredp) {
        struct permissions_decision decision =
                permissions_may_subscribe(own_permissions(client), subject, queue);

        *filteredp = decision.verdict == PERMISSIONS_FILTERED;
        if (decision.verdict != PERMISSIONS_REFUSED)
                return true;
        deny_subscription(client, subject, queue, BYTES(""), decision);
        return false;
}

/* --- after a reload ------------------------------------------------------------------------- */

/* Ends a subscription if it is not allowed any more. */
static void review(struct client *client, struct subscription *subscription) {
        char text[CLIENT_SUBJECT_MAX];
        struct bytes subject = {text, subject_index_subject(subscription, text, sizeof(text))};
        struct bytes queue = subscription_queue(subscription);
        struct permissions_decision decision =
                permissions_may_subscribe(own_permissions(client), subject, queue);

        atomic_store_explicit(&subscription->is_filtered, decision.verdict == PERMISSIONS_FILTERED,
                              memory_order_relaxed);
        if (decision.verdict != PERMISSIONS_REFUSED)
                return;
        deny_subscription(client, subject, queue, subscription_sid(subscription), decision);
        client_end_subscription(client, subscription);
        client->needs_fence = true;
}

void client_review_subscriptions(struct client *client) {
        struct subscription *subscription, *next;
        size_t bucket = 0;

        subscription = sid_table_next(&client->subscriptions, &bucket, NULL);
        for (; subscription; subscription = next) {
                next = sid_table_next(&client->subscriptions, &bucket, subscription);
                review(client, subscription);
        }
}

/* --- delivery: the publisher's thread ------------------------------------------------------- */

bool client_filters(struct client *client, struct worker *worker,
                    const struct subscription *subscription, struct bytes subject) {
        const struct grant *grant = atomic_load_explicit(&client->grant, memory_order_acquire);
        struct permissions_decision decision;

        if (!grant)
                return false;
        if (subscription->queue_length > 0)
                decision = permissions_filter(grant->permissions, subject,
                                              subscription_queue(subscription));
        else
                decision =
                        permissions_cache_filter(&worker->permissions, grant->permissions, subject);
        return decision.verdict != PERMISSIONS_ALLOWED;
}

static uint64_t multiply(uint64_t max, size_t count) {
        return max > PERMISSIONS_UNLIMITED / count ? PERMISSIONS_UNLIMITED : max * count;
}

static uint64_t add(uint64_t now_ms, uint64_t ms) {
        return ms > PERMISSIONS_UNLIMITED - now_ms ? PERMISSIONS_UNLIMITED : now_ms + ms;
}

void client_expect_responses(struct client *client, struct worker *worker,
                             const struct message *message) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        const struct grant *grant = atomic_load_explicit(&client->grant, memory_order_acquire);
        uint64_t now_ms = uv_now(&worker->loop), max;

        if (!grant || !grant->responses ||
            permissions_may_publish(grant->permissions, message->reply).verdict ==
                    PERMISSIONS_ALLOWED)
                return;
        max = multiply(permissions_max_responses(grant->permissions), message->count);
        if (responses_remember(grant->responses, message->reply, max,
                               add(now_ms, permissions_response_ms(grant->permissions)),
                               now_ms) < 0)
                log_limited(&limit, LOG_LEVEL_ERROR, "no memory to allow a client to respond");
}
