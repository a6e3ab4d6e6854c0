/* Subjects: tokens separated by dots, and the two wildcards (protocol.md, section 5).
 *
 * `*` stands for exactly one token and `>` for one or more at the end, each only as a whole token;
 * matching is by bytes. Pure functions, any thread.
 */
#pragma once

#include "lib/bytes.h"

/* Whether a subscription may have this subject: no empty token, `>` only at the end. */
bool subject_is_valid(struct bytes subject);

/* Whether it is valid and has no wildcard, so that a message may be published to it in pedantic
 * mode. */
bool subject_is_literal(struct bytes subject);

/* Whether a valid subject has a wildcard token. */
bool subject_has_wildcard(struct bytes subject);

/* Whether a message to `subject` (any text) reaches a subscription to the valid `pattern`. An empty
 * token in the subject matches nothing. */
bool subject_matches(struct bytes pattern, struct bytes subject);

/* Whether any token of a text is empty, as the only one of an empty text is. */
bool subject_has_empty_token(struct bytes subject);

/* As subject_matches(), but an empty token is a token like others: for queue names, and for
 * subjects that have none. */
bool subject_tokens_match(struct bytes pattern, struct bytes subject);

/* Whether everything that a subscription to the valid `part` gets is also what one to the valid
 * `whole` gets; and whether there is something that both get. */
bool subject_is_subset(struct bytes part, struct bytes whole);
bool subject_overlaps(struct bytes a, struct bytes b);

/* Takes the first token off *rest. Returns false when there is none left. Start with *rest the
 * whole subject; afterwards rest->data is NULL when that was the last token. */
static inline bool subject_next_token(struct bytes *rest, struct bytes *token) {
        const char *dot;

        if (!rest->data)
                return false;
        dot = memchr(rest->data, '.', rest->length);
        if (!dot) {
                *token = *rest;
                *rest = (struct bytes){NULL, 0};
        } else {
                *token = (struct bytes){rest->data, (size_t)(dot - rest->data)};
                rest->length -= token->length + 1;
                rest->data = dot + 1;
        }
        return true;
}

/* Whether a token is the wildcard `wildcard`. */
static inline bool subject_token_is(struct bytes token, char wildcard) {
        return token.length == 1 && token.data[0] == wildcard;
}
