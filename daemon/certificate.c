/* Certificates of peers. See certificate.h.
 *
 * Each name was written by whoever asked an authority for the certificate. One that holds a NUL or
 * another control character is not looked at: what stands before it is not the name.
 */
#include "daemon/certificate.h"

#include "lib/bytes.h"
#include "lib/text.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Attributes of a distinguished name. */
#define ATTRIBUTES_MAX 64

/* --- distinguished names -------------------------------------------------------------------- */

/* "CN=bob", without blanks around; a slice of the text. */
struct attribute {
        const char *text;
        size_t length;
        size_t n_type; /* length of what stands before "=" */
};

struct attributes {
        struct attribute all[ATTRIBUTES_MAX];
        size_t n;
};

/* Where the attribute that begins here ends: at a comma or plus that is not escaped. */
static const char *attribute_end(const char *text) {
        while (*text && *text != ',' && *text != '+')
                text += *text == '\\' && text[1] ? 2 : 1;
        return text;
}

static bool attribute_read(struct attribute *attribute, const char *text, const char *end) {
        const char *equals;

        while (text < end && *text == ' ')
                text++;
        while (end > text && end[-1] == ' ')
                end--;
        equals = memchr(text, '=', (size_t)(end - text));
        if (!equals || equals == text)
                return false;
        *attribute = (struct attribute){text, (size_t)(end - text), (size_t)(equals - text)};
        return true;
}

/* Takes a distinguished name apart. Returns false if it is none. */
static bool attributes_read(struct attributes *attributes, const char *text) {
        attributes->n = 0;
        for (;;) {
                const char *end = attribute_end(text);

                if (attributes->n == ATTRIBUTES_MAX ||
                    !attribute_read(&attributes->all[attributes->n++], text, end))
                        return false;
                if (*end == '\0')
                        return true;
                text = end + 1;
        }
}

static bool attribute_is_equal(const struct attribute *a, const struct attribute *b) {
        return a->length == b->length && a->n_type == b->n_type &&
               strncasecmp(a->text, b->text, a->n_type) == 0 &&
               memcmp(a->text + a->n_type, b->text + b->n_type, a->length - a->n_type) == 0;
}

/* Whether both have the same attributes, each as often. */
static bool dn_is_equal(const char *a, const char *b) {
        struct attributes x, y;
        size_t k;

        if (!attributes_read(&x, a) || !attributes_read(&y, b) || x.n != y.n)
                return false;
        for (size_t i = 0; i < x.n; i++) {
                for (k = 0; k < y.n && !attribute_is_equal(&x.all[i], &y.all[k]); k++)
                        ;
                if (k == y.n)
                        return false;
                y.all[k] = y.all[--y.n];
        }
        return true;
}

static bool is_domain_component(const struct attribute *attribute) {
        return attribute->n_type == 2 && strncasecmp(attribute->text, "DC", 2) == 0;
}

/* The name without its domain components; NULL if there is no memory. */
static char *dn_without_domain(const char *dn) {
        char *text = malloc(strlen(dn) + 1), *to = text;
        struct attributes attributes;

        if (!text)
                return NULL;
        if (!attributes_read(&attributes, dn))
                attributes.n = 0;
        for (size_t i = 0; i < attributes.n; i++) {
                const struct attribute *attribute = &attributes.all[i];

                if (is_domain_component(attribute))
                        continue;
                if (to > text)
                        *to++ = ',';
                memcpy(to, attribute->text, attribute->length);
                to += attribute->length;
        }
        *to = '\0';
        return text;
}

/* --- reading -------------------------------------------------------------------------------- */

/* Adds a name, taking its text over; one that is empty is left out. */
static bool add_name(struct certificate *certificate, enum certificate_name_kind kind, char *text) {
        struct certificate_name *names;

        if (!text)
                return false;
        if (*text == '\0') {
                free(text);
                return true;
        }
        names = reallocarray(certificate->names, certificate->n_names + 1, sizeof(*names));
        if (!names) {
                free(text);
                return false;
        }
        names[certificate->n_names++] = (struct certificate_name){kind, text};
        certificate->names = names;
        return true;
}

static bool add_string(struct certificate *certificate, enum certificate_name_kind kind,
                       const ASN1_STRING *string) {
        const char *bytes = (const char *)ASN1_STRING_get0_data(string);
        int length = ASN1_STRING_length(string);

        if (length <= 0 || !text_is_printable(bytes, (size_t)length))
                return true;
        return add_name(certificate, kind, bytes_duplicate((struct bytes){bytes, (size_t)length}));
}

static bool add_alternatives(struct certificate *certificate, const GENERAL_NAMES *alternatives,
                             int type, enum certificate_name_kind kind) {
        for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); i++) {
                const GENERAL_NAME *alternative = sk_GENERAL_NAME_value(alternatives, i);

                if (alternative->type == type && !add_string(certificate, kind, alternative->d.ia5))
                        return false;
        }
        return true;
}

/* The text of a name, "" if it cannot be one; NULL if there is no memory. */
static char *dn_text(const X509_NAME *name) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *bytes = NULL, *text = NULL;
        long n;

        /* Control characters are escaped, other characters are UTF-8. */
        if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
                n = BIO_get_mem_data(bio, &bytes);
                if (n > 0 && text_is_printable(bytes, (size_t)n))
                        text = bytes_duplicate((struct bytes){bytes, (size_t)n});
                else
                        text = strdup("");
        }
        BIO_free(bio);
        return text;
}

static bool read_subject(struct certificate *certificate) {
        const char *subject = certificate->subject;
        char *plain = dn_without_domain(subject);
        bool has_domain = plain && strlen(plain) != strlen(subject);

        return add_name(certificate, CERTIFICATE_DN, plain) &&
               (!has_domain || add_name(certificate, CERTIFICATE_DN, strdup(subject))) &&
               add_name(certificate, CERTIFICATE_SUBJECT, strdup(subject));
}

struct certificate *certificate_new(const X509 *x509) {
        struct certificate *certificate = calloc(1, sizeof(*certificate));
        GENERAL_NAMES *alternatives;
        bool is_read;

        if (!certificate)
                return NULL;
        alternatives = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
        certificate->subject = dn_text(X509_get_subject_name(x509));
        is_read = certificate->subject &&
                  add_alternatives(certificate, alternatives, GEN_EMAIL, CERTIFICATE_EMAIL) &&
                  add_alternatives(certificate, alternatives, GEN_DNS, CERTIFICATE_DNS) &&
                  add_alternatives(certificate, alternatives, GEN_URI, CERTIFICATE_URI) &&
                  read_subject(certificate);
        GENERAL_NAMES_free(alternatives);
        return is_read ? certificate : certificate_free(certificate);
}

struct certificate *certificate_free(struct certificate *certificate) {
        if (!certificate)
                return NULL;
        for (size_t i = 0; i < certificate->n_names; i++)
                free(certificate->names[i].text);
        free(certificate->names);
        free(certificate->subject);
        free(certificate);
        return NULL;
}

bool certificate_name_is(const struct certificate_name *name, const char *user) {
        if (name->kind == CERTIFICATE_DN)
                return dn_is_equal(name->text, user);
        return strcmp(name->text, user) == 0;
}
