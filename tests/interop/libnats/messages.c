/* What happens to a message: who receives it, how often, in which order, and that it is whole. */

#include "cases.h"

#include <stdlib.h>
#include <string.h>

static void message_reaches_its_subscribers(void **state) {
        struct scene *scene = *state;
        natsSubscription *one = subscribe(scene, "news.today");
        natsSubscription *two = subscribe(scene, "news.today");
        natsSubscription *other = subscribe(scene, "news.yesterday");

        publish(scene->sender, "news.today", "hello");
        publish(scene->sender, "news.today", "");
        expect(one, "news.today", "hello");
        expect(one, "news.today", "");
        expect(two, "news.today", "hello");
        expect(two, "news.today", "");
        expect_nothing_more(scene, other);
}

static void unsubscribed_receives_no_more(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "news");

        publish(scene->sender, "news", "one");
        expect(subscription, "news", "one");
        assert_ok(natsSubscription_Unsubscribe(subscription));
        flush(scene->receiver);
        publish(scene->sender, "news", "two");
        settle(scene);
        assert_int_equal(messages_received(scene->receiver), 1);
}

static void star_matches_one_token(void **state) {
        struct scene *scene = *state;
        natsSubscription *last = subscribe(scene, "a.*");
        natsSubscription *middle = subscribe(scene, "a.*.c");

        publish(scene->sender, "a", "no");
        publish(scene->sender, "a.b", "last");
        publish(scene->sender, "a.b.c", "middle");
        publish(scene->sender, "a.b.c.d", "no");
        publish(scene->sender, "b.b", "no");
        expect(last, "a.b", "last");
        expect(middle, "a.b.c", "middle");
        expect_nothing_more(scene, last);
        expect_nothing_more(scene, middle);
}

static void greater_than_matches_all_that_follow(void **state) {
        struct scene *scene = *state;
        natsSubscription *below = subscribe(scene, "a.>");
        natsSubscription *mixed = subscribe(scene, "*.b.>");

        publish(scene->sender, "a", "no");
        publish(scene->sender, "a.b", "1");
        publish(scene->sender, "a.b.c.d", "2");
        publish(scene->sender, "z.b.c", "3");
        expect(below, "a.b", "1");
        expect(below, "a.b.c.d", "2");
        expect(mixed, "a.b.c.d", "2");
        expect(mixed, "z.b.c", "3");
        expect_nothing_more(scene, below);
        expect_nothing_more(scene, mixed);
}

/* Four members on two connections. The server chooses at random: a share that is a quarter off its
 * mean is some nine standard deviations away. */
static void queue_group_shares_evenly_and_each_message_once(void **state) {
        enum { N = 4000, N_MEMBERS = 4, MEAN = N / N_MEMBERS };
        struct scene *scene = *state;
        natsConnection *second = scene_connect(scene, scene_options(scene));
        natsSubscription *member;

        for (int i = 0; i < N_MEMBERS; i++) {
                natsConnection *connection = i % 2 ? second : scene->receiver;

                assert_ok(natsConnection_QueueSubscribe(&member, connection, "work", "workers",
                                                        on_number, &scene->collectors[i]));
                scene_keep(scene, member);
        }
        flush(second);
        flush(scene->receiver);

        assert_ok(publish_numbers(scene->sender, "work", N));
        assert_int_equal(counter_await(&scene->seen.arrived, N), N);
        settle(scene);
        flush(second);
        assert_int_equal(counter_read(&scene->seen.arrived), N);
        assert_int_equal(scene->seen.n_unexpected, 0);
        for (int i = 0; i < N_MEMBERS; i++) {
                unsigned share = counter_read(&scene->collectors[i].arrived);

                assert_in_range(share, MEAN * 3 / 4, MEAN * 5 / 4);
        }
}

static void each_queue_group_and_each_plain_subscriber_gets_its_own(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscribers[] = {
                subscribe(scene, "work.*"),
                subscribe_in_group(scene, "work.*", "a"),
                subscribe_in_group(scene, "work.*", "b"),
        };

        publish(scene->sender, "work.x", "1");
        publish(scene->sender, "work.y", "2");
        for (int i = 0; i < 3; i++) {
                expect(subscribers[i], "work.x", "1");
                expect(subscribers[i], "work.y", "2");
                expect_nothing_more(scene, subscribers[i]);
        }
}

