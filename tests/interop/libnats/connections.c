/* What a connection as a whole goes through: its options, draining, and restarts of the server. */

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void server_introduces_itself(void **state) {
        struct scene *scene = *state;
        char id[128];
        char *address = NULL;
        uint64_t sender, receiver;

        assert_ok(natsConnection_GetConnectedServerId(scene->sender, id, sizeof id));
        assert_true(strlen(id) > 0);
        assert_ok(natsConnection_GetClientID(scene->sender, &sender));
        assert_ok(natsConnection_GetClientID(scene->receiver, &receiver));
        assert_true(sender < receiver);
        assert_ok(natsConnection_GetClientIP(scene->sender, &address));
        assert_string_equal(address, "127.0.0.1");
        free(address);
        assert_ok(natsConnection_HasHeaderSupport(scene->sender));
        assert_int_equal(natsConnection_GetMaxPayload(scene->sender), LARGE_BYTES);
}

static void flush_returns_when_the_server_has_processed_all(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription;
        int64_t round_trip_ns = -1;
        uint64_t n_messages;

        assert_ok(natsConnection_SubscribeSync(&subscription, scene->receiver, "numbers"));
        scene_keep(scene, subscription);
        assert_ok(publish_numbers(scene->receiver, "numbers", 1000));
        flush(scene->receiver);
        assert_ok(natsSubscription_QueuedMsgs(subscription, &n_messages));
        assert_int_equal(n_messages, 1000);
        assert_ok(natsConnection_GetRTT(scene->receiver, &round_trip_ns));
        assert_true(round_trip_ns >= 0);
}

static void expect_denial(natsConnection *connection, const char *expected) {
        const char *text = NULL;

        assert_status(NATS_NOT_PERMITTED, natsConnection_GetLastError(connection, &text));
        if (!text || !strstr(text, expected))
                fail_msg("\"%s\", expected to contain \"%s\"", text ? text : "", expected);
}

static void denied_publish_is_told_and_the_connection_stays(void **state) {
        struct scene *scene = *state;
        natsSubscription *news = subscribe(scene, "news");

        publish(scene->sender, "denied.x", "dropped");
        flush(scene->sender);
        expect_denial(scene->sender, "Permissions Violation for Publish to \"denied.x\"");
        publish(scene->sender, "news", "allowed");
        expect(news, "news", "allowed");
}

static void denied_subscription_is_told_and_the_connection_stays(void **state) {
        struct scene *scene = *state;
        natsSubscription *news = subscribe(scene, "news");

        (void)subscribe_in_group(scene, "denied.y", "workers");
        expect_denial(scene->receiver, "Permissions Violation for Subscription to \"denied.y\" "
                                       "using queue \"workers\"");
        publish(scene->sender, "news", "allowed");
        expect(news, "news", "allowed");
}

static void connection_without_echo_does_not_hear_itself(void **state) {
        struct scene *scene = *state;
        natsOptions *options = scene_options(scene);
        natsConnection *mute;
        natsSubscription *own, *others = subscribe(scene, "news");

        assert_ok(natsOptions_SetNoEcho(options, true));
        mute = scene_connect(scene, options);
        assert_ok(natsConnection_SubscribeSync(&own, mute, "news"));
        scene_keep(scene, own);
        publish(mute, "news", "from me");
        flush(mute);
        assert_int_equal(messages_received(mute), 0);
        expect(others, "news", "from me");
        publish(scene->sender, "news", "from you");
        expect(own, "news", "from you");
}

static void make_request(natsConnection *connection) {
        natsMsg *answer = NULL;

        assert_ok(natsConnection_RequestString(&answer, connection, "echo", "x", DEADLINE_MS));
        assert_string_equal(natsMsg_GetData(answer), "x");
        natsMsg_Destroy(answer);
}

static void use_connection_for_everything(struct scene *scene, natsConnection *connection) {
        natsSubscription *subscription;

        subscribe_with(scene, "echo", answer_with_the_same, NULL);
        assert_ok(natsConnection_SubscribeSync(&subscription, connection, "news.*"));
        scene_keep(scene, subscription);
        publish(connection, "news.x", "mine");
        expect(subscription, "news.x", "mine");
        publish(scene->sender, "news.y", "theirs");
        expect(subscription, "news.y", "theirs");
        for (int i = 0; i < 100; i++)
                make_request(connection);
        expect_no_responders(connection);
        assert_ok(natsSubscription_Unsubscribe(subscription));
        flush(connection);
        assert_int_equal(natsConnection_Status(connection), NATS_CONN_STATUS_CONNECTED);
}

static natsConnection *connect_with_flags(struct scene *scene, bool verbose, bool pedantic) {
        natsOptions *options = scene_options(scene);

        assert_ok(natsOptions_SetVerbose(options, verbose));
        assert_ok(natsOptions_SetPedantic(options, pedantic));
        return scene_connect(scene, options);
}

static void verbose_connection_works(void **state) {
        use_connection_for_everything(*state, connect_with_flags(*state, true, false));
}

static void pedantic_connection_works(void **state) {
        use_connection_for_everything(*state, connect_with_flags(*state, false, true));
}

static void verbose_pedantic_connection_works(void **state) {
        use_connection_for_everything(*state, connect_with_flags(*state, true, true));
}

