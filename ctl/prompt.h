/* Secrets that people type, or that programs pass on standard input. */
#pragma once

#include "ctl/context.h"
#include "lib/secret.h"

/* Reads one line from standard input. From a terminal it is read without echo, behind the label,
 * and once more, if again is not NULL, behind that one, until both are the same. Elsewhere bytes
 * behind the line are left.
 * Returns EXIT_DONE and the secret, which the caller frees, or a code after having said why. */
int prompt_secret(struct context *context, const char *label, const char *again,
                  struct secret **secretp);
