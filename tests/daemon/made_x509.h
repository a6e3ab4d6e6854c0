/* Keys and certificates that a test makes for itself. What cannot be made fails the test; what is
 * made the caller frees. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct made {
        EVP_PKEY *key;
        X509 *x509;
};

static inline void made_free(struct made *made) {
        EVP_PKEY_free(made->key);
        X509_free(made->x509);
        *made = (struct made){NULL, NULL};
}

/* "C=US/O=Acme/CN=bob" */
static inline void made_set_subject(X509_NAME *name, const char *subject) {
        char text[512], *part, *rest = NULL;

        snprintf(text, sizeof(text), "%s", subject);
        for (part = strtok_r(text, "/", &rest); part; part = strtok_r(NULL, "/", &rest)) {
                char *value = strchr(part, '=');

                assert_non_null(value);
                *value++ = '\0';
                assert_int_equal(X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8,
                                                            (unsigned char *)value, -1, -1, 0),
                                 1);
        }
}

/* extensions: pairs of a short name and a value, as openssl.cnf has them, with NULL at the end. */
static inline struct made made_certificate(const struct made *issuer, const char *subject,
                                           const char *const *extensions, long expires_in_s) {
        struct made made = {EVP_EC_gen("P-256"), X509_new()};
        const struct made *by = issuer ? issuer : &made;
        X509V3_CTX context;

        assert_true(made.key && made.x509);
        assert_int_equal(X509_set_version(made.x509, X509_VERSION_3), 1);
        ASN1_INTEGER_set(X509_get_serialNumber(made.x509), 1);
        X509_gmtime_adj(X509_getm_notBefore(made.x509), -3600);
        X509_gmtime_adj(X509_getm_notAfter(made.x509), expires_in_s);
        made_set_subject(X509_get_subject_name(made.x509), subject);
        X509_set_issuer_name(made.x509, X509_get_subject_name(by->x509));
        X509_set_pubkey(made.x509, made.key);
        X509V3_set_ctx(&context, by->x509, made.x509, NULL, NULL, 0);
        for (; extensions && *extensions; extensions += 2) {
                X509_EXTENSION *extension =
                        X509V3_EXT_nconf(NULL, &context, extensions[0], extensions[1]);

                assert_non_null(extension);
                X509_add_ext(made.x509, extension, -1);
                X509_EXTENSION_free(extension);
        }
        assert_true(X509_sign(made.x509, by->key, EVP_sha256()) > 0);
        return made;
}

static inline void made_write_certificate(const struct made *made, const char *path,
                                          const char *mode) {
        FILE *file = fopen(path, mode);

        assert_non_null(file);
        assert_int_equal(PEM_write_X509(file, made->x509), 1);
        assert_int_equal(fclose(file), 0);
}

static inline void made_write_key(const struct made *made, const char *path) {
        FILE *file = fopen(path, "we");

        assert_non_null(file);
        assert_int_equal(PEM_write_PrivateKey(file, made->key, NULL, NULL, 0, NULL, NULL), 1);
        assert_int_equal(fclose(file), 0);
}
