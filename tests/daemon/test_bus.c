/* The bus: every plain subscription, one member of each queue group, and who is left out. Receivers
 * are fakes, which note what they are given. */
#include "daemon/bus.h"

#include "daemon/subject_index.h"
#include "daemon/worker.h"
#include "lib/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_MESSAGES 4000

struct fake {
        struct receiver receiver;
        bool refuses;
        unsigned n_tried, n_taken;
        size_t takes_at_most; /* of a run; 0: all */
        unsigned first_turn;  /* when it took its first message of a publish */
};

static struct bus bus;
static struct worker worker;
static struct reclaim reclaim;
static struct fake fakes[8];
static struct subscription *subscriptions[64];
static unsigned n_subscriptions, turn;

static size_t take(struct receiver *receiver, struct worker *in, struct subscription *subscription,
                   const struct message *message) {
        struct fake *fake = container_of(receiver, struct fake, receiver);
        size_t n;

        assert_ptr_equal(in, &worker);
        assert_ptr_equal(subscription->receiver, receiver);
        assert_true(message->subject.length > 0);
        fake->n_tried++;
        if (fake->refuses)
                return 0;
        fake->first_turn = ++turn;
        n = fake->takes_at_most && fake->takes_at_most < message->count ? fake->takes_at_most
                                                                        : message->count;
        fake->n_taken += (unsigned)n;
        return n;
}

static int set_up(void **state) {
        worker = (struct worker){.random = 88172645463325252u};
        memset(fakes, 0, sizeof(fakes));
        for (size_t i = 0; i < 8; i++)
                fakes[i].receiver.deliver = take;
        n_subscriptions = turn = 0;
        return bus_init(&bus, "$G");
}

static int tear_down(void **state) {
        for (unsigned i = 0; i < n_subscriptions; i++)
                bus_unsubscribe(&bus, &reclaim, subscriptions[i]);
        bus_deinit(&bus);
        for (unsigned i = 0; i < WORKER_DEPTH_MAX; i++)
                match_cache_deinit(&worker.matches[i]);
        reclaim_flush(&reclaim);
        reclaim_drain();
        return 0;
}

static struct subscription *subscribe(unsigned fake, const char *subject, const char *queue) {
        struct subscription *subscription =
                subscription_new(&fakes[fake].receiver, BYTES("1"), bytes_from_string(queue));

        assert_non_null(subscription);
        assert_int_equal(bus_subscribe(&bus, &reclaim, bytes_from_string(subject), subscription),
                         0);
        subscriptions[n_subscriptions++] = subscription;
        return subscription;
}

static void unsubscribe(struct subscription *subscription) {
        for (unsigned i = 0; i < n_subscriptions; i++)
                if (subscriptions[i] == subscription) {
                        subscriptions[i] = subscriptions[--n_subscriptions];
                        bus_unsubscribe(&bus, &reclaim, subscription);
                        return;
                }
}

static size_t publish_run(const char *subject, size_t count, const struct fake *except) {
        struct message message = {
                .subject = bytes_from_string(subject), .payload = BYTES("hello"), .count = count};

        return bus_publish(&bus, &worker, &message, except ? &except->receiver : NULL);
}

static size_t publish(const char *subject, const struct fake *except) {
        return publish_run(subject, 1, except);
}

static void test_publish_reaches_wildcard_subscriber(void **state) {
        /* And those with the exact subject, and nobody else. */
        subscribe(0, "a.*", "");
        subscribe(1, "a.b", "");
        subscribe(2, ">", "");
        subscribe(3, "a.c", "");
        assert_int_equal(publish("a.b", NULL), 3);
        assert_int_equal(fakes[0].n_taken, 1);
        assert_int_equal(fakes[1].n_taken, 1);
        assert_int_equal(fakes[2].n_taken, 1);
        assert_int_equal(fakes[3].n_tried, 0);
}

