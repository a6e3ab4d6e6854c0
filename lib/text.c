/* Printable text; see text.h.
 *
 * text_sequence() is the one place that knows UTF-8 (RFC 3629): overlong forms, surrogates and
 * what lies above U+10FFFF are not valid.
 */
#include "lib/text.h"

#include <stdint.h>

/* The smallest code point that needs as many bytes. */
static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

/* Whether it turns the direction in which others are shown, so that a name with it looks like
 * another, or ends a line for some. */
static bool turns_text(uint32_t point) {
        return point == 0x61c || point == 0x200e || point == 0x200f ||
               (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* The number of bytes of the printable character that text begins with; 0: none. length > 0. */
static size_t text_sequence(const char *text, size_t length) {
        unsigned char first = (unsigned char)text[0];
        size_t n = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
        uint32_t point;

        if (n == 1)
                return first >= 0x20 && first < 0x7f;
        if (n == 0 || n > length)
                return 0;
        point = first & (0x7fu >> n);
        for (size_t i = 1; i < n; i++) {
                if (((unsigned char)text[i] & 0xc0) != 0x80)
                        return 0;
                point = point << 6 | ((unsigned char)text[i] & 0x3f);
        }
        if (point < smallest[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
                return 0;
        return point < 0xa0 || turns_text(point) ? 0 : n;
}

void text_make_printable(char *text, size_t length) {
        for (size_t i = 0; i < length;) {
                size_t n = text_sequence(text + i, length - i);

                if (n == 0) {
                        text[i] = text[i] == '\n' || text[i] == '\t' ? ' ' : '?';
                        n = 1;
                }
                i += n;
        }
}

bool text_is_printable(const char *text, size_t length) {
        for (size_t i = 0; i < length;) {
                size_t n = text_sequence(text + i, length - i);

                if (n == 0)
                        return false;
                i += n;
        }
        return true;
}

size_t text_cut(const char *text, size_t length, size_t limit) {
        if (length <= limit)
                return length;
        for (unsigned n = 0; n < 3 && limit > 0 && ((unsigned char)text[limit] & 0xc0) == 0x80; n++)
                limit--;
        return limit;
}
