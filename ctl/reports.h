/* What the daemon tells of itself, for people and for programs. */
#pragma once

#include "ctl/context.h"

int report_status(struct context *context);
int report_accounts(struct context *context);
int report_subs(struct context *context);

/* Prints a table in the style of the options, with titles and a line below that says how many rows
 * there are ("3 clients"), or without both if noun is NULL; deinitialises the table. Returns an
 * exit code. */
struct table;
int report_table(struct context *context, struct table *table, const char *noun);

/* Members of an object that may be missing: "" and 0. */
const char *report_text(const json_t *object, const char *name);
uint64_t report_number(const json_t *object, const char *name);
