/* TLS of a handle: the handshake, and the way through it to the socket and back.
 *
 * It begins when INFO has come, unless the program says that the server wants it first. The server
 * has to prove that it is who the address names; what it does not prove ends the connection.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

int sockd_tls_check_info(struct sockd *sockd) {
        bool is_required = json_is_true(json_object_get(sockd->info, "tls_required"));

        if (!sockd->wants_tls && !is_required)
                return 0;
        if (!is_required && !json_is_true(json_object_get(sockd->info, "tls_available")))
                return sockd_fail(sockd, -EPROTONOSUPPORT, "the server does not offer TLS");
        /* Anybody could have put that there. */
        if (sockd->start != sockd->end)
                return sockd_fail(sockd, SOCKD_VIOLATION,
                                  "the server said more than INFO before TLS");
        if (!sockd->host[0])
                return sockd_fail(sockd, -EPROTONOSUPPORT,
                                  "the server wants TLS, and it is not known who it should be");
        sockd->wants_tls = true;
        return 0;
}

#ifdef HAVE_TLS

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

struct sockd_tls {
        SSL_CTX *ssl_ctx;
        SSL *ssl;
        BIO_METHOD *method;
        int descriptor;                    /* borrowed */
        short send_events, receive_events; /* what to wait for when either cannot go on */
};

/* --- the socket ----------------------------------------------------------------------------- */

/* As OpenSSL's own way to sockets, but for the signal. */
static int on_write(BIO *bio, const char *bytes, int n_bytes) {
        ssize_t n =
                send(BIO_get_fd(bio, NULL), bytes, (size_t)n_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        BIO_clear_retry_flags(bio);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                BIO_set_retry_write(bio);
        return (int)n;
}

static BIO *open_socket(struct sockd_tls *tls) {
        const BIO_METHOD *socket = BIO_s_socket();
        BIO *bio;

        tls->method = BIO_meth_new(BIO_TYPE_SOCKET, "sockd");
        if (!tls->method || BIO_meth_set_write(tls->method, on_write) != 1 ||
            BIO_meth_set_read(tls->method, BIO_meth_get_read(socket)) != 1 ||
            BIO_meth_set_ctrl(tls->method, BIO_meth_get_ctrl(socket)) != 1 ||
            BIO_meth_set_create(tls->method, BIO_meth_get_create(socket)) != 1 ||
            BIO_meth_set_destroy(tls->method, BIO_meth_get_destroy(socket)) != 1)
                return NULL;
        bio = BIO_new(tls->method);
        if (bio)
                BIO_set_fd(bio, tls->descriptor, BIO_NOCLOSE);
        return bio;
}

/* --- the beginning -------------------------------------------------------------------------- */

static const char *openssl_reason(void) {
        unsigned long error = ERR_peek_error();
        const char *text = ERR_GET_LIB(error) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(error))
                                                             : ERR_reason_error_string(error);

        ERR_clear_error();
        return text ? text : "no reason is given";
}

static int refuse_file(struct sockd *sockd, const char *file, const char *what) {
        return sockd_fail(sockd, SOCKD_TLS, "%s: %s: %s", file, what, openssl_reason());
}

static int use_files(struct sockd *sockd, SSL_CTX *ssl_ctx) {
        const char *key = sockd->key ? sockd->key : sockd->certificate;

        if (!sockd->ca && SSL_CTX_set_default_verify_paths(ssl_ctx) != 1)
                return refuse_file(sockd, "the system's authorities", "cannot be used");
        if (sockd->ca && SSL_CTX_load_verify_file(ssl_ctx, sockd->ca) != 1)
                return refuse_file(sockd, sockd->ca, "no certificates of authorities");
        if (!sockd->certificate)
                return 0;
        if (SSL_CTX_use_certificate_chain_file(ssl_ctx, sockd->certificate) != 1)
                return refuse_file(sockd, sockd->certificate, "no certificate");
        if (SSL_CTX_use_PrivateKey_file(ssl_ctx, key, SSL_FILETYPE_PEM) != 1 ||
            SSL_CTX_check_private_key(ssl_ctx) != 1)
                return refuse_file(sockd, key, "no key of that certificate");
        return 0;
}

