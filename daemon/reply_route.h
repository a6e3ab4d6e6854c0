/* The way that replies take from one account back to another.
 *
 * A request that a service of another account gets has a reply subject of that account,
 * `_R_.<route>.<token>` (protocol.md 7.9). To all of a route's there is one subscription, whose
 * receiver knows by the token where the reply is awaited: so a request costs no change of the
 * index, which would have every worker match anew. A route stays as long as the daemon runs.
 */
#pragma once

#include "daemon/reply_table.h"
#include "daemon/subscription.h"

struct bus;
struct message;
struct worker;

/* "_R_." and two tokens. */
#define REPLY_ROUTE_PREFIX         "_R_."
#define REPLY_ROUTE_PREFIX_LENGTH  (sizeof(REPLY_ROUTE_PREFIX) - 1 + REPLY_TOKEN_LENGTH + 1)
#define REPLY_ROUTE_SUBJECT_LENGTH (REPLY_ROUTE_PREFIX_LENGTH + REPLY_TOKEN_LENGTH)

struct reply_route {
        struct receiver receiver;
        struct reply_route *next;    /* for the owner */
        struct reply_route *reverse; /* for replies to replies; borrowed, NULL: not passed on */
        struct bus *source, *target; /* where replies are published, and awaited; borrowed */
        _Atomic bool is_open;        /* an import needs it, or the reverse one */
        struct subscription *subscription; /* owned, on the source */
        char prefix[REPLY_ROUTE_PREFIX_LENGTH];
        struct reply_table table;
};

/* A new route, subscribed. Returns 0 or a negative errno. */
int reply_route_new(struct reply_route **routep, struct bus *source, struct bus *target,
                    struct reclaim *reclaim);

/* Ends and frees it, when nobody publishes any more. NULL is allowed. Returns NULL. */
struct reply_route *reply_route_free(struct reply_route *route, struct reclaim *reclaim);

/* Awaits a reply for the subject `reply` of the target; `subject` gets the one to ask for at the
 * source. Returns 0, -ENOMEM, or -EACCES if it is closed. In a worker's thread. */
int reply_route_await(struct reply_route *route, struct worker *worker, struct bytes reply,
                      char subject[REPLY_ROUTE_SUBJECT_LENGTH]);

/* Opens it for what an import asks; or closes it: what is awaited already comes yet, and nothing
 * more. Any thread. */
void reply_route_open(struct reply_route *route, bool is_open);

/* Awaits it no more. Any thread. */
void reply_route_forget(struct reply_route *route, const char subject[REPLY_ROUTE_SUBJECT_LENGTH]);

/* Forgets what has been awaited for too long. Any thread. */
void reply_route_expire(struct reply_route *route);
