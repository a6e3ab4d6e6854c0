/* A program that stays, and answers one request after the other.
 *
 * It gets a line or a frame for each request, and answers with one. It is started when there is a
 * request for it, and again when it has ended, after a while that grows as long as it does not
 * answer. What it does not keep to (it writes unasked, closes its output, takes too long) ends it:
 * nobody could tell which answer is whose any more. For the worker of the pool.
 */
#pragma once

#include "daemon/service_pool.h"

/* The place of one such program in a pool. */
struct service_seat {
        struct service_persistent *run; /* what runs there; owned. NULL: nothing */
        uint64_t due_ms;                /* when it may be started again, in the loop's time */
        unsigned n_failures;            /* in a row, without an answer in between */
};

/* Whether a request can be given to it now. */
bool service_seat_is_free(const struct service_seat *seat, const struct service_pool *pool);

/* In how many milliseconds that may be so, as far as it is a matter of time; else UINT64_MAX. */
uint64_t service_seat_due_ms(const struct service_seat *seat, const struct service_pool *pool);

/* Gives it a request, which is answered in any case; starts the program if it does not run. */
void service_seat_give(struct service_seat *seat, struct service_pool *pool,
                       struct service_request *request);

/* Ends the program, which has grace_ms for that, and drops its request, if it has one. */
void service_seat_clear(struct service_seat *seat, uint64_t grace_ms);
