/* Bytes of a server to operations (protocol.md, 4.2).
 *
 * Pure: no socket, no allocation, no state. Whatever the bytes are, nothing beyond them is read: a
 * line is what a LF ends within them, a payload what its size says and the bytes hold, and sizes
 * have at most nine digits, so that no sum of them overflows.
 */
#include "lib/sockd_private.h"

#include <string.h>

struct slice {
        const char *bytes;
        size_t n;
};

static bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

/* Splits a line at blanks. Returns the number of words, or `maximum` + 1 if there are more. */
static size_t split(const char *bytes, size_t n, struct slice *words, size_t maximum) {
        size_t n_words = 0, i = 0;

        for (;;) {
                while (i < n && is_blank(bytes[i]))
                        i++;
                if (i == n)
                        return n_words;
                if (n_words == maximum)
                        return maximum + 1;
                words[n_words].bytes = bytes + i;
                while (i < n && !is_blank(bytes[i]))
                        i++;
                words[n_words].n = (size_t)(bytes + i - words[n_words].bytes);
                n_words++;
        }
}

static bool parse_number(struct slice text, size_t n_digits_max, uint64_t *numberp) {
        uint64_t number = 0;

        if (text.n == 0 || text.n > n_digits_max)
                return false;
        for (size_t i = 0; i < text.n; i++) {
                unsigned digit = (unsigned char)text.bytes[i] - '0';

                if (digit > 9)
                        return false;
                number = number * 10 + digit;
        }
        *numberp = number;
        return true;
}

/* "NATS/1.0 503", perhaps with a description behind it: 503. */
static int parse_status(const char *headers, size_t n) {
        uint64_t status;

        if (n < 12 || memcmp(headers, "NATS/1.0 ", 9) != 0)
                return 0;
        if (!parse_number((struct slice){headers + 9, 3}, 3, &status))
                return 0;
        return (int)status;
}

/* The words behind MSG and HMSG: subject sid [reply] [header-size] size. */
static bool parse_message_line(const char *arguments, size_t n, bool has_headers,
                               struct sockd_message *message, size_t *n_headersp,
                               size_t *n_totalp) {
        struct slice words[5];
        size_t n_least = has_headers ? 4 : 3;
        size_t n_words = split(arguments, n, words, n_least + 1);
        uint64_t total, n_headers = 0;

        if (n_words != n_least && n_words != n_least + 1)
                return false;
        if (!parse_number(words[1], 19, &message->subscription))
                return false;
        if (!parse_number(words[n_words - 1], 9, &total))
                return false;
        if (has_headers && !parse_number(words[n_words - 2], 9, &n_headers))
                return false;
        if (n_headers > total)
                return false;

        message->subject = words[0].bytes;
        message->n_subject = words[0].n;
        message->reply = n_words > n_least ? words[2].bytes : NULL;
        message->n_reply = n_words > n_least ? words[2].n : 0;
        *n_headersp = n_headers;
        *n_totalp = total;
        return true;
}

static int parse_message(const char *bytes, size_t n, size_t n_line, const char *arguments,
                         size_t n_arguments, bool has_headers, struct sockd_operation *operation) {
        struct sockd_message *message = &operation->message;
        size_t n_headers, n_total;
        const char *body = bytes + n_line;

        if (!parse_message_line(arguments, n_arguments, has_headers, message, &n_headers, &n_total))
                return SOCKD_OPERATION_MALFORMED;
        operation->length = n_line + n_total + 2;
        if (n < operation->length)
                return SOCKD_OPERATION_INCOMPLETE;
        if (body[n_total] != '\r' || body[n_total + 1] != '\n')
                return SOCKD_OPERATION_MALFORMED;

        operation->type = SOCKD_OPERATION_MESSAGE;
        message->headers = n_headers ? body : NULL;
        message->n_headers = n_headers;
        message->payload = body + n_headers;
        message->n_payload = n_total - n_headers;
        message->status = parse_status(body, n_headers);
        return 0;
}

