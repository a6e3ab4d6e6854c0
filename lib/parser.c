/* The parser. See parser.h.
 *
 * An operation is taken in three steps, each of which may find that bytes are missing: the verb,
 * the line of arguments, and the payload whose size stands in the arguments. Arguments are cut into
 * tokens in the same pass that looks for the end of the line, since most lines are short.
 */
#include "lib/parser.h"

#include <strings.h>

#define MAX_TOKENS 4

/* What follows a verb. */
enum tail {
        TAIL_TOKENS,           /* at least one blank, then tokens */
        TAIL_TEXT,             /* blanks if any, then one text up to the end of the line */
        TAIL_TEXT_AFTER_BLANK, /* the same with at least one blank */
        TAIL_IGNORED,          /* anything up to the end of the line */
};

static const struct verb_row {
        const char *name;
        size_t length;
        enum verb verb;
        enum tail tail;
} verb_rows[] = {
        {"PUB", 3, VERB_PUB, TAIL_TOKENS},       {"SUB", 3, VERB_SUB, TAIL_TOKENS},
        {"UNSUB", 5, VERB_UNSUB, TAIL_TOKENS},   {"HPUB", 4, VERB_HPUB, TAIL_TOKENS},
        {"PING", 4, VERB_PING, TAIL_IGNORED},    {"PONG", 4, VERB_PONG, TAIL_IGNORED},
        {"CONNECT", 7, VERB_CONNECT, TAIL_TEXT}, {"INFO", 4, VERB_INFO, TAIL_TEXT},
        {"+OK", 3, VERB_OK, TAIL_IGNORED},       {"-ERR", 4, VERB_ERR, TAIL_TEXT_AFTER_BLANK},
};

#define N_VERBS (sizeof(verb_rows) / sizeof(verb_rows[0]))

/* The arguments of one line. */
struct line {
        struct bytes text; /* without blanks before, and CR LF behind */
        struct bytes tokens[MAX_TOKENS];
        size_t n_tokens; /* MAX_TOKENS + 1: more than that */
        const char *end; /* behind the LF */
};

const char *verb_name(enum verb verb) {
        for (size_t i = 0; i < N_VERBS; i++)
                if (verb_rows[i].verb == verb)
                        return verb_rows[i].name;
        return "";
}

static inline bool is_blank(char c) {
        return c == ' ' || c == '\t';
}

static const struct verb_row *verb_row_of(enum verb verb) {
        const struct verb_row *row = verb_rows;

        while (row->verb != verb)
                row++;
        return row;
}

/* Finds the verb at the beginning of the input. */
static enum parser_result match_verb(struct bytes input, const struct verb_row **rowp) {
        bool is_prefix = false;

        for (size_t i = 0; i < N_VERBS; i++) {
                const struct verb_row *row = &verb_rows[i];
                size_t n = input.length < row->length ? input.length : row->length;

                if (strncasecmp(input.data, row->name, n) != 0)
                        continue;
                if (n == row->length) {
                        *rowp = row;
                        return PARSER_OPERATION;
                }
                is_prefix = true;
        }
        return is_prefix ? PARSER_MORE : PARSER_VIOLATION;
}

/* Drops everything up to the end of the line, storing none of it. */
static enum parser_result skip_tail(struct parser *parser, struct bytes *input,
                                    const struct verb_row *row, struct operation *operation) {
        const char *end = memchr(input->data, '\n', input->length);
        size_t taken = end ? (size_t)(end + 1 - input->data) : input->length;

        input->data += taken;
        input->length -= taken;
        if (!end) {
                parser->pending = row->verb;
                return PARSER_MORE;
        }
        *operation = (struct operation){.verb = row->verb, .count = 1};
        return PARSER_OPERATION;
}

/* Takes one line of text up to its LF. */
static enum parser_result take_text(const struct parser *parser, const char *start,
                                    const char *limit, struct line *line) {
        const char *newline = memchr(start, '\n', (size_t)(limit - start));
        const char *end = newline ? newline : limit;

        if (end > start && end[-1] == '\r')
                end--;
        if ((size_t)(end - start) > parser->max_control_line)
                return PARSER_CONTROL_LINE;
        if (!newline)
                return PARSER_MORE;
        line->text = (struct bytes){start, (size_t)(end - start)};
        line->end = newline + 1;
        return PARSER_OPERATION;
}

