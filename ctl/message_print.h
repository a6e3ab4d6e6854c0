/* A received message on standard output: bare, with its headers, or as JSON. */
#pragma once

#include "ctl/context.h"

/* Prints a message as the options ask. On a terminal, control characters of the payload but tab
 * and newline are shown as \x1b, so that no message steers the terminal; elsewhere all bytes pass.
 * A newline is added where the payload does not end in one. Returns and sets as context_flush(). */
int message_print(struct context *context, const struct sockd_message *message, bool *is_gonep);

/* A message as a JSON object: subject, reply, status, headers (each name a list of values), and
 * payload as text, or data_base64 if it is no UTF-8. NULL without memory. */
json_t *message_to_json(const struct sockd_message *message);

/* Base64 (RFC 4648, section 4) of n bytes, which the caller frees; NULL without memory. */
char *message_base64(const void *bytes, size_t n);
