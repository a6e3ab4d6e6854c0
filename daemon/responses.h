/* Replies that a client may answer to though it may not publish to them otherwise: those of the
 * messages it was sent, each for some answers and some time (protocol.md 7.8, allow_responses).
 *
 * They are remembered in the threads of the publishers and taken in the client's own, so there is a
 * lock, a leaf. What is remembered has a limit: of more, the oldest are forgotten.
 */
#pragma once

#include "lib/bytes.h"
#include "lib/list.h"

#include <pthread.h>

/* Bytes that the replies of one client may take, with what it takes to keep them: some 15,000 of
 * the length that client libraries use. */
#define RESPONSES_ROOM_MAX (2u << 20)

struct response;

struct responses {
        pthread_mutex_t lock;
        struct list_link by_age;     /* the oldest first */
        struct response **buckets;   /* owned; NULL while there is none */
        size_t n_buckets, n_replies; /* a power of two, or 0 */
        size_t n_room;               /* bytes in use */
};

/* None, or NULL if there is no memory. */
struct responses *responses_new(void);

/* Frees them. NULL is allowed. Returns NULL. */
struct responses *responses_free(struct responses *responses);

/* Remembers a reply: so many more answers, UINT64_MAX for any number of them, until due_ms, which
 * is UINT64_MAX for ever. Times are those of any one clock. Returns 0 or -ENOMEM. Any thread. */
int responses_remember(struct responses *responses, struct bytes reply, uint64_t n_answers,
                       uint64_t due_ms, uint64_t now_ms);

/* How many answers of so many that are wanted there may be now; they are counted. Any thread. */
size_t responses_take(struct responses *responses, struct bytes reply, size_t wanted,
                      uint64_t now_ms);
