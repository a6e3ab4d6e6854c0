/* TLS without a socket: the handshake in steps, who is admitted, and how sessions are resumed. The
 * peer is OpenSSL's client, over the same queues. */
#include "daemon/tls.h"

#include "daemon/config.h"
#include "daemon/tls_context.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/daemon/made_x509.h"

#define YEAR 31536000L

static const char *const of_server[] = {"extendedKeyUsage", "serverAuth", NULL};
static const char *const of_client[] = {"extendedKeyUsage", "clientAuth", NULL};
static const char *const of_authority[] = {"basicConstraints", "critical,CA:TRUE", NULL};

static char directory[] = "/tmp/test_tls.XXXXXX";
static struct made authority, server, client, other_authority;
static struct tls_context *context;
static struct tls *tls;
static SSL_CTX *peer_ctx;
static SSL *peer;
static SSL_SESSION *session; /* the last ticket that the peer got */

static int on_session(SSL *ssl, SSL_SESSION *new_session) {
        SSL_SESSION_free(session);
        session = new_session;
        return 1;
}

static int set_up_all(void **state) {
        if (!mkdtemp(directory) || chdir(directory) < 0)
                return -1;
        authority = made_certificate(NULL, "CN=authority", of_authority, YEAR);
        other_authority = made_certificate(NULL, "CN=other", of_authority, YEAR);
        server = made_certificate(&authority, "CN=server", of_server, YEAR);
        client = made_certificate(&authority, "C=US/CN=bob", of_client, YEAR);
        made_write_certificate(&authority, "ca.pem", "we");
        made_write_certificate(&server, "server.pem", "we");
        made_write_key(&server, "server.key");
        return chmod("server.key", 0600);
}

