/* The verb config: the configuration is checked by the daemon's own program. */
#pragma once

#include "ctl/context.h"

int config_check_run(struct context *context);
