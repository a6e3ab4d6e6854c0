/* libsockd without a connection, against a peer that drops, refuses and forgets.
 *
 * The client's socket is one of UDP on the loopback interface, where nothing is lost but what the
 * peer does not answer. The peer is a thread that plays a script: for each datagram a text that it
 * has to contain, and the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/sockd_private.h"

#define WAIT_MS           10000
#define INFO_REST         "\"headers\":true,\"max_payload\":61000"
#define INFO              "INFO {\"server_id\":\"ID\",\"server_name\":\"host-a\"," INFO_REST "} \r\n"
#define INFO_WITH(cookie) "INFO {\"server_id\":\"ID\",\"cookie\":\"" cookie "\"," INFO_REST "} \r\n"
/* Of a server that soon forgets. */
#define INFO_SHORT(cookie)                                                                         \
        "INFO {\"server_id\":\"ID\",\"session_timeout\":300,\"cookie\":\"" cookie "\"," INFO_REST  \
        "} \r\n"

/* What the peer does with a datagram. */
struct step {
        const char *expected; /* stands in it; NULL: anything does */
        const char *answer;   /* a datagram; %s is the subject of the inbox; NULL: none */
};

struct peer {
        struct sockd *sockd;
        int descriptor, client;
        const struct step *steps; /* the last one has no answer and no expectation */
        char seen[8][4096];
        size_t n_seen;
        bool is_unexpected;
        pthread_t thread;
};

static void answer(const struct peer *peer, const char *seen, const char *pattern,
                   const struct sockaddr_in *to) {
        const char *inbox = strstr(seen, "PUB svc "), *hole = strstr(pattern, "%s");
        char subject[256] = "", text[4096];
        int n;

        if (inbox)
                sscanf(inbox + 8, "%255s", subject);
        n = hole ? snprintf(text, sizeof(text), "%.*s%s%s", (int)(hole - pattern), pattern, subject,
                            hole + 2)
                 : snprintf(text, sizeof(text), "%s", pattern);
        assert_int_equal(sendto(peer->descriptor, text, (size_t)n, 0, (const struct sockaddr *)to,
                                sizeof(*to)),
                         n);
}

static void *peer_run(void *data) {
        struct peer *peer = data;

        for (const struct step *step = peer->steps; step->expected || step->answer; step++) {
                struct pollfd pollfd = {.fd = peer->descriptor, .events = POLLIN};
                struct sockaddr_in from;
                socklen_t length = sizeof(from);
                char *seen = peer->seen[peer->n_seen];
                ssize_t n;

                if (poll(&pollfd, 1, WAIT_MS) != 1)
                        return NULL;
                n = recvfrom(peer->descriptor, seen, sizeof(peer->seen[0]) - 1, 0,
                             (struct sockaddr *)&from, &length);
                seen[n > 0 ? n : 0] = '\0';
                peer->n_seen++;
                if (step->expected && !strstr(seen, step->expected))
                        peer->is_unexpected = true;
                if (step->answer)
                        answer(peer, seen, step->answer, &from);
        }
        return NULL;
}

static int peer_bind(struct sockaddr_in *address) {
        socklen_t length = sizeof(*address);
        int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        *address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_true(descriptor >= 0);
        assert_int_equal(bind(descriptor, (struct sockaddr *)address, length), 0);
        assert_int_equal(getsockname(descriptor, (struct sockaddr *)address, &length), 0);
        return descriptor;
}

/* Starts the peer and connects to it. Returns what sockd_connect() did. */
static int play(struct peer *peer, const struct step *steps) {
        struct sockaddr_in address;
        char text[64];

        *peer = (struct peer){.steps = steps, .descriptor = peer_bind(&address)};
        snprintf(text, sizeof(text), "udp://127.0.0.1:%u", ntohs(address.sin_port));
        assert_int_equal(pthread_create(&peer->thread, NULL, peer_run, peer), 0);
        assert_int_equal(sockd_new(&peer->sockd), 0);
        return sockd_connect(peer->sockd, text, WAIT_MS);
}

/* All steps were taken, and each as it was expected. */
static void end(struct peer *peer) {
        size_t n_steps = 0;

        pthread_join(peer->thread, NULL);
        while (peer->steps[n_steps].expected || peer->steps[n_steps].answer)
                n_steps++;
        for (size_t i = 0; peer->is_unexpected && i < peer->n_seen; i++)
                print_message("# datagram %zu: %s\n", i, peer->seen[i]);
        assert_false(peer->is_unexpected);
        assert_int_equal(peer->n_seen, n_steps);
        sockd_free(peer->sockd);
        close(peer->descriptor);
}

static void test_first_datagram_makes_room_for_the_answer(void **state) {
        static const struct step steps[] = {{"PING\r\n", INFO "PONG\r\n"}, {NULL, NULL}};
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_string_equal(sockd_server_name(peer.sockd), "host-a");
        assert_int_equal(sockd_max_payload(peer.sockd), 61000);
        end(&peer);
        assert_true(strlen(peer.seen[0]) >= 200);
        assert_memory_equal(peer.seen[0], "CONNECT {", 9);
}