static int tear_down_all(void **state) {
        made_free(&authority);
        made_free(&other_authority);
        made_free(&server);
        made_free(&client);
        unlink("ca.pem");
        unlink("server.pem");
        unlink("server.key");
        return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static char *path_of(const char *name) {
        char *path;

        assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
        return path;
}

static void make_context(bool verify, int min_version) {
        struct config_tls config = {.cert = path_of("server.pem"),
                                    .key = path_of("server.key"),
                                    .ca = path_of("ca.pem"),
                                    .verify = verify,
                                    .required = true,
                                    .min_version = min_version};
        const char *key = NULL;
        char *reason = NULL;

        if (tls_context_new(&context, &config, &key, &reason) != 0)
                fail_msg("%s: %s", key, reason);
        free(config.cert);
        free(config.key);
        free(config.ca);
}

/* A connection of both that has not begun. */
static void begin(void) {
        tls = tls_new(tls_context_ref(context), NULL);
        assert_non_null(tls);
        if (!peer_ctx) {
                peer_ctx = SSL_CTX_new(TLS_client_method());
                SSL_CTX_set_session_cache_mode(peer_ctx, SSL_SESS_CACHE_CLIENT);
                SSL_CTX_sess_set_new_cb(peer_ctx, on_session);
        }
        peer = SSL_new(peer_ctx);
        SSL_set_bio(peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_connect_state(peer);
}

static void end(void) {
        tls = tls_free(tls);
        /* Or its session would be thought to be broken. */
        if (peer)
                SSL_set_shutdown(peer, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(peer);
        peer = NULL;
}

static int tear_down(void **state) {
        end();
        context = tls_context_unref(context);
        SSL_CTX_free(peer_ctx);
        peer_ctx = NULL;
        SSL_SESSION_free(session);
        session = NULL;
        return 0;
}

/* Carries bytes of the peer to us, n at a time at most, and ours to the peer. */
static void carry(size_t n) {
        char bytes[TLS_RECORD_MAX];
        int length;

        while ((length = BIO_read(SSL_get_wbio(peer), bytes, (int)n)) > 0) {
                assert_int_equal(tls_queue_append(&tls->in, bytes, (size_t)length), 0);
                if (tls->step == TLS_STEP_INPUT)
                        tls_take_step(tls);
        }
        BIO_write(SSL_get_rbio(peer), tls->out.bytes + tls->out.start,
                  (int)tls_queue_length(&tls->out));
        if (tls_queue_length(&tls->out) > 0)
                tls_queue_consume(&tls->out, tls_queue_length(&tls->out));
}

/* Returns how it ended for us. */
static enum tls_step shake_hands(size_t n) {
        for (unsigned i = 0; i < 10; i++) {
                ERR_clear_error();
                (void)SSL_do_handshake(peer);
                carry(n);
        }
        if (tls->step == TLS_STEP_DONE) {
                char byte;

                (void)SSL_read(peer, &byte, 1); /* takes the ticket */
        }
        return tls->step;
}

static void test_both_versions_are_spoken(void **state) {
        make_context(false, TLS_VERSION_1_2);
        begin();
        assert_int_equal(shake_hands(TLS_RECORD_MAX), TLS_STEP_DONE);
        assert_string_equal(tls->facts.version, "1.3");
        assert_string_equal(tls->facts.cipher, "TLS_AES_128_GCM_SHA256");
        assert_null(tls->facts.certificate);
        assert_false(tls->facts.is_resumed);
        end();
        begin();
        SSL_set_max_proto_version(peer, TLS1_2_VERSION);
        assert_int_equal(shake_hands(TLS_RECORD_MAX), TLS_STEP_DONE);
        assert_string_equal(tls->facts.version, "1.2");
        assert_string_equal(tls->facts.cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
}

static void test_handshake_may_come_byte_by_byte(void **state) {
        make_context(true, TLS_VERSION_1_2);
        begin();
        SSL_use_certificate(peer, client.x509);
        SSL_use_PrivateKey(peer, client.key);
        assert_int_equal(shake_hands(1), TLS_STEP_DONE);
        assert_non_null(tls->facts.certificate);
        assert_string_equal(tls->facts.certificate->subject, "CN=bob,C=US");
}

static void test_min_version_is_obeyed(void **state) {
        make_context(false, TLS_VERSION_1_3);
        begin();
        SSL_set_max_proto_version(peer, TLS1_2_VERSION);
        assert_int_equal(shake_hands(TLS_RECORD_MAX), TLS_STEP_FAILED);
        assert_string_equal(tls->failure, "unsupported protocol");
}

static void test_weak_ciphers_are_refused(void **state) {
        static const char *const ciphers[] = {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384",
                                              "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-CCM",
                                              "DHE-RSA-AES256-GCM-SHA384"};

        make_context(false, TLS_VERSION_1_2);
        for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
                begin();
                SSL_set_max_proto_version(peer, TLS1_2_VERSION);
                SSL_set_security_level(peer, 0);
                assert_int_equal(SSL_set_cipher_list(peer, ciphers[i]), 1);
                if (shake_hands(TLS_RECORD_MAX) != TLS_STEP_FAILED)
                        fail_msg("%s is taken", ciphers[i]);
                end();
        }
}

static enum tls_step shake_hands_as(const struct made *made) {
        begin();
        if (made) {
                SSL_use_certificate(peer, made->x509);
                SSL_use_PrivateKey(peer, made->key);
        }
        return shake_hands(TLS_RECORD_MAX);
}

static void check_refused(struct made made, const char *reason) {
        assert_int_equal(shake_hands_as(&made), TLS_STEP_FAILED);
        assert_string_equal(tls->failure, reason);
        end();
        made_free(&made);
}

static void test_certificates_of_clients_are_verified(void **state) {
        make_context(true, TLS_VERSION_1_2);
        assert_int_equal(shake_hands_as(&client), TLS_STEP_DONE);
        assert_string_equal(tls->facts.certificate->subject, "CN=bob,C=US");
        end();
        assert_int_equal(shake_hands_as(NULL), TLS_STEP_FAILED);
        assert_string_equal(tls->failure, "peer did not return a certificate");
        end();
        check_refused(made_certificate(&authority, "CN=bob", of_client, -60),
                      "certificate has expired");
        check_refused(made_certificate(&authority, "CN=bob", of_server, YEAR),
                      "unsuitable certificate purpose");
        check_refused(made_certificate(&other_authority, "CN=bob", of_client, YEAR),
                      "unable to get local issuer certificate");
        check_refused(made_certificate(NULL, "CN=bob", of_client, YEAR), "self-signed certificate");
}

static void test_certificate_is_not_asked_for_without_verify(void **state) {
        make_context(false, TLS_VERSION_1_2);
        assert_int_equal(shake_hands_as(&client), TLS_STEP_DONE);
        assert_null(tls->facts.certificate);
}

/* Returns whether the peer's session was resumed. */
static bool resume(int max_version) {
        begin();
        SSL_set_max_proto_version(peer, max_version);
        SSL_use_certificate(peer, client.x509);
        SSL_use_PrivateKey(peer, client.key);
        if (session)
                SSL_set_session(peer, session);
        assert_int_equal(shake_hands(TLS_RECORD_MAX), TLS_STEP_DONE);
        assert_int_equal(SSL_session_reused(peer), tls->facts.is_resumed);
        return tls->facts.is_resumed;
}

static void check_resumption(int version) {
        make_context(true, TLS_VERSION_1_2);
        assert_false(resume(version));
        assert_non_null(session);
        end();
        assert_true(resume(version));
        assert_string_equal(tls->facts.certificate->subject, "CN=bob,C=US");
        end();
        /* A reload makes another context of the same files. */
        context = tls_context_unref(context);
        make_context(true, TLS_VERSION_1_2);
        assert_true(resume(version));
}

static void test_session_is_resumed_with_1_3(void **state) {
        check_resumption(TLS1_3_VERSION);
}

static void test_session_is_resumed_with_1_2(void **state) {
        check_resumption(TLS1_2_VERSION);
}

static void test_session_is_not_resumed_where_other_authorities_are_trusted(void **state) {
        make_context(true, TLS_VERSION_1_2);
        assert_false(resume(TLS1_3_VERSION));
        end();
        context = tls_context_unref(context);
        made_write_certificate(&other_authority, "ca.pem", "ae");
        make_context(true, TLS_VERSION_1_2);
        made_write_certificate(&authority, "ca.pem", "we");
        assert_false(resume(TLS1_3_VERSION));
}

static void test_garbage_is_refused(void **state) {
        static const char *const rows[] = {"\x16\x03\x01\x00\x05hello",
                                           "\x16\x02\x00\x00\x02\x01\x00",
                                           "\x16\x03\x01\x40\x00\x00\x00"};
        static const size_t lengths[] = {10, 7, 7};

        make_context(false, TLS_VERSION_1_2);
        for (size_t i = 0; i < 2; i++) {
                begin();
                assert_int_equal(tls_queue_append(&tls->in, rows[i], lengths[i]), 0);
                tls_take_step(tls);
                assert_int_equal(tls->step, TLS_STEP_FAILED);
                assert_true(tls->failure[0] != '\0');
                end();
        }
        begin();
        assert_int_equal(tls_queue_append(&tls->in, rows[2], lengths[2]), 0);
        tls_take_step(tls);
        assert_int_equal(tls->step, TLS_STEP_INPUT);
}

static void test_queue_keeps_order_and_has_a_limit(void **state) {
        struct tls_queue queue = {.bytes = NULL};
        char bytes[TLS_RECORD_MAX] = "";
        unsigned n = 0;

        assert_int_equal(tls_queue_append(&queue, "abc", 3), 0);
        tls_queue_consume(&queue, 1);
        assert_int_equal(tls_queue_append(&queue, "def", 3), 0);
        assert_int_equal(tls_queue_length(&queue), 5);
        assert_memory_equal(queue.bytes + queue.start, "bcdef", 5);
        tls_queue_consume(&queue, 5);
        assert_null(queue.bytes);
        while (tls_queue_append(&queue, bytes, sizeof(bytes)) == 0)
                assert_true(++n < 1000);
        tls_queue_consume(&queue, tls_queue_length(&queue));
}

/* --- afterwards --------------------------------------------------------------------------------
 */

/* The socket of a connection that is established, on the peer's side. */
static int establish(int version) {
        int pair[2];

        make_context(false, TLS_VERSION_1_2);
        begin();
        SSL_set_max_proto_version(peer, version);
        assert_int_equal(shake_hands(TLS_RECORD_MAX), TLS_STEP_DONE);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        tls->fd = pair[0];
        return pair[1];
}

static void end_sockets(int fd) {
        close(tls->fd);
        close(fd);
}

/* Sends what the peer has to say. */
static void send_on(int fd) {
        char bytes[TLS_RECORD_MAX];
        int length;

        while ((length = BIO_read(SSL_get_wbio(peer), bytes, sizeof(bytes))) > 0)
                assert_int_equal(write(fd, bytes, (size_t)length), length);
}

static void update_keys(int fd, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                assert_int_equal(SSL_key_update(peer, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
                assert_int_equal(SSL_do_handshake(peer), 1);
        }
        send_on(fd);
}

static void say(int fd, const char *text) {
        assert_int_equal(SSL_write(peer, text, (int)strlen(text)), (int)strlen(text));
        send_on(fd);
}

static void test_keys_may_be_updated(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char bytes[16];

        update_keys(fd, TLS_EMPTY_MAX / 2);
        assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), -EAGAIN);
        /* As often as there is data, for ever. */
        for (unsigned i = 0; i < 5 * TLS_EMPTY_MAX; i++) {
                update_keys(fd, 1);
                say(fd, "hello");
                assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), 5);
        }
        end_sockets(fd);
}

