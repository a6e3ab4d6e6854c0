/* Verbs that make the daemon do something, or ask it one small thing. */
#pragma once

#include "ctl/context.h"

int action_ping(struct context *context);
int action_reload(struct context *context);
int action_drain(struct context *context);
int action_stop(struct context *context);
int action_log_level(struct context *context);
int action_version(struct context *context);
