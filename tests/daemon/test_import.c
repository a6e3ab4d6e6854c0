/* Imports: what is published in one account comes to another one, under the subject that it has
 * there, and replies find their way back. Receivers are fakes, which note what they are given. */
#include "daemon/imports.h"

#include "daemon/account.h"
#include "daemon/config.h"
#include "daemon/import.h"
#include "daemon/reply_route.h"
#include "daemon/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Whoever subscribes in an account. */
struct fake {
        struct receiver receiver;
        struct bus *bus;
        struct subscription *subscription;
        unsigned n_taken;
        char subject[128], reply[128], payload[128];
        struct bus *published_on;
};

static struct accounts accounts;
static struct imports imports;
static struct worker worker;
static struct reclaim reclaim;
static struct fake fakes[4];
static unsigned n_fakes;

static size_t take(struct receiver *receiver, struct worker *in, struct subscription *subscription,
                   const struct message *message) {
        struct fake *fake = container_of(receiver, struct fake, receiver);

        snprintf(fake->subject, sizeof(fake->subject), "%.*s", (int)message->subject.length,
                 message->subject.data);
        snprintf(fake->reply, sizeof(fake->reply), "%.*s", (int)message->reply.length,
                 message->reply.data);
        snprintf(fake->payload, sizeof(fake->payload), "%.*s", (int)message->payload.length,
                 message->payload.data);
        fake->n_taken += (unsigned)message->count;
        fake->published_on = message->bus;
        return message->count;
}

static struct bus *bus_named(const char *name) {
        struct bus *bus;

        assert_int_equal(accounts_obtain(&accounts, name, &bus), 0);
        return bus;
}

static struct fake *subscribe(const char *account, const char *subject) {
        struct fake *fake = &fakes[n_fakes++];

        *fake = (struct fake){.receiver.deliver = take, .bus = bus_named(account)};
        fake->subscription = subscription_new(&fake->receiver, BYTES("1"), BYTES(""));
        assert_non_null(fake->subscription);
        assert_int_equal(
                bus_subscribe(fake->bus, &reclaim, bytes_from_string(subject), fake->subscription),
                0);
        return fake;
}

static void unsubscribe(struct fake *fake) {
        if (fake->subscription)
                bus_unsubscribe(fake->bus, &reclaim, fake->subscription);
        fake->subscription = NULL;
}

static int set_up(void **state) {
        worker = (struct worker){.random = 88172645463325252u};
        imports_init(&imports, &accounts);
        n_fakes = 0;
        return 0;
}

static int tear_down(void **state) {
        while (n_fakes > 0)
                unsubscribe(&fakes[--n_fakes]);
        imports_deinit(&imports);
        accounts_deinit(&accounts);
        for (unsigned i = 0; i < WORKER_DEPTH_MAX; i++)
                match_cache_deinit(&worker.matches[i]);
        reclaim_flush(&reclaim);
        reclaim_drain();
        return 0;
}

static size_t publish_run(const char *account, const char *subject, const char *reply,
                          size_t count) {
        struct message message = {.subject = bytes_from_string(subject),
                                  .reply = bytes_from_string(reply),
                                  .payload = BYTES("hello"),
                                  .bus = bus_named(account),
                                  .count = count};

        return bus_publish(message.bus, &worker, &message, NULL);
}

static size_t publish(const char *account, const char *subject, const char *reply) {
        return publish_run(account, subject, reply, 1);
}

/* Applies the imports of account B. */
static int import(struct config_import *all, size_t n) {
        struct config_account account = {.name = (char *)"B", .imports = all, .n_imports = n};
        const struct config config = {.accounts = &account, .n_accounts = 1};
        struct imports_plan plan;
        int r = imports_plan_make(&plan, &imports, &config);

        if (r >= 0)
                imports_plan_carry_out(&plan);
        imports_plan_deinit(&plan);
        return r;
}

#define STREAM(subject, here)                                                                      \
        { .stream = (char *)(subject), .account = (char *)"A", .to = (char *)(here) }
#define SERVICE(subject, here)                                                                     \
        { .service = (char *)(subject), .account = (char *)"A", .to = (char *)(here) }