/* A little data does not make up for many of them. */
static void test_a_little_data_among_updates_is_no_excuse(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char bytes[16];
        ssize_t n = 5;

        for (unsigned i = 0; i < 5 && n == 5; i++) {
                update_keys(fd, TLS_EMPTY_MAX - 2);
                say(fd, "hello");
                n = tls_read(tls, bytes, sizeof(bytes));
        }
        assert_int_equal(n, -EDQUOT);
        end_sockets(fd);
}

/* However fast they come, a read has an end. */
static void test_updating_keys_for_ever_is_an_error(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char bytes[16];

        update_keys(fd, 2000);
        assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), -EDQUOT);
        assert_in_range(tls->n_records, TLS_EMPTY_MAX, 700);
        end_sockets(fd);
}

/* Slowly neither. */
static void test_updates_are_counted_across_reads(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char bytes[16];

        for (unsigned i = 0; i <= TLS_EMPTY_MAX; i++) {
                update_keys(fd, 1);
                assert_int_equal(tls_read(tls, bytes, sizeof(bytes)),
                                 i < TLS_EMPTY_MAX ? -EAGAIN : -EDQUOT);
        }
        end_sockets(fd);
}

static void ask_for_update(int fd) {
        assert_int_equal(SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(peer), 1);
        say(fd, "hello");
}

