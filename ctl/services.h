/* services: what the daemon answers itself, and how fast. */
#pragma once

#include "ctl/context.h"

int services_run(struct context *context);
