/* Requests to the daemon itself: messages to $SYS.REQ subjects, as any client may send them. */
#pragma once

#include "ctl/context.h"

/* Sends a request and takes the data out of the answer's envelope (protocol.md, 8.3). `subject` is
 * what follows "$SYS.REQ.SERVER."; a first token "ID" stands for the server's own id. options, if
 * not NULL, is the payload and is taken over. *datap, if not NULL, becomes the data, possibly a
 * JSON null, and is the caller's.
 * Returns EXIT_DONE, or a code after having said why. */
int control_request(struct context *context, const char *subject, json_t *options, int timeout_ms,
                    json_t **datap);

/* The same for lists that come in pages: asks for `subject` with growing "offset" until all of
 * `member` is there. *datap becomes the first page's data with the whole list in it. */
int control_request_list(struct context *context, const char *subject, json_t *options,
                         const char *member, json_t **datap);
