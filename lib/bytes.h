/* Byte ranges that somebody else owns, and numbers in them.
 *
 * A `struct bytes` is a pointer and a length, never terminated by a NUL. Whoever hands one out says
 * how long it stays valid.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
        const char *data;
        size_t length;
};

/* The bytes of a string literal. */
#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

/* Digits of the largest number that bytes_format_number() writes. */
#define BYTES_NUMBER_MAX 20

static inline struct bytes bytes_from_string(const char *text) {
        return (struct bytes){text, strlen(text)};
}

/* Most of what is compared and copied for a message is short: a subject, a sid. A first and a last
 * piece that may overlap cost less than a call. */

static inline uint64_t bytes_load64(const char *from) {
        uint64_t value;

        memcpy(&value, from, sizeof(value));
        return value;
}

static inline uint32_t bytes_load32(const char *from) {
        uint32_t value;

        memcpy(&value, from, sizeof(value));
        return value;
}

static inline bool bytes_equal(struct bytes a, struct bytes b) {
        size_t n = a.length;

        if (n != b.length)
                return false;
        if (n > 16)
                return memcmp(a.data, b.data, n) == 0;
        if (n >= 8)
                return ((bytes_load64(a.data) ^ bytes_load64(b.data)) |
                        (bytes_load64(a.data + n - 8) ^ bytes_load64(b.data + n - 8))) == 0;
        if (n >= 4)
                return ((bytes_load32(a.data) ^ bytes_load32(b.data)) |
                        (bytes_load32(a.data + n - 4) ^ bytes_load32(b.data + n - 4))) == 0;
        for (size_t i = 0; i < n; i++)
                if (a.data[i] != b.data[i])
                        return false;
        return true;
}

/* Copies the bytes to `to` and returns the end of the copy. `to` must have the room. Always in
 * place: for what is short the call would cost more than the copy. */
__attribute__((always_inline)) static inline char *bytes_copy(char *to, struct bytes bytes) {
        const char *from = bytes.data;
        size_t n = bytes.length;

        if (n > 32) {
                memcpy(to, from, n);
        } else if (n >= 16) {
                memcpy(to, from, 16);
                memcpy(to + n - 16, from + n - 16, 16);
        } else if (n >= 8) {
                memcpy(to, from, 8);
                memcpy(to + n - 8, from + n - 8, 8);
        } else if (n >= 4) {
                memcpy(to, from, 4);
                memcpy(to + n - 4, from + n - 4, 4);
        } else {
                for (size_t i = 0; i < n; i++)
                        to[i] = from[i];
        }
        return to + n;
}

/* Reads a decimal number of 1 to max_digits digits and nothing else (max_digits at most 19).
 * Returns 0 or -EINVAL. */
int bytes_parse_number(struct bytes bytes, size_t max_digits, uint64_t *numberp);

/* Writes the decimal digits of number, without a NUL, and returns their end. `to` must have room
 * for BYTES_NUMBER_MAX. */
char *bytes_format_number(char *to, uint64_t number);

/* Writes bytes as they may stand between double quotes in an error text (protocol.md A.4): quotes,
 * backslashes and control bytes escaped, invalid UTF-8 as \xNN. Writes at most `size` bytes with
 * the NUL; what does not fit is cut between characters. Returns text. */
char *bytes_quote(char *text, size_t size, struct bytes bytes);

/* A copy with a NUL behind it, which the caller frees; NULL if there is no memory. */
char *bytes_duplicate(struct bytes bytes);

/* The number of bytes (1 to 4) of the valid UTF-8 character at the beginning, 0 if there is none.
 */
size_t bytes_utf8_length(struct bytes bytes);
