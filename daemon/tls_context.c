/* TLS of a listener, and towards targets. See tls_context.h.
 *
 * TLS 1.2 and 1.3; of 1.2 only what encrypts and authenticates at once (AEAD) and whose keys nobody
 * can learn afterwards from the certificate's (ECDHE). No compression, no renegotiation: neither is
 * needed, and both were weaknesses. Sessions are resumed by tickets (tls_tickets.h).
 */
#include "daemon/tls_context.h"

#include "daemon/config.h"
#include "daemon/key_memory.h"
#include "daemon/tls_file.h"
#include "daemon/tls_tickets.h"
#include "lib/reason.h"
#include "lib/secret.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#define CIPHERS_1_2                                                                                \
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS      "X25519:P-256:P-384"
/* A client's certificates, all together; a long chain of large keys has a fifth of it. */
#define CERTIFICATES_MAX (64 * 1024)

/* What is being made, of what, and what was wrong. */
struct making {
        SSL_CTX *ssl_ctx;
        const struct config_tls *config;
        const char *key;
        char *reason;
};

int tls_version_parse(const char *text) {
        if (strcmp(text, "1.2") == 0)
                return TLS_VERSION_1_2;
        return strcmp(text, "1.3") == 0 ? TLS_VERSION_1_3 : -1;
}

/* OpenSSL's words for what went wrong first, which is what the rest follows from. */
static const char *openssl_reason(void) {
        unsigned long error = ERR_get_error();
        const char *text = error ? ERR_reason_error_string(error) : NULL;

        ERR_clear_error();
        return text ? text : "no reason is given";
}

/* Says that what a file holds is not what it should. */
static int refuse(struct making *making, const char *key, const char *what) {
        making->key = key;
        return reason_set(&making->reason, -EINVAL, "%s (%s)", what, openssl_reason());
}

/* Says why a file cannot be read; takes the reason over. */
static int refuse_file(struct making *making, const char *key, const char *path, int error,
                       char *reason) {
        making->key = key;
        if (reason)
                (void)reason_set(&making->reason, error, "found \"%s\", which cannot be used: %s",
                                 path, reason);
        free(reason);
        return error;
}

static int read_file(struct making *making, const char *key, const char *path,
                     struct tls_file *file) {
        char *reason = NULL;
        int r = tls_file_read(file, path, &reason);

        return r < 0 ? refuse_file(making, key, path, r, reason) : 0;
}

static BIO *open_file(const struct tls_file *file) {
        return BIO_new_mem_buf(file->bytes, (int)file->length);
}

/* Nobody can be asked for the password of a key. */
static int no_password(char *buffer, int size, int is_writing, void *context) {
        return 0;
}

/* Whether reading certificates stopped because there are no more. */
static bool is_end_of_pem(void) {
        unsigned long error = ERR_peek_last_error();

        if (error != 0 &&
            !(ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE))
                return false;
        ERR_clear_error();
        return true;
}

/* --- certificate and key -------------------------------------------------------------------- */