static void test_accounts_are_found_by_name(void **state) {
        struct bus *a = bus_named("A"), *b = bus_named("B");

        assert_ptr_not_equal(a, b);
        assert_ptr_equal(bus_named("A"), a);
        assert_ptr_equal(accounts_find(&accounts, "B"), b);
        assert_null(accounts_find(&accounts, "C"));
        assert_string_equal(b->account, "B");
}

static void test_without_an_import_nothing_crosses(void **state) {
        struct fake *there = subscribe("A", ">");

        assert_int_equal(publish("B", "s.a", ""), 0);
        assert_int_equal(there->n_taken, 0);
}

static void test_a_stream_comes_under_its_subject(void **state) {
        struct config_import all[] = {STREAM("s.*.x.>", "here.*.>")};
        struct fake *here = subscribe("B", ">");

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("A", "s.1.x.2.3", "rep.ly"), 1);
        assert_string_equal(here->subject, "here.1.2.3");
        assert_string_equal(here->reply, "rep.ly");
        assert_string_equal(here->payload, "hello");
        assert_ptr_equal(here->published_on, bus_named("B"));
        assert_int_equal(publish("A", "s.1.y.2", ""), 0);
        assert_int_equal(publish("B", "s.1.x.2", ""), 1);
        assert_int_equal(here->n_taken, 2);
}

static void test_a_stream_that_nobody_wants_is_not_taken(void **state) {
        struct config_import all[] = {STREAM("s.>", "s.>")};

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("A", "s.a", ""), 0);
}

static void test_a_run_crosses_as_one(void **state) {
        struct config_import all[] = {STREAM("s.>", "p.s.>")};
        struct fake *here = subscribe("B", "p.>");

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish_run("A", "s.a", "", 100), 100);
        assert_int_equal(here->n_taken, 100);
}

static void test_a_request_is_answered_once(void **state) {
        struct config_import all[] = {SERVICE("svc.x", "local.x")};
        struct fake *service = subscribe("A", "svc.*"), *requester = subscribe("B", "inbox.*");
        char reply[128];

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("B", "local.x", "inbox.1"), 1);
        assert_string_equal(service->subject, "svc.x");
        assert_int_equal(strlen(service->reply), REPLY_ROUTE_SUBJECT_LENGTH);
        assert_memory_equal(service->reply, "_R_.", 4);
        assert_int_equal(service->reply[REPLY_ROUTE_PREFIX_LENGTH - 1], '.');
        strcpy(reply, service->reply);
        assert_int_equal(publish("B", reply, ""), 0);
        assert_int_equal(publish("A", reply, ""), 1);
        assert_string_equal(requester->subject, "inbox.1");
        assert_string_equal(requester->reply, "");
        assert_int_equal(publish("A", reply, ""), 0);
        assert_int_equal(requester->n_taken, 1);
}

static void test_a_request_without_reply_needs_none(void **state) {
        struct config_import all[] = {SERVICE("svc.x", "local.x")};
        struct fake *service = subscribe("A", "svc.x");

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish_run("B", "local.x", "", 7), 7);
        assert_int_equal(service->n_taken, 7);
        assert_string_equal(service->reply, "");
        assert_int_equal(imports.routes->table.n_used, 0);
}

static void test_each_request_of_a_run_has_its_reply(void **state) {
        struct config_import all[] = {SERVICE("svc.x", "local.x")};
        struct fake *service = subscribe("A", "svc.x");
        unsigned n = 0;

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish_run("B", "local.x", "inbox", 7), 7);
        assert_int_equal(service->n_taken, 7);
        for (struct reply_route *route = imports.routes; route; route = route->next)
                n += route->table.n_used;
        assert_int_equal(n, 7);
}

static void test_a_service_that_nobody_offers_is_not_taken(void **state) {
        /* So that the requester is told; and nothing is awaited. */
        struct config_import all[] = {SERVICE("svc.x", "local.x")};

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("B", "local.x", "inbox.1"), 0);
        for (struct reply_route *route = imports.routes; route; route = route->next)
                assert_int_equal(route->table.n_used, 0);
}