static void test_greeting_is_repeated_until_it_is_answered(void **state) {
        static const struct step steps[] = {{"CONNECT ", NULL},
                                            {"CONNECT ", "rubbish"},
                                            {"CONNECT ", INFO "PONG\r\n"},
                                            {NULL, NULL}};
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        end(&peer);
}

static void test_cookie_is_returned_to_who_says_little(void **state) {
        static const struct step steps[] = {
                {"PING", "INFO {\"max_payload\":61000,\"cookie\":\"one\"}\r\nPONG\r\n"},
                {"\"cookie\":\"one\"", INFO_WITH("two") "-ERR 'Invalid Cookie'\r\n"},
                {"\"cookie\":\"two\"", INFO_WITH("three") "PONG\r\n"},
                {NULL, NULL}};
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_string_equal(sockd_server_id(peer.sockd), "ID");
        end(&peer);
}

static void test_nobody_there_is_told_at_once(void **state) {
        struct sockaddr_in address;
        struct sockd *sockd;
        char text[64];

        close(peer_bind(&address));
        snprintf(text, sizeof(text), "udp://127.0.0.1:%u", ntohs(address.sin_port));
        assert_int_equal(sockd_new(&sockd), 0);
        assert_int_equal(sockd_connect(sockd, text, WAIT_MS), -ECONNREFUSED);
        assert_int_equal(sockd_descriptor(sockd), -1);
        sockd_free(sockd);
}

static void test_datagrams_hold_what_they_need(void **state) {
        static const struct step steps[] = {
                {"PING", INFO_WITH("c") "PONG\r\n"},
                {"PUB a 1\r\nx\r\nPUB b 0\r\n\r\n", NULL},
                {"HPUB a 18 18\r\n", NULL},
                {"\"cookie\":\"c\"", INFO_WITH("c")},
                {"PUB a 1\r\ny\r\n", NULL},
                {"SUB n q 1\r\nUNSUB 1 9\r\nPING\r\n", INFO_WITH("c") "PONG\r\n"},
                {NULL, NULL}};
        const struct sockd_message message = {
                .subject = "a",
                .n_subject = 1,
                .headers = "NATS/1.0\r\nA: b\r\n\r\n",
                .n_headers = 18,
        };
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_publish(peer.sockd, "a", "x", 1), 0);
        assert_int_equal(sockd_publish(peer.sockd, "b", "", 0), 0);
        assert_int_equal(sockd_send(peer.sockd), 0);
        assert_int_equal(sockd_publish_message(peer.sockd, &message), 0);
        assert_int_equal(sockd_send(peer.sockd), 0);
        assert_int_equal(sockd_subscribe(peer.sockd, "n", "q", 9, NULL), 0);
        assert_int_equal(sockd_publish(peer.sockd, "a", "y", 1), 0);
        assert_int_equal(sockd_send(peer.sockd), 0);
        assert_int_equal(sockd_flush(peer.sockd, WAIT_MS), 0);
        end(&peer);
        assert_memory_equal(peer.seen[1], "PUB", 3);
        assert_memory_equal(peer.seen[2], "CONNECT {", 9);
        assert_null(strstr(peer.seen[2], "cookie"));
        assert_memory_equal(peer.seen[3], "CONNECT {", 9);
        assert_memory_equal(peer.seen[4], "PUB", 3);
        assert_memory_equal(peer.seen[5], "CONNECT {", 9);
}

static void test_small_operations_share_datagrams_that_are_not_cut(void **state) {
        static const struct step steps[] = {{"PING", INFO "PONG\r\n"},
                                            {"PUB a 600", NULL},
                                            {"PUB a 600", NULL},
                                            {"PUB a 3000", NULL},
                                            {NULL, NULL}};
        char payload[3000];
        struct peer peer;

        memset(payload, 'x', sizeof(payload));
        assert_int_equal(play(&peer, steps), 0);
        for (int i = 0; i < 3; i++)
                assert_int_equal(sockd_publish(peer.sockd, "a", payload, 600), 0);
        assert_int_equal(sockd_publish(peer.sockd, "a", payload, sizeof(payload)), 0);
        assert_int_equal(sockd_publish(peer.sockd, "a", payload, 61001), SOCKD_TOO_LARGE);
        assert_string_equal(sockd_error_text(peer.sockd),
                            "61001 bytes are more than the server takes, 61000");
        end(&peer);
        assert_int_equal(strlen(peer.seen[1]), 2 * (11 + 600 + 2));
        assert_int_equal(strlen(peer.seen[2]), 11 + 600 + 2);
        assert_int_equal(strlen(peer.seen[3]), 12 + 3000 + 2);
}

static void test_lost_request_is_sent_again(void **state) {
        static const struct step steps[] = {{"PING", INFO "PONG\r\n"},
                                            {"SUB _INBOX.", NULL},
                                            {"SUB _INBOX.", INFO "MSG %s 1 2\r\nhi\r\n"},
                                            {NULL, NULL}};
        struct sockd_message message;
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_request(peer.sockd, "svc", NULL, 0, "x", 1, &message, WAIT_MS / 10),
                         0);
        assert_int_equal(message.n_payload, 2);
        assert_memory_equal(message.payload, "hi", 2);
        end(&peer);
        assert_non_null(strstr(peer.seen[1], "PUB svc "));
        assert_string_equal(peer.seen[1], peer.seen[2]);
}

