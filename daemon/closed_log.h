/* The last connections that ended, for those who ask why (protocol.md 9.3, state "closed").
 *
 * A ring of fixed length under a lock; any thread.
 */
#pragma once

#include "daemon/connection.h"

#define CLOSED_LOG_MAX 10000

struct closed_connection {
        uint64_t id, start_ns, stop_ns; /* real time */
        struct peer peer;
        const char *reason;          /* a constant */
        const char *account;         /* borrowed; names of accounts stay */
        char *name, *lang, *version; /* owned; NULL: not given */
        char *user;                  /* owned; NULL: no user of the configuration */
        char *listener;              /* owned */
        uint64_t in_messages, in_bytes, out_messages, out_bytes, n_subscriptions;
};

struct closed_log {
        pthread_mutex_t lock;           /* a leaf */
        struct closed_connection *ring; /* owned; CLOSED_LOG_MAX, used as they come */
        uint64_t n_total;               /* the next goes to n_total % CLOSED_LOG_MAX */
};

/* Returns 0 or -ENOMEM. */
int closed_log_init(struct closed_log *log);
void closed_log_deinit(struct closed_log *log);

/* Adds one, taking over its strings; the oldest goes when it is full. */
void closed_log_add(struct closed_log *log, const struct closed_connection *closed);

/* Calls visit for a copy of each, the oldest first, without the lock. */
void closed_log_visit(struct closed_log *log,
                      void (*visit)(const struct closed_connection *closed, void *context),
                      void *context);
