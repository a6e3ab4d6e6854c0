/* listeners: the list, with what became of datagrams and who was refused, and one of them. */
#pragma once

#include "ctl/context.h"

int listeners_run(struct context *context);