static void test_a_reply_may_ask_back(void **state) {
        struct config_import all[] = {SERVICE("svc.x", "local.x")};
        struct fake *service = subscribe("A", "svc.x"), *requester = subscribe("B", "inbox");
        struct fake *more = subscribe("A", "more");

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("B", "local.x", "inbox"), 1);
        assert_int_equal(publish("A", service->reply, "more"), 1);
        assert_memory_equal(requester->reply, "_R_.", 4);
        assert_string_not_equal(requester->reply, service->reply);
        assert_int_equal(publish("B", requester->reply, ""), 1);
        assert_int_equal(more->n_taken, 1);
        assert_string_equal(more->subject, "more");
}

static void test_what_stays_is_the_same_import(void **state) {
        struct config_import before[] = {STREAM("s.>", "s.>"), STREAM("t", "t")};
        struct config_import after[] = {STREAM("t", "u"), STREAM("s.>", "s.>")};
        struct fake *here = subscribe("B", ">");
        struct import *kept;

        assert_int_equal(import(before, 2), 0);
        kept = imports.all[0];
        assert_int_equal(publish("A", "t", ""), 1);
        assert_string_equal(here->subject, "t");
        assert_int_equal(import(after, 2), 0);
        assert_ptr_equal(imports.all[1], kept);
        assert_int_equal(publish("A", "t", ""), 1);
        assert_string_equal(here->subject, "u");
        assert_int_equal(import(after, 0), 0);
        assert_int_equal(publish("A", "t", ""), 0);
        assert_int_equal(publish("A", "s.a", ""), 0);
        assert_int_equal(bus_count(bus_named("A")), 0);
}

static void test_a_plan_that_is_dropped_changes_nothing(void **state) {
        struct config_import all[] = {STREAM("s.>", "s.>"), SERVICE("v", "v")};
        struct config_account account = {.name = (char *)"B", .imports = all, .n_imports = 2};
        const struct config config = {.accounts = &account, .n_accounts = 1};
        struct fake *here = subscribe("B", "s.>");
        struct imports_plan plan;

        assert_int_equal(imports_plan_make(&plan, &imports, &config), 0);
        assert_int_equal(publish("A", "s.a", ""), 0);
        imports_plan_deinit(&plan);
        assert_int_equal(publish("A", "s.a", ""), 0);
        assert_int_equal(here->n_taken, 0);
        assert_int_equal(imports.n, 0);
}

static void test_a_reply_comes_back_though_the_import_has_gone(void **state) {
        struct config_import all[] = {SERVICE("svc.x", "local.x")};
        struct fake *service = subscribe("A", "svc.x"), *requester = subscribe("B", "inbox");

        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("B", "local.x", "inbox"), 1);
        assert_int_equal(import(all, 0), 0);
        assert_int_equal(publish("B", "local.x", "inbox"), 0);
        assert_int_equal(publish("A", service->reply, "again"), 1);
        assert_int_equal(requester->n_taken, 1);
        /* There is no way back from here. */
        assert_string_equal(requester->reply, "");
}

static void test_a_message_too_long_does_not_cross(void **state) {
        static char subject[70 * 1024];
        struct config_import all[] = {STREAM(">", "p.>")};

        memset(subject, 'a', sizeof(subject) - 1);
        (void)subscribe("B", ">");
        assert_int_equal(import(all, 1), 0);
        assert_int_equal(publish("A", subject, ""), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_accounts_are_found_by_name),
                TEST(test_without_an_import_nothing_crosses),
                TEST(test_a_stream_comes_under_its_subject),
                TEST(test_a_stream_that_nobody_wants_is_not_taken),
                TEST(test_a_run_crosses_as_one),
                TEST(test_a_request_is_answered_once),
                TEST(test_a_request_without_reply_needs_none),
                TEST(test_each_request_of_a_run_has_its_reply),
                TEST(test_a_service_that_nobody_offers_is_not_taken),
                TEST(test_a_reply_may_ask_back),
                TEST(test_what_stays_is_the_same_import),
                TEST(test_a_plan_that_is_dropped_changes_nothing),
                TEST(test_a_reply_comes_back_though_the_import_has_gone),
                TEST(test_a_message_too_long_does_not_cross),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
