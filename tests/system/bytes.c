/*
 * Growable bytes. A test that runs out of memory has nothing left to prove, so allocation failure
 * ends the process; no caller has to check.
 */
#include "bytes.h"

#include <assert.h>
#include <ctype.h>
#include <err.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bytes_deinit(struct bytes *bytes) {
        free(bytes->data);
        *bytes = (struct bytes){};
}

void bytes_clear(struct bytes *bytes) {
        bytes->length = 0;
        if (bytes->data)
                bytes->data[0] = '\0';
}

/* Makes room for n_bytes more and the NUL behind them. */
static void bytes_reserve(struct bytes *bytes, size_t n_bytes) {
        size_t wanted = bytes->length + n_bytes + 1;
        size_t capacity = bytes->capacity ? bytes->capacity : 64;

        if (n_bytes > SIZE_MAX / 4 - bytes->length)
                errx(1, "bytes: too large");
        if (wanted <= bytes->capacity)
                return;
        while (capacity < wanted)
                capacity *= 2;
        bytes->data = realloc(bytes->data, capacity);
        if (!bytes->data)
                err(1, "bytes");
        bytes->capacity = capacity;
}

void bytes_append(struct bytes *bytes, const void *data, size_t n_bytes) {
        bytes_reserve(bytes, n_bytes);
        if (n_bytes)
                memcpy(bytes->data + bytes->length, data, n_bytes);
        bytes->length += n_bytes;
        bytes->data[bytes->length] = '\0';
}

void bytes_append_text(struct bytes *bytes, const char *text) {
        bytes_append(bytes, text, strlen(text));
}

void bytes_append_format(struct bytes *bytes, const char *format, ...) {
        char *text = NULL;
        va_list arguments;
        int length;

        va_start(arguments, format);
        length = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (length < 0)
                err(1, "bytes");
        bytes_append(bytes, text, (size_t)length);
        free(text);
}

static void bytes_append_escaped_byte(struct bytes *bytes, unsigned char byte) {
        if (byte == '\r')
                bytes_append_text(bytes, "\\r");
        else if (byte == '\n')
                bytes_append_text(bytes, "\\n");
        else if (byte == '\t')
                bytes_append_text(bytes, "\\t");
        else if (byte == '"' || byte == '\\')
                bytes_append_format(bytes, "\\%c", byte);
        else if (byte < 0x80 && isprint(byte))
                bytes_append(bytes, &byte, 1);
        else
                bytes_append_format(bytes, "\\x%02x", byte);
}

void bytes_append_escaped(struct bytes *bytes, const char *data, size_t n_bytes) {
        bytes_append_text(bytes, "\"");
        for (size_t i = 0; i < n_bytes; i++)
                bytes_append_escaped_byte(bytes, (unsigned char)data[i]);
        bytes_append_text(bytes, "\"");
}

void bytes_remove(struct bytes *bytes, size_t offset, size_t n_bytes) {
        assert(offset <= bytes->length && n_bytes <= bytes->length - offset);
        if (!n_bytes)
                return;
        memmove(bytes->data + offset, bytes->data + offset + n_bytes,
                bytes->length - offset - n_bytes + 1);
        bytes->length -= n_bytes;
}

const char *bytes_text(const struct bytes *bytes) {
        return bytes->data ? bytes->data : "";
}

bool bytes_equal_text(const struct bytes *bytes, const char *text) {
        return bytes->length == strlen(text) && memcmp(bytes_text(bytes), text, bytes->length) == 0;
}
