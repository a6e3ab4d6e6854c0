/* The writer. See writer.h. */
#include "lib/writer.h"

char *writer_message_line(char *to, const struct writer_message *message) {
        to = bytes_copy(to, message->header_size > 0 ? BYTES("HMSG ") : BYTES("MSG "));
        to = bytes_copy(to, message->subject);
        *to++ = ' ';
        to = bytes_copy(to, message->sid);
        *to++ = ' ';
        if (message->reply.length > 0) {
                to = bytes_copy(to, message->reply);
                *to++ = ' ';
        }
        if (message->header_size > 0) {
                to = bytes_format_number(to, message->header_size);
                *to++ = ' ';
        }
        to = bytes_format_number(to, message->size);
        return bytes_copy(to, BYTES("\r\n"));
}

static size_t count_digits(size_t number) {
        size_t n = 1;

        for (; number >= 10; number /= 10)
                n++;
        return n;
}

size_t writer_message_line_length(const struct writer_message *message) {
        size_t length = strlen("MSG   \r\n") + message->subject.length + message->sid.length +
                        count_digits(message->size);

        if (message->reply.length > 0)
                length += message->reply.length + strlen(" ");
        if (message->header_size > 0)
                length += strlen("H ") + count_digits(message->header_size);
        return length;
}

char *writer_error(char *to, struct bytes text) {
        to = bytes_copy(to, BYTES("-ERR '"));
        to = bytes_copy(to, text);
        return bytes_copy(to, BYTES("'\r\n"));
}
