/* libsockd against a peer on a socket pair.
 *
 * The peer's bytes are written before the client reads them, so most tests need no second thread:
 * the kernel's buffer is the script. Only an answer to a request, whose subject the client makes
 * up, needs a peer that listens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sockd_private.h"

#define INFO                                                                                       \
        "INFO "                                                                                    \
        "{\"server_id\":\"ID\",\"server_name\":\"host-a\",\"version\":\"2.9.10\",\"headers\":"     \
        "true,\"max_payload\":1000000,\"client_id\":7,\"sockd_version\":\"0.1.0\"} \r\n"
#define WAIT_MS 5000

struct fixture {
        struct sockd *sockd;
        int peer;
};

static void peer_write(const struct fixture *fixture, const char *text) {
        assert_int_equal(write(fixture->peer, text, strlen(text)), strlen(text));
}

/* What the client has sent so far, as a string that the caller frees. */
static char *peer_read(const struct fixture *fixture) {
        char *text = malloc(1 << 20);
        ssize_t n = recv(fixture->peer, text, (1 << 20) - 1, MSG_DONTWAIT);

        assert_true(n >= 0 || errno == EAGAIN);
        text[n < 0 ? 0 : n] = '\0';
        return text;
}

static void assert_sent(const struct fixture *fixture, const char *expected) {
        char *text = peer_read(fixture);

        assert_string_equal(text, expected);
        free(text);
}

static int try_connect(struct fixture *fixture, const char *greeting, int timeout_ms) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        fixture->peer = ends[1];
        peer_write(fixture, greeting);
        assert_int_equal(sockd_new(&fixture->sockd), 0);
        return sockd_connect_descriptor(fixture->sockd, ends[0], timeout_ms);
}

static int set_up(void **state) {
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_int_equal(try_connect(fixture, INFO "PONG\r\n", WAIT_MS), 0);
        free(peer_read(fixture));
        *state = fixture;
        return 0;
}

static void clean_up(struct fixture *fixture) {
        assert_null(sockd_free(fixture->sockd));
        if (fixture->peer >= 0)
                close(fixture->peer);
        fixture->peer = -1;
}

static int tear_down(void **state) {
        clean_up(*state);
        free(*state);
        return 0;
}

static void assert_slice(const char *bytes, size_t n, const char *expected) {
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(bytes, expected, n);
}

static void assert_message(const struct sockd_message *message, const char *subject,
                           const char *payload) {
        assert_slice(message->subject, message->n_subject, subject);
        assert_slice(message->payload, message->n_payload, payload);
}

static void test_login_sends_connect_and_reads_info(void **state) {
        struct fixture fixture;
        char *text;

        assert_int_equal(try_connect(&fixture, INFO "PONG\r\n", WAIT_MS), 0);
        assert_string_equal(sockd_server_id(fixture.sockd), "ID");
        assert_string_equal(sockd_server_name(fixture.sockd), "host-a");
        assert_string_equal(sockd_server_version(fixture.sockd), "2.9.10");
        assert_string_equal(sockd_server_sockd_version(fixture.sockd), "0.1.0");
        assert_int_equal(sockd_client_id(fixture.sockd), 7);
        assert_int_equal(sockd_max_payload(fixture.sockd), 1000000);
        assert_false(sockd_is_lame_duck(fixture.sockd));
        text = peer_read(&fixture);
        assert_int_equal(strncmp(text, "CONNECT {\"verbose\":false,\"pedantic\":false,", 41), 0);
        assert_non_null(strstr(text, "\"headers\":true,\"no_responders\":true,\"protocol\":1"));
        assert_non_null(strstr(text, "}\r\nPING\r\n"));
        free(text);
        clean_up(&fixture);
}

static void test_login_quotes_what_the_user_gave(void **state) {
        struct fixture fixture;
        int ends[2];
        char *text;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        fixture.peer = ends[1];
        peer_write(&fixture, INFO "PONG\r\n");
        assert_int_equal(sockd_new(&fixture.sockd), 0);
        assert_int_equal(sockd_set_name(fixture.sockd, "a\"\r\nPUB x 0"), 0);
        assert_int_equal(sockd_set_login(fixture.sockd, "me", "secret"), 0);
        assert_int_equal(sockd_connect_descriptor(fixture.sockd, ends[0], WAIT_MS), 0);
        text = peer_read(&fixture);
        assert_non_null(strstr(
                text, "\"name\":\"a\\\"\\r\\nPUB x 0\",\"user\":\"me\",\"pass\":\"secret\""));
        free(text);
        clean_up(&fixture);
}

