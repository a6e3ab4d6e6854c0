/* What waits to be sent. See outbox.h. */
#include "daemon/outbox.h"

#include "daemon/block.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Sizes of the blocks that small things are copied to: what is sent at once fits a page and a
 * little more; what goes on growing gets large ones. */
#define BLOCK_SMALL 4000
#define BLOCK_LARGE (64 * 1024)

static struct outbox_range *outbox_last(struct outbox *outbox) {
        return &outbox->ranges[outbox->first + outbox->n_ranges - 1];
}

void outbox_clear(struct outbox *outbox) {
        while (outbox->n_ranges > 0) {
                block_unref(outbox_last(outbox)->block);
                outbox->n_ranges--;
        }
        outbox->first = 0;
        outbox->n_bytes = 0;
        if (outbox->frames) {
                outbox->frames->first = outbox->frames->n_frames = 0;
                outbox->frames->n_bytes = 0;
        }
        if (outbox->tail &&
            (!block_is_exclusive(outbox->tail) || outbox->tail->capacity > BLOCK_LARGE))
                outbox->tail = block_unref(outbox->tail);
        outbox->tail_used = 0;
}

void outbox_deinit(struct outbox *outbox) {
        outbox_clear(outbox);
        block_unref(outbox->tail);
        free(outbox->ranges);
        free(outbox->frames);
        *outbox = (struct outbox){.n_bytes = 0};
}

/* Makes room for one more range at the end. */
static int outbox_grow(struct outbox *outbox) {
        unsigned capacity = outbox->capacity;
        struct outbox_range *ranges;

        if (outbox->first + outbox->n_ranges < capacity)
                return 0;
        if (outbox->first > capacity / 2) {
                memmove(outbox->ranges, outbox->ranges + outbox->first,
                        outbox->n_ranges * sizeof(*ranges));
                outbox->first = 0;
                return 0;
        }
        capacity = capacity ? capacity * 2 : 4;
        ranges = realloc(outbox->ranges, capacity * sizeof(*ranges));
        if (!ranges)
                return -ENOMEM;
        outbox->ranges = ranges;
        outbox->capacity = capacity;
        return 0;
}

/* Appends a range, or makes the last one longer. */
static int outbox_push(struct outbox *outbox, struct block *block, char *data, size_t length) {
        struct outbox_range *last = outbox->n_ranges > 0 ? outbox_last(outbox) : NULL;
        int r;

        if (last && last->block == block && last->data + last->length == data) {
                last->length += length;
                outbox->n_bytes += length;
                return 0;
        }
        r = outbox_grow(outbox);
        if (r < 0)
                return r;
        outbox->n_ranges++;
        *outbox_last(outbox) = (struct outbox_range){block_ref(block), data, length};
        outbox->n_bytes += length;
        return 0;
}

/* Replaces the tail by a block with room for `size` bytes. */
static int outbox_replace_tail(struct outbox *outbox, size_t size) {
        size_t capacity = outbox->n_bytes + size <= BLOCK_SMALL ? BLOCK_SMALL : BLOCK_LARGE;
        struct block *tail = block_new(size > capacity ? size : capacity);

        if (!tail)
                return -ENOMEM;
        block_unref(outbox->tail);
        outbox->tail = tail;
        outbox->tail_used = 0;
        return 0;
}

char *outbox_reserve(struct outbox *outbox, size_t size) {
        if ((!outbox->tail || outbox->tail->capacity - outbox->tail_used < size) &&
            outbox_replace_tail(outbox, size) < 0)
                return NULL;
        /* outbox_commit() must not fail. */
        if (outbox_grow(outbox) < 0)
                return NULL;
        return outbox->tail->data + outbox->tail_used;
}

void outbox_commit(struct outbox *outbox, size_t size) {
        char *data = outbox->tail->data + outbox->tail_used;

        assert(size <= outbox->tail->capacity - outbox->tail_used);
        if (size == 0)
                return;
        outbox->tail_used += size;
        (void)outbox_push(outbox, outbox->tail, data, size);
}

int outbox_append(struct outbox *outbox, struct bytes bytes) {
        char *to = outbox_reserve(outbox, bytes.length);

        if (!to)
                return -ENOMEM;
        bytes_copy(to, bytes);
        outbox_commit(outbox, bytes.length);
        return 0;
}

int outbox_append_shared(struct outbox *outbox, struct block *block, struct bytes bytes) {
        if (bytes.length == 0)
                return 0;
        return outbox_push(outbox, block, (char *)bytes.data, bytes.length);
}

