/* bench: how many messages a second the daemon moves, and how long one takes. */
#pragma once

#include "ctl/context.h"

int bench_run(struct context *context);
