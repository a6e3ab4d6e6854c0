/* Framing: where a message begins and ends in what a plain socket brings.
 *
 *      line      LF or CR LF ends it
 *      length32  four bytes, the most significant first, say its length
 *      eof       the end of the input does
 *      datagram  it is what the transport brings as one: a datagram, a record
 *
 * A framer takes frames off its input. What it gives out lies there, in one piece; a frame whose
 * parts came one after the other is put together in a block of the framer's own, which it has only
 * as long as a frame is incomplete. The same frames come out however the input is cut. No socket,
 * no log; it belongs to whoever owns it.
 */
#pragma once

#include "daemon/config_gateway.h"
#include "lib/bytes.h"

struct block;
struct outbox;

enum framing_result {
        FRAMING_MORE,     /* nothing is left but what is incomplete */
        FRAMING_FRAME,    /* one frame */
        FRAMING_TOO_LONG, /* one that was longer than the maximum. A line is skipped; of other
                           * framings the input is unusable from here on */
        FRAMING_NO_MEMORY,
};

struct framer {
        enum framing framing; /* not the default one */
        bool is_whole;        /* an input is all there is: nothing is kept for the next one */
        bool is_skipping;     /* the rest of a line that was too long */
        bool is_given;        /* what is in the block was given out */
        size_t max;           /* bytes of a frame; may change between calls */
        size_t n_lost;        /* bytes that were of no frame; for the caller, who sets it back */
        size_t needed; /* after FRAMING_MORE: length of the whole of what is left of the input,
                        * 0 if it is nothing, or not known */
        struct block *block; /* a reference: the beginning of a frame; NULL: none */
        size_t n_block;
};

/* A frame. Valid until the next call, and as long as the input. */
struct frame {
        struct bytes bytes;
        struct block
                *block; /* the framer's, if it lies there; borrowed. NULL: it is in the input */
        bool has_cr;    /* CR LF ended it, and is behind it */
        bool is_last;   /* nothing of its input is behind it */
};

/* Bytes behind a frame in the framer's own block that are nobody's. */
#define FRAMING_ROOM 2

/* Takes a frame off the beginning of *input, which then begins behind it. Of what is incomplete it
 * takes all, but for that of length32, which the caller has to keep. */
enum framing_result framing_next(struct framer *framer, struct bytes *input, struct frame *frame);

/* Takes what is left when the input has ended: the last line, or all of it. Returns FRAMING_MORE if
 * that is nothing. */
enum framing_result framing_finish(struct framer *framer, struct frame *frame);

/* Frees what it has. */
void framing_deinit(struct framer *framer);

/* Appends a frame to an outbox. A line is one line, whatever is in it: its line ends become blanks,
 * but for the last one, which is its end. It ends in CR LF if has_cr, else in LF. block: what the
 * bytes lie in, so that large ones may be shared; NULL: they are copied. Returns 0 or -ENOMEM. */
int framing_append(enum framing framing, struct outbox *outbox, bool has_cr, struct block *block,
                   struct bytes bytes);

/* How long it is then, at most. */
size_t framing_length(enum framing framing, struct bytes bytes);
