/* Headers that sockd vouches for. See headers.h. */
#include "daemon/headers.h"

#include <string.h>
#include <strings.h>

#define FIRST_LINE "NATS/1."
#define PREFIX     "Sockd-"

/* Parsers of clients differ in what ends a line: CR LF, either alone, or other control characters.
 */
static bool ends_line(char c) {
        return (unsigned char)c < ' ' && c != '\t';
}

/* Takes a line off the beginning, with its end. */
static struct bytes take_line(struct bytes *block) {
        struct bytes line = {block->data, 0};

        while (line.length < block->length && !ends_line(line.data[line.length]))
                line.length++;
        while (line.length < block->length && line.data[line.length] == '\r')
                line.length++;
        if (line.length < block->length && ends_line(line.data[line.length]))
                line.length++;
        block->data += line.length;
        block->length -= line.length;
        return line;
}

/* Blanks in front of a name, those of Unicode too, may be ignored by who reads it. */
static bool is_ours(struct bytes line) {
        while (line.length > 0 &&
               ((unsigned char)*line.data <= ' ' || (unsigned char)*line.data >= 0x7f)) {
                line.data++;
                line.length--;
        }
        return line.length >= strlen(PREFIX) && strncasecmp(line.data, PREFIX, strlen(PREFIX)) == 0;
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
        while (line.length > 0 && ends_line(line.data[line.length - 1]))
                line.length--;
        return line;
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
        while (block.length > 0) {
                struct bytes line = take_line(&block);

                if (!is_ours(line))
                        end = bytes_copy(end, line);
        }
        return (size_t)(end - to);
}
