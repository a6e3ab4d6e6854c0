/* TLS of one connection. See tls.h. */
#include "daemon/tls.h"

#include "daemon/tls_context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

/* All that one side says in a handshake, and what it sends before it has heard the other. */
#define QUEUE_MAX (256 * 1024)
/* A record that the socket has not taken, and some answers of OpenSSL's. */
#define ANSWERS_MAX (TLS_RECORD_MAX + 4096)
/* Of a name, or of an address with its zone. */
#define HOST_SIZE 256

/* --- queues --------------------------------------------------------------------------------- */

int tls_queue_append(struct tls_queue *queue, const void *bytes, size_t n_bytes) {
        size_t length = tls_queue_length(queue);
        char *larger;

        if (n_bytes > QUEUE_MAX - length)
                return -ENOMEM;
        if (queue->capacity - queue->end < n_bytes) {
                larger = malloc(length + n_bytes);
                if (!larger)
                        return -ENOMEM;
                if (length > 0)
                        memcpy(larger, queue->bytes + queue->start, length);
                free(queue->bytes);
                *queue = (struct tls_queue){
                        .bytes = larger, .end = length, .capacity = length + n_bytes};
        }
        memcpy(queue->bytes + queue->end, bytes, n_bytes);
        queue->end += n_bytes;
        return 0;
}

void tls_queue_consume(struct tls_queue *queue, size_t n_bytes) {
        queue->start += n_bytes;
        if (queue->start < queue->end)
                return;
        free(queue->bytes);
        *queue = (struct tls_queue){.bytes = NULL};
}

/* Returns how many bytes the socket has taken, 0: it is full; or -errno. */
static ssize_t send_bytes(int fd, const char *bytes, size_t n_bytes) {
        ssize_t n;

        do {
                n = send(fd, bytes, n_bytes, MSG_NOSIGNAL);
        } while (n < 0 && errno == EINTR);
        if (n >= 0)
                return n;
        return errno == EAGAIN ? 0 : -errno;
}

int tls_send_queue(struct tls *tls, int fd) {
        while (tls_queue_length(&tls->out) > 0) {
                ssize_t n = send_bytes(fd, tls->out.bytes + tls->out.start,
                                       tls_queue_length(&tls->out));

                if (n <= 0)
                        return n == 0 ? -EAGAIN : (int)n;
                tls_queue_consume(&tls->out, (size_t)n);
        }
        return 0;
}

/* --- the way of OpenSSL's bytes ------------------------------------------------------------- */

/* Takes all of it: what the socket does not take waits in the queue. */
static int on_write(BIO *bio, const char *bytes, size_t n_bytes, size_t *n_writtenp) {
        struct tls *tls = BIO_get_data(bio);
        ssize_t n = 0;

        BIO_clear_retry_flags(bio);
        if (tls->fd >= 0 && tls_queue_length(&tls->out) == 0)
                n = send_bytes(tls->fd, bytes, n_bytes);
        if (n < 0)
                return 0;
        *n_writtenp = n_bytes;
        return (size_t)n == n_bytes ||
               tls_queue_append(&tls->out, bytes + n, n_bytes - (size_t)n) == 0;
}

static int on_read(BIO *bio, char *bytes, size_t n_bytes, size_t *n_readp) {
        struct tls *tls = BIO_get_data(bio);
        size_t length = tls_queue_length(&tls->in);
        ssize_t n;

        BIO_clear_retry_flags(bio);
        if (length > 0) {
                *n_readp = length < n_bytes ? length : n_bytes;
                memcpy(bytes, tls->in.bytes + tls->in.start, *n_readp);
                tls_queue_consume(&tls->in, *n_readp);
                return 1;
        }
        if (tls->fd < 0) {
                BIO_set_retry_read(bio);
                return 0;
        }
        if (tls->n_empty > TLS_EMPTY_MAX) {
                errno = EDQUOT;
                return 0;
        }
        do {
                n = recv(tls->fd, bytes, n_bytes, 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                BIO_set_retry_read(bio);
        if (n == 0)
                tls->is_at_end = true;
        if (n <= 0)
                return 0;
        *n_readp = (size_t)n;
        return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer) {
        const struct tls *tls = BIO_get_data(bio);

        if (command == BIO_CTRL_EOF)
                return tls->is_at_end;
        return command == BIO_CTRL_FLUSH; /* nothing is held back */
}

static BIO_METHOD *method; /* made once, for as long as the process lives */

static void make_method(void) {
        int type = BIO_get_new_index();

        if (type >= 0)
                method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "sockd");
        if (!method)
                return;
        (void)BIO_meth_set_write_ex(method, on_write);
        (void)BIO_meth_set_read_ex(method, on_read);
        (void)BIO_meth_set_ctrl(method, on_control);
}

static BIO *bio_new(struct tls *tls) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        BIO *bio;

        (void)pthread_once(&once, make_method);
        bio = method ? BIO_new(method) : NULL;
        if (!bio)
                return NULL;
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
        return bio;
}

