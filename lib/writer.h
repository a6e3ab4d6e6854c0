/* The writer: operations of the server as bytes (protocol.md 4.2).
 *
 * It writes into memory that the caller reserved and returns the end of what it wrote. No state,
 * any thread.
 */
#pragma once

#include "lib/protocol.h"

/* A message as one subscription gets it. */
struct writer_message {
        struct bytes subject;
        struct bytes sid;
        struct bytes reply; /* length 0: none */
        size_t header_size; /* not 0: HMSG */
        size_t size;        /* headers and payload */
};

/* The room that writer_message_line() needs at most. */
static inline size_t writer_message_line_max(const struct writer_message *message) {
        return sizeof("HMSG    \r\n") + message->subject.length + message->sid.length +
               message->reply.length + 2 * BYTES_NUMBER_MAX;
}

/* How long the line is that writer_message_line() writes. */
size_t writer_message_line_length(const struct writer_message *message);

/* Writes the MSG or HMSG line, up to and with its CR LF. */
char *writer_message_line(char *to, const struct writer_message *message);

/* The room that writer_error() needs for a text of that length. */
#define WRITER_ERROR_MAX(text_length) (sizeof("-ERR ''\r\n") + (text_length))

/* Writes -ERR 'text'. */
char *writer_error(char *to, struct bytes text);

#define WRITER_PING BYTES("PING\r\n")
#define WRITER_PONG BYTES("PONG\r\n")
#define WRITER_OK   BYTES("+OK\r\n")
