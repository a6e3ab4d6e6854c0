/* A request that waits for a program, or is answered by one: what is needed of the message when
 * that is long over.
 */
#pragma once

#include "daemon/mailbox.h"
#include "daemon/peer_variables.h"
#include "daemon/service_answer.h"

struct message;
struct service_pool;

/* What a request adds: SOCKD_SUBJECT. */
#define SERVICE_VARIABLES_MAX (PEER_VARIABLES_MAX + 1)

struct service_request {
        struct task task;          /* on its way to the pool's worker */
        struct list_link link;     /* of those that wait */
        struct service_pool *pool; /* borrowed */
        struct service_asker asker;
        uint64_t began_ns;
        size_t n_bytes; /* that it counts for */
        /* In `text`: */
        struct bytes reply, payload;
        const char *variables[SERVICE_VARIABLES_MAX + 1]; /* NULL at the end */
        char text[];
};

/* Of a message that is being delivered. NULL if there is no memory. In its publisher's thread. */
struct service_request *service_request_new(struct service_pool *pool,
                                            const struct service_asker *asker,
                                            const struct message *message, uint64_t began_ns);