static void test_publish_to_nobody_is_told(void **state) {
        /* So that a requester learns that there are no responders. */
        assert_int_equal(publish("a.b", NULL), 0);
        subscribe(0, "a.c", "");
        assert_int_equal(publish("a.b", NULL), 0);
}

static void test_each_subscription_gets_a_copy(void **state) {
        /* Also several of one receiver, with the same subject or another. */
        subscribe(0, "a", "");
        subscribe(0, "a", "");
        subscribe(0, "*", "");
        assert_int_equal(publish("a", NULL), 3);
        assert_int_equal(fakes[0].n_taken, 3);
}

static void test_whoever_left_gets_nothing(void **state) {
        /* From the moment of unsubscribing; the others stay. */
        struct subscription *first = subscribe(0, "a", "");

        subscribe(1, "a", "");
        unsubscribe(first);
        assert_int_equal(publish("a", NULL), 1);
        assert_int_equal(fakes[0].n_tried, 0);
        assert_int_equal(fakes[1].n_taken, 1);
}

static void test_who_did_not_take_it_does_not_count(void **state) {
        /* A receiver may refuse: it is closing, or its maximum is reached. */
        subscribe(0, "a", "");
        subscribe(1, "a", "");
        fakes[0].refuses = true;
        assert_int_equal(publish("a", NULL), 1);
        assert_int_equal(fakes[0].n_tried, 1);
}

static void test_a_queue_group_gets_one_message_each_time(void **state) {
        /* All members get about the same share of 4000: four thousand fair choices among five
         * stay within a fifth of it. */
        for (unsigned i = 0; i < 5; i++)
                subscribe(i, "a", "group");
        for (unsigned i = 0; i < N_MESSAGES; i++)
                assert_int_equal(publish("a", NULL), 1);
        for (unsigned i = 0; i < 5; i++)
                assert_in_range(fakes[i].n_taken, N_MESSAGES / 5 - 160, N_MESSAGES / 5 + 160);
}

static void test_two_members_of_one_receiver_count_twice(void **state) {
        /* It gets two shares of three (protocol.md 6.2). */
        subscribe(0, "a", "group");
        subscribe(0, "a", "group");
        subscribe(1, "a", "group");
        for (unsigned i = 0; i < N_MESSAGES; i++)
                assert_int_equal(publish("a", NULL), 1);
        assert_in_range(fakes[0].n_taken, N_MESSAGES * 2 / 3 - 200, N_MESSAGES * 2 / 3 + 200);
        assert_int_equal(fakes[0].n_taken + fakes[1].n_taken, N_MESSAGES);
}

static void test_groups_go_by_name_not_by_subject(void **state) {
        /* Members that subscribed overlapping subjects are one group; another name is another
         * group, and plain subscriptions are not affected. */
        subscribe(0, "ov.*", "g");
        subscribe(1, "ov.x", "g");
        subscribe(2, "ov.>", "g");
        subscribe(3, "ov.x", "G");
        subscribe(4, "ov.x", "");
        for (unsigned i = 0; i < N_MESSAGES; i++)
                assert_int_equal(publish("ov.x", NULL), 3);
        for (unsigned i = 0; i < 3; i++)
                assert_in_range(fakes[i].n_taken, N_MESSAGES / 3 - 200, N_MESSAGES / 3 + 200);
        assert_int_equal(fakes[0].n_taken + fakes[1].n_taken + fakes[2].n_taken, N_MESSAGES);
        assert_int_equal(fakes[3].n_taken, N_MESSAGES);
        assert_int_equal(fakes[4].n_taken, N_MESSAGES);
}

