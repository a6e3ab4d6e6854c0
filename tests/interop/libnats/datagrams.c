/* Peers that send bytes by UDP, and libnats on TCP: each is the other's publisher, subscriber,
 * service and requester. */

#include "cases.h"
#include "peer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What the peer has sent reaches the receiver's libnats before this returns. */
static void settle_peer(struct scene *scene, int peer) {
        peer_send_and_sync(peer, "");
        flush(scene->receiver);
}

/* The peer has sent nothing else to this subscription. */
static void expect_no_more(struct scene *scene, int peer, natsSubscription *subscription) {
        settle_peer(scene, peer);
        expect_nothing_more(scene, subscription);
}

/* from UDP to libnats */

static void udp_publisher_reaches_its_subscribers(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);
        natsSubscription *plain = subscribe(scene, "news.today");
        natsSubscription *pattern = subscribe(scene, "news.>");
        natsSubscription *member = subscribe_in_group(scene, "news.*", "readers");
        natsSubscription *other = subscribe(scene, "news.yesterday");
        natsSubscription *subscribers[] = {plain, pattern, member};

        peer_send(peer, "PUB news.today 5\r\nhello\r\n");
        peer_send(peer, "PUB news.today 0\r\n\r\n");
        for (int i = 0; i < 3; i++) {
                expect(subscribers[i], "news.today", "hello");
                expect(subscribers[i], "news.today", "");
                expect_no_more(scene, peer, subscribers[i]);
        }
        expect_no_more(scene, peer, other);
}

/* Sends operation and payload in one datagram; the payload is bytes of any kind. */
static void send_with_payload(int peer, const char *line, const void *payload, size_t n_bytes) {
        char datagram[DATAGRAM_MAX];
        size_t n_line = strlen(line);

        assert_true(n_line + n_bytes + 2 <= sizeof datagram);
        memcpy(datagram, line, n_line);
        memcpy(datagram + n_line, payload, n_bytes);
        memcpy(datagram + n_line + n_bytes, "\r\n", 2);
        peer_send_bytes(peer, datagram, n_line + n_bytes + 2);
}

static const size_t payload_sizes[] = {1, 2, 100, 1400, 1500, 9000, 65000};
enum { N_PAYLOAD_SIZES = sizeof payload_sizes / sizeof payload_sizes[0] };

static void udp_payloads_arrive_byte_for_byte(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);
        natsSubscription *subscription = subscribe(scene, "bytes");
        unsigned char *sent = large_payload(1);
        char line[64];

        for (int i = 0; i < N_PAYLOAD_SIZES; i++) {
                size_t n_bytes = payload_sizes[i];
                natsMsg *received;

                snprintf(line, sizeof line, "PUB bytes %zu\r\n", n_bytes);
                send_with_payload(peer, line, sent, n_bytes);
                received = next_message(subscription);
                assert_int_equal(natsMsg_GetDataLength(received), n_bytes);
                assert_true(memcmp(natsMsg_GetData(received), sent, n_bytes) == 0);
                natsMsg_Destroy(received);
        }
        free(sent);
}

/* The subjects take turns, so that each operation stands for itself. */
static void operations_of_one_datagram_arrive_in_order(void **state) {
        enum { N = 1000, ROOM = 32 };
        static char datagram[N * ROOM];
        struct scene *scene = *state;
        int peer = peer_open(scene), n_bytes = 0;
        natsSubscription *subscription = subscribe(scene, "numbers.*");
        char subject[32], text[16];

        for (int i = 0; i < N; i++)
                n_bytes += snprintf(datagram + n_bytes, ROOM, "PUB numbers.%d 3\r\n%03d\r\n", i % 3,
                                    i);
        peer_send(peer, datagram);
        for (int i = 0; i < N; i++) {
                snprintf(subject, sizeof subject, "numbers.%d", i % 3);
                snprintf(text, sizeof text, "%03d", i);
                expect(subscription, subject, text);
        }
        expect_no_more(scene, peer, subscription);
}

static void expect_header(natsMsg *message, const char *key, const char *expected) {
        const char *value;

        assert_ok(natsMsgHeader_Get(message, key, &value));
        assert_string_equal(value, expected);
}