/* Takes one line up to its LF and cuts it into tokens on the way. */
static enum parser_result take_tokens(const struct parser *parser, const char *start,
                                      const char *limit, struct line *line) {
        const char *p = start;

        line->n_tokens = 0;
        while (p < limit) {
                const char *token = p;

                while (p < limit && (unsigned char)*p > ' ')
                        p++;
                /* Other control bytes belong to the token. */
                while (p < limit && !is_blank(*p) && *p != '\r' && *p != '\n')
                        p++;
                if (p == limit)
                        break;
                if (p > token) {
                        if (line->n_tokens < MAX_TOKENS)
                                line->tokens[line->n_tokens] =
                                        (struct bytes){token, (size_t)(p - token)};
                        line->n_tokens += line->n_tokens <= MAX_TOKENS;
                }
                if (is_blank(*p)) {
                        p++;
                        continue;
                }
                if ((size_t)(p - start) > parser->max_control_line)
                        return PARSER_CONTROL_LINE;
                line->text = (struct bytes){start, (size_t)(p - start)};
                if (*p == '\r') {
                        if (p + 1 == limit)
                                return PARSER_MORE;
                        if (p[1] != '\n')
                                return PARSER_VIOLATION;
                        p++;
                }
                line->end = p + 1;
                return PARSER_OPERATION;
        }
        return (size_t)(p - start) > parser->max_control_line ? PARSER_CONTROL_LINE : PARSER_MORE;
}

static bool parse_size(struct bytes token, size_t *sizep) {
        uint64_t size;

        if (bytes_parse_number(token, PROTOCOL_SIZE_DIGITS, &size) < 0)
                return false;
        *sizep = (size_t)size;
        return true;
}

/* PUB subject [reply] size, HPUB subject [reply] header-size size */
static enum parser_result parse_publish(const struct parser *parser, const struct line *line,
                                        struct operation *operation) {
        size_t n_sizes = operation->verb == VERB_HPUB ? 2 : 1;
        size_t n = line->n_tokens;

        if (n < 1 + n_sizes || n > 2 + n_sizes || (n_sizes == 2 && !parser->headers))
                return PARSER_VIOLATION;
        operation->subject = line->tokens[0];
        if (n == 2 + n_sizes)
                operation->reply = line->tokens[1];
        if (!parse_size(line->tokens[n - 1], &operation->payload.length))
                return PARSER_VIOLATION;
        if (n_sizes == 2 && (!parse_size(line->tokens[n - 2], &operation->header_size) ||
                             operation->header_size > operation->payload.length))
                return PARSER_VIOLATION;
        if (operation->payload.length > parser->max_payload)
                return PARSER_PAYLOAD;
        return PARSER_OPERATION;
}

/* SUB subject [queue] sid */
static enum parser_result parse_subscribe(const struct line *line, struct operation *operation) {
        size_t n = line->n_tokens;

        if (n < 2 || n > 3)
                return PARSER_VIOLATION;
        operation->subject = line->tokens[0];
        if (n == 3)
                operation->queue = line->tokens[1];
        operation->sid = line->tokens[n - 1];
        return PARSER_OPERATION;
}

/* UNSUB sid [max]; what is no number means now (protocol.md 4.1). */
static enum parser_result parse_unsubscribe(const struct line *line, struct operation *operation) {
        size_t n = line->n_tokens;

        if (n < 1 || n > 2)
                return PARSER_VIOLATION;
        operation->sid = line->tokens[0];
        if (n == 2 && bytes_parse_number(line->tokens[1], 19, &operation->max) < 0)
                operation->max = 0;
        return PARSER_OPERATION;
}

static enum parser_result parse_line(const struct parser *parser, const struct line *line,
                                     struct operation *operation) {
        switch (operation->verb) {
        case VERB_PUB:
        case VERB_HPUB:
                return parse_publish(parser, line, operation);
        case VERB_SUB:
                return parse_subscribe(line, operation);
        case VERB_UNSUB:
                return parse_unsubscribe(line, operation);
        default:
                return PARSER_OPERATION;
        }
}

/* Takes the payload behind a line: its bytes, then CR LF. */
static enum parser_result take_payload(struct parser *parser, struct bytes *input,
                                       const char *start, struct operation *operation) {
        size_t size = operation->payload.length;
        size_t available = (size_t)(input->data + input->length - start);

        if (available > size && start[size] != '\r')
                return PARSER_VIOLATION;
        if (available < size + 2) {
                parser->needed = (size_t)(start - input->data) + size + 2;
                return PARSER_MORE;
        }
        if (start[size + 1] != '\n')
                return PARSER_VIOLATION;
        operation->payload.data = start;
        input->length = available - size - 2;
        input->data = start + size + 2;
        return PARSER_OPERATION;
}

/* Takes the arguments behind the verb, and the payload if there is one. */
static enum parser_result take_arguments(struct parser *parser, struct bytes *input,
                                         const char *start, const struct verb_row *row,
                                         struct operation *operation) {
        const char *limit = input->data + input->length;
        struct line line = {.n_tokens = 0};
        enum parser_result result;

        while (start < limit && is_blank(*start))
                start++;
        if (start == limit) {
                /* Blanks have no limit in number, so they are not kept. */
                *input = (struct bytes){limit, 0};
                parser->pending = row->verb;
                return PARSER_MORE;
        }
        *operation = (struct operation){.verb = row->verb, .count = 1};
        if (row->tail != TAIL_TOKENS) {
                result = take_text(parser, start, limit, &line);
        } else {
                result = take_tokens(parser, start, limit, &line);
                if (result == PARSER_OPERATION)
                        result = parse_line(parser, &line, operation);
        }
        if (result != PARSER_OPERATION)
                return result;
        operation->arguments = line.text;
        if (row->verb == VERB_PUB || row->verb == VERB_HPUB)
                return take_payload(parser, input, line.end, operation);
        input->length = (size_t)(limit - line.end);
        input->data = line.end;
        return PARSER_OPERATION;
}

