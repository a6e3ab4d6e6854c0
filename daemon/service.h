/* A service: a subject that sockd itself answers, by a function of its own or by a program.
 *
 * It is a subscriber like any other, in the account that it belongs to, and tells of itself on the
 * $SRV subjects there (service_protocol.h). What kinds of services differ in is a table of
 * functions. Requests come in the threads of their publishers; all else is for the server's thread,
 * unless it says otherwise.
 */
#pragma once

#include "daemon/service_answer.h"
#include "daemon/service_counts.h"
#include "daemon/service_protocol.h"
#include "daemon/subscription.h"
#include "lib/log.h"

struct service;

struct service_kind {
        const char *name; /* for reports */

        /* Takes a request, which is being delivered, and sees to it that service_finish() is called
         * once for it. In the thread of its publisher's worker. */
        void (*take)(struct service *service, struct worker *worker, const struct message *message);

        /* The last request has come; frees the service when it is done with them. Any thread. */
        void (*retire)(struct service *service);
};

struct service {
        const struct service_kind *kind;
        struct service_identity identity; /* what it says of itself; borrowed but for the id */
        struct bus *bus;                  /* borrowed */
        struct receiver receiver;
        struct subscription *subscription; /* owned, on the bus */
        struct service_protocol protocol;
        struct service_counts counts;
        struct log_limit complaints; /* about requests that failed */
        struct reclaim_node reclaim;
        _Atomic bool is_live; /* else it takes nothing */
};

/* Fills a service of zeroes and subscribes it, but not live. What the identity points to has to
 * stay as long as the service. Returns 0 or a negative errno; in any case it has to be retired. */
int service_init(struct service *service, const struct service_kind *kind, struct bus *bus,
                 const struct service_identity *identity, struct reclaim *reclaim);

/* Begins to take requests. */
void service_begin(struct service *service);

/* Takes nothing more; kind->retire is called when the last request has come. */
void service_retire(struct service *service, struct reclaim *reclaim);

/* Takes it off the bus at once, when nobody publishes any more. Without kind->retire. */
void service_unsubscribe(struct service *service, struct reclaim *reclaim);

/* Frees what it holds, when it is off the bus and nobody refers to it. Any thread. */
void service_deinit(struct service *service);

/* A request is over: counts it, says in the log what went wrong, and answers if there is a reply.
 * began_ns: monotonic time of its arrival. In a worker's batch. */
void service_finish(struct service *service, struct worker *worker,
                    const struct service_asker *asker, struct bytes reply,
                    const struct service_answer *answer, uint64_t began_ns);

/* Monotonic time. Any thread. */
uint64_t service_now_ns(void);
