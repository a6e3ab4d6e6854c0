/* The control subjects: what sockd answers itself on the system account (protocol.md, section 8).
 *
 * A request is an ordinary message to `$SYS.REQ.…` that reaches an ordinary subscription; its
 * receiver hands it to the server's thread, which may take its time. The answer is a message to the
 * reply, but only to subscriptions of the one that asked. The table of requests is in control.c.
 */
#pragma once

#include "daemon/role.h"
#include "daemon/subscription.h"
#include "daemon/worker.h"

#include <jansson.h>

struct bus;
struct server;
struct control_row;

/* How many requests may be under way; more find no responder. */
#define CONTROL_MAX_REQUESTS 256

#define CONTROL_N_SUBJECTS 3

struct control {
        struct receiver receiver;
        struct server *server; /* borrowed */
        struct subscription *subscriptions[CONTROL_N_SUBJECTS];
        struct reclaim reclaim;
        _Atomic unsigned n_requests;
};

/* One request under way. In the server's thread, but for the part that a visit reads. */
struct control_request {
        struct task task;
        struct visit visit;
        struct control *control;
        struct server *server;
        const struct control_row *row;
        struct bus *bus;             /* where the answer goes, to whoever asked: */
        struct worker *asker_worker; /* its connection's */
        uint64_t asker_id;
        uint32_t asker_slot;
        enum role asker_role; /* when it asked */
        char *reply;          /* owned; NULL: no answer is wanted */
        char *payload;        /* owned; may be NULL */
        size_t n_payload;
        json_t *options;                /* the payload as an object; owned */
        json_t *data;                   /* the answer being made; owned */
        uint64_t offset, limit, n_seen; /* for lists */
};

/* The role that a request on that subject needs; -ENOENT: there is no such request. Any thread. */
int control_role_of(struct bytes subject);

/* Subscribes to the control subjects. Returns 0 or -ENOMEM. Before the workers run. */
int control_init(struct control *control, struct server *server);
/* After the workers have ended. */
void control_deinit(struct control *control);
