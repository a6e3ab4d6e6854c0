/* Framing. See framing.h. */
#include "daemon/framing.h"

#include "daemon/block.h"
#include "daemon/outbox.h"

#include <arpa/inet.h>
#include <errno.h>

/* The first size of a block for what is incomplete. */
#define BLOCK_MIN 512
/* Frames are shared rather than copied from this length on. */
#define SHARE_MIN 4096

/* --- what is incomplete --------------------------------------------------------------------- */

void framing_deinit(struct framer *framer) {
        framer->block = block_unref(framer->block);
        framer->n_block = 0;
}

/* What was given out before is not needed any more. Its block is, if nobody else has it. */
static void framer_begin(struct framer *framer) {
        if (!framer->is_given)
                return;
        framer->is_given = false;
        framer->n_block = 0;
        if (framer->block && !block_is_exclusive(framer->block))
                framer->block = block_unref(framer->block);
}

/* Room for so many bytes more, and FRAMING_ROOM. */
static bool framer_grow(struct framer *framer, size_t n_bytes) {
        size_t needed = framer->n_block + n_bytes + FRAMING_ROOM;
        size_t capacity = framer->block ? framer->block->capacity : BLOCK_MIN;
        struct block *block;

        if (framer->block && needed <= capacity)
                return true;
        while (capacity < needed)
                capacity *= 2;
        block = framer->block ? block_grow(framer->block, capacity) : block_new(capacity);
        if (block)
                framer->block = block;
        return block;
}

static enum framing_result framer_keep(struct framer *framer, struct bytes bytes) {
        if (bytes.length == 0)
                return FRAMING_MORE;
        if (!framer_grow(framer, bytes.length))
                return FRAMING_NO_MEMORY;
        bytes_copy(framer->block->data + framer->n_block, bytes);
        framer->n_block += bytes.length;
        return FRAMING_MORE;
}

/* Gives out what was kept. */
static void framer_give(struct framer *framer, struct frame *frame) {
        bool is_any = framer->block != NULL;

        *frame = (struct frame){.bytes = {is_any ? framer->block->data : "", framer->n_block},
                                .block = framer->block};
        framer->is_given = true;
}

/* Nothing more is there. Who is idle has no block. */
static enum framing_result framer_rest(struct framer *framer) {
        if (framer->n_block == 0)
                framing_deinit(framer);
        return FRAMING_MORE;
}

static void consume(struct bytes *input, size_t n_bytes) {
        input->data += n_bytes;
        input->length -= n_bytes;
}

/* --- lines ---------------------------------------------------------------------------------- */

/* A CR before the LF belongs to the end. */
static void strip_cr(struct frame *frame) {
        size_t n = frame->bytes.length;

        frame->has_cr = n > 0 && frame->bytes.data[n - 1] == '\r';
        frame->bytes.length -= frame->has_cr;
}

static enum framing_result lose(struct framer *framer, size_t n_bytes) {
        framer->n_lost += n_bytes;
        return FRAMING_TOO_LONG;
}

static enum framing_result judge_line(struct framer *framer, const struct frame *frame) {
        size_t length = frame->bytes.length;

        return length > framer->max ? lose(framer, length) : FRAMING_FRAME;
}

/* The rest of an input without an LF. */
static enum framing_result take_rest(struct framer *framer, struct bytes *input,
                                     struct frame *frame) {
        struct bytes rest = *input;

        consume(input, rest.length);
        if (framer->is_skipping) {
                (void)lose(framer, rest.length);
                return framer_rest(framer);
        }
        if (framer->is_whole) {
                *frame = (struct frame){.bytes = rest};
                return rest.length > 0 ? judge_line(framer, frame) : FRAMING_MORE;
        }
        /* The last byte may be the CR of its end. */
        if (framer->n_block + rest.length <= framer->max + 1)
                return rest.length > 0 ? framer_keep(framer, rest) : framer_rest(framer);
        framer->is_skipping = true;
        (void)lose(framer, framer->n_block + rest.length);
        framing_deinit(framer);
        return FRAMING_TOO_LONG;
}

static enum framing_result next_line(struct framer *framer, struct bytes *input,
                                     struct frame *frame) {
        const char *end = memchr(input->data, '\n', input->length);
        struct bytes line;

        while (end && framer->is_skipping) {
                (void)lose(framer, (size_t)(end + 1 - input->data));
                consume(input, (size_t)(end + 1 - input->data));
                framer->is_skipping = false;
                end = memchr(input->data, '\n', input->length);
        }
        if (!end)
                return take_rest(framer, input, frame);
        line = (struct bytes){input->data, (size_t)(end - input->data)};
        consume(input, line.length + 1);
        *frame = (struct frame){.bytes = line};
        if (framer->n_block > 0) {
                /* With its LF, so that CR LF is behind it if that is its end. */
                framer->is_given = true;
                if (framer->n_block + line.length > framer->max + 1)
                        return lose(framer, framer->n_block + line.length);
                line.length++;
                if (framer_keep(framer, line) == FRAMING_NO_MEMORY)
                        return FRAMING_NO_MEMORY;
                framer_give(framer, frame);
                frame->bytes.length--;
        }
        strip_cr(frame);
        return judge_line(framer, frame);
}

