/*
 * What a NATS client does on a port with TLS: it reads INFO as it is, and then begins TLS on the
 * same connection. Whose certificate that is is not looked at.
 */
#include "client_tls.h"

#include <errno.h>

#ifdef HAVE_TLS

#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#define INFO_MAX 32768

/* Takes the first line, byte by byte, as nothing behind it may be taken. */
static int take_info(struct client *client) {
        char line[INFO_MAX];
        size_t n = 0;

        do {
                if (n == sizeof(line) || recv(client->fd, line + n, 1, 0) != 1)
                        return -EPROTO;
        } while (line[n++] != '\n');
        bytes_append(&client->input, line, n);
        bytes_append(&client->frames, (char *)&n, sizeof(n));
        return 0;
}

/* Whether the server speaks TLS, now that it was spoken to. */
static bool is_answered(const struct client *client) {
        char byte;

        return recv(client->fd, &byte, 1, MSG_PEEK) == 1 && byte == 0x16;
}

/* With a BIO that has nothing to read, OpenSSL says the first word, and stops. */
static int shake_hands(struct client *client, SSL *ssl) {
        BIO *nothing = BIO_new(BIO_s_mem()), *socket = BIO_new_socket(client->fd, BIO_NOCLOSE);

        if (!nothing || !socket)
                return -ENOMEM;
        BIO_set_mem_eof_return(nothing, -1);
        SSL_set_bio(ssl, nothing, socket);
        (void)SSL_connect(ssl);
        if (!is_answered(client))
                return 1;
        BIO_up_ref(socket);
        SSL_set0_rbio(ssl, socket);
        return SSL_connect(ssl) == 1 ? 0 : -EPROTO;
}

int client_tls_begin(struct client *client) {
        static SSL_CTX *ssl_ctx;
        int error = take_info(client);

        signal(SIGPIPE, SIG_IGN);
        if (error)
                return error;
        if (!ssl_ctx && (ssl_ctx = SSL_CTX_new(TLS_client_method())))
                SSL_CTX_set_mode(ssl_ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        client->tls = ssl_ctx ? SSL_new(ssl_ctx) : NULL;
        if (!client->tls)
                return -ENOMEM;
        error = shake_hands(client, client->tls);
        if (error)
                client_tls_free(client);
        return error < 0 ? error : 0;
}

void client_tls_free(struct client *client) {
        SSL_free(client->tls);
        client->tls = NULL;
}

/* Sets errno for an operation that failed. The end of what the server says is the end of the
 * connection, also to who sends. */
static ssize_t fail(SSL *ssl) {
        int number = errno, error = SSL_get_error(ssl, 0);

        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
                errno = EAGAIN;
        else if (error == SSL_ERROR_SYSCALL && number != 0)
                errno = number;
        else
                errno = EPROTO;
        return -1;
}

ssize_t client_tls_send(struct client *client, const char *data, size_t n_bytes) {
        size_t n;

        errno = 0;
        if (SSL_write_ex(client->tls, data, n_bytes, &n) != 1)
                return fail(client->tls);
        client->n_sent = BIO_number_written(SSL_get_wbio(client->tls));
        return (ssize_t)n;
}

ssize_t client_tls_receive(struct client *client, char *data, size_t n_bytes) {
        size_t n, n_read = 0;

        errno = 0;
        while (n_read < n_bytes &&
               SSL_read_ex(client->tls, data + n_read, n_bytes - n_read, &n) == 1)
                n_read += n;
        if (n_read > 0)
                return (ssize_t)n_read;
        return SSL_get_error(client->tls, 0) == SSL_ERROR_ZERO_RETURN ? 0 : fail(client->tls);
}

#else

int client_tls_begin(struct client *client) {
        return -EPROTONOSUPPORT;
}

void client_tls_free(struct client *client) {
}

ssize_t client_tls_send(struct client *client, const char *data, size_t n_bytes) {
        errno = EPROTO;
        return -1;
}

ssize_t client_tls_receive(struct client *client, char *data, size_t n_bytes) {
        errno = EPROTO;
        return -1;
}

#endif
