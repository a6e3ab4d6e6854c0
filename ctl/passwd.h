/* passwd: hashes of passwords for the configuration. */
#pragma once

#include "ctl/context.h"

int passwd_run(struct context *context);