/* --- the others ----------------------------------------------------------------------------- */

static enum framing_result next_length32(struct framer *framer, struct bytes *input,
                                         struct frame *frame) {
        uint32_t length;

        if (input->length < sizeof(length))
                return FRAMING_MORE;
        length = ntohl(bytes_load32(input->data));
        if (length > framer->max)
                return FRAMING_TOO_LONG;
        if (input->length - sizeof(length) < length) {
                framer->needed = sizeof(length) + length;
                return FRAMING_MORE;
        }
        *frame = (struct frame){.bytes = {input->data + sizeof(length), length},
                                .is_last = input->length == sizeof(length) + length};
        consume(input, sizeof(length) + length);
        return FRAMING_FRAME;
}

static enum framing_result keep_all(struct framer *framer, struct bytes *input) {
        struct bytes rest = *input;

        consume(input, rest.length);
        if (rest.length > framer->max || framer->n_block > framer->max - rest.length)
                return FRAMING_TOO_LONG;
        return framer_keep(framer, rest);
}

static enum framing_result take_datagram(struct framer *framer, struct bytes *input,
                                         struct frame *frame) {
        if (!input->data)
                return FRAMING_MORE; /* it was taken */
        *frame = (struct frame){.bytes = *input};
        *input = (struct bytes){NULL, 0};
        return frame->bytes.length > framer->max ? FRAMING_TOO_LONG : FRAMING_FRAME;
}

enum framing_result framing_next(struct framer *framer, struct bytes *input, struct frame *frame) {
        framer_begin(framer);
        framer->needed = 0;
        switch (framer->framing) {
        case FRAMING_LINE:
                return next_line(framer, input, frame);
        case FRAMING_LENGTH32:
                return next_length32(framer, input, frame);
        case FRAMING_EOF:
                return keep_all(framer, input);
        case FRAMING_DATAGRAM:
        case FRAMING_DEFAULT:
                break;
        }
        return take_datagram(framer, input, frame);
}

enum framing_result framing_finish(struct framer *framer, struct frame *frame) {
        framer_begin(framer);
        if (framer->framing != FRAMING_EOF && framer->n_block == 0)
                return FRAMING_MORE;
        framer_give(framer, frame);
        return frame->bytes.length > framer->max ? FRAMING_TOO_LONG : FRAMING_FRAME;
}

/* --- output --------------------------------------------------------------------------------- */

/* Without the line end that it may have. */
static struct bytes without_end(struct bytes line) {
        if (line.length == 0 || line.data[line.length - 1] != '\n')
                return line;
        line.length--;
        line.length -= line.length > 0 && line.data[line.length - 1] == '\r';
        return line;
}

/* Copies text, in which CR LF and LF become blanks. Returns the end of the copy. */
static char *copy_flat(char *to, struct bytes text) {
        for (size_t i = 0; i < text.length; i++) {
                bool is_end =
                        text.data[i] == '\r' && i + 1 < text.length && text.data[i + 1] == '\n';

                i += is_end;
                *to++ = text.data[i] == '\n' ? ' ' : text.data[i];
        }
        return to;
}

static int append_copy(struct outbox *outbox, struct bytes head, struct bytes bytes,
                       struct bytes tail, bool is_flat) {
        char *start = outbox_reserve(outbox, head.length + bytes.length + tail.length), *end;

        if (!start)
                return -ENOMEM;
        memcpy(start, head.data, head.length);
        end = start + head.length;
        end = is_flat ? copy_flat(end, bytes) : bytes_copy(end, bytes);
        memcpy(end, tail.data, tail.length);
        outbox_commit(outbox, (size_t)(end - start) + tail.length);
        return 0;
}

int framing_append(enum framing framing, struct outbox *outbox, bool has_cr, struct block *block,
                   struct bytes bytes) {
        uint32_t length = htonl((uint32_t)bytes.length);
        struct bytes head = {(const char *)&length, 0}, tail = BYTES("");
        bool is_flat = false;
        int r;

        if (framing == FRAMING_LENGTH32)
                head.length = sizeof(length);
        if (framing == FRAMING_LINE) {
                bytes = without_end(bytes);
                tail = has_cr ? BYTES("\r\n") : BYTES("\n");
                is_flat = bytes.length > 0 && memchr(bytes.data, '\n', bytes.length);
        }
        if (!block || bytes.length < SHARE_MIN || is_flat)
                return append_copy(outbox, head, bytes, tail, is_flat);
        r = append_copy(outbox, head, BYTES(""), BYTES(""), false);
        if (r == 0)
                r = outbox_append_shared(outbox, block, bytes);
        return r == 0 ? append_copy(outbox, tail, BYTES(""), BYTES(""), false) : r;
}

size_t framing_length(enum framing framing, struct bytes bytes) {
        return bytes.length + (framing == FRAMING_LENGTH32 ? sizeof(uint32_t)
                               : framing == FRAMING_LINE   ? 2
                                                           : 0);
}
