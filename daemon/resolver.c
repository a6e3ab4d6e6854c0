/* Looking names up. See resolver.h. */
#include "daemon/resolver.h"

#include "daemon/config_handler.h"
#include "daemon/target.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <stdio.h>
#include <stdlib.h>

struct lookup {
        uv_getaddrinfo_t request;
        struct worker *worker;
        struct config_handler *settings; /* a reference */
        unsigned target;
};

static uint64_t now_ms(void) {
        return uv_hrtime() / 1000000;
}

/* Tells those who wait. */
static void tell(struct targets *targets, unsigned target) {
        struct list_link *link;

        while ((link = targets_next_waiting(targets, target))) {
                struct resolver_wait *wait = container_of(link, struct resolver_wait, link);

                /* It has left before its mailbox was closed. */
                (void)mailbox_post(&wait->worker->mailbox, &wait->task);
        }
}

static void conclude(struct lookup *lookup, const struct addrinfo *found, const char *failure) {
        static struct log_limit limit = {.burst = 5, .interval_ms = 10000};
        struct targets *targets = lookup->settings->forward.targets;
        const struct target *target = &targets->all[lookup->target];
        struct address_socket *sockets = NULL;
        size_t n_sockets = 0;

        if (!failure && address_take_found(&target->address, found, &sockets, &n_sockets) < 0)
                failure = "it has no address";
        if (failure)
                log_limited(&limit, LOG_LEVEL_WARNING, "cannot look up %s: %s", target->text,
                            failure);
        targets_resolved(targets, lookup->target, failure ? NULL : sockets, n_sockets, now_ms());
        tell(targets, lookup->target);
        config_handler_unref(lookup->settings);
        free(lookup);
}

static void on_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
        struct lookup *lookup = container_of(request, struct lookup, request);

        worker_enter(lookup->worker);
        conclude(lookup, found, status < 0 ? uv_strerror(status) : NULL);
        uv_freeaddrinfo(found);
}

void resolver_refresh(struct config_handler *settings, unsigned target, struct worker *worker) {
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
        struct targets *targets = settings->forward.targets;
        const struct address *address = &targets->all[target].address;
        struct lookup *lookup;
        char port[8];
        int r;

        if (!targets_claim(targets, target, now_ms()))
                return;
        lookup = calloc(1, sizeof(*lookup));
        if (!lookup) {
                targets_resolved(targets, target, NULL, 0, now_ms());
                tell(targets, target);
                return;
        }
        *lookup = (struct lookup){
                .worker = worker, .settings = config_handler_ref(settings), .target = target};
        snprintf(port, sizeof(port), "%u", address->port);
        r = uv_getaddrinfo(&worker->loop, &lookup->request, on_found, address->host, port, &hints);
        if (r < 0)
                conclude(lookup, NULL, uv_strerror(r));
}

static void on_told(struct task *task) {
        struct resolver_wait *wait = container_of(task, struct resolver_wait, task);

        wait->done(wait);
}

bool resolver_await(struct config_handler *settings, unsigned target, struct resolver_wait *wait) {
        list_init(&wait->link);
        wait->task.run = on_told;
        return targets_wait(settings->forward.targets, target, &wait->link);
}

bool resolver_leave(struct config_handler *settings, struct resolver_wait *wait) {
        return targets_leave(settings->forward.targets, &wait->link);
}