static void drained_subscription_loses_nothing(void **state) {
        enum { N = 5000 };
        struct scene *scene = *state;
        struct collector *collector = &scene->collectors[0];
        natsSubscription *subscription =
                subscribe_with(scene, "numbers", on_number, collector);

        assert_ok(publish_numbers(scene->sender, "numbers", N));
        flush(scene->sender);
        assert_ok(natsSubscription_Drain(subscription));
        assert_ok(natsSubscription_WaitForDrainCompletion(subscription, DEADLINE_MS));
        assert_ok(natsSubscription_DrainCompletionStatus(subscription));
        assert_int_equal(counter_read(&collector->arrived), N);
        assert_true(collector->in_order);

        publish(scene->sender, "numbers", "late");
        settle(scene);
        assert_int_equal(messages_received(scene->receiver), N);
}

/* The receiver is drained with requests under way: it answers all of them, then it is closed. */
static void drained_connection_loses_neither_requests_nor_answers(void **state) {
        enum { N = 5000 };
        struct scene *scene = *state;
        struct collector *collector = &scene->collectors[0];
        natsSubscription *answers;

        subscribe_with(scene, "service", answer_with_the_same, NULL);
        assert_ok(natsConnection_Subscribe(&answers, scene->sender, "answers", on_number,
                                           collector));
        scene_keep(scene, answers);
        for (uint32_t number = 0; number < N; number++)
                assert_ok(natsConnection_PublishRequest(scene->sender, "service", "answers",
                                                        &number, sizeof number));
        flush(scene->sender);

        assert_ok(natsConnection_Drain(scene->receiver));
        assert_int_equal(counter_await(&scene->closed, 1), 1);
        assert_int_equal(counter_await(&collector->arrived, N), N);
        assert_true(collector->in_order);
}

static void tell_harness(const char *what) {
        puts(what);
        fflush(stdout);
}

static void stop_server(struct scene *scene) {
        tell_harness("STOP");
        assert_int_equal(counter_await(&scene->disconnected, 2), 2);
}

static void start_server(struct scene *scene) {
        tell_harness("START");
        assert_int_equal(counter_await(&scene->reconnected, 2), 2);
        settle(scene);
}

static void restart_restores_subscriptions(void **state) {
        struct scene *scene = *state;
        natsSubscription *plain = subscribe(scene, "news.*");
        natsSubscription *queue = subscribe_in_group(scene, "news.>", "group");

        stop_server(scene);
        start_server(scene);

        publish(scene->sender, "news.x", "back");
        expect(plain, "news.x", "back");
        expect(queue, "news.x", "back");
        expect_nothing_more(scene, plain);
        expect_nothing_more(scene, queue);
}

static void requests_work_after_a_restart(void **state) {
        struct scene *scene = *state;

        subscribe_with(scene, "echo", answer_with_the_same, NULL);
        make_request(scene->sender);
        stop_server(scene);
        start_server(scene);
        make_request(scene->sender);
        expect_no_responders(scene->sender);
}

/* libnats keeps it, and sends it after the subscriptions when it is connected again. */
static void what_is_published_during_a_restart_is_sent_after_it(void **state) {
        enum { N = 1000 };
        struct scene *scene = *state;

        subscribe_with(scene, "numbers", on_number, &scene->collectors[0]);
        stop_server(scene);
        assert_ok(publish_numbers(scene->receiver, "numbers", N));
        start_server(scene);
        assert_int_equal(counter_await(&scene->collectors[0].arrived, N), N);
        assert_true(scene->collectors[0].in_order);
}

static void auto_unsubscribe_counts_across_a_restart(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "news");
        uint64_t before;

        assert_ok(natsSubscription_AutoUnsubscribe(subscription, 3));
        flush(scene->receiver);
        publish(scene->sender, "news", "1");
        expect(subscription, "news", "1");

        stop_server(scene);
        start_server(scene);

        before = messages_received(scene->receiver);
        for (int i = 2; i <= 5; i++)
                publish(scene->sender, "news", "after");
        expect(subscription, "news", "after");
        expect(subscription, "news", "after");
        settle(scene);
        assert_int_equal(messages_received(scene->receiver) - before, 2);
}

const struct CMUnitTest libnats_connections[] = {
        LIBNATS_CASE(server_introduces_itself),
        LIBNATS_CASE(flush_returns_when_the_server_has_processed_all),
        LIBNATS_CASE(denied_publish_is_told_and_the_connection_stays),
        LIBNATS_CASE(denied_subscription_is_told_and_the_connection_stays),
        LIBNATS_CASE(connection_without_echo_does_not_hear_itself),
        LIBNATS_CASE(verbose_connection_works),
        LIBNATS_CASE(pedantic_connection_works),
        LIBNATS_CASE(verbose_pedantic_connection_works),
        LIBNATS_CASE(drained_subscription_loses_nothing),
        LIBNATS_CASE(drained_connection_loses_neither_requests_nor_answers),
        LIBNATS_RESTART_CASE(restart_restores_subscriptions),
        LIBNATS_RESTART_CASE(requests_work_after_a_restart),
        LIBNATS_RESTART_CASE(what_is_published_during_a_restart_is_sent_after_it),
        LIBNATS_RESTART_CASE(auto_unsubscribe_counts_across_a_restart),
};

const size_t n_libnats_connections = sizeof libnats_connections / sizeof libnats_connections[0];
