/* Services: what the built-in ones answer, what all tell of themselves on $SRV subjects, what is
 * counted, and that nobody has sockd publish where he may not himself. Receivers are fakes, which
 * note what they are given. */
#include "daemon/service.h"

#include "daemon/account.h"
#include "daemon/builtin_services.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/instance.h"
#include "daemon/permissions.h"
#include "daemon/services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Whoever subscribes. */
struct fake {
        struct receiver receiver;
        struct subscription *subscription;
        unsigned n_taken;
        size_t header_size;
        char subject[128], payload[2048];
};

static struct instance instance;
static struct accounts accounts;
static struct services services;
static struct config config;
static struct workers workers;
static struct worker worker;
static struct reclaim reclaim;
static struct fake fakes[2];

static size_t take(struct receiver *receiver, struct worker *in, struct subscription *subscription,
                   const struct message *message) {
        struct fake *fake = container_of(receiver, struct fake, receiver);

        snprintf(fake->subject, sizeof(fake->subject), "%.*s", (int)message->subject.length,
                 message->subject.data);
        snprintf(fake->payload, sizeof(fake->payload), "%.*s", (int)message->payload.length,
                 message->payload.data);
        assert_memory_equal(message->payload.data + message->payload.length, "\r\n", 2);
        fake->header_size = message->header_size;
        fake->n_taken++;
        assert_int_equal(message->reply.length, 0);
        return message->count;
}

static void subscribe(struct fake *fake, struct bus *bus, const char *subject) {
        fake->receiver.deliver = take;
        fake->subscription = subscription_new(&fake->receiver, BYTES("1"), BYTES(""));
        assert_non_null(fake->subscription);
        assert_int_equal(
                bus_subscribe(bus, &reclaim, bytes_from_string(subject), fake->subscription), 0);
}

/* Puts a configuration's services in force. */
static void apply(void) {
        struct services_plan plan;

        assert_int_equal(services_plan_make(&plan, &services, &config), 0);
        services_plan_carry_out(&plan);
        services_plan_deinit(&plan);
}

static int set_up(void **state) {
        memset(fakes, 0, sizeof(fakes));
        config = (struct config){.n_references = 1,
                                 .server.max_payload = 1048576,
                                 .builtin_services = {true, true, true, NULL}};
        worker = (struct worker){
                .random = 88172645463325252u, .config = &config, .instance = &instance};
        workers = (struct workers){.all = &worker, .count = 1};
        if (instance_init(&instance, "here", 4) < 0 ||
            accounts_obtain(&accounts, "$G", &instance.bus) < 0)
                return -1;
        instance.accounts = &accounts;
        services_init(&services, &instance, &workers, NULL);
        apply();
        subscribe(&fakes[0], instance.bus, "answers");
        return 0;
}

static int tear_down(void **state) {
        for (unsigned i = 0; i < 2; i++)
                if (fakes[i].subscription)
                        bus_unsubscribe(instance.bus, &reclaim, fakes[i].subscription);
        services_deinit(&services);
        accounts_deinit(&accounts);
        for (unsigned i = 0; i < WORKER_DEPTH_MAX; i++)
                match_cache_deinit(&worker.matches[i]);
        permissions_cache_deinit(&worker.permissions);
        reclaim_flush(&reclaim);
        reclaim_drain();
        instance_deinit(&instance);
        return 0;
}

static size_t publish(const char *subject, const char *reply, struct bytes payload,
                      size_t header_size) {
        struct message message = {.subject = bytes_from_string(subject),
                                  .reply = bytes_from_string(reply),
                                  .payload = payload,
                                  .header_size = header_size,
                                  .bus = instance.bus,
                                  .count = 1};

        return bus_publish(instance.bus, &worker, &message, NULL);
}

static struct service *service_named(const char *name) {
        for (size_t i = 0; i < services.n; i++)
                if (strcmp(services.all[i]->identity.name, name) == 0)
                        return services.all[i];
        return NULL;
}

