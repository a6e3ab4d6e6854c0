/* pub, sub and request. */
#pragma once

#include "ctl/context.h"

int messaging_pub(struct context *context);
int messaging_sub(struct context *context);
int messaging_request(struct context *context);