/* Names who the server has to be. */
static bool set_host(const struct sockd *sockd, SSL *ssl) {
        X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
        unsigned char binary[sizeof(struct in6_addr)];
        char host[sizeof(sockd->host)];

        strcpy(host, sockd->host);
        host[strcspn(host, "%")] = '\0';
        if (inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 &&
               SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int make(struct sockd *sockd, struct sockd_tls *tls) {
        int result;
        BIO *bio;

        tls->ssl_ctx = SSL_CTX_new(TLS_client_method());
        if (!tls->ssl_ctx || SSL_CTX_set_min_proto_version(tls->ssl_ctx, TLS1_2_VERSION) != 1)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        (void)SSL_CTX_set_mode(tls->ssl_ctx,
                               SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        (void)SSL_CTX_set_options(tls->ssl_ctx,
                                  SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
        (void)SSL_CTX_set_read_ahead(tls->ssl_ctx, 1);
        SSL_CTX_set_verify(tls->ssl_ctx, SSL_VERIFY_PEER, NULL);
        result = use_files(sockd, tls->ssl_ctx);
        if (result)
                return result;
        tls->ssl = SSL_new(tls->ssl_ctx);
        bio = tls->ssl ? open_socket(tls) : NULL;
        if (!bio)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        SSL_set_bio(tls->ssl, bio, bio);
        return set_host(sockd, tls->ssl) ? 0 : sockd_fail(sockd, -ENOMEM, "out of memory");
}

/* Why the handshake failed. */
static int explain(struct sockd *sockd, SSL *ssl, int ssl_error) {
        long verified = SSL_get_verify_result(ssl);

        if (verified != X509_V_OK)
                return sockd_fail(sockd, SOCKD_TLS, "the server's certificate is not accepted: %s",
                                  X509_verify_cert_error_string(verified));
        if (ssl_error == SSL_ERROR_ZERO_RETURN || ssl_error == SSL_ERROR_SYSCALL)
                return sockd_fail(sockd, SOCKD_CLOSED,
                                  "the server closed the connection during the TLS handshake");
        return sockd_fail(sockd, SOCKD_TLS, "the TLS handshake failed: %s", openssl_reason());
}

static int shake_hands(struct sockd *sockd, SSL *ssl, int64_t deadline_ms) {
        for (;;) {
                int n, error, result;

                ERR_clear_error();
                n = SSL_connect(ssl);
                if (n == 1)
                        return 0;
                error = SSL_get_error(ssl, n);
                if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                        return explain(sockd, ssl, error);
                result = sockd_wait(sockd->descriptor,
                                    error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, deadline_ms);
                if (result)
                        return result;
        }
}

int sockd_tls_begin(struct sockd *sockd, int64_t deadline_ms) {
        int result;

        sockd->tls = calloc(1, sizeof(*sockd->tls));
        if (!sockd->tls)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        *sockd->tls = (struct sockd_tls){
                .descriptor = sockd->descriptor, .send_events = POLLOUT, .receive_events = POLLIN};
        ERR_clear_error();
        result = make(sockd, sockd->tls);
        if (result == 0)
                result = shake_hands(sockd, sockd->tls->ssl, deadline_ms);
        /* Something may have come with the handshake's end. */
        sockd->is_drained = false;
        return result;
}

void sockd_tls_deinit(struct sockd *sockd) {
        struct sockd_tls *tls = sockd->tls;

        if (!tls)
                return;
        if (tls->ssl && SSL_is_init_finished(tls->ssl))
                (void)SSL_shutdown(tls->ssl);
        SSL_free(tls->ssl);
        SSL_CTX_free(tls->ssl_ctx);
        BIO_meth_free(tls->method);
        ERR_clear_error();
        free(tls);
        sockd->tls = NULL;
}

/* --- afterwards ----------------------------------------------------------------------------- */

/* Sets errno as send(2) and recv(2) would; EPROTO is a failure of TLS. */
static ssize_t fail_as(int error) {
        errno = error;
        return -1;
}

ssize_t sockd_tls_send(struct sockd *sockd, const void *bytes, size_t n) {
        struct sockd_tls *tls = sockd->tls;
        size_t n_sent;
        int error;

        ERR_clear_error();
        if (SSL_write_ex(tls->ssl, bytes, n, &n_sent) == 1)
                return (ssize_t)n_sent;
        error = SSL_get_error(tls->ssl, 0);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                return fail_as(EPIPE); /* why, reading tells */
        tls->send_events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return fail_as(EAGAIN);
}

ssize_t sockd_tls_receive(struct sockd *sockd, void *bytes, size_t n, bool *is_drainedp) {
        struct sockd_tls *tls = sockd->tls;
        size_t n_received = 0;
        int error;

        ERR_clear_error();
        if (SSL_read_ex(tls->ssl, bytes, n, &n_received) == 1) {
                *is_drainedp = !SSL_has_pending(tls->ssl);
                return (ssize_t)n_received;
        }
        error = SSL_get_error(tls->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN)
                return 0;
        if (error == SSL_ERROR_SYSCALL)
                return fail_as(ECONNRESET);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
                (void)sockd_fail(sockd, SOCKD_TLS, "TLS failed: %s", openssl_reason());
                return fail_as(EPROTO);
        }
        tls->receive_events = error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return fail_as(EAGAIN);
}

short sockd_tls_send_events(const struct sockd *sockd) {
        return sockd->tls ? sockd->tls->send_events : POLLOUT;
}

short sockd_tls_receive_events(const struct sockd *sockd) {
        return sockd->tls ? sockd->tls->receive_events : POLLIN;
}

#else

int sockd_tls_begin(struct sockd *sockd, int64_t deadline_ms) {
        return sockd_fail(sockd, -EPROTONOSUPPORT, "TLS is needed, but was not built in");
}

void sockd_tls_deinit(struct sockd *sockd) {
}

ssize_t sockd_tls_send(struct sockd *sockd, const void *bytes, size_t n) {
        errno = EPROTO;
        return -1;
}

ssize_t sockd_tls_receive(struct sockd *sockd, void *bytes, size_t n, bool *is_drainedp) {
        errno = EPROTO;
        return -1;
}

short sockd_tls_send_events(const struct sockd *sockd) {
        return POLLOUT;
}

short sockd_tls_receive_events(const struct sockd *sockd) {
        return POLLIN;
}

#endif
