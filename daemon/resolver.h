/* Finding out what the names among targets stand for, while the worker does other things. See
 * target.h.
 *
 * The worker that needs a name first has it looked up, by a thread of libuv's pool, for all; the
 * others wait for the same answer. What is known is used until a newer answer is there.
 */
#pragma once

#include "daemon/mailbox.h"
#include "lib/list.h"

#include <stdbool.h>

struct config_handler;
struct worker;

/* Somebody who waits for a name. */
struct resolver_wait {
        struct list_link link;
        struct task task;
        struct worker *worker; /* whose he is */
        void (*done)(struct resolver_wait *wait);
};

/* Has a target looked up, if it is time for that. In the worker's thread. */
void resolver_refresh(struct config_handler *settings, unsigned target, struct worker *worker);

/* Has `done` called in wait->worker's thread when the lookup that is under way has come to its end.
 * Returns false if none is: it may just have ended. */
bool resolver_await(struct config_handler *settings, unsigned target, struct resolver_wait *wait);

/* Waits no more. Returns false if it is too late for that: `done` will be called. */
bool resolver_leave(struct config_handler *settings, struct resolver_wait *wait);
