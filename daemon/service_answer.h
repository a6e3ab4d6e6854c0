/* The answer of a service: its headers, and whom it goes to.
 *
 * sockd publishes with all rights, and whoever asks chooses the reply subject. So that nobody has
 * sockd publish where he may not, an answer to a subject that the asker might not publish to
 * himself goes to his own subscriptions only.
 */
#pragma once

#include "daemon/service_counts.h"
#include "lib/bytes.h"

#include <stdbool.h>

struct bus;
struct message;
struct worker;

/* Whom an answer is for. It may outlast the message. */
struct service_asker {
        struct bus *bus; /* of the reply subject; borrowed */
        bool is_alone;   /* nobody else may get it but this connection: */
        uint64_t id;
        uint32_t slot;
        bool has_headers; /* else what went wrong stands in the payload, if that would be empty */
};

/* Of a message that is being delivered, in its publisher's thread. */
struct service_asker service_asker_of(const struct message *message);

struct service_answer {
        enum service_error error;
        const char *text;       /* what went wrong; NULL: nothing */
        bool has_status;        /* a program has exited: */
        int status;             /* with this */
        struct bytes complaint; /* what it wrote to its standard error */
        struct bytes payload;
};

/* Publishes to `reply`, also while a message is being delivered. max_payload: what is larger in
 * all goes without the complaint, then without headers or, of an error, payload. Returns whether
 * there was memory. In a worker's batch. */
bool service_answer_publish(const struct service_answer *answer, const struct service_asker *asker,
                            struct worker *worker, struct bytes reply, size_t max_payload);

/* Publishes bytes without headers, behind which there is CR LF. Likewise. */
void service_answer_publish_bytes(const struct service_asker *asker, struct worker *worker,
                                  struct bytes reply, struct bytes payload);
