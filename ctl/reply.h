/* reply: a service on a subject, answered by a program or with an echo. */
#pragma once

#include "ctl/context.h"

int reply_run(struct context *context);
