/* Mapping of subjects. See subject_map.h. */
#include "lib/subject_map.h"

#include "lib/subject.h"

static bool is_wildcard(struct bytes token) {
        return subject_token_is(token, '*') || subject_token_is(token, '>');
}

/* The next wildcard of a pattern, as its token; an empty one if there is none. */
static struct bytes next_wildcard(struct bytes *rest) {
        struct bytes token;

        while (subject_next_token(rest, &token))
                if (is_wildcard(token))
                        return token;
        return (struct bytes){"", 0};
}

bool subject_map_is_possible(struct bytes from, struct bytes to) {
        struct bytes a, b;

        do {
                a = next_wildcard(&from);
                b = next_wildcard(&to);
        } while (a.length > 0 && bytes_equal(a, b));
        return a.length == 0 && b.length == 0;
}

/* What the next wildcard of `from` stands for in the subject. Returns false if there is nothing. */
static bool next_captured(struct bytes *from, struct bytes *subject, struct bytes *captured) {
        struct bytes expected, token, rest;

        do {
                rest = *subject;
                if (!subject_next_token(from, &expected) || !subject_next_token(subject, &token))
                        return false;
        } while (!is_wildcard(expected));
        *captured = subject_token_is(expected, '>') ? rest : token;
        return true;
}

size_t subject_map_apply(struct bytes from, struct bytes to, struct bytes subject, char *text,
                         size_t size) {
        struct bytes token;
        size_t length = 0;

        while (subject_next_token(&to, &token)) {
                if (is_wildcard(token) && !next_captured(&from, &subject, &token))
                        return 0;
                if (length + 1 + token.length > size)
                        return 0;
                if (length > 0)
                        text[length++] = '.';
                bytes_copy(text + length, token);
                length += token.length;
        }
        return length;
}