static void test_another_member_takes_what_one_refuses(void **state) {
        /* As long as there is one that can; each is tried at most once. */
        for (unsigned i = 0; i < 4; i++)
                subscribe(i, "a", "group");
        fakes[0].refuses = fakes[1].refuses = fakes[3].refuses = true;
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(publish("a", NULL), 1);
        assert_int_equal(fakes[2].n_taken, 100);
        assert_int_equal(fakes[2].n_tried, 100);
        fakes[2].refuses = true;
        for (unsigned i = 0; i < 4; i++)
                fakes[i].n_tried = 0;
        assert_int_equal(publish("a", NULL), 0);
        for (unsigned i = 0; i < 4; i++)
                assert_int_equal(fakes[i].n_tried, 1);
}

static void test_plain_subscriptions_come_before_groups(void **state) {
        /* In whatever order they were made. */
        subscribe(0, "a", "group");
        subscribe(1, "a", "");
        subscribe(2, ">", "");
        assert_int_equal(publish("a", NULL), 3);
        assert_int_equal(fakes[0].first_turn, 3);
}

static void test_without_echo_the_publisher_is_left_out(void **state) {
        /* In all of its plain subscriptions; if nobody else is there, nobody has taken it. */
        subscribe(0, "a", "");
        subscribe(0, ">", "");
        subscribe(1, "a", "");
        assert_int_equal(publish("a", &fakes[0]), 1);
        assert_int_equal(fakes[0].n_tried, 0);
        assert_int_equal(publish("b", &fakes[0]), 0);
        assert_int_equal(publish("b", NULL), 1);
        assert_int_equal(fakes[0].n_taken, 1);
}

static void test_without_echo_another_member_is_chosen(void **state) {
        /* A group is served as long as it has somebody else (protocol.md 6.5). */
        struct subscription *other;

        subscribe(0, "a", "group");
        subscribe(0, "a", "group");
        other = subscribe(1, "a", "group");
        for (unsigned i = 0; i < 100; i++)
                assert_int_equal(publish("a", &fakes[0]), 1);
        assert_int_equal(fakes[0].n_tried, 0);
        assert_int_equal(fakes[1].n_taken, 100);
        unsubscribe(other);
        assert_int_equal(publish("a", &fakes[0]), 0);
        assert_int_equal(fakes[0].n_tried, 0);
}

static void test_the_own_plain_subscription_is_found(void **state) {
        /* Where a requester is told that nobody responds: on one of its own that matches the
         * reply, not on a queued one, not on somebody else's. */
        struct subscription *own;

        subscribe(0, "_INBOX.x.*", "queue");
        subscribe(1, "_INBOX.x.*", "");
        assert_null(bus_find_plain(&bus, &worker, BYTES("_INBOX.x.1"), &fakes[0].receiver));
        own = subscribe(0, "_INBOX.x.*", "");
        assert_ptr_equal(bus_find_plain(&bus, &worker, BYTES("_INBOX.x.1"), &fakes[0].receiver),
                         own);
        assert_null(bus_find_plain(&bus, &worker, BYTES("_INBOX.y.1"), &fakes[0].receiver));
        assert_int_equal(fakes[0].n_tried + fakes[1].n_tried, 0);
}

static void test_two_buses_do_not_mix(void **state) {
        /* Accounts have subject spaces of their own. */
        struct bus other;
        struct message message = {.subject = BYTES("a"), .payload = BYTES("")};

        assert_int_equal(bus_init(&other, "$SYS"), 0);
        assert_string_equal(other.account, "$SYS");
        subscribe(0, ">", "");
        assert_int_equal(bus_publish(&other, &worker, &message, NULL), 0);
        assert_int_equal(subject_index_count(bus.index), 1);
        assert_int_equal(subject_index_count(other.index), 0);
        bus_deinit(&other);
}

static void test_a_run_is_delivered_at_once(void **state) {
        subscribe(0, "a", "");
        subscribe(1, "*", "");
        assert_int_equal(publish_run("a", 5, NULL), 10);
        assert_int_equal(fakes[0].n_tried, 1);
        assert_int_equal(fakes[0].n_taken, 5);
        assert_int_equal(fakes[1].n_tried, 1);
        assert_int_equal(publish_run("a", 5, &fakes[0]), 5);
}