/* Instead of cryptography. */
static int sign(void *context, const char *nonce, size_t n_nonce, char *signature, size_t size) {
        assert_int_equal(n_nonce, strlen("tsezkjXP3gffuFs"));
        snprintf(signature, size, "signed-%.*s", (int)n_nonce, nonce);
        return *(int *)context;
}

/* Connects with an nkey to a server that says this of itself. Returns what sockd_connect() did. */
static int connect_with_nkey(struct fixture *fixture, const char *greeting, int *sign_resultp) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        fixture->peer = ends[1];
        peer_write(fixture, greeting);
        assert_int_equal(sockd_new(&fixture->sockd), 0);
        assert_int_equal(sockd_set_nkey(fixture->sockd, "UKEY", sign, sign_resultp), 0);
        return sockd_connect_descriptor(fixture->sockd, ends[0], WAIT_MS);
}

static void test_login_signs_the_nonce(void **state) {
        static const char greeting[] = "INFO {\"nonce\":\"tsezkjXP3gffuFs\"}\r\nPONG\r\n";
        struct fixture fixture;
        int sign_result = 0;
        char *text;

        assert_int_equal(connect_with_nkey(&fixture, greeting, &sign_result), 0);
        text = peer_read(&fixture);
        assert_non_null(strstr(text, "\"nkey\":\"UKEY\",\"sig\":\"signed-tsezkjXP3gffuFs\""));
        free(text);
        clean_up(&fixture);

        sign_result = -EIO;
        assert_int_equal(connect_with_nkey(&fixture, greeting, &sign_result), -EIO);
        assert_non_null(strstr(sockd_error_text(fixture.sockd), "nonce cannot be signed"));
        assert_sent(&fixture, "");
        clean_up(&fixture);

        assert_int_equal(connect_with_nkey(&fixture, INFO "PONG\r\n", &sign_result),
                         -EPROTONOSUPPORT);
        assert_string_equal(sockd_error_text(fixture.sockd), "the server knows no nkeys");
        assert_sent(&fixture, "");
        clean_up(&fixture);
}

static void test_login_fails_as_the_server_says(void **state) {
        static const struct {
                const char *greeting;
                int result;
        } cases[] = {
                {INFO "-ERR 'Authorization Violation'\r\n", SOCKD_DENIED},
                {"-ERR 'maximum connections exceeded'\r\n", SOCKD_REFUSED},
                {"SSH-2.0-OpenSSH_9.2\r\n", SOCKD_VIOLATION},
                {"HTTP/1.1 400 Bad Request", SOCKD_VIOLATION},
                {"INFO {\"server_id\"\r\n", SOCKD_VIOLATION},
                {"INFO []\r\n", SOCKD_VIOLATION},
                {"PONG\r\n", SOCKD_VIOLATION},
                {INFO "MSG a 1 0\r\n\r\n", SOCKD_VIOLATION},
                {"INFO {\"tls_required\":true}\r\n", -EPROTONOSUPPORT},
                {"INFO {\"tls_required\":true}\r\nPONG\r\n", SOCKD_VIOLATION},
                {"INF", SOCKD_TIMEOUT},
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct fixture fixture;

                assert_int_equal(try_connect(&fixture, cases[i].greeting, 20), cases[i].result);
                assert_true(strlen(sockd_error_text(fixture.sockd)) > 0);
                assert_int_equal(sockd_publish(fixture.sockd, "a", "", 0), -ENOTCONN);
                assert_int_equal(sockd_descriptor(fixture.sockd), -1);
                clean_up(&fixture);
        }
}

static void test_login_notices_a_server_that_closes(void **state) {
        struct fixture fixture;
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        fixture.peer = ends[1];
        close(fixture.peer);
        fixture.peer = -1;
        assert_int_equal(sockd_new(&fixture.sockd), 0);
        assert_int_equal(sockd_connect_descriptor(fixture.sockd, ends[0], WAIT_MS), SOCKD_CLOSED);
        clean_up(&fixture);
}

static void test_connect_explains_bad_addresses(void **state) {
        struct sockd *sockd;

        assert_int_equal(sockd_new(&sockd), 0);
        assert_int_equal(sockd_connect(sockd, "nonsense://x", 100), -EINVAL);
        assert_int_equal(sockd_connect(sockd, "tls://127.0.0.1:1", 100), -ECONNREFUSED);
        assert_int_equal(sockd_connect(sockd, "unix:///nonexistent/socket", 100), -ENOENT);
        assert_non_null(strstr(sockd_error_text(sockd), "/nonexistent/socket"));
        sockd_free(sockd);
}