/* --- the built-in ones ----------------------------------------------------------------------- */

static void test_echo_gives_the_payload_back(void **state) {
        assert_int_equal(publish("sockd.echo", "answers", BYTES("hello"), 0), 1);
        assert_int_equal(fakes[0].n_taken, 1);
        assert_string_equal(fakes[0].payload, "hello");
}

static void test_echo_gives_no_headers_back(void **state) {
        assert_int_equal(
                publish("sockd.echo", "answers", BYTES("NATS/1.0\r\nA: b\r\n\r\nhello"), 18), 1);
        assert_int_equal(fakes[0].header_size, 0);
        assert_string_equal(fakes[0].payload, "hello");
}

static void test_time_is_utc(void **state) {
        assert_int_equal(publish("sockd.time", "answers", BYTES(""), 0), 1);
        assert_int_equal(fakes[0].payload[10], 'T');
        assert_int_equal(fakes[0].payload[strlen(fakes[0].payload) - 1], 'Z');
}

static void test_info_is_json(void **state) {
        json_t *info;

        assert_int_equal(publish("sockd.info", "answers", BYTES(""), 0), 1);
        info = json_loads(fakes[0].payload, 0, NULL);
        assert_string_equal(json_string_value(json_object_get(info, "server_name")), "here");
        assert_string_equal(json_string_value(json_object_get(info, "sockd_version")),
                            PACKAGE_VERSION);
        assert_non_null(json_object_get(info, "uptime"));
        json_decref(info);
}

static void test_without_a_reply_it_is_counted_only(void **state) {
        assert_int_equal(publish("sockd.echo", "", BYTES("hello"), 0), 1);
        assert_int_equal(fakes[0].n_taken, 0);
        assert_int_equal(service_named("sockd-echo")->counts.n_requests, 1);
}

static void test_an_answer_asks_no_service(void **state) {
        assert_int_equal(publish("sockd.echo", "sockd.time", BYTES("hello"), 0), 1);
        assert_int_equal(fakes[0].n_taken, 0);
        assert_int_equal(service_named("sockd-time")->counts.n_requests, 1);
}

static void test_each_of_a_run_is_answered(void **state) {
        struct message run = {.subject = BYTES("sockd.echo"),
                              .reply = BYTES("answers"),
                              .payload = BYTES("abcdefgh"),
                              .stride = 2,
                              .count = 4,
                              .bus = instance.bus};

        run.payload.length = 2;
        assert_true(bus_limit_run(instance.bus, &worker, &run) > 0);
        assert_int_equal(bus_publish(instance.bus, &worker, &run, NULL), 4);
        assert_int_equal(fakes[0].n_taken, 4);
        assert_string_equal(fakes[0].payload, "gh");
}

static void test_they_can_be_switched_off_and_on(void **state) {
        struct service *echo = service_named("sockd-echo");

        config.builtin_services.time = false;
        apply();
        assert_int_equal(services.n, 2);
        assert_int_equal(publish("sockd.time", "answers", BYTES(""), 0), 0);
        /* What stays is the same. */
        assert_ptr_equal(echo, service_named("sockd-echo"));
        config.builtin_services.time = true;
        apply();
        assert_int_equal(publish("sockd.time", "answers", BYTES(""), 0), 1);
}

static void test_they_can_be_in_other_accounts(void **state) {
        char *names[] = {(char *)"A", NULL};
        struct bus *bus;
        struct message message = {
                .subject = BYTES("sockd.echo"), .payload = BYTES("hello"), .count = 1};

        config.builtin_services.accounts = names;
        apply();
        assert_int_equal(publish("sockd.echo", "answers", BYTES("hello"), 0), 0);
        bus = accounts_find(&accounts, "A");
        assert_non_null(bus);
        message.bus = bus;
        assert_int_equal(bus_publish(bus, &worker, &message, NULL), 1);
}