/* --- life ----------------------------------------------------------------------------------- */

struct tls *tls_new(struct tls_context *context, struct connection *connection) {
        struct tls *tls = calloc(1, sizeof(*tls));

        if (!tls)
                return NULL;
        tls->context = context;
        tls->connection = connection;
        tls->fd = -1;
        tls->receive_events = UV_READABLE;
        tls->send_events = UV_WRITABLE;
        list_init(&tls->link);
        return tls;
}

struct tls *tls_free(struct tls *tls) {
        if (!tls)
                return NULL;
        list_unlink(&tls->link);
        SSL_free(tls->ssl);
        free(tls->in.bytes);
        free(tls->out.bytes);
        certificate_free(tls->facts.certificate);
        tls_context_unref(tls->context);
        free(tls);
        return NULL;
}

/* --- the handshake -------------------------------------------------------------------------- */

/* Names whom the server has to be, also to itself. A zone of an address is of this host only. */
static bool set_host(SSL *ssl, const char *name) {
        X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
        unsigned char binary[sizeof(struct in6_addr)];
        char host[HOST_SIZE];

        snprintf(host, sizeof(host), "%s", name);
        host[strcspn(host, "%")] = '\0';
        if (inet_pton(AF_INET, host, binary) == 1 || inet_pton(AF_INET6, host, binary) == 1)
                return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1;
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1 &&
               SSL_set_tlsext_host_name(ssl, host) == 1;
}

static bool begin(struct tls *tls) {
        BIO *bio = bio_new(tls);

        tls->ssl = bio ? SSL_new(tls->context->ssl_ctx) : NULL;
        if (!tls->ssl) {
                BIO_free(bio);
                return false;
        }
        SSL_set_bio(tls->ssl, bio, bio);
        if (!tls->context->is_client) {
                SSL_set_accept_state(tls->ssl);
                return true;
        }
        SSL_set_connect_state(tls->ssl);
        return set_host(tls->ssl, tls->host);
}

static void fail(struct tls *tls, const char *reason) {
        tls->step = TLS_STEP_FAILED;
        snprintf(tls->failure, sizeof(tls->failure), "%s", reason ? reason : "no reason is given");
}

/* Why OpenSSL gave up. */
static void fail_as_told(struct tls *tls) {
        long verified = SSL_get_verify_result(tls->ssl);
        unsigned long error = ERR_peek_error();

        if (verified != X509_V_OK)
                fail(tls, X509_verify_cert_error_string(verified));
        else
                fail(tls, ERR_reason_error_string(error));
        ERR_clear_error();
}

/* Counts the records that come. */
static void on_message(int is_ours, int version, int type, const void *bytes, size_t n_bytes,
                       SSL *ssl, void *argument) {
        struct tls *tls = argument;

        if (is_ours || type != SSL3_RT_HEADER)
                return;
        tls->n_records++;
        tls->n_empty++;
}

/* Notes what the two have agreed upon. */
static void learn(struct tls *tls) {
        struct tls_facts *facts = &tls->facts;
        X509 *x509 = SSL_get0_peer_certificate(tls->ssl);

        facts->version = SSL_version(tls->ssl) == TLS1_3_VERSION ? "1.3" : "1.2";
        facts->cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
        facts->is_resumed = SSL_session_reused(tls->ssl) != 0;
        if (!x509 || !tls->context->verifies || tls->context->is_client)
                return;
        /* A session that is resumed brings the certificate of its beginning. */
        if (X509_cmp_current_time(X509_get0_notAfter(x509)) < 0) {
                fail(tls, "certificate has expired");
                return;
        }
        facts->certificate = certificate_new(x509);
        if (!facts->certificate)
                fail(tls, "out of memory");
}