static void test_publish_is_sent_as_the_protocol_wants(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message = {
                .subject = "a.b",
                .n_subject = 3,
                .reply = "r",
                .n_reply = 1,
                .headers = "NATS/1.0\r\nA: b\r\n\r\n",
                .n_headers = 18,
                .payload = "hello",
                .n_payload = 5,
        };

        assert_int_equal(sockd_publish(fixture->sockd, "a", NULL, 0), 0);
        assert_int_equal(sockd_publish_message(fixture->sockd, &message), 0);
        assert_sent(fixture, "");
        assert_int_equal(sockd_send(fixture->sockd), 0);
        assert_sent(fixture,
                    "PUB a 0\r\n\r\nHPUB a.b r 18 23\r\nNATS/1.0\r\nA: b\r\n\r\nhello\r\n");
}

static void test_subjects_cannot_smuggle_operations(void **state) {
        static const char *const subjects[] = {"", "a b", "a\r\nPUB b 0", "a\tb", "\x7f"};
        struct fixture *fixture = *state;

        for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
                struct sockd_message message = {.subject = "a",
                                                .n_subject = 1,
                                                .reply = subjects[i],
                                                .n_reply = strlen(subjects[i])};

                assert_int_equal(sockd_publish(fixture->sockd, subjects[i], "", 0), -EINVAL);
                assert_int_equal(sockd_publish_message(fixture->sockd, &message), -EINVAL);
                assert_int_equal(sockd_subscribe(fixture->sockd, subjects[i], NULL, 0, NULL),
                                 -EINVAL);
                assert_int_equal(sockd_subscribe(fixture->sockd, "a", subjects[i], 0, NULL),
                                 -EINVAL);
        }
        assert_int_equal(sockd_send(fixture->sockd), 0);
        assert_sent(fixture, "");
}

static void test_too_large_a_payload_is_not_sent(void **state) {
        struct fixture *fixture = *state;
        char *payload = calloc(1, 1000001);

        assert_int_equal(sockd_publish(fixture->sockd, "a", payload, 1000001), SOCKD_TOO_LARGE);
        peer_write(fixture, "INFO {\"max_payload\":10}\r\nPONG\r\n");
        assert_int_equal(sockd_flush(fixture->sockd, WAIT_MS), 0);
        assert_int_equal(sockd_publish(fixture->sockd, "a", payload, 11), SOCKD_TOO_LARGE);
        assert_int_equal(sockd_publish(fixture->sockd, "a", payload, 10), 0);
        free(payload);
}

struct sink {
        int descriptor;
        size_t n;
};

static void *sink_run(void *data) {
        struct sink *sink = data;
        static char buffer[65536];
        ssize_t n;

        while ((n = read(sink->descriptor, buffer, sizeof(buffer))) > 0)
                sink->n += (size_t)n;
        return NULL;
}

static void test_large_payloads_pass_the_output_buffer(void **state) {
        struct fixture *fixture = *state;
        struct sink sink = {.descriptor = fixture->peer};
        char *payload = calloc(1, 900000);
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, sink_run, &sink), 0);
        for (int i = 0; i < 4; i++) {
                assert_int_equal(sockd_publish(fixture->sockd, "a", payload, 900000), 0);
                assert_int_equal(sockd_publish(fixture->sockd, "a", payload, 90000), 0);
        }
        assert_int_equal(sockd_send(fixture->sockd), 0);
        sockd_close(fixture->sockd);
        pthread_join(thread, NULL);
        assert_int_equal(sink.n, 4 * (strlen("PUB a 900000\r\n\r\n") + 900000 +
                                      strlen("PUB a 90000\r\n\r\n") + 90000));
        free(payload);
}

static void test_subscriptions_are_numbered(void **state) {
        struct fixture *fixture = *state;
        uint64_t first, second;

        assert_int_equal(sockd_subscribe(fixture->sockd, "a.*", NULL, 0, &first), 0);
        assert_int_equal(sockd_subscribe(fixture->sockd, "b", "q", 3, &second), 0);
        assert_int_equal(sockd_unsubscribe(fixture->sockd, first, 0), 0);
        assert_int_not_equal(first, second);
        assert_int_equal(sockd_send(fixture->sockd), 0);
        assert_sent(fixture, "SUB a.* 1\r\nSUB b q 2\r\nUNSUB 2 3\r\nUNSUB 1\r\n");
}

