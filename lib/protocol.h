/* The operations of the NATS client protocol, its limits and its error texts (protocol.md). */
#pragma once

#include "lib/bytes.h"

/* The nats-server release whose core behaviour sockd matches; clients switch features on it. */
#define PROTOCOL_SERVER_VERSION "2.10.22"

/* Numbers in PUB and HPUB have at most this many digits (protocol.md 1.3). */
#define PROTOCOL_SIZE_DIGITS 9

enum verb {
        VERB_NONE,
        VERB_CONNECT,
        VERB_PUB,
        VERB_HPUB,
        VERB_SUB,
        VERB_UNSUB,
        VERB_PING,
        VERB_PONG,
        VERB_INFO,
        VERB_OK,
        VERB_ERR,
};

/* One operation of a client, or a run of them: so many PUBs whose lines are the same stand behind
 * each other. All slices point into the parser's input. */
struct operation {
        enum verb verb;
        struct bytes arguments; /* what stood between the verb and the end of the line */
        struct bytes subject;   /* PUB, HPUB, SUB */
        struct bytes reply;     /* PUB, HPUB; length 0: none */
        struct bytes queue;     /* SUB; length 0: none */
        struct bytes sid;       /* SUB, UNSUB */
        uint64_t max;           /* UNSUB; 0: now */
        size_t header_size;     /* HPUB: how much of the payload is headers */
        struct bytes payload;   /* PUB, HPUB: headers and payload; the final CRLF is behind it */
        size_t count;           /* PUB: how many are in the run; otherwise 1 */
        size_t stride;          /* from one payload of the run to the next */
};

/* Texts of -ERR (protocol.md 4.4). Clients compare them, so they are fixed. */
#define ERROR_UNKNOWN_OPERATION "Unknown Protocol Operation"
#define ERROR_CONTROL_LINE      "maximum control line exceeded"
#define ERROR_MAX_PAYLOAD       "Maximum Payload Violation"
#define ERROR_AUTHORIZATION     "Authorization Violation"
#define ERROR_REVOKED           "User Authentication Revoked"
#define ERROR_AUTH_TIMEOUT      "Authentication Timeout"
#define ERROR_CLIENT_PROTOCOL   "invalid client protocol"
#define ERROR_NO_RESPONDERS     "no responders requires headers support"
#define ERROR_MAX_CONNECTIONS   "maximum connections exceeded"
#define ERROR_STALE_CONNECTION  "Stale Connection"
#define ERROR_INVALID_SUBJECT   "Invalid Subject"
#define ERROR_INVALID_PUBLISH   "Invalid Publish Subject"
#define ERROR_MAX_SUBSCRIPTIONS "maximum subscriptions exceeded"
#define ERROR_THROTTLED         "Connection throttling is active. Please try again later."
/* Of sockd's own: a message that does not fit a frame of the transport was not sent. */
#define ERROR_FRAME_TOO_LARGE "Message Too Large for Transport"
/* Likewise: the listener does not admit this address, or nobody at the moment. */
#define ERROR_ADDRESS "Address Not Admitted"
#define ERROR_TIME    "Not Admitted at This Time"
/* Likewise, of datagram peers. */
#define ERROR_MAX_SESSIONS "maximum sessions exceeded"
#define ERROR_COOKIE       "Invalid Cookie"
#define ERROR_LONG_SUBJECT "Subject Too Long without Cookie"
/* In lame duck mode there are no new ones. */
#define ERROR_SHUTDOWN "Server Shutdown"