void tls_take_step(struct tls *tls) {
        int r;

        if (!tls->ssl && !begin(tls)) {
                fail(tls, "out of memory");
                return;
        }
        ERR_clear_error();
        r = SSL_do_handshake(tls->ssl);
        if (r == 1) {
                tls->step = TLS_STEP_DONE;
                SSL_set_msg_callback(tls->ssl, on_message);
                SSL_set_msg_callback_arg(tls->ssl, tls);
                learn(tls);
        } else if (SSL_get_error(tls->ssl, r) == SSL_ERROR_WANT_READ) {
                tls->step = TLS_STEP_INPUT;
        } else {
                fail_as_told(tls);
        }
}

/* --- afterwards ----------------------------------------------------------------------------- */

/* The -errno of an operation that failed, of which errno still tells. */
static int error_of(int ssl_error, int number) {
        ERR_clear_error();
        if (ssl_error == SSL_ERROR_SYSCALL && number != 0 && number != EAGAIN)
                return -number;
        return -EPROTO;
}

static void set_events(_Atomic int *events, int value) {
        atomic_store_explicit(events, value, memory_order_relaxed);
}

/* What OpenSSL answers by itself leaves with what is written, or when the socket can take it. A
 * peer that does not read that has to wait with what it causes more of them by. */
static void await_answers(struct tls *tls) {
        bool is_alone = tls_queue_length(&tls->out) > 0 && tls->n_owed == 0;

        set_events(&tls->receive_events, is_alone ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* Returns 0, -EAGAIN if so many answers wait that nothing may be read, or another -errno. */
static int send_answers(struct tls *tls) {
        int r = tls_send_queue(tls, tls->fd);

        if (r == -EAGAIN && tls_queue_length(&tls->out) <= ANSWERS_MAX)
                return 0;
        if (r == -EAGAIN) {
                set_events(&tls->receive_events, UV_WRITABLE);
                tls->is_drained = true;
        }
        return r;
}

ssize_t tls_read(struct tls *tls, void *bytes, size_t n_bytes) {
        size_t n = 0;
        int r, error;

        r = send_answers(tls);
        if (r < 0)
                return r;
        ERR_clear_error();
        errno = 0;
        tls->is_drained = false;
        r = SSL_read_ex(tls->ssl, bytes, n_bytes, &n);
        await_answers(tls);
        if (r == 1) {
                tls->is_drained = !SSL_has_pending(tls->ssl) && tls_queue_length(&tls->in) == 0;
                /* What has data pays for itself and one that has none. */
                tls->n_empty = tls->n_empty > 2 ? tls->n_empty - 2 : 0;
                return (ssize_t)n;
        }
        error = SSL_get_error(tls->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN)
                return 0;
        if (error != SSL_ERROR_WANT_READ)
                return error_of(error, errno);
        tls->is_drained = true;
        return -EAGAIN;
}

/* Makes a record of the bytes. Returns how many are in it, or -errno as tls_write(). */
static ssize_t write_record(struct tls *tls, const void *bytes, size_t n_bytes) {
        size_t n = 0;
        int error;

        ERR_clear_error();
        errno = 0;
        if (SSL_write_ex(tls->ssl, bytes, n_bytes, &n) == 1) {
                set_events(&tls->send_events, UV_WRITABLE);
                return (ssize_t)n;
        }
        error = SSL_get_error(tls->ssl, 0);
        if (error != SSL_ERROR_WANT_READ)
                return error_of(error, errno);
        set_events(&tls->send_events, UV_READABLE);
        return -EAGAIN;
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t n_bytes) {
        ssize_t n = tls_send_queue(tls, tls->fd);

        if (n < 0)
                return n;
        if (tls->n_owed > 0) {
                n = (ssize_t)tls->n_owed;
                tls->n_owed = 0;
                return n;
        }
        n = write_record(tls, bytes, n_bytes);
        if (n <= 0 || tls_queue_length(&tls->out) == 0)
                return n;
        tls->n_owed = (size_t)n;
        return -EAGAIN;
}

void tls_end_output(struct tls *tls) {
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
}
