/* Subscriptions. See subscription.h. */
#include "daemon/subscription.h"

#include "lib/list.h"

#include <stdlib.h>

struct subscription *subscription_new(struct receiver *receiver, struct bytes sid,
                                      struct bytes queue) {
        struct subscription *subscription;

        if (sid.length > UINT16_MAX || queue.length > UINT16_MAX)
                return NULL;
        subscription = calloc(1, offsetof(struct subscription, text) + sid.length + queue.length);
        if (!subscription)
                return NULL;
        subscription->receiver = receiver;
        subscription->sid_length = (uint16_t)sid.length;
        subscription->queue_length = (uint16_t)queue.length;
        bytes_copy(bytes_copy(subscription->text, sid), queue);
        return subscription;
}

struct subscription *subscription_free(struct subscription *subscription) {
        free(subscription);
        return NULL;
}

static void subscription_release(struct reclaim_node *node) {
        free(container_of(node, struct subscription, reclaim));
}

void subscription_retire(struct subscription *subscription, struct reclaim *reclaim) {
        reclaim_later(reclaim, &subscription->reclaim, subscription_release);
}
