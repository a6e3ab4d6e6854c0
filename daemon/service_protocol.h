/* What a service tells of itself, as the NATS service protocol wants it: answers to
 * $SRV.PING, $SRV.INFO and $SRV.STATS, for all, for those of its name, and for it alone.
 *
 * Each service has nine plain subscriptions, so that every one of them answers (protocol.md,
 * section 10). Answers are made in the thread of whoever asks.
 */
#pragma once

#include "daemon/subscription.h"

#include <jansson.h>

#define SERVICE_ID_LENGTH       22
#define SERVICE_PROTOCOL_N_SUBS 9

struct bus;
struct service_counts;

struct service_identity {
        const char *name;        /* letters, digits, _ and - */
        const char *version;     /* three numbers */
        const char *description; /* may be "" */
        const char *subject;
        const char *queue;   /* "": none */
        uint64_t started_ns; /* real time */
        char id[SERVICE_ID_LENGTH + 1];
};

enum service_verb {
        SERVICE_PING,
        SERVICE_INFO,
        SERVICE_STATS,
        N_SERVICE_VERBS,
};

struct service_protocol {
        struct receiver receiver;
        const struct service_identity *identity; /* borrowed */
        struct service_counts *counts;           /* borrowed */
        struct bus *bus;                         /* borrowed */
        char *texts[SERVICE_STATS]; /* owned: the answers that never change, CR LF behind them */
        size_t lengths[SERVICE_STATS];
        struct subscription *subscriptions[SERVICE_PROTOCOL_N_SUBS]; /* owned, on the bus */
};

/* Makes an id that no other service has. Any thread. Returns 0 or a negative errno. */
int service_protocol_make_id(char id[SERVICE_ID_LENGTH + 1]);

/* Subscribes. Returns 0 or a negative errno; in any case it has to be unsubscribed, and then
 * deinitialised. */
int service_protocol_init(struct service_protocol *protocol, struct bus *bus,
                          const struct service_identity *identity, struct service_counts *counts,
                          struct reclaim *reclaim);

/* Takes it off the bus; somebody may still be asking until the grace period is over. */
void service_protocol_unsubscribe(struct service_protocol *protocol, struct reclaim *reclaim);

/* Frees what it holds, when nobody asks any more. Any thread. */
void service_protocol_deinit(struct service_protocol *protocol);

/* The answer to a verb; NULL if there is no memory. Any thread. */
json_t *service_protocol_message(const struct service_identity *identity,
                                 struct service_counts *counts, enum service_verb verb);
