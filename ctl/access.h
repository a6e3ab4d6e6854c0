/* access: who the daemon thinks I am, and what users may. */
#pragma once

#include "ctl/context.h"

/* `access whoami` and `access check USER pub|sub SUBJECT`. Returns an exit code. */
int access_run(struct context *context);
