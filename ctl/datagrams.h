/* What became of datagrams, of listeners and of clients. */
#pragma once

#include "ctl/context.h"
#include "ctl/details.h"

/* Prints a table of those elements of a list that have datagrams, after an empty line; nothing if
 * there are none. key: the member that names them, a string or a number; noun: what they are.
 * Returns an exit code. */
int datagrams_print(struct context *context, const json_t *list, const char *key, const char *noun);

/* Writes "3 malformed, 1 rate" of what was dropped, "" if nothing was. Returns how many. */
uint64_t datagrams_why(const json_t *datagrams, char why[DETAILS_COUNTS_MAX]);
