/* Inboxes: where answers are awaited to what connections ask that speak no NATS themselves.
 *
 * A worker has one on each bus that it asks on, with one subscription to `_INBOX.<inbox>.*`: so a
 * question costs no change of the index, and takes no right to subscribe. Each question has a token
 * that nobody can guess, and gets its first answer only; what comes later is for nobody. An answer
 * is delivered in the thread of who publishes it, and goes to the asker's by its mailbox.
 */
#pragma once

#include "daemon/reply_table.h"

struct block;
struct bus;
struct connection;
struct inbox;
struct worker;

/* "_INBOX." and two tokens. */
#define INBOX_PREFIX         "_INBOX."
#define INBOX_PREFIX_LENGTH  (sizeof(INBOX_PREFIX) - 1 + REPLY_TOKEN_LENGTH + 1)
#define INBOX_SUBJECT_LENGTH (INBOX_PREFIX_LENGTH + REPLY_TOKEN_LENGTH)

/* An answer; valid during the call. */
struct inbox_answer {
        uint64_t number; /* of the question */
        struct bytes headers, payload;
        struct block *block; /* in which both are; borrowed */
};

/* Who awaits it. */
struct inbox_asker {
        struct connection *connection;
        uint64_t number;  /* of the question, as the asker counts them */
        uint64_t n_share; /* how many his listener awaits already */
        /* Takes the answer, in the connection's worker; not if the connection is closed by then. */
        void (*take)(struct connection *connection, const struct inbox_answer *answer);
};

/* The inbox of a worker on a bus, made when it is first asked for. Stays as long as the bus.
 * Returns 0 or a negative errno. In the worker's thread. */
int inbox_obtain(struct inbox **inboxp, struct bus *bus, struct worker *worker);

/* An outcome of inbox_await(). */
enum {
        INBOX_FULL = 1, /* the asker's listener awaits too much */
};

/* Awaits an answer; `subject` gets the one to ask for. A listener may await as much as there is
 * room left for: so none is ever without, whatever another one's peers ask. Returns 0, INBOX_FULL,
 * -ENOMEM or another negative errno. In the worker's thread. */
int inbox_await(struct inbox *inbox, const struct inbox_asker *asker,
                char subject[INBOX_SUBJECT_LENGTH]);

/* Awaits it no more; it may be on its way already. */
void inbox_forget(struct inbox *inbox, const char subject[INBOX_SUBJECT_LENGTH]);

/* Frees an inbox of a bus, and all others of the bus; when nobody publishes any more. */
void inboxes_free(struct inbox *first);