static int use_chain(struct making *making, BIO *bio) {
        X509 *x509 = PEM_read_bio_X509(bio, NULL, no_password, NULL);
        bool is_used = x509 && SSL_CTX_use_certificate(making->ssl_ctx, x509) == 1;

        X509_free(x509);
        if (!is_used)
                return refuse(making, "cert", "expected a file that begins with a certificate");
        while ((x509 = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
                if (SSL_CTX_add0_chain_cert(making->ssl_ctx, x509) != 1) {
                        X509_free(x509);
                        return refuse(making, "cert", "cannot use a certificate of the chain");
                }
        }
        return is_end_of_pem() ? 0 : refuse(making, "cert", "cannot read the whole chain");
}

static int use_certificate(struct making *making) {
        struct tls_file file;
        int r = read_file(making, "cert", making->config->cert, &file);
        BIO *bio;

        if (r < 0)
                return r;
        bio = open_file(&file);
        r = bio ? use_chain(making, bio) : -ENOMEM;
        BIO_free(bio);
        tls_file_deinit(&file);
        return r;
}

/* Has the key sign something: what OpenSSL computes from it, to keep it, is computed now. */
static bool can_sign(EVP_PKEY *pkey) {
        static const unsigned char text[] = "sockd";
        size_t length = (size_t)EVP_PKEY_get_size(pkey);
        unsigned char *signature = OPENSSL_malloc(length);
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        bool is_signed = signature && digest &&
                         EVP_DigestSignInit_ex(digest, NULL, NULL, NULL, NULL, pkey, NULL) == 1 &&
                         EVP_DigestSign(digest, signature, &length, text, sizeof(text)) == 1;

        EVP_MD_CTX_free(digest);
        OPENSSL_free(signature);
        return is_signed;
}

static int use_secret(struct making *making, struct bytes text) {
        BIO *bio = BIO_new_mem_buf(text.data, (int)text.length);
        EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL) : NULL;
        int r = 0;

        if (!pkey)
                r = refuse(making, "key", "expected a file with a private key, without a password");
        else if (SSL_CTX_use_PrivateKey(making->ssl_ctx, pkey) != 1 ||
                 SSL_CTX_check_private_key(making->ssl_ctx) != 1)
                r = refuse(making, "key", "the key does not belong to the certificate in cert");
        else if (!can_sign(pkey))
                r = refuse(making, "key", "the key cannot sign");
        EVP_PKEY_free(pkey);
        BIO_free(bio);
        return r;
}

static int use_key(struct making *making) {
        const char *path = making->config->key;
        struct secret *secret;
        char *reason = NULL;
        int r = secret_from_credential(&secret, path, &reason);

        if (r < 0)
                return refuse_file(making, "key", path, r, reason);
        key_memory_begin();
        r = use_secret(making, secret_text(secret));
        key_memory_end();
        secret_free(secret);
        return r;
}

/* --- clients' certificates ------------------------------------------------------------------ */