static void udp_headers_arrive_with_the_message(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene), n_values;
        natsSubscription *subscription = subscribe(scene, "letters");
        const char **values;
        natsMsg *received;

        peer_send(peer, "CONNECT {\"headers\":true}\r\n"
                        "HPUB letters answer.here 61 65\r\n"
                        "NATS/1.0\r\nType: text; a=b\r\nTag: one\r\nTag: two: with colon\r\n\r\n"
                        "body\r\n"
                        "HPUB letters 26 26\r\nNATS/1.0\r\nOnly: header\r\n\r\n\r\n");
        peer_expect_info(peer);

        received = next_message(subscription);
        assert_string_equal(natsMsg_GetReply(received), "answer.here");
        assert_string_equal(natsMsg_GetData(received), "body");
        expect_header(received, "Type", "text; a=b");
        assert_ok(natsMsgHeader_Values(received, "Tag", &values, &n_values));
        assert_int_equal(n_values, 2);
        assert_string_equal(values[0], "one");
        assert_string_equal(values[1], "two: with colon");
        free(values);
        natsMsg_Destroy(received);

        received = next_message(subscription);
        assert_int_equal(natsMsg_GetDataLength(received), 0);
        expect_header(received, "Only", "header");
        natsMsg_Destroy(received);
}

/* requests from UDP to a service behind libnats */

static void answer_in_upper_case(natsConnection *connection, natsSubscription *subscription,
                                 natsMsg *message, void *closure) {
        char text[64];
        size_t n = 0;

        (void)subscription;
        (void)closure;
        for (const char *from = natsMsg_GetData(message); *from && n < sizeof text - 1; from++)
                text[n++] = (char)toupper((unsigned char)*from);
        text[n] = '\0';
        natsConnection_PublishString(connection, natsMsg_GetReply(message), text);
        natsMsg_Destroy(message);
}

/* Nothing is left of each request, and so the next is the same again. */
static void udp_requests_of_one_datagram_are_answered(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);

        subscribe_with(scene, "svc.upper", answer_in_upper_case, NULL);
        for (int i = 0; i < 100; i++) {
                peer_send(peer, "SUB me 1\r\nUNSUB 1 1\r\nPUB svc.upper me 6\r\nplease\r\n");
                peer_expect(peer, "MSG me 1 6\r\nPLEASE\r\n");
        }
        settle_peer(scene, peer);
}

static void udp_requests_of_a_session_are_answered(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);
        char text[128];

        subscribe_with(scene, "svc.upper", answer_in_upper_case, NULL);
        peer_send(peer, "CONNECT {\"headers\":true,\"no_responders\":true}\r\n"
                        "SUB _INBOX.udp.* 1\r\nPUB svc.upper _INBOX.udp.first 5\r\nfirst\r\n");
        peer_expect_info_and(peer, "MSG _INBOX.udp.first 1 5\r\nFIRST\r\n");
        for (int i = 100; i < 200; i++) {
                snprintf(text, sizeof text, "PUB svc.upper _INBOX.udp.%d 1\r\nx\r\n", i);
                peer_send(peer, text);
                snprintf(text, sizeof text, "MSG _INBOX.udp.%d 1 1\r\nX\r\n", i);
                peer_expect(peer, text);
        }
        settle_peer(scene, peer);
}

static void udp_requests_may_be_asked_in_one_datagram_all_together(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);

        subscribe_with(scene, "svc.upper", answer_in_upper_case, NULL);
        peer_send(peer, "SUB me.* 1\r\nPUB svc.upper me.1 3\r\none\r\n"
                        "PUB svc.upper me.2 3\r\ntwo\r\nPUB svc.upper me.3 5\r\nthree\r\n");
        peer_expect(peer, "MSG me.1 1 3\r\nONE\r\n");
        peer_expect(peer, "MSG me.2 1 3\r\nTWO\r\n");
        peer_expect(peer, "MSG me.3 1 5\r\nTHREE\r\n");
        settle_peer(scene, peer);
}

static void headers_travel_with_udp_requests_and_their_replies(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);

        subscribe_with(scene, "service", answer_with_headers, NULL);
        peer_send(peer, "CONNECT {\"headers\":true}\r\nSUB me 1\r\nUNSUB 1 1\r\n"
                        "HPUB service me 27 27\r\nNATS/1.0\r\nQuestion: 42?\r\n\r\n\r\n");
        peer_expect_info_and(peer, "HMSG me 1 25 25\r\nNATS/1.0\r\nAnswer: 42?\r\n\r\n\r\n");
        settle_peer(scene, peer);
}