/* Goes on behind the verb, `start` being the byte behind it. */
static enum parser_result take_tail(struct parser *parser, struct bytes *input, const char *start,
                                    const struct verb_row *row, struct operation *operation) {
        bool needs_blank = row->tail == TAIL_TOKENS || row->tail == TAIL_TEXT_AFTER_BLANK;

        if (row->tail == TAIL_IGNORED)
                return skip_tail(parser, input, row, operation);
        if (needs_blank) {
                if (start == input->data + input->length)
                        return PARSER_MORE;
                if (!is_blank(*start))
                        return PARSER_VIOLATION;
        }
        return take_arguments(parser, input, start, row, operation);
}

/* The bytes up to the next blank or control character. */
static inline struct bytes take_word(const char *start, const char *limit) {
        const char *p = start;

        while (p < limit && (unsigned char)*p > ' ')
                p++;
        return (struct bytes){start, (size_t)(p - start)};
}

/* Counts the PUBs with the same line and size from the beginning of the input on, as far as they
 * fit max_length. Whoever publishes much at once often publishes much of the same, and comparing is
 * faster than taking apart. */
static size_t count_run(struct bytes input, size_t line_length, size_t stride, size_t max_length) {
        struct bytes line = {input.data, line_length};
        const char *next = input.data + stride;
        size_t left = (input.length < max_length ? input.length : max_length), n = 1;

        for (left -= stride < left ? stride : left; left >= stride; left -= stride) {
                if (!bytes_equal((struct bytes){next, line_length}, line) ||
                    memcmp(next + stride - 2, "\r\n", 2) != 0)
                        break;
                next += stride;
                n++;
        }
        return n;
}

/* Takes a PUB in the form in which libraries write it: single spaces, CR LF, and all of it there.
 * Returns false, with nothing taken, if it is not of that form; it may be a valid one still. */
static bool take_usual_publish(const struct parser *parser, struct bytes *input,
                               struct operation *operation) {
        const char *start = input->data + 4, *limit = input->data + input->length, *end;
        struct bytes subject, reply = {NULL, 0}, number;
        size_t size, stride, count = 1;

        if (memcmp(input->data, "PUB ", 4) != 0)
                return false;
        subject = take_word(start, limit);
        end = subject.data + subject.length;
        if (subject.length == 0 || end == limit || *end != ' ')
                return false;
        number = take_word(end + 1, limit);
        end = number.data + number.length;
        if (end < limit && *end == ' ') {
                if (number.length == 0)
                        return false;
                reply = number;
                number = take_word(end + 1, limit);
                end = number.data + number.length;
        }
        if (limit - end < 4 || memcmp(end, "\r\n", 2) != 0 || !parse_size(number, &size) ||
            (size_t)(end - start) > parser->max_control_line || size > parser->max_payload ||
            (size_t)(limit - end) < size + 4 || memcmp(end + 2 + size, "\r\n", 2) != 0)
                return false;
        stride = (size_t)(end - input->data) + size + 4;
        /* A request is one by itself: whether somebody hears it is known for each. */
        if (reply.length == 0)
                count = count_run(*input, (size_t)(end + 2 - input->data), stride, parser->max_run);
        *operation = (struct operation){
                .verb = VERB_PUB,
                .arguments = {start, (size_t)(end - start)},
                .subject = subject,
                .reply = reply,
                .payload = {end + 2, size},
                .count = count,
                .stride = stride,
        };
        input->data += count * stride;
        input->length = (size_t)(limit - input->data);
        return true;
}

enum parser_result parser_next(struct parser *parser, struct bytes *input,
                               struct operation *operation) {
        const struct verb_row *row = &verb_rows[0];
        enum parser_result result;

        parser->needed = 0;
        if (input->length == 0)
                return PARSER_MORE;
        if (parser->pending != VERB_NONE) {
                row = verb_row_of(parser->pending);
                parser->pending = VERB_NONE;
                if (row->tail == TAIL_IGNORED)
                        return skip_tail(parser, input, row, operation);
                result = take_arguments(parser, input, input->data, row, operation);
                /* What is kept has no verb in front of it. */
                if (result == PARSER_MORE)
                        parser->pending = row->verb;
                return result;
        }
        if (input->length > 8 && take_usual_publish(parser, input, operation))
                return PARSER_OPERATION;
        result = match_verb(*input, &row);
        if (result != PARSER_OPERATION)
                return result;
        return take_tail(parser, input, input->data + row->length, row, operation);
}
