/* A published message, or a run of them that differ in their payload alone, for as long as it is
 * being delivered.
 *
 * Everything in it lies in the publisher's input and is valid during the batch only; what has to
 * stay longer is copied, or refers to the block.
 */
#pragma once

#include "lib/bytes.h"

struct block;
struct bus;
struct connection;
struct subscription;

/* How a message was written for one receiver. The others that get the same bytes, which the subject
 * and their sid make, refer to them rather than write them again. */
struct rendering {
        struct block *block;                     /* a reference; NULL: nothing is written yet */
        struct bytes bytes;                      /* in the block */
        const struct subscription *subscription; /* for this one */
        size_t header_size;
};

struct message {
        struct bytes subject;
        struct bytes reply;           /* length 0: none */
        size_t header_size;           /* how much of the payload is headers */
        struct bytes payload;         /* headers and payload; CR LF is behind it */
        size_t count;                 /* messages in the run */
        size_t stride;                /* from one payload to the next */
        struct block *block;          /* what the payload lies in; borrowed, NULL: unknown */
        struct bus *bus;              /* where it was published */
        struct connection *publisher; /* valid during the batch; NULL: sockd itself */
        struct rendering *rendering;  /* what its receivers share; NULL: there is one only */
};
