/* What the clients of a user have together. See usage.h. */
#include "daemon/usage.h"

#include "daemon/config.h"

#include <stdlib.h>
#include <string.h>

int usages_init(struct usages *usages) {
        list_init(&usages->list);
        return -pthread_mutex_init(&usages->lock, NULL);
}

static struct usage *find(struct usages *usages, const char *user) {
        LIST_FOREACH (link, &usages->list) {
                struct usage *usage = container_of(link, struct usage, link);

                if (strcmp(usage->user, user) == 0)
                        return usage;
        }
        return NULL;
}

static struct usage *usage_free(struct usage *usage) {
        list_unlink(&usage->link);
        rate_deinit(&usage->rate);
        free(usage->user);
        free(usage);
        return NULL;
}

static struct usage *usage_new(struct usages *usages, const char *user) {
        struct usage *usage = calloc(1, sizeof(*usage));

        if (!usage)
                return NULL;
        list_init(&usage->link);
        usage->user = strdup(user);
        if (!usage->user)
                return usage_free(usage);
        list_append(&usages->list, &usage->link);
        return usage;
}

void usages_deinit(struct usages *usages) {
        LIST_FOREACH_SAFE (link, &usages->list)
                (void)usage_free(container_of(link, struct usage, link));
        (void)pthread_mutex_destroy(&usages->lock);
}

struct usage *usage_take(struct usages *usages, const struct config_user *user) {
        const struct config_rate *rate = &user->limits.rate;
        struct usage *usage;

        pthread_mutex_lock(&usages->lock);
        usage = find(usages, user->name);
        if (!usage)
                usage = usage_new(usages, user->name);
        if (usage)
                atomic_store(&usage->max_connections, user->limits.connections);
        if (usage && rate_set(&usage->rate, rate->messages, rate->bytes, rate->burst) < 0)
                usage = NULL;
        pthread_mutex_unlock(&usages->lock);
        return usage;
}
