/* Peers that begin a TLS handshake and leave it at that, and one that never stops.
 *
 *      tls_peer ADDRESS N [BYTES [FROM]]
 *      tls_peer ADDRESS updates
 *
 * The second, on a port where TLS comes first, changes its keys again and again, and has the server
 * change its own. Says `closed` when the server has closed the connection; if it does not in 20
 * seconds, that is an error. The first is
 * N connections, of which each sends a ClientHello, or its first BYTES, and no more; to 127.0.0.1
 * they come from FROM, or else 127.0.0.2, a source that others do not share. Says `held`
 * when all have done so, and, at the end of standard input, how many the server has not closed yet.
 * Then waits until it has closed all, and says `closed`; more than 20 seconds are an error.
 */
#include "tests/support/target.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define WAIT_MS 20000

static struct address_socket target;
static char hello[4096];
static size_t n_hello;

static void make_hello(void) {
        SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());
        SSL *ssl = ssl_ctx ? SSL_new(ssl_ctx) : NULL;
        int n;

        if (!ssl)
                errx(1, "tls_peer: OpenSSL");
        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        (void)SSL_connect(ssl);
        n = BIO_read(SSL_get_wbio(ssl), hello, sizeof(hello));
        if (n <= 0)
                errx(1, "tls_peer: there is no ClientHello");
        n_hello = (size_t)n;
        SSL_free(ssl);
        SSL_CTX_free(ssl_ctx);
}

static int open_one(const char *source) {
        const struct sockaddr_in from = {.sin_family = AF_INET,
                                         .sin_addr.s_addr = inet_addr(source)};
        int fd = socket(target.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (target.family == AF_INET && bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
                err(1, "tls_peer: cannot bind");
        if (fd < 0 || connect(fd, &target.socket.any, target.length) < 0)
                err(1, "tls_peer: cannot connect");
        if (send(fd, hello, n_hello, MSG_NOSIGNAL) != (ssize_t)n_hello && errno != EPIPE &&
            errno != ECONNRESET)
                err(1, "tls_peer: cannot send");
        return fd;
}

/* Takes what came, and returns whether the end did. */
static bool has_ended(int fd, int timeout_ms) {
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};
        char bytes[16384];

        while (poll(&pollfd, 1, timeout_ms) > 0)
                if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
                        return true;
        return false;
}

/* Changes keys until the connection is closed. */
static void update_for_ever(void) {
        SSL_CTX *ssl_ctx = SSL_CTX_new(TLS_client_method());
        SSL *ssl = ssl_ctx ? SSL_new(ssl_ctx) : NULL;
        int fd = socket(target.family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (!ssl || fd < 0 || connect(fd, &target.socket.any, target.length) < 0)
                err(1, "tls_peer: cannot connect");
        (void)signal(SIGPIPE, SIG_IGN);
        (void)alarm(WAIT_MS / 1000);
        if (SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1)
                errx(1, "tls_peer: there was no handshake");
        while (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
                ;
        puts("closed");
        SSL_free(ssl);
        SSL_CTX_free(ssl_ctx);
        close(fd);
}

int main(int argc, char **argv) {
        const char *source = argc == 5 ? argv[4] : "127.0.0.2";
        struct rlimit limit;
        size_t n, n_open = 0;
        int *fds;

        if (argc < 3 || argc > 5)
                errx(2, "usage: tls_peer ADDRESS N [BYTES [FROM]] | ADDRESS updates");
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        (void)target_resolve(argv[1], false, &target);
        if (strcmp(argv[2], "updates") == 0) {
                update_for_ever();
                return 0;
        }
        make_hello();
        if (argc > 3 && (size_t)atol(argv[3]) < n_hello)
                n_hello = (size_t)atol(argv[3]);
        n = (size_t)atol(argv[2]);
        fds = calloc(n, sizeof(*fds));
        for (size_t i = 0; fds && i < n; i++)
                fds[i] = open_one(source);
        puts("held");
        fflush(stdout);
        while (getchar() != EOF)
                ;
        for (size_t i = 0; i < n; i++)
                n_open += !has_ended(fds[i], 0);
        printf("%zu open\n", n_open);
        fflush(stdout);
        for (size_t i = 0; i < n; i++) {
                if (!has_ended(fds[i], WAIT_MS))
                        errx(1, "tls_peer: a connection was not closed");
                close(fds[i]);
        }
        puts("closed");
        free(fds);
        return 0;
}