/* A plan that is dropped leaves everything as it was. */
static void test_a_plan_may_be_given_up(void **state) {
        struct services_plan plan;

        config.builtin_services.echo = false;
        assert_int_equal(services_plan_make(&plan, &services, &config), 0);
        services_plan_deinit(&plan);
        assert_int_equal(services.n, 3);
        assert_int_equal(publish("sockd.echo", "answers", BYTES("hello"), 0), 1);
        assert_int_equal(fakes[0].n_taken, 1);
}

/* --- $SRV ------------------------------------------------------------------------------------ */

/* The answer to a request that one service has to answer. */
static json_t *ask(const char *subject) {
        json_t *answer;
        unsigned before = fakes[0].n_taken;

        assert_int_equal(publish(subject, "answers", BYTES(""), 0), 1);
        assert_int_equal(fakes[0].n_taken, before + 1);
        answer = json_loads(fakes[0].payload, 0, NULL);
        assert_non_null(answer);
        return answer;
}

static void assert_text(const json_t *object, const char *key, const char *expected) {
        assert_string_equal(json_string_value(json_object_get(object, key)), expected);
}

static void assert_identity(const json_t *answer, const struct service *service, const char *type) {
        assert_text(answer, "type", type);
        assert_text(answer, "name", service->identity.name);
        assert_text(answer, "id", service->identity.id);
        assert_text(answer, "version", PACKAGE_VERSION);
        assert_true(json_is_object(json_object_get(answer, "metadata")));
}

static void test_all_services_answer_a_ping(void **state) {
        assert_int_equal(publish("$SRV.PING", "answers", BYTES(""), 0), 3);
        assert_int_equal(fakes[0].n_taken, 3);
}

static void test_ping_tells_who_is_there(void **state) {
        json_t *answer = ask("$SRV.PING.sockd-time");

        assert_identity(answer, service_named("sockd-time"), "io.nats.micro.v1.ping_response");
        assert_int_equal(json_object_size(answer), 5);
        json_decref(answer);
}

static void test_info_tells_the_endpoint(void **state) {
        json_t *answer = ask("$SRV.INFO.sockd-echo"), *endpoint;

        assert_identity(answer, service_named("sockd-echo"), "io.nats.micro.v1.info_response");
        assert_text(answer, "description", "Gives the payload back");
        assert_int_equal(json_array_size(json_object_get(answer, "endpoints")), 1);
        endpoint = json_array_get(json_object_get(answer, "endpoints"), 0);
        assert_text(endpoint, "name", "sockd-echo");
        assert_text(endpoint, "subject", "sockd.echo");
        assert_text(endpoint, "queue_group", "");
        assert_true(json_is_object(json_object_get(endpoint, "metadata")));
        json_decref(answer);
}

static void test_stats_tell_the_counts(void **state) {
        struct service *echo = service_named("sockd-echo");
        json_t *answer, *endpoint;
        char subject[128];

        for (unsigned i = 0; i < 5; i++)
                publish("sockd.echo", "answers", BYTES("hello"), 0);
        service_counts_add(&echo->counts, SERVICE_LATE, "took longer than 5s", 1000);
        snprintf(subject, sizeof(subject), "$SRV.STATS.sockd-echo.%s", echo->identity.id);
        answer = ask(subject);
        assert_identity(answer, echo, "io.nats.micro.v1.stats_response");
        assert_true(json_is_string(json_object_get(answer, "started")));
        endpoint = json_array_get(json_object_get(answer, "endpoints"), 0);
        assert_text(endpoint, "name", "sockd-echo");
        assert_text(endpoint, "subject", "sockd.echo");
        assert_int_equal(json_integer_value(json_object_get(endpoint, "num_requests")), 6);
        assert_int_equal(json_integer_value(json_object_get(endpoint, "num_errors")), 1);
        assert_text(endpoint, "last_error", "took longer than 5s");
        assert_true(json_integer_value(json_object_get(endpoint, "processing_time")) >= 1000);
        assert_true(json_is_integer(json_object_get(endpoint, "average_processing_time")));
        assert_true(json_is_integer(json_object_get(json_object_get(endpoint, "data"), "p99")));
        json_decref(answer);
}