static natsMsg *message_with_headers(const char *subject) {
        natsMsg *message;

        assert_ok(natsMsg_Create(&message, subject, NULL, "body", 4));
        assert_ok(natsMsgHeader_Set(message, "Content-Type", "text/plain; charset=utf-8"));
        assert_ok(natsMsgHeader_Add(message, "Tag", "one"));
        assert_ok(natsMsgHeader_Add(message, "Tag", "two: with colon"));
        assert_ok(natsMsgHeader_Set(message, "tag", "lower case is another key"));
        return message;
}

static void expect_headers(natsMsg *message) {
        const char *value, **values, **keys;
        int count;

        assert_ok(natsMsgHeader_Get(message, "Content-Type", &value));
        assert_string_equal(value, "text/plain; charset=utf-8");
        assert_ok(natsMsgHeader_Get(message, "tag", &value));
        assert_string_equal(value, "lower case is another key");
        assert_ok(natsMsgHeader_Values(message, "Tag", &values, &count));
        assert_int_equal(count, 2);
        assert_string_equal(values[0], "one");
        assert_string_equal(values[1], "two: with colon");
        free(values);
        assert_ok(natsMsgHeader_Keys(message, &keys, &count));
        assert_int_equal(count, 3);
        free(keys);
}

static void headers_arrive_with_the_message(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "letters");
        natsMsg *sent = message_with_headers("letters"), *received;

        assert_ok(natsConnection_PublishMsg(scene->sender, sent));
        natsMsg_Destroy(sent);
        received = next_message(subscription);
        expect_headers(received);
        assert_string_equal(natsMsg_GetData(received), "body");
        natsMsg_Destroy(received);
}

static void headers_may_come_without_a_payload(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "letters");
        natsMsg *sent, *received;
        const char *value;

        assert_ok(natsMsg_Create(&sent, "letters", "answer.here", NULL, 0));
        assert_ok(natsMsgHeader_Set(sent, "Only", "header"));
        assert_ok(natsConnection_PublishMsg(scene->sender, sent));
        natsMsg_Destroy(sent);
        received = next_message(subscription);
        assert_ok(natsMsgHeader_Get(received, "Only", &value));
        assert_string_equal(value, "header");
        assert_string_equal(natsMsg_GetReply(received), "answer.here");
        assert_int_equal(natsMsg_GetDataLength(received), 0);
        natsMsg_Destroy(received);
}

static void large_payloads_arrive_byte_for_byte(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "large");

        for (uint32_t seed = 0; seed < 20; seed++) {
                unsigned char *sent = large_payload(seed);

                assert_ok(natsConnection_Publish(scene->sender, "large", sent, LARGE_BYTES));
                free(sent);
        }
        for (uint32_t seed = 0; seed < 20; seed++) {
                unsigned char *sent = large_payload(seed);
                natsMsg *received = next_message(subscription);

                assert_int_equal(natsMsg_GetDataLength(received), LARGE_BYTES);
                assert_true(memcmp(natsMsg_GetData(received), sent, LARGE_BYTES) == 0);
                natsMsg_Destroy(received);
                free(sent);
        }
}

/* libnats refuses by the max_payload that the server has announced; headers count. */
static void payload_over_the_announced_limit_is_refused(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "large");
        unsigned char *bytes = large_payload(1);
        natsMsg *message;

        assert_status(NATS_MAX_PAYLOAD,
                      natsConnection_Publish(scene->sender, "large", bytes, LARGE_BYTES + 1));
        assert_ok(natsMsg_Create(&message, "large", NULL, (const char *)bytes, LARGE_BYTES));
        assert_ok(natsMsgHeader_Set(message, "One", "too many"));
        assert_status(NATS_MAX_PAYLOAD, natsConnection_PublishMsg(scene->sender, message));
        natsMsg_Destroy(message);
        free(bytes);

        publish(scene->sender, "large", "still connected");
        expect(subscription, "large", "still connected");
}

static void a_hundred_thousand_messages_arrive_in_order(void **state) {
        struct scene *scene = *state;
        struct collector *collector = &scene->collectors[0];

        subscribe_with(scene, "numbers", on_number, collector);
        assert_ok(publish_numbers(scene->sender, "numbers", MAX_NUMBERS));
        flush(scene->sender);
        assert_int_equal(counter_await(&collector->arrived, MAX_NUMBERS), MAX_NUMBERS);
        assert_true(collector->in_order);
}