static void test_messages_come_however_they_are_cut(void **state) {
        static const char stream[] =
                "MSG a 1 5\r\nhello\r\nmsg  b\t2 r  0\r\n\r\nPING\r\n+OK\r\n"
                "HMSG c 3 16 18\r\nNATS/1.0 503\r\n\r\nhi\r\nMSG d 4 2\r\n\r\n\r\n";
        static const char *const subjects[] = {"a", "b", "c", "d"};
        static const char *const payloads[] = {"hello", "", "hi", "\r\n"};
        struct fixture *fixture = *state;
        struct sockd_message message;
        size_t n = 0;

        for (size_t i = 0; i < sizeof(stream) - 1; i++) {
                int result;

                assert_int_equal(write(fixture->peer, stream + i, 1), 1);
                while ((result = sockd_next(fixture->sockd, &message, 0)) == 0) {
                        assert_message(&message, subjects[n], payloads[n]);
                        assert_int_equal(message.subscription, n + 1);
                        assert_int_equal(message.status, n == 2 ? 503 : 0);
                        assert_int_equal(message.n_reply, n == 1 ? 1 : 0);
                        n++;
                }
                assert_int_equal(result, SOCKD_TIMEOUT);
        }
        assert_int_equal(n, 4);
        assert_sent(fixture, "PONG\r\n");
}

static void test_malformed_operations_end_the_connection(void **state) {
        static const char *const streams[] = {
                "MSG a\r\n",
                "MSG a 1\r\n",
                "MSG a x 5\r\n",
                "MSG a 1 x\r\n",
                "MSG a 1 -1\r\n",
                "MSG a 1 1234567890\r\n",
                "MSG a 1 r s 5\r\n",
                "MSG a 1 2\r\nabXX",
                "MSG\r\n",
                "HMSG a 1 6 5\r\n",
                "HMSG a 1 5\r\n",
                "HMSG a 1 r s 5 5\r\n",
                "HMSG a 1 x 5\r\n",
                "MSG a 99999999999999999999 1\r\n",
                "MSG a 1 999999999\r\n",
                "BANANA\r\n",
                "\r\n",
                "INFO nonsense\r\n",
                "X",
        };

        for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
                struct fixture fixture;
                struct sockd_message message;

                assert_int_equal(try_connect(&fixture, INFO "PONG\r\n", WAIT_MS), 0);
                peer_write(&fixture, streams[i]);
                assert_int_equal(sockd_next(fixture.sockd, &message, WAIT_MS), SOCKD_VIOLATION);
                assert_int_equal(sockd_publish(fixture.sockd, "a", "", 0), SOCKD_VIOLATION);
                clean_up(&fixture);
        }
}

static void test_large_message_grows_the_input(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;
        size_t n_payload = 900000, n = (size_t)sprintf((char[64]){0}, "MSG a 1 %zu\r\n", n_payload);
        char *stream = malloc(n + n_payload + 2);
        size_t n_total = n + n_payload + 2, n_written = 0;
        int result = SOCKD_TIMEOUT;

        sprintf(stream, "MSG a 1 %zu\r\n", n_payload);
        memset(stream + n, 'x', n_payload);
        memcpy(stream + n + n_payload, "\r\n", 2);
        while (result == SOCKD_TIMEOUT) {
                ssize_t n_sent =
                        send(fixture->peer, stream + n_written, n_total - n_written, MSG_DONTWAIT);

                n_written += n_sent > 0 ? (size_t)n_sent : 0;
                result = sockd_next(fixture->sockd, &message, 0);
        }
        assert_int_equal(result, 0);
        assert_int_equal(message.n_payload, n_payload);
        assert_memory_equal(message.payload, stream + n, n_payload);
        free(stream);
}

static void test_errors_are_told_and_the_connection_goes_on(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        peer_write(fixture,
                   "MSG a 1 1\r\nx\r\n-ERR 'Permissions Violation for Publish to \"b\"'\r\n"
                   "-ERR 'Invalid Subject'\r\nMSG c 1 1\r\ny\r\n");
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), 0);
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), SOCKD_DENIED);
        assert_string_equal(sockd_error_text(fixture->sockd),
                            "Permissions Violation for Publish to \"b\"");
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), SOCKD_REFUSED);
        assert_string_equal(sockd_error_text(fixture->sockd), "Invalid Subject");
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), 0);
        assert_message(&message, "c", "y");
}

