/* Byte ranges: numbers and quoting. See bytes.h. */
#include "lib/bytes.h"

#include <errno.h>
#include <stdlib.h>

int bytes_parse_number(struct bytes bytes, size_t max_digits, uint64_t *numberp) {
        uint64_t number = 0;

        if (bytes.length == 0 || bytes.length > max_digits)
                return -EINVAL;
        for (size_t i = 0; i < bytes.length; i++) {
                unsigned digit = (unsigned char)bytes.data[i] - (unsigned)'0';

                if (digit > 9)
                        return -EINVAL;
                number = number * 10 + digit;
        }
        *numberp = number;
        return 0;
}

char *bytes_format_number(char *to, uint64_t number) {
        char digits[BYTES_NUMBER_MAX];
        size_t n = sizeof(digits);

        if (number < 100) {
                /* Most are: sizes of small messages. */
                *to = (char)('0' + number / 10);
                to += number >= 10;
                *to = (char)('0' + number % 10);
                return to + 1;
        }
        do {
                digits[--n] = (char)('0' + number % 10);
                number /= 10;
        } while (number > 0);
        memcpy(to, digits + n, sizeof(digits) - n);
        return to + sizeof(digits) - n;
}

static size_t utf8_expected_length(unsigned char lead) {
        if (lead < 0x80)
                return 1;
        if (lead >= 0xc2 && lead <= 0xdf)
                return 2;
        if (lead >= 0xe0 && lead <= 0xef)
                return 3;
        if (lead >= 0xf0 && lead <= 0xf4)
                return 4;
        return 0;
}

size_t bytes_utf8_length(struct bytes bytes) {
        const unsigned char *s = (const unsigned char *)bytes.data;
        size_t n;

        if (bytes.length == 0)
                return 0;
        n = utf8_expected_length(s[0]);
        if (n == 0 || n > bytes.length)
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        /* Overlong forms, surrogates, and what lies beyond U+10FFFF. */
        if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
            (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
                return 0;
        return n;
}

/* Writes one quoted character of `bytes` to `to` (at most 4 bytes); returns how many bytes of the
 * input it stands for. */
static size_t quote_one(struct bytes bytes, char to[4], size_t *lengthp) {
        static const char escapes[] = "abtnvfr"; /* of 0x07 to 0x0d */
        static const char hex[] = "0123456789abcdef";
        unsigned char c = (unsigned char)bytes.data[0];
        size_t n = bytes_utf8_length(bytes);

        if (c == '"' || c == '\\') {
                memcpy(to, (char[]){'\\', (char)c}, *lengthp = 2);
        } else if (c >= 0x07 && c <= 0x0d) {
                memcpy(to, (char[]){'\\', escapes[c - 0x07]}, *lengthp = 2);
        } else if (c < 0x20 || c == 0x7f || n == 0) {
                memcpy(to, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, *lengthp = 4);
                n = 1;
        } else {
                memcpy(to, bytes.data, *lengthp = n);
        }
        return n == 0 ? 1 : n;
}

char *bytes_duplicate(struct bytes bytes) {
        char *copy = malloc(bytes.length + 1);

        if (copy)
                *bytes_copy(copy, bytes) = '\0';
        return copy;
}

char *bytes_quote(char *text, size_t size, struct bytes bytes) {
        size_t used = 0;

        while (bytes.length > 0) {
                char quoted[4];
                size_t length, taken = quote_one(bytes, quoted, &length);

                if (used + length + 1 > size)
                        break;
                memcpy(text + used, quoted, length);
                used += length;
                bytes.data += taken;
                bytes.length -= taken;
        }
        if (size > 0)
                text[used] = '\0';
        return text;
}