static void test_refused_cookie_has_the_request_sent_again(void **state) {
        static const struct step steps[] = {
                {"PING", INFO_WITH("old") "PONG\r\n"},
                {"\"cookie\":\"old\"", INFO_WITH("new") "-ERR 'Invalid Cookie'\r\n"},
                {"\"cookie\":\"new\"", INFO_WITH("new") "MSG %s 1 0\r\n\r\n"},
                {NULL, NULL}};
        struct sockd_message message;
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_request(peer.sockd, "svc", NULL, 0, NULL, 0, &message, WAIT_MS), 0);
        end(&peer);
}

static void test_subscription_is_renewed_while_one_waits(void **state) {
        static const struct step steps[] = {
                {"PING", INFO_SHORT("c") "PONG\r\n"},
                {"SUB a 1\r\n", INFO_SHORT("c")},
                {"SUB a 1\r\n", INFO_SHORT("d")},
                {"SUB a 1\r\n", INFO_SHORT("d") "MSG a 1 1\r\nx\r\nMSG a 1 9\r\nhalf"},
                {"SUB a 1\r\n", "MSG a 1 1\r\ny\r\n"},
                {NULL, NULL}};
        struct sockd_message message;
        struct pollfd pollfd;
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_subscribe(peer.sockd, "a", NULL, 0, NULL), 0);
        assert_int_equal(sockd_next(peer.sockd, &message, WAIT_MS), 0);
        assert_memory_equal(message.payload, "x", 1);
        /* The same for who waits elsewhere. */
        assert_int_equal(sockd_next(peer.sockd, &message, 0), SOCKD_TIMEOUT);
        do {
                pollfd = (struct pollfd){.fd = sockd_descriptor(peer.sockd), .events = POLLIN};
                assert_int_equal(poll(&pollfd, 1, WAIT_MS), 1);
        } while (sockd_next(peer.sockd, &message, 0) == SOCKD_TIMEOUT);
        assert_memory_equal(message.payload, "y", 1);
        end(&peer);
        assert_non_null(strstr(peer.seen[3], "\"cookie\":\"d\""));
}

static void test_end_is_told(void **state) {
        static const struct step steps[] = {{"PING", INFO "PONG\r\n"},
                                            {"SUB a 1\r\n", "PONG\r\n"},
                                            {"UNSUB 1\r\nUNSUB 2\r\n", NULL},
                                            {NULL, NULL}};
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_subscribe(peer.sockd, "a", NULL, 0, NULL), 0);
        assert_int_equal(sockd_subscribe(peer.sockd, "b", NULL, 0, NULL), 0);
        assert_int_equal(sockd_flush(peer.sockd, WAIT_MS), 0);
        assert_int_equal(sockd_publish(peer.sockd, "a", "", 0), 0);
        sockd_close(peer.sockd);
        end(&peer);
        assert_memory_equal(peer.seen[2], "UNSUB", 5);
}

static void test_subscription_with_a_maximum_ends(void **state) {
        static const struct step steps[] = {
                {"PING", INFO_SHORT("c") "PONG\r\n"},
                {"SUB a 1\r\nUNSUB 1 2\r\n", INFO_SHORT("c") "MSG a 1 1\r\nx\r\n"},
                {"SUB a 1\r\nUNSUB 1 2\r\n", "MSG a 1 1\r\ny\r\n"},
                {"UNSUB 1\r\nPING\r\n", "PONG\r\n"},
                {NULL, NULL}};
        struct sockd_message message;
        struct peer peer;

        assert_int_equal(play(&peer, steps), 0);
        assert_int_equal(sockd_subscribe(peer.sockd, "a", NULL, 2, NULL), 0);
        assert_int_equal(sockd_next(peer.sockd, &message, WAIT_MS), 0);
        assert_int_equal(sockd_next(peer.sockd, &message, WAIT_MS), 0);
        assert_int_equal(sockd_flush(peer.sockd, WAIT_MS), 0);
        end(&peer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_datagram_makes_room_for_the_answer),
                cmocka_unit_test(test_greeting_is_repeated_until_it_is_answered),
                cmocka_unit_test(test_cookie_is_returned_to_who_says_little),
                cmocka_unit_test(test_nobody_there_is_told_at_once),
                cmocka_unit_test(test_datagrams_hold_what_they_need),
                cmocka_unit_test(test_small_operations_share_datagrams_that_are_not_cut),
                cmocka_unit_test(test_lost_request_is_sent_again),
                cmocka_unit_test(test_refused_cookie_has_the_request_sent_again),
                cmocka_unit_test(test_subscription_is_renewed_while_one_waits),
                cmocka_unit_test(test_subscription_with_a_maximum_ends),
                cmocka_unit_test(test_end_is_told),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
