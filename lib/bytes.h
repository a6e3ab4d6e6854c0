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

static inline bool bytes_equal(struct bytes a, struct bytes b) {
        return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Copies the bytes to `to` and returns the end of the copy. `to` must have the room. */
static inline char *bytes_copy(char *to, struct bytes bytes) {
        if (bytes.length > 0)
                memcpy(to, bytes.data, bytes.length);
        return to + bytes.length;
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

/* The number of bytes (1 to 4) of the valid UTF-8 character at the beginning, 0 if there is none.
 */
size_t bytes_utf8_length(struct bytes bytes);
