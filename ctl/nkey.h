/* nkey: key pairs of users. */
#pragma once

#include "ctl/context.h"

int nkey_run(struct context *context);
