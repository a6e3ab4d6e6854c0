/* clients: the list, one of them, and the end of one. */
#pragma once

#include "ctl/context.h"

int clients_run(struct context *context);
