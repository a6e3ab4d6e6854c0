/* The parser: bytes of a client in, operations out (protocol.md, sections 1 and 4).
 *
 * Pure and resumable. It allocates and copies nothing: an operation's slices point into the bytes
 * that were passed in, and so an operation is only given out when all of it lies there in one
 * piece. What is incomplete stays with the caller, who presents it again with more bytes behind it.
 * The only state is what must not be kept as bytes: the ignored tail of a PING, and the blanks
 * behind a verb, which have no limit in length. The same operations come out however the input is
 * cut.
 */
#pragma once

#include "lib/protocol.h"

enum parser_result {
        PARSER_MORE,         /* incomplete; needed says how much, if that is known */
        PARSER_OPERATION,    /* one operation */
        PARSER_VIOLATION,    /* ERROR_UNKNOWN_OPERATION; input is unusable from here on */
        PARSER_CONTROL_LINE, /* ERROR_CONTROL_LINE; likewise */
        PARSER_PAYLOAD,      /* ERROR_MAX_PAYLOAD; likewise */
};

struct parser {
        size_t max_control_line; /* bytes of arguments; may change between calls */
        size_t max_payload;      /* bytes, headers included; may change between calls */
        size_t max_run;          /* bytes of PUBs that may come out as one; 0: each alone */
        bool headers;            /* whether HPUB was negotiated; may change between calls */
        enum verb pending;       /* the verb whose first bytes were taken already */
        size_t needed;           /* after PARSER_MORE: length of the whole operation from
                                  * the beginning of the input, 0 if not known yet */
};

/* Takes one operation off the beginning of *input, which then begins behind it. After PARSER_MORE,
 * *input is what the caller has to keep (it may have become shorter). */
enum parser_result parser_next(struct parser *parser, struct bytes *input,
                               struct operation *operation);

/* The name of a verb, upper case. */
const char *verb_name(enum verb verb);
