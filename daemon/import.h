/* An import: a subscriber in one account that publishes to another one what comes to it.
 *
 * Of a stream, messages come from the account that exports it. Of a service, requests go to the
 * account that exports it, and a reply route brings one reply for each back. Subjects are mapped on
 * the way. Delivery is in the publisher's thread, the rest for the server's.
 */
#pragma once

#include "daemon/subscription.h"

struct bus;
struct reply_route;

struct import {
        struct receiver receiver;
        struct bus *source, *target;       /* borrowed */
        char *from, *to;                   /* owned; the subjects at the source, and the target */
        struct reply_route *replies;       /* from the target to the source; NULL: a stream */
        struct subscription *subscription; /* owned, on the source */
        _Atomic bool is_live;              /* else it takes nothing */
        struct reclaim_node reclaim;
};

/* A new import, subscribed, but not live. The buses and the route are borrowed. Returns 0 or a
 * negative errno. */
int import_new(struct import **importp, struct bus *source, const char *from, struct bus *target,
               const char *to, struct reply_route *replies, struct reclaim *reclaim);

/* Ends it; it is freed when nobody uses it any more. NULL is allowed. Returns NULL. */
struct import *import_retire(struct import *import, struct reclaim *reclaim);
