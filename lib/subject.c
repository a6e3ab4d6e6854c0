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

static bool subject_has_empty_token(struct bytes subject) {
        struct bytes token;

        while (subject_next_token(&subject, &token))
                if (token.length == 0)
                        return true;
        return false;
}

bool subject_matches(struct bytes pattern, struct bytes subject) {
        struct bytes expected, token;

        if (subject.length == 0 || subject_has_empty_token(subject))
                return false;
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