static void test_a_run_may_be_taken_in_pieces(void **state) {
        /* Who takes some of it is asked again for the rest. */
        subscribe(0, "a", "");
        subscribe(1, "a", "");
        fakes[0].takes_at_most = 2;
        assert_int_equal(publish_run("a", 5, NULL), 10);
        assert_int_equal(fakes[0].n_tried, 3);
        assert_int_equal(fakes[0].n_taken, 5);
        assert_int_equal(fakes[1].n_taken, 5);
}

static void test_a_run_keeps_the_order_of_a_receiver(void **state) {
        /* Who subscribed twice gets each message twice before the next one. */
        subscribe(0, "a", "");
        subscribe(0, "*", "");
        assert_int_equal(publish_run("a", 5, NULL), 10);
        assert_int_equal(fakes[0].n_tried, 10);
}

static void test_a_run_is_shared_out_in_a_group(void **state) {
        subscribe(0, "a", "group");
        subscribe(1, "a", "group");
        assert_int_equal(publish_run("a", 1000, NULL), 1000);
        assert_in_range(fakes[0].n_taken, 400, 600);
        assert_int_equal(fakes[0].n_taken + fakes[1].n_taken, 1000);
        assert_int_equal(fakes[0].n_tried, fakes[0].n_taken);
}

/* A receiver that publishes what comes to it further, to another bus. */
struct bridge {
        struct receiver receiver;
        struct bus *bus;
        struct subscription *subscription;
};

static size_t pass_on(struct receiver *receiver, struct worker *in,
                      struct subscription *subscription, const struct message *message) {
        struct bridge *bridge = container_of(receiver, struct bridge, receiver);
        struct message onward = *message;

        onward.rendering = NULL;
        return bus_publish_onward(bridge->bus, in, &onward) > 0 ? message->count : 0;
}

static size_t limit_onward(struct receiver *receiver, struct worker *in,
                           const struct message *message) {
        return bus_limit_onward(container_of(receiver, struct bridge, receiver)->bus, in, message);
}

static void bridge_init(struct bridge *bridge, struct bus *from, struct bus *to) {
        *bridge = (struct bridge){.receiver = {pass_on, limit_onward}, .bus = to};
        bridge->subscription = subscription_new(&bridge->receiver, BYTES(""), BYTES(""));
        assert_non_null(bridge->subscription);
        assert_int_equal(bus_subscribe_own(from, &reclaim, BYTES("a"), bridge->subscription), 0);
}

static void test_what_goes_further_leaves_the_match_alone(void **state) {
        /* The same subject there has its own receivers, and the outer ones are all served. */
        struct bridge bridge;
        struct bus other;

        assert_int_equal(bus_init(&other, "B"), 0);
        subscribe(0, "a", "");
        bridge_init(&bridge, &bus, &other);
        subscribe(1, "a", "");
        subscribe(2, "a", "group");
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(publish("a", NULL), 3);
        assert_int_equal(fakes[0].n_taken, 3);
        assert_int_equal(fakes[1].n_taken, 3);
        assert_int_equal(fakes[2].n_taken, 3);
        assert_int_equal(worker.depth, 0);
        assert_int_equal(bus_count(&bus), 3);
        bus_unsubscribe_own(&bus, &reclaim, bridge.subscription);
        bus_deinit(&other);
}

static void test_what_comes_back_ends(void **state) {
        struct bridge bridge;

        subscribe(0, "a", "");
        bridge_init(&bridge, &bus, &bus);
        assert_int_equal(publish("a", NULL), 2);
        assert_int_equal(fakes[0].n_taken, WORKER_DEPTH_MAX);
        assert_int_equal(worker.depth, 0);
        bus_unsubscribe_own(&bus, &reclaim, bridge.subscription);
}