/* Has the peer read what has come. Returns how much that is. */
static size_t hear(int fd) {
        char bytes[TLS_RECORD_MAX];
        size_t n_heard = 0;
        ssize_t n;
        int length;

        while ((n = read(fd, bytes, sizeof(bytes))) > 0)
                assert_int_equal(BIO_write(SSL_get_rbio(peer), bytes, (int)n), n);
        while ((length = SSL_read(peer, bytes, sizeof(bytes))) > 0) {
                for (int i = 0; i < length; i++)
                        assert_int_equal(bytes[i], 'x');
                n_heard += (size_t)length;
        }
        assert_int_equal(SSL_get_error(peer, length), SSL_ERROR_WANT_READ);
        return n_heard;
}

/* Half a record has left; the rest comes before the answers. */
static void test_a_peer_that_does_not_read_may_ask_for_updates(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char output[TLS_RECORD_MAX], bytes[16];
        size_t n_taken = 0, n_heard = 0;
        ssize_t n;

        memset(output, 'x', sizeof(output));
        while ((n = tls_write(tls, output, sizeof(output))) > 0)
                n_taken += (size_t)n;
        assert_int_equal(n, -EAGAIN);
        for (unsigned i = 0; i < 10; i++) {
                ask_for_update(fd);
                assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), 5);
        }
        assert_int_equal(tls_events(tls, UV_READABLE), UV_READABLE);
        while ((n = tls_write(tls, output, sizeof(output))) == -EAGAIN)
                n_heard += hear(fd);
        assert_int_equal(n, sizeof(output));
        n_taken += (size_t)n;
        assert_int_equal(tls_write(tls, output, 1), 1);
        assert_int_equal(n_heard + hear(fd), n_taken + 1);
        end_sockets(fd);
}