/* Trusts the authorities, and has clients be told who they are. */
static int trust(struct making *making, BIO *bio) {
        X509_STORE *store = SSL_CTX_get_cert_store(making->ssl_ctx);
        unsigned n = 0;
        X509 *x509;

        while ((x509 = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
                bool is_used = X509_STORE_add_cert(store, x509) == 1 &&
                               SSL_CTX_add_client_CA(making->ssl_ctx, x509) == 1;

                X509_free(x509);
                if (!is_used)
                        return refuse(making, "ca", "cannot use a certificate");
                n++;
        }
        if (!is_end_of_pem() || n == 0)
                return refuse(making, "ca", "expected a file of certificates");
        return 0;
}

/* Has a server prove who it is. */
static int set_server_verification(struct making *making) {
        struct tls_file file = {.bytes = NULL};
        BIO *bio;
        int r;

        if (!making->config->verify)
                return 0;
        SSL_CTX_set_verify(making->ssl_ctx, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_max_cert_list(making->ssl_ctx, CERTIFICATES_MAX);
        if (!making->config->ca)
                return SSL_CTX_set_default_verify_paths(making->ssl_ctx) == 1 ? 0 : -ENOMEM;
        r = read_file(making, "ca", making->config->ca, &file);
        if (r < 0)
                return r;
        bio = open_file(&file);
        r = bio ? trust(making, bio) : -ENOMEM;
        BIO_free(bio);
        tls_file_deinit(&file);
        return r;
}

/* A session is resumed without the peer's showing a certificate again, and so only where the same
 * ones are asked for. */
static int set_session_context(struct making *making, const struct tls_file *ca) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;

        if (EVP_Digest(ca->bytes ? ca->bytes : "", ca->length, digest, &length, EVP_sha256(),
                       NULL) != 1 ||
            SSL_CTX_set_session_id_context(
                    making->ssl_ctx, digest,
                    length < SSL_MAX_SID_CTX_LENGTH ? length : SSL_MAX_SID_CTX_LENGTH) != 1)
                return -ENOMEM;
        return 0;
}

static int set_verification(struct making *making) {
        struct tls_file file = {.bytes = NULL};
        BIO *bio;
        int r;

        if (!making->config->verify)
                return set_session_context(making, &file);
        r = read_file(making, "ca", making->config->ca, &file);
        if (r < 0)
                return r;
        SSL_CTX_set_verify(making->ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
        SSL_CTX_set_max_cert_list(making->ssl_ctx, CERTIFICATES_MAX);
        bio = open_file(&file);
        r = bio ? trust(making, bio) : -ENOMEM;
        if (r == 0)
                r = set_session_context(making, &file);
        BIO_free(bio);
        tls_file_deinit(&file);
        return r;
}

/* --- the whole ------------------------------------------------------------------------------ */

static int set_protocol(SSL_CTX *ssl_ctx, int min_version) {
        /* What was received is wiped once it has been read: it may be a password. */
        (void)SSL_CTX_set_options(
                ssl_ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                 SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_IGNORE_UNEXPECTED_EOF);
        /* What the outbox has may move between two tries; an idle connection has no buffers; and
         * input is read by the record, not by its header and body. */
        (void)SSL_CTX_set_mode(ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                                SSL_MODE_RELEASE_BUFFERS);
        (void)SSL_CTX_set_read_ahead(ssl_ctx, 1);
        if (SSL_CTX_set_min_proto_version(ssl_ctx, min_version == TLS_VERSION_1_3
                                                           ? TLS1_3_VERSION
                                                           : TLS1_2_VERSION) != 1 ||
            SSL_CTX_set_cipher_list(ssl_ctx, CIPHERS_1_2) != 1 ||
            SSL_CTX_set_ciphersuites(ssl_ctx, CIPHERS_1_3) != 1 ||
            SSL_CTX_set1_groups_list(ssl_ctx, GROUPS) != 1)
                return -ENOMEM;
        return 0;
}

static int use_certificate_and_key(struct making *making) {
        int r = use_certificate(making);

        return r == 0 ? use_key(making) : r;
}

static int make(struct making *making) {
        const struct config_tls *config = making->config;
        int r = set_protocol(making->ssl_ctx, config->min_version);

        if (r == 0 && !config->is_client)
                r = tls_tickets_enable(making->ssl_ctx);
        if (r == 0 && config->cert)
                r = use_certificate_and_key(making);
        if (r < 0)
                return r;
        return config->is_client ? set_server_verification(making) : set_verification(making);
}

static struct tls_context *context_of(const struct making *making) {
        const struct config_tls *config = making->config;
        struct tls_context *context = calloc(1, sizeof(*context));
        char *name = context && config->name ? strdup(config->name) : NULL;

        if (!context || (config->name && !name)) {
                free(context);
                return NULL;
        }
        *context = (struct tls_context){
                .n_references = 1,
                .ssl_ctx = making->ssl_ctx,
                .is_client = config->is_client,
                .name = name,
                .is_required = config->required,
                .is_first = config->first,
                .verifies = config->verify,
                .maps = config->map,
                .timeout_ms = config->timeout_ms,
        };
        return context;
}

int tls_context_new(struct tls_context **contextp, const struct config_tls *config,
                    const char **keyp, char **reasonp) {
        struct making making = {.ssl_ctx = SSL_CTX_new(config->is_client ? TLS_client_method()
                                                                         : TLS_server_method()),
                                .config = config};
        int r = -ENOMEM;

        ERR_clear_error();
        if (making.ssl_ctx)
                r = make(&making);
        if (r == 0) {
                *contextp = context_of(&making);
                r = *contextp ? 0 : -ENOMEM;
        }
        if (r < 0)
                SSL_CTX_free(making.ssl_ctx);
        ERR_clear_error();
        *keyp = making.key;
        *reasonp = making.reason;
        return r;
}

struct tls_context *tls_context_ref(struct tls_context *context) {
        if (context)
                atomic_fetch_add_explicit(&context->n_references, 1, memory_order_relaxed);
        return context;
}

struct tls_context *tls_context_unref(struct tls_context *context) {
        if (!context ||
            atomic_fetch_sub_explicit(&context->n_references, 1, memory_order_acq_rel) != 1)
                return NULL;
        SSL_CTX_free(context->ssl_ctx);
        free(context->name);
        free(context);
        return NULL;
}
