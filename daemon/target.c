/* The targets of a forward. See target.h. */
#include "daemon/target.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* When a name is looked up again that was not found. */
#define RESOLVE_AGAIN_MS 1000

/* Whether it takes the resolver to know what an address stands for. */
static bool is_name(const struct address *address) {
        struct in6_addr binary;

        return !address_is_unix(address) && !strchr(address->host, ':') &&
               inet_pton(AF_INET, address->host, &binary) != 1;
}

static int target_init(struct target *target, const struct address *address) {
        target->address = *address;
        target->is_name = is_name(address);
        address_format(address, target->text);
        list_init(&target->waiting);
        return target->is_name ? 0
                               : address_resolve(address, false, &target->sockets,
                                                 &target->n_sockets, NULL);
}

struct targets *targets_new(const struct address *addresses, size_t count,
                            uint64_t resolve_interval_ms) {
        struct targets *targets = calloc(1, sizeof(*targets));

        if (!targets)
                return NULL;
        pthread_mutex_init(&targets->lock, NULL);
        targets->resolve_interval_ms = resolve_interval_ms;
        targets->all = calloc(count, sizeof(*targets->all));
        if (!targets->all)
                return targets_free(targets);
        for (; targets->count < count; targets->count++)
                if (target_init(&targets->all[targets->count], &addresses[targets->count]) < 0)
                        return targets_free(targets);
        return targets;
}

struct targets *targets_free(struct targets *targets) {
        if (!targets)
                return NULL;
        for (size_t i = 0; i < targets->count; i++)
                free(targets->all[i].sockets);
        free(targets->all);
        pthread_mutex_destroy(&targets->lock);
        free(targets);
        return NULL;
}

void targets_take_turn(struct targets *targets, uint64_t now_ms, struct target_turn *turn) {
        size_t first = atomic_fetch_add_explicit(&targets->n_turns, 1, memory_order_relaxed) %
                       targets->count;

        turn->count = 0;
        pthread_mutex_lock(&targets->lock);
        for (unsigned resting = 0; resting < 2; resting++)
                for (size_t i = 0; i < targets->count; i++) {
                        size_t index = (first + i) % targets->count;

                        if ((targets->all[index].rest_until_ms > now_ms) == resting)
                                turn->order[turn->count++] = (uint8_t)index;
                }
        pthread_mutex_unlock(&targets->lock);
}

int targets_socket(struct targets *targets, unsigned target, unsigned n,
                   struct address_socket *socketp) {
        const struct target *wanted = &targets->all[target];
        int r = 0;

        pthread_mutex_lock(&targets->lock);
        if (!wanted->sockets)
                r = TARGET_UNKNOWN;
        else if (n >= wanted->n_sockets || n >= TARGET_SOCKETS_MAX)
                r = TARGET_END;
        else
                *socketp = wanted->sockets[n];
        pthread_mutex_unlock(&targets->lock);
        return r;
}

bool targets_claim(struct targets *targets, unsigned target, uint64_t now_ms) {
        struct target *wanted = &targets->all[target];
        bool is_claimed;

        if (!wanted->is_name)
                return false;
        pthread_mutex_lock(&targets->lock);
        is_claimed = !wanted->is_resolving && now_ms >= wanted->resolve_due_ms;
        wanted->is_resolving |= is_claimed;
        pthread_mutex_unlock(&targets->lock);
        return is_claimed;
}

void targets_resolved(struct targets *targets, unsigned target, struct address_socket *sockets,
                      size_t n_sockets, uint64_t now_ms) {
        struct target *wanted = &targets->all[target];
        struct address_socket *before = NULL;

        pthread_mutex_lock(&targets->lock);
        if (sockets) {
                before = wanted->sockets;
                wanted->sockets = sockets;
                wanted->n_sockets = n_sockets;
        }
        wanted->is_resolving = false;
        wanted->resolve_due_ms =
                now_ms + (sockets ? targets->resolve_interval_ms : RESOLVE_AGAIN_MS);
        pthread_mutex_unlock(&targets->lock);
        free(before);
}

struct list_link *targets_next_waiting(struct targets *targets, unsigned target) {
        struct list_link *waiting = &targets->all[target].waiting, *next = NULL;

        pthread_mutex_lock(&targets->lock);
        if (!list_is_empty(waiting)) {
                next = waiting->next;
                list_unlink(next);
        }
        pthread_mutex_unlock(&targets->lock);
        return next;
}

bool targets_wait(struct targets *targets, unsigned target, struct list_link *link) {
        struct target *wanted = &targets->all[target];
        bool waits;

        pthread_mutex_lock(&targets->lock);
        waits = wanted->is_resolving;
        if (waits)
                list_append(&wanted->waiting, link);
        pthread_mutex_unlock(&targets->lock);
        return waits;
}

bool targets_leave(struct targets *targets, struct list_link *link) {
        bool was_there;

        pthread_mutex_lock(&targets->lock);
        was_there = !list_is_empty(link);
        list_unlink(link);
        pthread_mutex_unlock(&targets->lock);
        return was_there;
}

bool targets_note(struct targets *targets, unsigned target, bool is_reached, uint64_t now_ms) {
        struct target *noted = &targets->all[target];
        bool is_news;

        /* Mostly so, and then there is no need of the lock. */
        if (is_reached && !atomic_load_explicit(&noted->has_failed, memory_order_relaxed))
                return false;
        pthread_mutex_lock(&targets->lock);
        is_news = is_reached ? noted->has_failed : noted->rest_until_ms <= now_ms;
        noted->rest_until_ms = is_reached ? 0 : now_ms + TARGET_REST_MS;
        noted->has_failed = !is_reached;
        pthread_mutex_unlock(&targets->lock);
        return is_news;
}