static void udp_requests_get_their_bytes_back(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);
        unsigned char *sent = large_payload(2);
        char line[128], answer[DATAGRAM_MAX];

        subscribe_with(scene, "echo", answer_with_the_same, NULL);
        for (int i = 0; i < N_PAYLOAD_SIZES; i++) {
                size_t n_bytes = payload_sizes[i], n_line;

                snprintf(line, sizeof line, "SUB me 1\r\nUNSUB 1 1\r\nPUB echo me %zu\r\n",
                         n_bytes);
                send_with_payload(peer, line, sent, n_bytes);
                n_line = (size_t)snprintf(answer, sizeof answer, "MSG me 1 %zu\r\n", n_bytes);
                memcpy(answer + n_line, sent, n_bytes);
                memcpy(answer + n_line + n_bytes, "\r\n", 2);
                peer_expect_bytes(peer, answer, n_line + n_bytes + 2);
        }
        free(sent);
}

/* Only those are told who said in CONNECT that they understand it. */
static void udp_requests_to_nobody_are_told_so(void **state) {
        struct scene *scene = *state;
        int simple = peer_open(scene), peer = peer_open(scene);
        natsSubscription *service = subscribe_with(scene, "svc.brief", answer_in_upper_case, NULL);

        peer_send(peer, "CONNECT {\"headers\":true,\"no_responders\":true}\r\n"
                        "SUB me 1\r\nPUB svc.brief me 6\r\nplease\r\n");
        peer_expect_info_and(peer, "MSG me 1 6\r\nPLEASE\r\n");
        assert_ok(natsSubscription_Unsubscribe(service));
        flush(scene->receiver);
        peer_send(peer, "PUB svc.brief me 6\r\nplease\r\n");
        peer_expect(peer, "HMSG me 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        peer_send_and_sync(simple, "SUB me 1\r\nUNSUB 1 1\r\nPUB svc.brief me 6\r\nplease\r\n");
}

/* from libnats to UDP */

static natsMsg *message_with_tags(void) {
        natsMsg *message;

        assert_ok(natsMsg_Create(&message, "letters.tagged", NULL, "body", 4));
        assert_ok(natsMsgHeader_Add(message, "Tag", "one"));
        assert_ok(natsMsgHeader_Add(message, "Tag", "two: with colon"));
        return message;
}

static void udp_subscriber_gets_what_is_published(void **state) {
        struct scene *scene = *state;
        int peer = peer_open(scene);
        natsMsg *tagged = message_with_tags();

        peer_send_and_sync(peer, "SUB letters.> 7\r\n");
        publish(scene->sender, "letters.a", "hello");
        publish(scene->sender, "letters.a.b", "");
        publish(scene->sender, "parcels.a", "no");
        assert_ok(natsConnection_Publish(scene->sender, "letters.c", "\0\r\n", 3));
        assert_ok(natsConnection_PublishRequestString(scene->sender, "letters.d", "to.me", "?"));
        assert_ok(natsConnection_PublishMsg(scene->sender, tagged));
        peer_expect(peer, "MSG letters.a 7 5\r\nhello\r\n");
        peer_expect(peer, "MSG letters.a.b 7 0\r\n\r\n");
        peer_expect_bytes(peer, "MSG letters.c 7 3\r\n\0\r\n\r\n", 24);
        peer_expect(peer, "MSG letters.d 7 to.me 1\r\n?\r\n");
        peer_expect(peer, "MSG letters.tagged 7 4\r\nbody\r\n");

        peer_send(peer, "CONNECT {\"headers\":true}\r\n");
        peer_expect_info(peer);
        assert_ok(natsConnection_PublishMsg(scene->sender, tagged));
        natsMsg_Destroy(tagged);
        peer_expect(peer, "HMSG letters.tagged 7 44 48\r\n"
                          "NATS/1.0\r\nTag: one\r\nTag: two: with colon\r\n\r\nbody\r\n");
        settle_peer(scene, peer);
}

/* A service behind a peer: a thread that answers so many requests with themselves. */
struct responder {
        pthread_t thread;
        int peer;
        unsigned n_requests;
};

/* What stands behind the sid of a MSG is what stands behind the subject of the answer's PUB. */
static bool answer_datagram(int peer, const struct datagram *request) {
        const char *verb = request->bytes[0] == 'H' ? "HPUB" : "PUB";
        const char *rest = strstr(request->bytes, " 1 ");
        char answer[1024];
        size_t n_bytes, n_verb = strlen(verb);

        if (!rest)
                return false;
        rest += 2;
        n_bytes = request->n_bytes - (size_t)(rest - request->bytes);
        if (n_verb + n_bytes > sizeof answer)
                return false;
        memcpy(answer, verb, n_verb);
        memcpy(answer + n_verb, rest, n_bytes);
        return send(peer, answer, n_verb + n_bytes, 0) == (ssize_t)(n_verb + n_bytes);
}

static void *responder_run(void *closure) {
        struct responder *responder = closure;
        struct datagram request;

        while (responder->n_requests > 0 && peer_receive(responder->peer, &request) &&
               answer_datagram(responder->peer, &request))
                responder->n_requests--;
        return NULL;
}

static void responder_start(struct responder *responder) {
        assert_int_equal(pthread_create(&responder->thread, NULL, responder_run, responder), 0);
}

static void responder_join(struct responder *responder) {
        pthread_join(responder->thread, NULL);
        assert_int_equal(responder->n_requests, 0);
}

static void make_requests(natsConnection *connection, unsigned n) {
        natsMsg *answer = NULL;
        char text[32];

        for (unsigned i = 0; i < n; i++) {
                snprintf(text, sizeof text, "number %u", i);
                assert_ok(natsConnection_RequestString(&answer, connection, "service", text,
                                                       DEADLINE_MS));
                assert_string_equal(natsMsg_GetData(answer), text);
                natsMsg_Destroy(answer);
        }
}

static void requests_are_answered_over_udp(void **state) {
        enum { N = 50 };
        struct scene *scene = *state;
        struct responder responder = {.peer = peer_open(scene), .n_requests = 2 * N};
        natsOptions *options = scene_options(scene);
        natsConnection *old_style;

        assert_ok(natsOptions_UseOldRequestStyle(options, true));
        old_style = scene_connect(scene, options);
        peer_send_and_sync(responder.peer, "SUB service 1\r\n");
        responder_start(&responder);
        make_requests(scene->sender, N);
        make_requests(old_style, N);
        responder_join(&responder);
        settle_peer(scene, responder.peer);
}

static void headers_travel_with_requests_to_udp_and_their_replies(void **state) {
        struct scene *scene = *state;
        struct responder responder = {.peer = peer_open(scene), .n_requests = 1};
        natsMsg *request, *answer = NULL;

        peer_send(responder.peer, "CONNECT {\"headers\":true}\r\nSUB service 1\r\n");
        peer_expect_info(responder.peer);
        settle_peer(scene, responder.peer);
        responder_start(&responder);
        assert_ok(natsMsg_Create(&request, "service", NULL, "body", 4));
        assert_ok(natsMsgHeader_Set(request, "Question", "42?"));
        assert_ok(natsConnection_RequestMsg(&answer, scene->sender, request, DEADLINE_MS));
        natsMsg_Destroy(request);
        responder_join(&responder);
        expect_header(answer, "Question", "42?");
        assert_string_equal(natsMsg_GetData(answer), "body");
        natsMsg_Destroy(answer);
}

static void request_to_a_udp_responder_that_left_fails_at_once(void **state) {
        struct scene *scene = *state;
        struct responder responder = {.peer = peer_open(scene), .n_requests = 1};
        natsMsg *answer = NULL;

        peer_send_and_sync(responder.peer, "SUB nobody.here 1\r\n");
        responder_start(&responder);
        assert_ok(natsConnection_RequestString(&answer, scene->sender, "nobody.here", "x",
                                               DEADLINE_MS));
        natsMsg_Destroy(answer);
        responder_join(&responder);
        peer_send_and_sync(responder.peer, "UNSUB 1\r\n");
        expect_no_responders(scene->sender);
}

const struct CMUnitTest libnats_datagrams[] = {
        LIBNATS_CASE(udp_publisher_reaches_its_subscribers),
        LIBNATS_CASE(udp_payloads_arrive_byte_for_byte),
        LIBNATS_CASE(operations_of_one_datagram_arrive_in_order),
        LIBNATS_CASE(udp_headers_arrive_with_the_message),
        LIBNATS_CASE(udp_requests_of_one_datagram_are_answered),
        LIBNATS_CASE(udp_requests_of_a_session_are_answered),
        LIBNATS_CASE(udp_requests_may_be_asked_in_one_datagram_all_together),
        LIBNATS_CASE(headers_travel_with_udp_requests_and_their_replies),
        LIBNATS_CASE(udp_requests_get_their_bytes_back),
        LIBNATS_CASE(udp_requests_to_nobody_are_told_so),
        LIBNATS_CASE(udp_subscriber_gets_what_is_published),
        LIBNATS_CASE(requests_are_answered_over_udp),
        LIBNATS_CASE(headers_travel_with_requests_to_udp_and_their_replies),
        LIBNATS_CASE(request_to_a_udp_responder_that_left_fails_at_once),
};

const size_t n_libnats_datagrams = sizeof libnats_datagrams / sizeof libnats_datagrams[0];