enum { NUMBERS_PER_THREAD = 20000 };

struct publisher {
        pthread_t thread;
        natsConnection *connection;
        const char *subject;
        natsStatus status;
};

static void *publisher_run(void *closure) {
        struct publisher *publisher = closure;

        publisher->status =
                publish_numbers(publisher->connection, publisher->subject, NUMBERS_PER_THREAD);
        return NULL;
}

static void two_threads_publish_on_one_connection(void **state) {
        struct scene *scene = *state;
        struct publisher publishers[2] = {
                { .connection = scene->sender, .subject = "numbers.a" },
                { .connection = scene->sender, .subject = "numbers.b" },
        };

        for (int i = 0; i < 2; i++)
                subscribe_with(scene, publishers[i].subject, on_number, &scene->collectors[i]);
        for (int i = 0; i < 2; i++) {
                struct publisher *publisher = &publishers[i];

                assert_int_equal(
                        pthread_create(&publisher->thread, NULL, publisher_run, publisher), 0);
        }
        for (int i = 0; i < 2; i++)
                pthread_join(publishers[i].thread, NULL);
        flush(scene->sender);
        for (int i = 0; i < 2; i++) {
                struct counter *arrived = &scene->collectors[i].arrived;

                assert_ok(publishers[i].status);
                assert_int_equal(counter_await(arrived, NUMBERS_PER_THREAD), NUMBERS_PER_THREAD);
                assert_true(scene->collectors[i].in_order);
        }
}

/* The statistics tell that the server stopped sending, and not only libnats delivering. */
static void auto_unsubscribe_ends_after_its_number_of_messages(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "news");
        natsMsg *message = NULL;

        assert_ok(natsSubscription_AutoUnsubscribe(subscription, 3));
        flush(scene->receiver);
        for (int i = 0; i < 10; i++)
                publish(scene->sender, "news", "x");
        settle(scene);
        for (int i = 0; i < 3; i++)
                expect(subscription, "news", "x");
        assert_status(NATS_MAX_DELIVERED_MSGS,
                      natsSubscription_NextMsg(&message, subscription, DEADLINE_MS));
        assert_int_equal(messages_received(scene->receiver), 3);
}

static void auto_unsubscribe_counts_what_came_before(void **state) {
        struct scene *scene = *state;
        natsSubscription *subscription = subscribe(scene, "news");

        publish(scene->sender, "news", "1");
        publish(scene->sender, "news", "2");
        expect(subscription, "news", "1");
        expect(subscription, "news", "2");
        assert_ok(natsSubscription_AutoUnsubscribe(subscription, 3));
        flush(scene->receiver);
        publish(scene->sender, "news", "3");
        publish(scene->sender, "news", "4");
        expect(subscription, "news", "3");
        settle(scene);
        assert_int_equal(messages_received(scene->receiver), 3);
}

const struct CMUnitTest libnats_messages[] = {
        LIBNATS_CASE(message_reaches_its_subscribers),
        LIBNATS_CASE(unsubscribed_receives_no_more),
        LIBNATS_CASE(star_matches_one_token),
        LIBNATS_CASE(greater_than_matches_all_that_follow),
        LIBNATS_CASE(queue_group_shares_evenly_and_each_message_once),
        LIBNATS_CASE(each_queue_group_and_each_plain_subscriber_gets_its_own),
        LIBNATS_CASE(headers_arrive_with_the_message),
        LIBNATS_CASE(headers_may_come_without_a_payload),
        LIBNATS_CASE(large_payloads_arrive_byte_for_byte),
        LIBNATS_CASE(payload_over_the_announced_limit_is_refused),
        LIBNATS_CASE(a_hundred_thousand_messages_arrive_in_order),
        LIBNATS_CASE(two_threads_publish_on_one_connection),
        LIBNATS_CASE(auto_unsubscribe_ends_after_its_number_of_messages),
        LIBNATS_CASE(auto_unsubscribe_counts_what_came_before),
};

const size_t n_libnats_messages = sizeof libnats_messages / sizeof libnats_messages[0];
