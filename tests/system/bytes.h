/* A growable run of bytes, and its form for human eyes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Behind the last byte there is always a NUL that is not counted, once anything was appended. */
struct bytes {
        char *data;
        size_t length;
        size_t capacity;
};

#define BYTES_DEINIT __attribute__((cleanup(bytes_deinit)))

void bytes_deinit(struct bytes *bytes);
void bytes_clear(struct bytes *bytes);
void bytes_append(struct bytes *bytes, const void *data, size_t n_bytes);
void bytes_append_text(struct bytes *bytes, const char *text);
void bytes_append_format(struct bytes *bytes, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Appends data as a C string literal would show it, in double quotes. */
void bytes_append_escaped(struct bytes *bytes, const char *data, size_t n_bytes);

/* Takes n_bytes out of the middle; the range must lie within the bytes. */
void bytes_remove(struct bytes *bytes, size_t offset, size_t n_bytes);

/* The bytes as a C string; "" when nothing was ever appended. */
const char *bytes_text(const struct bytes *bytes);
bool bytes_equal_text(const struct bytes *bytes, const char *text);
