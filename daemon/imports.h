/* The imports in force, and the change from those of one configuration to those of another.
 *
 * Those that stay the same go on without a gap. Replies that are awaited come back also when the
 * import is gone meanwhile. For the server's thread.
 */
#pragma once

#include "daemon/reclaim.h"

#include <stdbool.h>
#include <stddef.h>

struct accounts;
struct config;
struct import;
struct reply_route;

struct imports {
        struct accounts *accounts; /* borrowed */
        struct import **all;       /* owned */
        size_t n;
        struct reply_route *routes; /* owned */
        struct reclaim reclaim;
};

/* No imports yet. */
void imports_init(struct imports *imports, struct accounts *accounts);

/* When nobody publishes any more. */
void imports_deinit(struct imports *imports);

/* Forgets replies that have been awaited for too long. Returns whether any could be. */
bool imports_expire(struct imports *imports);

/* Those of a configuration: what is there already, and new ones that take nothing yet. */
struct imports_plan {
        struct imports *imports;
        struct import **all; /* owned */
        size_t n;
};

/* Makes the accounts of a configuration, and what it imports. Returns 0 or a negative errno; the
 * plan is to be deinitialised in any case. */
int imports_plan_make(struct imports_plan *plan, struct imports *imports,
                      const struct config *config);

/* Begins with what is new and ends what is gone. */
void imports_plan_carry_out(struct imports_plan *plan);

/* Drops what was not carried out. */
void imports_plan_deinit(struct imports_plan *plan);
