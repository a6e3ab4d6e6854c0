/* Imports. See import.h. */
#include "daemon/import.h"

#include "daemon/bus.h"
#include "daemon/config.h"
#include "daemon/reply_route.h"
#include "daemon/worker.h"
#include "lib/list.h"
#include "lib/subject_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for what becomes of the longest subject. */
#define MAPPED_MAX (68 * 1024)

/* A request comes to a service by as many imports as there may be, and its answer back. */
_Static_assert(WORKER_DEPTH_MAX >= 2 * CONFIG_IMPORT_CHAIN_MAX + 2,
               "imports may be chained so far");

/* The message as it is published at the target, its subject in `text`. Returns whether it can be.
 */
static bool import_map(const struct import *import, const struct message *message,
                       struct message *onward, char text[MAPPED_MAX]) {
        *onward = *message;
        onward->bus = import->target;
        onward->rendering = NULL; /* of others it is of other subjects */
        if (strcmp(import->from, import->to) == 0)
                return true;
        onward->subject.data = text;
        onward->subject.length =
                subject_map_apply(bytes_from_string(import->from), bytes_from_string(import->to),
                                  message->subject, text, MAPPED_MAX);
        return onward->subject.length > 0;
}

/* Publishes a request, by itself: each of a run has a reply of its own. */
static size_t import_request(struct import *import, struct worker *worker,
                             struct message *request) {
        char subject[REPLY_ROUTE_SUBJECT_LENGTH];

        if (reply_route_await(import->replies, worker, request->reply, subject) < 0)
                return 0;
        request->reply = (struct bytes){subject, sizeof(subject)};
        request->count = 1;
        if (bus_publish_onward(import->target, worker, request) > 0)
                return 1;
        reply_route_forget(import->replies, subject);
        return 0;
}

static size_t import_deliver(struct receiver *receiver, struct worker *worker,
                             struct subscription *subscription, const struct message *message) {
        struct import *import = container_of(receiver, struct import, receiver);
        char text[MAPPED_MAX];
        struct message onward;

        if (!atomic_load_explicit(&import->is_live, memory_order_relaxed) ||
            !import_map(import, message, &onward, text))
                return 0;
        if (import->replies && message->reply.length > 0)
                return import_request(import, worker, &onward);
        return bus_publish_onward(import->target, worker, &onward) > 0 ? message->count : 0;
}

static size_t import_limit_run(struct receiver *receiver, struct worker *worker,
                               const struct message *message) {
        struct import *import = container_of(receiver, struct import, receiver);
        char text[MAPPED_MAX];
        struct message onward;

        return import_map(import, message, &onward, text)
                       ? bus_limit_onward(import->target, worker, &onward)
                       : message->count;
}

static struct import *import_free(struct import *import) {
        free(import->from);
        free(import->to);
        free(import);
        return NULL;
}

static void import_release(struct reclaim_node *node) {
        import_free(container_of(node, struct import, reclaim));
}

int import_new(struct import **importp, struct bus *source, const char *from, struct bus *target,
               const char *to, struct reply_route *replies, struct reclaim *reclaim) {
        struct import *import = calloc(1, sizeof(*import));
        int r = -ENOMEM;

        if (!import)
                return -ENOMEM;
        import->receiver = (struct receiver){import_deliver, import_limit_run};
        import->source = source;
        import->target = target;
        import->replies = replies;
        import->from = strdup(from);
        import->to = strdup(to);
        import->subscription = subscription_new(&import->receiver, BYTES(""), BYTES(""));
        if (import->from && import->to && import->subscription)
                r = bus_subscribe_own(source, reclaim, bytes_from_string(from),
                                      import->subscription);
        if (r < 0) {
                subscription_free(import->subscription);
                import_free(import);
                return r;
        }
        *importp = import;
        return 0;
}

struct import *import_retire(struct import *import, struct reclaim *reclaim) {
        if (!import)
                return NULL;
        atomic_store(&import->is_live, false);
        bus_unsubscribe_own(import->source, reclaim, import->subscription);
        reclaim_later(reclaim, &import->reclaim, import_release);
        return NULL;
}
