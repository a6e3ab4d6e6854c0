/* What waits to be sent: small things copied together, large ones shared.
 *
 * A queue of byte ranges in blocks. Appending small things extends the last block, so that many
 * messages leave in one piece; a large payload is a range in a block that others refer to as well.
 * An outbox has no lock: a worker's stage is private to the worker, and what a connection could not
 * send yet is guarded by the connection's lock.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct block;
struct mmsghdr;

struct outbox_range {
        struct block *block; /* a reference of our own */
        char *data;
        size_t length;
};

/* Where what was appended is cut, for transports that keep boundaries: the lengths of frames, in
 * order. */
struct outbox_frames {
        unsigned first, n_frames, capacity; /* a queue in an array */
        size_t n_bytes;                     /* of all frames; what is behind them has no end yet */
        uint32_t lengths[];
};

struct outbox {
        struct outbox_range *ranges; /* a queue in an array; owned */
        unsigned first, n_ranges, capacity;
        struct block *tail; /* a reference; what small things are copied to, or NULL */
        size_t tail_used;
        size_t n_bytes;               /* of all ranges */
        struct outbox_frames *frames; /* owned; NULL: none */
};

/* An outbox of zeroes is an empty one. Frees everything; it is empty afterwards. */
void outbox_deinit(struct outbox *outbox);

/* Drops everything that waits, but keeps the memory for what comes next. */
void outbox_clear(struct outbox *outbox);

/* Room for `size` bytes at the end in one piece, for outbox_commit() to make part of it; NULL if
 * there is no memory. Valid until the next call. */
char *outbox_reserve(struct outbox *outbox, size_t size);
void outbox_commit(struct outbox *outbox, size_t size);

/* Copies bytes to the end. Returns 0 or -ENOMEM. */
int outbox_append(struct outbox *outbox, struct bytes bytes);

/* Appends bytes of a block without copying them; takes a reference of its own. Whoever else holds
 * the block must not change these bytes any more. Returns 0 or -ENOMEM. */
int outbox_append_shared(struct outbox *outbox, struct block *block, struct bytes bytes);

/* The first ranges as sendmsg(2) takes them. Returns how many, at most max. */
size_t outbox_peek(const struct outbox *outbox, struct iovec *iov, size_t max);

/* Drops n_bytes from the beginning. */
void outbox_consume(struct outbox *outbox, size_t n_bytes);

/* What was appended since the last frame ended is a frame, if it is anything. Returns 0 or -ENOMEM.
 */
int outbox_end_frame(struct outbox *outbox);

/* The first frames as sendmmsg(2) takes them, with their ranges in iov; the other fields of the
 * messages are zero. Returns how many: at most max, and as many as fit max_iov; at least one, as no
 * frame has more ranges than OUTBOX_FRAME_RANGES, if there are any. */
#define OUTBOX_FRAME_RANGES 8
unsigned outbox_peek_frames(const struct outbox *outbox, struct mmsghdr *messages, unsigned max,
                            struct iovec *iov, size_t max_iov);

static inline unsigned outbox_count_frames(const struct outbox *outbox) {
        return outbox->frames ? outbox->frames->n_frames : 0;
}

/* The length of the first frame; there must be one. */
static inline size_t outbox_frame_length(const struct outbox *outbox) {
        return outbox->frames->lengths[outbox->frames->first];
}

/* Drops n_frames from the beginning. */
void outbox_consume_frames(struct outbox *outbox, unsigned n_frames);

/* Ends the same frames in `to`, to which the ranges of `from` were appended. Returns 0 or -ENOMEM.
 */
int outbox_copy_frames(struct outbox *to, const struct outbox *from);

static inline bool outbox_is_empty(const struct outbox *outbox) {
        return outbox->n_bytes == 0;
}
