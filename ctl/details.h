/* One thing in full: a line for each member of an object. */
#pragma once

#include "ctl/context.h"

#include <stdint.h>

/* Prints every member under its own name, so that nothing new from the daemon stays unseen; a list
 * has a line for each element. Returns an exit code. */
int details_print(struct context *context, json_t *object);

/* Writes "3 malformed, 1 rate" of an object of counts, without those that are 0. Returns their sum.
 */
#define DETAILS_COUNTS_MAX 512
uint64_t details_counts(const json_t *counts, char text[DETAILS_COUNTS_MAX]);