/* Who causes answers and reads none is not read any more; and goes on when it has read them. */
static void test_answers_that_nobody_reads_do_not_pile_up(void **state) {
        int fd = establish(TLS1_3_VERSION);
        char output[TLS_RECORD_MAX], bytes[16];
        size_t n_most = 0;

        memset(output, 'x', sizeof(output));
        while (tls_write(tls, output, sizeof(output)) > 0)
                ;
        do {
                ask_for_update(fd);
                if (tls_queue_length(&tls->out) > n_most)
                        n_most = tls_queue_length(&tls->out);
        } while (tls_read(tls, bytes, sizeof(bytes)) == 5);
        assert_in_range(n_most, 4096, 2 * TLS_RECORD_MAX);
        assert_true(tls->is_drained);
        assert_int_equal(tls_events(tls, UV_READABLE), UV_WRITABLE);
        hear(fd);
        assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), 5);
        hear(fd);
        assert_int_equal(tls_read(tls, bytes, sizeof(bytes)), -EAGAIN);
        assert_int_equal(tls_events(tls, UV_READABLE), UV_READABLE);
        end_sockets(fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_both_versions_are_spoken, tear_down),
                cmocka_unit_test_teardown(test_handshake_may_come_byte_by_byte, tear_down),
                cmocka_unit_test_teardown(test_min_version_is_obeyed, tear_down),
                cmocka_unit_test_teardown(test_weak_ciphers_are_refused, tear_down),
                cmocka_unit_test_teardown(test_certificates_of_clients_are_verified, tear_down),
                cmocka_unit_test_teardown(test_certificate_is_not_asked_for_without_verify,
                                          tear_down),
                cmocka_unit_test_teardown(test_session_is_resumed_with_1_3, tear_down),
                cmocka_unit_test_teardown(test_session_is_resumed_with_1_2, tear_down),
                cmocka_unit_test_teardown(
                        test_session_is_not_resumed_where_other_authorities_are_trusted, tear_down),
                cmocka_unit_test_teardown(test_garbage_is_refused, tear_down),
                cmocka_unit_test_teardown(test_keys_may_be_updated, tear_down),
                cmocka_unit_test_teardown(test_a_little_data_among_updates_is_no_excuse, tear_down),
                cmocka_unit_test_teardown(test_updating_keys_for_ever_is_an_error, tear_down),
                cmocka_unit_test_teardown(test_updates_are_counted_across_reads, tear_down),
                cmocka_unit_test_teardown(test_a_peer_that_does_not_read_may_ask_for_updates,
                                          tear_down),
                cmocka_unit_test_teardown(test_answers_that_nobody_reads_do_not_pile_up, tear_down),
                cmocka_unit_test(test_queue_keeps_order_and_has_a_limit),
        };

        return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