static void test_a_run_is_limited_by_what_it_reaches_further(void **state) {
        struct message run = {.subject = BYTES("a"), .payload = BYTES("hello"), .count = 1000000};
        struct subscription *others[1000];
        struct bridge bridge;
        struct bus other;
        size_t alone, together;

        assert_int_equal(bus_init(&other, "B"), 0);
        for (unsigned i = 0; i < 1000; i++) {
                others[i] = subscription_new(&fakes[i % 8].receiver, BYTES("1"), BYTES(""));
                assert_int_equal(bus_subscribe(&other, &reclaim, BYTES("a"), others[i]), 0);
        }
        alone = bus_limit_run(&bus, &worker, &run);
        bridge_init(&bridge, &bus, &other);
        together = bus_limit_run(&bus, &worker, &run);
        assert_true(together < alone / 100);
        assert_int_equal(together, bus_limit_run(&other, &worker, &run));
        bus_unsubscribe_own(&bus, &reclaim, bridge.subscription);
        for (unsigned i = 0; i < 1000; i++)
                bus_unsubscribe(&other, &reclaim, others[i]);
        bus_deinit(&other);
}

static void test_it_is_known_whether_anybody_would_be_reached(void **state) {
        assert_false(bus_reaches_onward(&bus, &worker, BYTES("a")));
        subscribe(0, "*", "group");
        assert_true(bus_reaches_onward(&bus, &worker, BYTES("a")));
        assert_int_equal(fakes[0].n_tried, 0);
}

/* Somebody who asks that while a message is delivered to him. */
static size_t look_around(struct receiver *receiver, struct worker *in,
                          struct subscription *subscription, const struct message *message) {
        static char elsewhere[MATCH_CACHE_SUBJECT_MAX + 2];

        memset(elsewhere, 'b', sizeof(elsewhere) - 1);
        assert_false(bus_reaches_onward(&bus, in, bytes_from_string(elsewhere)));
        return take(receiver, in, subscription, message);
}

static void test_who_asks_meanwhile_leaves_the_match_alone(void **state) {
        char subject[MATCH_CACHE_SUBJECT_MAX + 2];

        /* Too long to be kept, so that each depth has room for one of its matches. */
        memset(subject, 'a', sizeof(subject) - 1);
        subject[sizeof(subject) - 1] = '\0';
        for (unsigned i = 0; i < 3; i++) {
                fakes[i].receiver.deliver = look_around;
                subscribe(i, subject, "");
        }
        assert_int_equal(publish(subject, NULL), 3);
        assert_int_equal(worker.depth, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_publish_reaches_wildcard_subscriber),
                TEST(test_publish_to_nobody_is_told),
                TEST(test_each_subscription_gets_a_copy),
                TEST(test_whoever_left_gets_nothing),
                TEST(test_who_did_not_take_it_does_not_count),
                TEST(test_a_queue_group_gets_one_message_each_time),
                TEST(test_two_members_of_one_receiver_count_twice),
                TEST(test_groups_go_by_name_not_by_subject),
                TEST(test_another_member_takes_what_one_refuses),
                TEST(test_plain_subscriptions_come_before_groups),
                TEST(test_without_echo_the_publisher_is_left_out),
                TEST(test_without_echo_another_member_is_chosen),
                TEST(test_the_own_plain_subscription_is_found),
                TEST(test_two_buses_do_not_mix),
                TEST(test_a_run_is_delivered_at_once),
                TEST(test_a_run_may_be_taken_in_pieces),
                TEST(test_a_run_keeps_the_order_of_a_receiver),
                TEST(test_a_run_is_shared_out_in_a_group),
                TEST(test_what_goes_further_leaves_the_match_alone),
                TEST(test_what_comes_back_ends),
                TEST(test_a_run_is_limited_by_what_it_reaches_further),
                TEST(test_it_is_known_whether_anybody_would_be_reached),
                TEST(test_who_asks_meanwhile_leaves_the_match_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
