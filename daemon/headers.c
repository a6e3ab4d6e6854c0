/* Headers that sockd vouches for. See headers.h. */
#include "daemon/headers.h"

#include <string.h>
#include <strings.h>

#define FIRST_LINE "NATS/1."
#define PREFIX     "Sockd-"

/* Parsers of clients differ in what ends a line: CR LF, either alone, other control characters, or
 * the line ends of Unicode, of which one is a single byte for those who read Latin-1. Returns how
 * long the one is that stands at `i`; 0: none. */
static size_t line_end_at(struct bytes block, size_t i) {
        const unsigned char *at = (const unsigned char *)block.data + i;

        if (*at < ' ')
                return *at != '\t';
        if (*at == 0x85)
                return 1;
        return *at == 0xe2 && block.length - i >= 3 && at[1] == 0x80 &&
                               (at[2] == 0xa8 || at[2] == 0xa9)
                       ? 3
                       : 0;
}

/* Takes a line off the beginning, with its end. For some parsers it is but a piece of one. */
static struct bytes take_line(struct bytes *block) {
        struct bytes line = {block->data, 0};

        while (line.length < block->length && !line_end_at(*block, line.length))
                line.length++;
        while (line.length < block->length && line.data[line.length] == '\r')
                line.length++;
        if (line.length < block->length)
                line.length += line_end_at(*block, line.length);
        block->data += line.length;
        block->length -= line.length;
        return line;
}

/* Whether it ends the line for everybody, or nearly so. */
static bool ends_with_lf(struct bytes line) {
        return line.length > 0 && line.data[line.length - 1] == '\n';
}

/* Whether it begins with a blank, or one of Unicode or Latin-1. */
static bool begins_blank(struct bytes line) {
        static const char *const blanks[] = {
                "\xc2\x85", "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80",
                "\xe2\x81", "\xe3\x80\x80", "\xef\xbb\xbf",
        };
        unsigned char first = line.length > 0 ? (unsigned char)*line.data : 'x';

        for (size_t i = 0; i < sizeof(blanks) / sizeof(blanks[0]); i++)
                if (line.length >= strlen(blanks[i]) &&
                    memcmp(line.data, blanks[i], strlen(blanks[i])) == 0)
                        return true;
        return first <= ' ' || (first >= 0x7f && first < 0xc0);
}

/* Blanks in front of a name may be ignored by who reads it; anything that is no ASCII is taken for
 * one here. */
static bool is_ours(struct bytes line) {
        while (line.length > 0 &&
               ((unsigned char)*line.data <= ' ' || (unsigned char)*line.data >= 0x7f)) {
                line.data++;
                line.length--;
        }
        return line.length >= strlen(PREFIX) && strncasecmp(line.data, PREFIX, strlen(PREFIX)) == 0;
}

static bool is_empty(struct bytes line) {
        for (size_t i = 0; i < line.length; i++)
                if (line.data[i] != '\r' && line.data[i] != '\n')
                        return false;
        return true;
}

/* Whether a parser may take the line for the rest of the former one. That is not so of an empty
 * line as everybody reads it, or of one with which all ends. */
static bool may_continue(struct bytes line, bool is_last) {
        if (bytes_equal(line, BYTES("\r\n")) || (is_last && is_empty(line)))
                return false;
        return begins_blank(line);
}

bool headers_are_forged(struct bytes block) {
        while (block.length > 0)
                if (is_ours(take_line(&block)))
                        return true;
        return false;
}

size_t headers_max(struct bytes block, struct bytes lines) {
        return strlen(FIRST_LINE "0\r\n\r\n\r\n") + block.length + lines.length;
}

static bool is_block(struct bytes block) {
        return block.length >= strlen(FIRST_LINE) &&
               memcmp(block.data, FIRST_LINE, strlen(FIRST_LINE)) == 0 &&
               (memchr(block.data, '\n', block.length) || memchr(block.data, '\r', block.length));
}

static struct bytes without_end(struct bytes line) {
        struct bytes rest = line;

        line.length = 0;
        while (line.length < rest.length && !line_end_at(rest, line.length))
                line.length++;
        return line;
}

/* Writes what a client may say: of a line that is taken out all of it goes, up to its LF, and so do
 * those that continue it. Lines that continue what was written before go if `is_closed`. */
static char *write_others(char *to, struct bytes block, bool is_closed) {
        bool is_removed = is_closed, begins = true, is_open = false;

        while (block.length > 0) {
                struct bytes line = take_line(&block);

                if (is_ours(line))
                        is_removed = true;
                else if (begins)
                        is_removed = is_removed && may_continue(line, block.length == 0);
                begins = ends_with_lf(line);
                if (!is_removed) {
                        to = bytes_copy(to, line);
                        is_open = !begins;
                } else if (begins && is_open) {
                        /* Others may have seen that line end only here. */
                        to = bytes_copy(to, BYTES("\r\n"));
                        is_open = false;
                }
        }
        return to;
}

size_t headers_write(char *to, struct bytes block, struct bytes lines) {
        char *end = to;

        if (lines.length > 0) {
                if (!is_block(block))
                        block = BYTES(FIRST_LINE "0\r\n\r\n");
                end = bytes_copy(end, without_end(take_line(&block)));
                end = bytes_copy(end, BYTES("\r\n"));
                end = bytes_copy(end, lines);
        }
        end = write_others(end, block, lines.length > 0);
        return (size_t)(end - to);
}

unsigned headers_status(struct bytes block) {
        static const char first[] = FIRST_LINE "0 ";
        size_t n = sizeof(first) - 1;
        unsigned status = 0;

        if (block.length < n + 3 || memcmp(block.data, first, n) != 0)
                return 0;
        for (size_t i = n; i < n + 3; i++) {
                if (block.data[i] < '0' || block.data[i] > '9')
                        return 0;
                status = status * 10 + (unsigned)(block.data[i] - '0');
        }
        return status;
}

struct bytes headers_find(struct bytes block, const char *name) {
        size_t n = strlen(name);

        while (block.length > 0) {
                struct bytes line = without_end(take_line(&block));

                if (line.length <= n || line.data[n] != ':' || strncasecmp(line.data, name, n) != 0)
                        continue;
                line = (struct bytes){line.data + n + 1, line.length - n - 1};
                while (line.length > 0 && (*line.data == ' ' || *line.data == '\t')) {
                        line.data++;
                        line.length--;
                }
                return line;
        }
        return BYTES("");
}
