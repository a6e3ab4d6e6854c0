/* Requests and replies, in both ways that libnats knows, and what comes when nobody answers. */

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_with_reply_subject(natsConnection *connection, natsSubscription *subscription,
                                      natsMsg *message, void *closure) {
        (void)subscription;
        (void)closure;
        natsConnection_PublishString(connection, natsMsg_GetReply(message),
                                     natsMsg_GetReply(message));
        natsMsg_Destroy(message);
}

static unsigned count_dots(const char *subject) {
        unsigned n_dots = 0;

        for (; *subject; subject++)
                n_dots += *subject == '.';
        return n_dots;
}

/* A hundred requests, each with a reply subject of its own and so many dots in it. */
static void make_requests(struct scene *scene, natsConnection *connection, unsigned n_dots) {
        natsMsg *answer = NULL;
        char previous[256] = "";

        subscribe_with(scene, "service", answer_with_reply_subject, NULL);
        for (int i = 0; i < 100; i++) {
                assert_ok(natsConnection_RequestString(&answer, connection, "service", "x",
                                                       DEADLINE_MS));
                assert_string_equal(natsMsg_GetSubject(answer), natsMsg_GetData(answer));
                assert_string_not_equal(natsMsg_GetSubject(answer), previous);
                assert_int_equal(count_dots(natsMsg_GetSubject(answer)), n_dots);
                snprintf(previous, sizeof previous, "%s", natsMsg_GetSubject(answer));
                natsMsg_Destroy(answer);
        }
}

/* All replies come through one subscription, _INBOX.<connection>.*, so there are two dots. */
static void requests_are_answered_through_the_response_mux(void **state) {
        struct scene *scene = *state;

        make_requests(scene, scene->sender, 2);
}

static natsConnection *connect_in_old_style(struct scene *scene) {
        natsOptions *options = scene_options(scene);

        assert_ok(natsOptions_UseOldRequestStyle(options, true));
        return scene_connect(scene, options);
}

/* Each request subscribes to an inbox of its own, _INBOX.<request>, for one message. */
static void requests_are_answered_in_the_old_style(void **state) {
        struct scene *scene = *state;

        make_requests(scene, connect_in_old_style(scene), 1);
}

static void unanswered_request_times_out(void **state) {
        struct scene *scene = *state;
        natsMsg *answer = NULL;
        natsSubscription *silent = subscribe(scene, "service");

        assert_status(NATS_TIMEOUT,
                      natsConnection_RequestString(&answer, scene->sender, "service", "x", 50));
        assert_null(answer);
        settle(scene);
        natsMsg_Destroy(next_message(silent));
}

static void request_to_nobody_fails_at_once(void **state) {
        struct scene *scene = *state;

        expect_no_responders(scene->sender);
        expect_no_responders(connect_in_old_style(scene));
}

static void headers_travel_with_requests_and_replies(void **state) {
        struct scene *scene = *state;
        natsMsg *request, *answer = NULL;
        const char *value;

        subscribe_with(scene, "service", answer_with_headers, NULL);
        assert_ok(natsMsg_Create(&request, "service", NULL, NULL, 0));
        assert_ok(natsMsgHeader_Set(request, "Question", "42?"));
        assert_ok(natsConnection_RequestMsg(&answer, scene->sender, request, DEADLINE_MS));
        assert_ok(natsMsgHeader_Get(answer, "Answer", &value));
        assert_string_equal(value, "42?");
        natsMsg_Destroy(answer);
        natsMsg_Destroy(request);
}

static void large_requests_get_large_answers(void **state) {
        struct scene *scene = *state;
        unsigned char *sent = large_payload(1);
        natsMsg *answer = NULL;

        subscribe_with(scene, "echo", answer_with_the_same, NULL);
        assert_ok(natsConnection_Request(&answer, scene->sender, "echo", sent, LARGE_BYTES,
                                         DEADLINE_MS));
        assert_int_equal(natsMsg_GetDataLength(answer), LARGE_BYTES);
        assert_true(memcmp(natsMsg_GetData(answer), sent, LARGE_BYTES) == 0);
        natsMsg_Destroy(answer);
        free(sent);
}

const struct CMUnitTest libnats_requests[] = {
        LIBNATS_CASE(requests_are_answered_through_the_response_mux),
        LIBNATS_CASE(requests_are_answered_in_the_old_style),
        LIBNATS_CASE(unanswered_request_times_out),
        LIBNATS_CASE(request_to_nobody_fails_at_once),
        LIBNATS_CASE(headers_travel_with_requests_and_replies),
        LIBNATS_CASE(large_requests_get_large_answers),
};

const size_t n_libnats_requests = sizeof libnats_requests / sizeof libnats_requests[0];