size_t outbox_peek(const struct outbox *outbox, struct iovec *iov, size_t max) {
        size_t n = outbox->n_ranges < max ? outbox->n_ranges : max;

        for (size_t i = 0; i < n; i++) {
                const struct outbox_range *range = &outbox->ranges[outbox->first + i];

                iov[i] = (struct iovec){range->data, range->length};
        }
        return n;
}

void outbox_consume(struct outbox *outbox, size_t n_bytes) {
        assert(n_bytes <= outbox->n_bytes);
        outbox->n_bytes -= n_bytes;
        while (n_bytes > 0) {
                struct outbox_range *range = &outbox->ranges[outbox->first];

                if (n_bytes < range->length) {
                        range->data += n_bytes;
                        range->length -= n_bytes;
                        return;
                }
                n_bytes -= range->length;
                block_unref(range->block);
                outbox->first++;
                outbox->n_ranges--;
        }
        if (outbox->n_ranges == 0)
                outbox_clear(outbox);
}

/* --- frames ------------------------------------------------------------------------------- */

/* Makes room for one more frame at the end. */
static int frames_grow(struct outbox *outbox) {
        struct outbox_frames *frames = outbox->frames;
        unsigned capacity = frames ? frames->capacity : 0;

        if (frames && frames->first + frames->n_frames < capacity)
                return 0;
        if (frames && frames->first > capacity / 2) {
                memmove(frames->lengths, frames->lengths + frames->first,
                        frames->n_frames * sizeof(frames->lengths[0]));
                frames->first = 0;
                return 0;
        }
        capacity = capacity ? capacity * 2 : 8;
        frames = realloc(frames, sizeof(*frames) + capacity * sizeof(frames->lengths[0]));
        if (!frames)
                return -ENOMEM;
        if (!outbox->frames)
                *frames = (struct outbox_frames){.n_frames = 0};
        frames->capacity = capacity;
        outbox->frames = frames;
        return 0;
}

static int frames_push(struct outbox *outbox, size_t length) {
        struct outbox_frames *frames;
        int r = frames_grow(outbox);

        if (r < 0)
                return r;
        frames = outbox->frames;
        frames->lengths[frames->first + frames->n_frames++] = (uint32_t)length;
        frames->n_bytes += length;
        return 0;
}

int outbox_end_frame(struct outbox *outbox) {
        size_t n_framed = outbox->frames ? outbox->frames->n_bytes : 0;

        return outbox->n_bytes == n_framed ? 0 : frames_push(outbox, outbox->n_bytes - n_framed);
}

int outbox_copy_frames(struct outbox *to, const struct outbox *from) {
        const struct outbox_frames *frames = from->frames;
        int r = 0;

        for (unsigned i = 0; frames && i < frames->n_frames && r >= 0; i++)
                r = frames_push(to, frames->lengths[frames->first + i]);
        return r;
}

/* How far the ranges have been looked at. */
struct cursor {
        unsigned range;
        size_t offset; /* in that range */
};

/* The next `length` bytes. Returns the number of ranges, 0 if they are more than max. */
static size_t cursor_take(const struct outbox *outbox, struct cursor *cursor, size_t length,
                          struct iovec *iov, size_t max) {
        size_t n = 0;

        while (length > 0 && n < max) {
                const struct outbox_range *range = &outbox->ranges[outbox->first + cursor->range];
                size_t piece = range->length - cursor->offset;

                if (piece > length)
                        piece = length;
                iov[n++] = (struct iovec){range->data + cursor->offset, piece};
                length -= piece;
                cursor->offset += piece;
                if (cursor->offset == range->length)
                        *cursor = (struct cursor){.range = cursor->range + 1};
        }
        return length == 0 ? n : 0;
}

unsigned outbox_peek_frames(const struct outbox *outbox, struct mmsghdr *messages, unsigned max,
                            struct iovec *iov, size_t max_iov) {
        const struct outbox_frames *frames = outbox->frames;
        struct cursor cursor = {0};
        unsigned n = 0;

        for (; frames && n < frames->n_frames && n < max; n++) {
                size_t n_iov = cursor_take(outbox, &cursor, frames->lengths[frames->first + n], iov,
                                           max_iov);

                if (n_iov == 0)
                        break;
                messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = iov, .msg_iovlen = n_iov}};
                iov += n_iov;
                max_iov -= n_iov;
        }
        return n;
}

void outbox_consume_frames(struct outbox *outbox, unsigned n_frames) {
        struct outbox_frames *frames = outbox->frames;

        for (; n_frames > 0; n_frames--) {
                size_t length = frames->lengths[frames->first];

                /* First of all, as this may drop everything. */
                frames->first++;
                frames->n_frames--;
                frames->n_bytes -= length;
                outbox_consume(outbox, length);
        }
}
