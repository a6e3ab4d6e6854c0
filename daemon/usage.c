/* What the clients of a user have together. See usage.h. */
#include "daemon/usage.h"

#include "daemon/config.h"

#include <stdlib.h>
#include <string.h>

int usages_init(struct usages *usages) {
        list_init(&usages->list);
        return -pthread_mutex_init(&usages->lock, NULL);
}

void usages_deinit(struct usages *usages) {
        (void)pthread_mutex_destroy(&usages->lock);
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

/* Under the lock. */
static struct usage *usage_drop(struct usage *usage) {
        return --usage->n_references == 0 ? usage_free(usage) : NULL;
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

struct usage *usage_take(struct usages *usages, const struct config_user *user) {
        const struct config_rate *rate = &user->limits.rate;
        struct usage *usage;

        pthread_mutex_lock(&usages->lock);
        usage = find(usages, user->name);
        if (!usage)
                usage = usage_new(usages, user->name);
        if (usage)
                usage->n_references++;
        if (usage && rate_set(&usage->rate, rate->messages, rate->bytes, rate->burst) < 0)
                usage = usage_drop(usage);
        pthread_mutex_unlock(&usages->lock);
        return usage;
}

struct usage *usage_give(struct usages *usages, struct usage *usage) {
        if (!usage)
                return NULL;
        pthread_mutex_lock(&usages->lock);
        (void)usage_drop(usage);
        pthread_mutex_unlock(&usages->lock);
        return NULL;
}