static void test_end_comes_after_what_was_said_before(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        peer_write(fixture, "MSG a 1 1\r\nx\r\nMSG b 1 5\r\nyy");
        close(fixture->peer);
        fixture->peer = -1;
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), 0);
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), SOCKD_CLOSED);
        assert_int_equal(sockd_next(fixture->sockd, &message, WAIT_MS), SOCKD_CLOSED);
        assert_int_equal(sockd_flush(fixture->sockd, WAIT_MS), SOCKD_CLOSED);
}

static void test_publisher_learns_why_the_server_closed(void **state) {
        struct fixture *fixture = *state;

        peer_write(fixture, "PING\r\nMSG a 1 1\r\nx\r\n-ERR 'Maximum Payload Violation'\r\n");
        close(fixture->peer);
        fixture->peer = -1;
        assert_int_equal(sockd_publish(fixture->sockd, "a", "x", 1), 0);
        assert_int_equal(sockd_send(fixture->sockd), SOCKD_REFUSED);
        assert_string_equal(sockd_error_text(fixture->sockd), "Maximum Payload Violation");
        assert_int_equal(sockd_publish(fixture->sockd, "a", "x", 1), SOCKD_CLOSED);
}

static void test_flush_leaves_messages_to_next(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;
        uint64_t round_trip_ns;

        peer_write(fixture,
                   "MSG a 1 1\r\nx\r\nPING\r\nMSG b 1 1\r\ny\r\nPONG\r\nMSG c 1 1\r\nz\r\n");
        assert_int_equal(sockd_ping(fixture->sockd, WAIT_MS, &round_trip_ns), 0);
        assert_true(round_trip_ns > 0);
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "a", "x");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "b", "y");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "c", "z");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), SOCKD_TIMEOUT);
        assert_sent(fixture, "PING\r\nPONG\r\n");
}

static void test_process_answers_pings_and_leaves_messages_to_next(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        assert_int_equal(sockd_process(fixture->sockd), 0);
        peer_write(fixture, "MSG a 1 1\r\nx\r\nMSG b 1 1\r\ny\r\nPING\r\n");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "a", "x");
        assert_int_equal(sockd_process(fixture->sockd), 0);
        assert_sent(fixture, "PONG\r\n");
        peer_write(fixture, "-ERR 'wrong'\r\nMSG c 1 1\r\nz\r\nPING\r\nMSG d 1");
        assert_int_equal(sockd_process(fixture->sockd), SOCKD_REFUSED);
        assert_string_equal(sockd_error_text(fixture->sockd), "wrong");
        assert_int_equal(sockd_process(fixture->sockd), 0);
        assert_sent(fixture, "PONG\r\n");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "b", "y");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
        assert_message(&message, "c", "z");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), SOCKD_TIMEOUT);
        peer_write(fixture, " 1\r\nw\r\n");
        close(fixture->peer);
        fixture->peer = -1;
        assert_int_equal(sockd_process(fixture->sockd), SOCKD_CLOSED);
        assert_int_equal(sockd_process(fixture->sockd), SOCKD_CLOSED);
}

static void test_late_pong_does_not_count_for_the_next_flush(void **state) {
        struct fixture *fixture = *state;

        assert_int_equal(sockd_flush(fixture->sockd, 0), SOCKD_TIMEOUT);
        peer_write(fixture, "PONG\r\n");
        assert_int_equal(sockd_flush(fixture->sockd, 0), SOCKD_TIMEOUT);
        peer_write(fixture, "PONG\r\n");
        assert_int_equal(sockd_flush(fixture->sockd, 0), SOCKD_TIMEOUT);
        peer_write(fixture, "PONG\r\nPONG\r\n");
        assert_int_equal(sockd_flush(fixture->sockd, 0), 0);
}

/* A peer that answers each request with what `answer` makes of its reply subject. */
struct responder {
        const struct fixture *fixture;
        const char *answer; /* %s in it stands for the reply subject */
        int n;              /* requests to answer */
};

static void answer(int peer, const char *pattern, const char *reply) {
        const char *hole;

        for (; (hole = strstr(pattern, "%s")) != NULL; pattern = hole + 2)
                dprintf(peer, "%.*s%s", (int)(hole - pattern), pattern, reply);
        dprintf(peer, "%s", pattern);
}

