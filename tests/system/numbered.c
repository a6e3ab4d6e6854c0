/*
 * A payload is its number in eight digits, then letters that follow from number and position, so
 * that a byte lost, doubled or moved anywhere in a megabyte shows.
 */
#include "numbered.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#define SIZE_DIGITS_MAX 9

static char numbered_letter(unsigned long number, size_t position) {
        return (char)('a' + (number + position + position / 26) % 26);
}

void numbered_append(struct bytes *output, const char *subject, unsigned long number, size_t size) {
        assert(number <= NUMBERED_MAX && size >= NUMBERED_DIGITS);
        bytes_append_format(output, "PUB %s %zu\r\n%08lu", subject, size, number);
        for (size_t i = NUMBERED_DIGITS; i < size; i++) {
                char letter = numbered_letter(number, i);

                bytes_append(output, &letter, 1);
        }
        bytes_append_text(output, "\r\n");
}

/* Reads decimal digits that fill the range exactly. */
static bool number_read(const char *digits, size_t n_digits, unsigned long *numberp) {
        unsigned long number = 0;

        if (!n_digits || n_digits > SIZE_DIGITS_MAX)
                return false;
        for (size_t i = 0; i < n_digits; i++) {
                if (!isdigit((unsigned char)digits[i]))
                        return false;
                number = number * 10 + (unsigned long)(digits[i] - '0');
        }
        *numberp = number;
        return true;
}

/* Reads "MSG subject sid [reply] size", without the line end. */
static bool header_read(struct numbered_message *message, const char *line, size_t n_bytes) {
        const char *size = memrchr(line, ' ', n_bytes);
        const char *subject_end;
        unsigned long value;
        size_t length;

        if (n_bytes < 4 || memcmp(line, "MSG ", 4) != 0)
                return false;
        subject_end = memchr(line + 4, ' ', n_bytes - 4);
        if (!subject_end || !size || size <= subject_end)
                return false;
        size++;
        length = (size_t)(subject_end - (line + 4));
        if (length > NUMBERED_SUBJECT_MAX ||
            !number_read(size, (size_t)(line + n_bytes - size), &value))
                return false;
        memcpy(message->subject, line + 4, length);
        message->subject[length] = '\0';
        message->size = value;
        return true;
}

static bool payload_read(struct numbered_message *message, const char *payload) {
        if (message->size < NUMBERED_DIGITS ||
            !number_read(payload, NUMBERED_DIGITS, &message->number))
                return false;
        for (size_t i = NUMBERED_DIGITS; i < message->size; i++)
                if (payload[i] != numbered_letter(message->number, i))
                        return false;
        return memcmp(payload + message->size, "\r\n", 2) == 0;
}

ssize_t numbered_read(struct numbered_message *message, const char *data, size_t n_bytes) {
        const char *end = memchr(data, '\n', n_bytes);
        size_t header_length;

        if (!end)
                return 0;
        header_length = (size_t)(end - data) + 1;
        if (header_length < 2 || end[-1] != '\r' || !header_read(message, data, header_length - 2))
                return -1;
        if (n_bytes - header_length < message->size + 2)
                return 0;
        if (!payload_read(message, data + header_length))
                return -1;
        return (ssize_t)(header_length + message->size + 2);
}