static void test_who_is_not_there_does_not_answer(void **state) {
        assert_int_equal(publish("$SRV.PING.nobody", "answers", BYTES(""), 0), 0);
        assert_int_equal(publish("$SRV.PING.sockd-echo.nobody", "answers", BYTES(""), 0), 0);
        assert_int_equal(publish("$SRV.OTHER", "answers", BYTES(""), 0), 0);
}

/* --- who gets an answer ---------------------------------------------------------------------- */

static unsigned n_own; /* messages that the asker got */

static size_t take_own(struct receiver *receiver, struct worker *in,
                       struct subscription *subscription, const struct message *message) {
        n_own++;
        return message->count;
}

/* Permissions to ask sockd.echo, and for nothing else. */
static struct permissions *make_permissions(void) {
        struct permissions *permissions = permissions_new();

        assert_non_null(permissions);
        assert_int_equal(permissions_open(permissions, PERMISSIONS_PUBLISH_ALLOW, "", 0), 0);
        assert_int_equal(permissions_add(permissions, PERMISSIONS_PUBLISH_ALLOW,
                                         BYTES("sockd.echo"), BYTES(""), "", 0),
                         0);
        assert_int_equal(permissions_seal(permissions), 0);
        return permissions;
}

static void test_nobody_publishes_by_a_service_where_he_may_not(void **state) {
        const struct handler handler = {.speaks_nats = true};
        struct client client = {
                .receiver.deliver = take_own, .worker = &worker, .bus = instance.bus};
        struct connection connection = {
                .id = 7, .handler = &handler, .client = &client, .worker = &worker};
        struct message message = {.subject = BYTES("sockd.echo"),
                                  .reply = BYTES("answers"),
                                  .payload = BYTES("hello"),
                                  .publisher = &connection,
                                  .bus = instance.bus,
                                  .count = 1};
        struct subscription *own = subscription_new(&client.receiver, BYTES("1"), BYTES(""));
        struct permissions *permissions = make_permissions();

        client.connection = &connection;
        n_own = 0;
        assert_int_equal(instance_take_slot(&instance, &connection, &connection.slot), 0);
        assert_int_equal(bus_subscribe(instance.bus, &reclaim, BYTES("answers"), own), 0);
        assert_int_equal(bus_publish(instance.bus, &worker, &message, NULL), 1);
        assert_int_equal(fakes[0].n_taken, 1);
        assert_int_equal(n_own, 1);
        /* What he has subscribed to himself he gets yet, and nobody else does. */
        client_set_permissions(&client, permissions);
        assert_int_equal(bus_publish(instance.bus, &worker, &message, NULL), 1);
        assert_int_equal(fakes[0].n_taken, 1);
        assert_int_equal(n_own, 2);
        client_set_permissions(&client, NULL);
        permissions_unref(permissions);
        bus_unsubscribe(instance.bus, &reclaim, own);
        instance_hide_slot(&instance, connection.slot);
        reclaim_flush(&worker.reclaim);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_echo_gives_the_payload_back),
                TEST(test_echo_gives_no_headers_back),
                TEST(test_time_is_utc),
                TEST(test_info_is_json),
                TEST(test_without_a_reply_it_is_counted_only),
                TEST(test_an_answer_asks_no_service),
                TEST(test_each_of_a_run_is_answered),
                TEST(test_they_can_be_switched_off_and_on),
                TEST(test_they_can_be_in_other_accounts),
                TEST(test_a_plan_may_be_given_up),
                TEST(test_all_services_answer_a_ping),
                TEST(test_ping_tells_who_is_there),
                TEST(test_info_tells_the_endpoint),
                TEST(test_stats_tell_the_counts),
                TEST(test_who_is_not_there_does_not_answer),
                TEST(test_nobody_publishes_by_a_service_where_he_may_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