static void *responder_run(void *data) {
        const struct responder *responder = data;
        char text[4096], *at, reply[128];
        size_t n = 0;

        for (int i = 0; i < responder->n; i++) {
                while (!(at = memmem(text, n, "PUB ", 4)) ||
                       !memmem(at, n - (size_t)(at - text), "!\r\n", 3)) {
                        ssize_t n_read =
                                read(responder->fixture->peer, text + n, sizeof(text) - 1 - n);

                        assert_true(n_read > 0);
                        n += (size_t)n_read;
                        text[n] = '\0';
                }
                assert_int_equal(sscanf(at, "PUB svc %127s", reply), 1);
                answer(responder->fixture->peer, responder->answer, reply);
                n = 0;
        }
        return NULL;
}

static void request_with(struct fixture *fixture, const char *pattern, int n, int result,
                         struct sockd_message *message) {
        struct responder responder = {fixture, pattern, n};
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, responder_run, &responder), 0);
        for (int i = 0; i < n; i++)
                assert_int_equal(
                        sockd_request(fixture->sockd, "svc", NULL, 0, "!", 1, message, WAIT_MS),
                        result);
        pthread_join(thread, NULL);
}

static void test_request_returns_its_answer(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        request_with(fixture, "MSG a 9 1\r\nx\r\nMSG %s 1 6\r\nanswer\r\nMSG b 9 1\r\ny\r\n", 3, 0,
                     &message);
        assert_slice(message.payload, message.n_payload, "answer");
        for (int i = 0; i < 3; i++) {
                assert_int_equal(sockd_next(fixture->sockd, &message, 0), 0);
                assert_message(&message, "a", "x");
                assert_int_equal(sockd_next(fixture->sockd, &message, i == 2 ? WAIT_MS : 0), 0);
                assert_message(&message, "b", "y");
        }
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), SOCKD_TIMEOUT);
}

static void test_late_and_second_answers_are_dropped(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        request_with(fixture, "MSG _INBOX.other 1 1\r\n?\r\nMSG %s 1 1\r\n1\r\nMSG %s 1 1\r\n2\r\n",
                     4, 0, &message);
        assert_slice(message.payload, message.n_payload, "1");
        assert_int_equal(sockd_next(fixture->sockd, &message, 0), SOCKD_TIMEOUT);
}

static void test_request_without_responders_says_so(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        request_with(fixture, "HMSG %s 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", 2, SOCKD_NO_RESPONDERS,
                     &message);
}

static void test_request_is_denied_or_late(void **state) {
        struct fixture *fixture = *state;
        struct sockd_message message;

        assert_int_equal(sockd_request(fixture->sockd, "svc", NULL, 0, NULL, 0, &message, 0),
                         SOCKD_TIMEOUT);
        peer_write(fixture, "-ERR 'Permissions Violation for Publish to \"svc\"'\r\n");
        assert_int_equal(sockd_request(fixture->sockd, "svc", NULL, 0, NULL, 0, &message, WAIT_MS),
                         SOCKD_DENIED);
}

#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_login_sends_connect_and_reads_info),
                cmocka_unit_test(test_login_quotes_what_the_user_gave),
                cmocka_unit_test(test_login_signs_the_nonce),
                cmocka_unit_test(test_login_fails_as_the_server_says),
                cmocka_unit_test(test_login_notices_a_server_that_closes),
                cmocka_unit_test(test_connect_explains_bad_addresses),
                CONNECTED(test_publish_is_sent_as_the_protocol_wants),
                CONNECTED(test_subjects_cannot_smuggle_operations),
                CONNECTED(test_too_large_a_payload_is_not_sent),
                CONNECTED(test_large_payloads_pass_the_output_buffer),
                CONNECTED(test_subscriptions_are_numbered),
                CONNECTED(test_messages_come_however_they_are_cut),
                cmocka_unit_test(test_malformed_operations_end_the_connection),
                CONNECTED(test_large_message_grows_the_input),
                CONNECTED(test_errors_are_told_and_the_connection_goes_on),
                CONNECTED(test_end_comes_after_what_was_said_before),
                CONNECTED(test_publisher_learns_why_the_server_closed),
                CONNECTED(test_flush_leaves_messages_to_next),
                CONNECTED(test_process_answers_pings_and_leaves_messages_to_next),
                CONNECTED(test_late_pong_does_not_count_for_the_next_flush),
                CONNECTED(test_request_returns_its_answer),
                CONNECTED(test_late_and_second_answers_are_dropped),
                CONNECTED(test_request_without_responders_says_so),
                CONNECTED(test_request_is_denied_or_late),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
