/* The services in force, and the change from those of one configuration to those of another.
 *
 * Those that stay the same go on, with their counts and with what they have under way. For the
 * server's thread.
 */
#pragma once

#include "daemon/reclaim.h"

#include <stddef.h>

struct config;
struct instance;
struct mailbox;
struct service;
struct workers;

struct services {
        struct instance *instance; /* borrowed; with its accounts */
        struct workers *workers;   /* borrowed */
        struct mailbox *mailbox;   /* of the server's thread; borrowed */
        struct service **all;      /* owned */
        size_t n;
        unsigned next_worker; /* that is the next in turn */
        struct reclaim reclaim;
};

/* No services yet. mailbox: of the server's thread, which stays to the end, if closed. */
void services_init(struct services *services, struct instance *instance, struct workers *workers,
                   struct mailbox *mailbox);

/* When the workers have ended. */
void services_deinit(struct services *services);

/* Those of a configuration: what is there already, and new ones that take nothing yet. */
struct services_plan {
        struct services *services;
        struct service **all; /* owned */
        size_t n;
};

/* Makes what a configuration asks for. Returns 0 or a negative errno; the plan is to be
 * deinitialised in any case. */
int services_plan_make(struct services_plan *plan, struct services *services,
                       const struct config *config);

/* Begins with what is new and ends what is gone. */
void services_plan_carry_out(struct services_plan *plan);

/* Drops what was not carried out. */
void services_plan_deinit(struct services_plan *plan);
