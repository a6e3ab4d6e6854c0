/* Subjects: validity and matching. See subject.h. */
#include "lib/subject.h"

enum subject_kind { SUBJECT_INVALID, SUBJECT_LITERAL, SUBJECT_WILDCARD };

static enum subject_kind subject_classify(struct bytes subject) {
        enum subject_kind kind = SUBJECT_LITERAL;
        struct bytes token;

        if (subject.length == 0)
                return SUBJECT_INVALID;
        while (subject_next_token(&subject, &token)) {
                if (token.length == 0)
                        return SUBJECT_INVALID;
                if (subject_token_is(token, '*'))
                        kind = SUBJECT_WILDCARD;
                if (subject_token_is(token, '>'))
                        return subject.data ? SUBJECT_INVALID : SUBJECT_WILDCARD;
        }
        return kind;
}

bool subject_is_valid(struct bytes subject) {
        return subject_classify(subject) != SUBJECT_INVALID;
}

bool subject_is_literal(struct bytes subject) {
        return subject_classify(subject) == SUBJECT_LITERAL;
}

bool subject_has_wildcard(struct bytes subject) {
        return subject_classify(subject) == SUBJECT_WILDCARD;
}

bool subject_has_empty_token(struct bytes subject) {
        if (subject.length == 0 || subject.data[0] == '.' ||
            subject.data[subject.length - 1] == '.')
                return true;
        return memmem(subject.data, subject.length, "..", 2) != NULL;
}

bool subject_tokens_match(struct bytes pattern, struct bytes subject) {
        struct bytes expected, token;

        while (subject_next_token(&pattern, &expected)) {
                if (!subject_next_token(&subject, &token))
                        return false;
                if (subject_token_is(expected, '>'))
                        return true;
                if (!subject_token_is(expected, '*') && !bytes_equal(expected, token))
                        return false;
        }
        return !subject.data;
}

bool subject_matches(struct bytes pattern, struct bytes subject) {
        return !subject_has_empty_token(subject) && subject_tokens_match(pattern, subject);
}

/* All that a `>` stands for, `*` does not; so the text of a pattern is matched as a subject is, but
 * for its last token. */
bool subject_is_subset(struct bytes part, struct bytes whole) {
        struct bytes expected, token;

        while (subject_next_token(&whole, &expected)) {
                if (!subject_next_token(&part, &token))
                        return false;
                if (subject_token_is(expected, '>'))
                        return true;
                if (subject_token_is(token, '>'))
                        return false;
                if (!subject_token_is(expected, '*') && !bytes_equal(expected, token))
                        return false;
        }
        return !part.data;
}

bool subject_overlaps(struct bytes a, struct bytes b) {
        struct bytes x, y;

        while (subject_next_token(&a, &x)) {
                if (!subject_next_token(&b, &y))
                        return false;
                if (subject_token_is(x, '>') || subject_token_is(y, '>'))
                        return true;
                if (!subject_token_is(x, '*') && !subject_token_is(y, '*') && !bytes_equal(x, y))
                        return false;
        }
        return !b.data;
}
