/* libsockd from inside: the handle, and what its files offer each other.
 *
 *      sockd.c             the handle: settings, login, what the server said
 *      sockd_messaging.c   publish, subscribe, next, request, flush, process
 *      sockd_stream.c      the socket and its two buffers
 *      sockd_operation.c   bytes to operations; pure
 *      sockd_header.c      header blocks; pure
 *
 * The input buffer, with the positions that move through it:
 *
 *      0          start              scan                end        size
 *      | consumed | messages that    | not looked at     | free     |
 *                 | sockd_next() has | yet
 *                 | not told yet     |
 *
 * sockd_next() takes from start. Calls that wait for something particular, a PONG or an answer,
 * look from scan on, leave messages of the user's subscriptions where they are and cut out what
 * they handled. So messages are never copied to a queue.
 */
#pragma once

#include <jansson.h>

#include "lib/sockd.h"

/* A line of the server that is longer is no NATS. INFO, with all its URLs, is the longest. */
#define SOCKD_LINE_MAX    ((size_t)1 << 20)
#define SOCKD_SUBJECT_MAX 4096
#define SOCKD_INPUT_SIZE  ((size_t)128 << 10)
#define SOCKD_INPUT_MAX   ((size_t)64 << 20) /* and one message of max_payload on top */
#define SOCKD_OUTPUT_SIZE ((size_t)96 << 10)
#define SOCKD_OUTPUT_FULL ((size_t)64 << 10) /* sent when this much has gathered */
#define SOCKD_SEND_MS     10000
#define SOCKD_PAYLOAD_MAX 999999999 /* nine digits (protocol.md, 1.3) */

enum sockd_operation_type {
        SOCKD_OPERATION_MESSAGE,
        SOCKD_OPERATION_PING,
        SOCKD_OPERATION_PONG,
        SOCKD_OPERATION_OK,
        SOCKD_OPERATION_ERROR,
        SOCKD_OPERATION_INFO,
};

/* One operation of the server; the slices point into the bytes it was parsed from. */
struct sockd_operation {
        enum sockd_operation_type type;
        size_t length;                /* of the operation, payload included */
        struct sockd_message message; /* MESSAGE */
        const char *text;             /* ERROR: without quotes; INFO: the JSON */
        size_t n_text;
};

enum {
        SOCKD_OPERATION_INCOMPLETE = 1,
        SOCKD_OPERATION_MALFORMED = 2,
};

struct sockd {
        int descriptor; /* own, or -1 */
        int failure;    /* result that ended the connection, or 0 */
        bool is_deaf;   /* the peer takes nothing more; it is only read */

        char *input; /* own; kept across connections */
        size_t input_size, start, scan, end;
        size_t n_answered; /* bytes at scan that the last request returned */
        bool is_drained;   /* the last recv(2) took all there was */

        char *output; /* own; SOCKD_OUTPUT_SIZE bytes */
        size_t n_output;

        char *name, *user, *password, *token; /* own, or NULL */
        json_t *info;                         /* own, or NULL; the getters' texts belong to it */
        size_t max_payload;

        uint64_t n_subscriptions; /* the last number given out */
        uint64_t inbox;           /* number of the inbox's subscription; 0: none yet */
        char inbox_prefix[48];    /* "_INBOX.<unique>." */
        size_t n_inbox_prefix;
        uint64_t n_requests;
        uint64_t n_pings, n_pongs;

        char error[512];
};

/* Takes the first operation from n bytes. Returns 0; or INCOMPLETE, with operation->length the
 * number of bytes that it will have, if that is known already, else 0; or MALFORMED. */
int sockd_operation_parse(const char *bytes, size_t n, struct sockd_operation *operation);

/* Opens a connected stream socket; the reason of a failure goes to sockd->error. */
int sockd_stream_open(struct sockd *sockd, const char *address, int64_t deadline_ms);

/* CLOCK_MONOTONIC plus a timeout; INT64_MAX for a negative one. */
int64_t sockd_deadline(int timeout_ms);

/* Appends to the output, sending first what has no room. */
int sockd_stream_append(struct sockd *sockd, const void *bytes, size_t n);

/* Sends all of the output. */
int sockd_stream_send(struct sockd *sockd);

/* Sends the output, then waits for input and appends it to the buffer, making room for an
 * operation of `n_wanted` bytes. Slices into the buffer die. */
int sockd_stream_receive(struct sockd *sockd, size_t n_wanted, int64_t deadline_ms);

/* The next operation at scan, received if need be; all but messages have been handled and cut out.
 * For a message the caller calls sockd_scan_keep() or sockd_scan_drop(). */
int sockd_scan(struct sockd *sockd, struct sockd_operation *operation, int64_t deadline_ms);
void sockd_scan_keep(struct sockd *sockd, const struct sockd_operation *operation);
void sockd_scan_drop(struct sockd *sockd, size_t length);

/* Does what an operation that is no message asks for. Returns 0, DENIED, REFUSED, VIOLATION. */
int sockd_handle(struct sockd *sockd, const struct sockd_operation *operation);

/* Notes why, closes the socket if the result ends the connection, and returns the result. */
__attribute__((format(printf, 3, 4))) int sockd_fail(struct sockd *sockd, int result,
                                                     const char *format, ...);