/* Setting bit 5 makes ASCII letters lower case; what it does to "+" and "-" harms nothing here. */
static inline bool starts_with(const char *line, size_t n, const char *verb, size_t n_verb) {
        if (n < n_verb)
                return false;
        for (size_t i = 0; i < n_verb; i++)
                if ((line[i] | 0x20) != (verb[i] | 0x20))
                        return false;
        return true;
}

/* Like starts_with, for verbs that need a blank or the end behind them. */
static inline bool has_verb(const char *line, size_t n, const char *verb, size_t n_verb) {
        return starts_with(line, n, verb, n_verb) && (n == n_verb || is_blank(line[n_verb]));
}

static void set_text(struct sockd_operation *operation, const char *text, size_t n) {
        while (n > 0 && is_blank(*text)) {
                text++;
                n--;
        }
        while (n > 0 && is_blank(text[n - 1]))
                n--;
        operation->text = text;
        operation->n_text = n;
}

static void strip_quotes(struct sockd_operation *operation) {
        if (operation->n_text >= 2 && operation->text[0] == '\'' &&
            operation->text[operation->n_text - 1] == '\'') {
                operation->text++;
                operation->n_text -= 2;
        }
}

static int parse_control(const char *line, size_t n, struct sockd_operation *operation) {
        if (starts_with(line, n, "PING", 4)) {
                operation->type = SOCKD_OPERATION_PING;
        } else if (starts_with(line, n, "PONG", 4)) {
                operation->type = SOCKD_OPERATION_PONG;
        } else if (starts_with(line, n, "+OK", 3)) {
                operation->type = SOCKD_OPERATION_OK;
        } else if (has_verb(line, n, "-ERR", 4)) {
                operation->type = SOCKD_OPERATION_ERROR;
                set_text(operation, line + 4, n - 4);
                strip_quotes(operation);
        } else if (starts_with(line, n, "INFO", 4)) {
                operation->type = SOCKD_OPERATION_INFO;
                set_text(operation, line + 4, n - 4);
        } else {
                return SOCKD_OPERATION_MALFORMED;
        }
        return 0;
}

/* Whether bytes without a LF can still become a line of the server: what greets us in another
 * protocol is recognised before it has sent a megabyte. */
static bool is_plausible(const char *bytes, size_t n) {
        static const char *const verbs[] = {"MSG", "HMSG", "PING", "PONG", "+OK", "-ERR", "INFO"};

        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                size_t n_verb = strlen(verbs[i]);

                if (starts_with(bytes, n, verbs[i], n < n_verb ? n : n_verb))
                        return true;
        }
        return false;
}

int sockd_operation_parse(const char *bytes, size_t n, struct sockd_operation *operation) {
        const char *newline;
        size_t n_line, n_text;

        operation->length = 0;
        if (n == 0)
                return SOCKD_OPERATION_INCOMPLETE;
        newline = memchr(bytes, '\n', n < SOCKD_LINE_MAX ? n : SOCKD_LINE_MAX);
        if (!newline)
                return n < SOCKD_LINE_MAX && is_plausible(bytes, n) ? SOCKD_OPERATION_INCOMPLETE
                                                                    : SOCKD_OPERATION_MALFORMED;
        n_text = (size_t)(newline - bytes);
        n_line = n_text + 1;
        if (n_text > 0 && bytes[n_text - 1] == '\r')
                n_text--;

        if (has_verb(bytes, n_text, "MSG", 3))
                return parse_message(bytes, n, n_line, bytes + 3, n_text - 3, false, operation);
        if (has_verb(bytes, n_text, "HMSG", 4))
                return parse_message(bytes, n, n_line, bytes + 4, n_text - 4, true, operation);
        operation->length = n_line;
        return parse_control(bytes, n_text, operation);
}
