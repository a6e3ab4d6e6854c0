/* What a peer's certificate says of it: its names, in the order in which they are tried as names of
 * users (protocol.md, 7.7), and its subject.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct x509_st;

enum certificate_name_kind {
        CERTIFICATE_EMAIL,
        CERTIFICATE_DNS,
        CERTIFICATE_URI,
        CERTIFICATE_DN,      /* a distinguished name, whose attributes may be in any order */
        CERTIFICATE_SUBJECT, /* the same as a text */
};

struct certificate_name {
        enum certificate_name_kind kind;
        char *text; /* owned; UTF-8 without control characters */
};

struct certificate {
        char *subject; /* owned; as RFC 2253 writes it, "" if it has none */
        struct certificate_name *names;
        size_t n_names;
};

/* Reads a certificate. Returns a new one, or NULL if there is no memory. */
struct certificate *certificate_new(const struct x509_st *x509);

/* NULL is allowed. Returns NULL. */
struct certificate *certificate_free(struct certificate *certificate);

/* Whether one of the names of a certificate is the name of this user. */
bool certificate_name_is(const struct certificate_name *name, const char *user);
