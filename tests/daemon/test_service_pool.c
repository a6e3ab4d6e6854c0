/* Requests for programs: how many are taken, what the others are told, and that what was taken is
 * answered even when the service has been retired. There is no spawner, so that no program runs.
 * The worker's loop is run by the test, which thus decides when it gets its mail. */
#include "daemon/service_pool.h"

#include "daemon/account.h"
#include "daemon/config.h"
#include "daemon/config_program.h"
#include "daemon/instance.h"
#include "daemon/services.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct instance instance;
static struct accounts accounts;
static struct services services;
static struct config config;
static struct config_service *entry;
static struct workers workers;
static struct worker worker;
static struct mailbox home;
static uv_loop_t home_loop;
static struct reclaim reclaim;
static struct receiver asker;
static struct subscription *answers;
static unsigned n_answers;
static char last[2048]; /* the last answer, with its headers */

static size_t take(struct receiver *receiver, struct worker *in, struct subscription *subscription,
                   const struct message *message) {
        snprintf(last, sizeof(last), "%.*s", (int)message->payload.length, message->payload.data);
        n_answers++;
        return message->count;
}

/* Reads the services of a text. */
static void load(const char *text) {
        char path[] = "/tmp/test_service_pool.XXXXXX";
        struct config_errors errors = {NULL, 0};
        struct config *loaded = NULL;
        FILE *file = fdopen(mkstemp(path), "w");

        assert_non_null(file);
        fprintf(file, "services = ( { subject = \"a\"; exec = [\"/bin/cat\"]; %s } );", text);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(config_load(&loaded, path, NULL, 0, &errors), 0);
        entry = config_service_ref(loaded->services.all[0]);
        config_unref(loaded);
        (void)remove(path);
}

static void apply(struct config_service **all, size_t n) {
        struct services_plan plan;

        config.services = (struct config_services){all, n};
        assert_int_equal(services_plan_make(&plan, &services, &config), 0);
        services_plan_carry_out(&plan);
        services_plan_deinit(&plan);
}

/* The worker and the server get their mail. */
static void run_loops(void) {
        for (unsigned i = 0; i < 10; i++) {
                (void)uv_run(&worker.loop, UV_RUN_NOWAIT);
                if (worker.is_online)
                        reclaim_thread_offline();
                worker.is_online = false;
                (void)uv_run(&home_loop, UV_RUN_NOWAIT);
        }
}

static void begin(const char *text) {
        load(text);
        apply(&entry, 1);
        run_loops();
}

static int set_up(void **state) {
        config = (struct config){
                .n_references = 1, .server.max_payload = 1048576, .server.max_pending = 1000};
        worker = (struct worker){
                .random = 88172645463325252u, .config = &config, .instance = &instance};
        workers = (struct workers){.all = &worker, .count = 1};
        list_init(&worker.guests);
        n_answers = 0;
        asker.deliver = take;
        answers = subscription_new(&asker, BYTES("1"), BYTES(""));
        if (!answers || uv_loop_init(&worker.loop) < 0 || uv_loop_init(&home_loop) < 0 ||
            mailbox_init(&worker.mailbox, &worker.loop) < 0 ||
            mailbox_init(&home, &home_loop) < 0 || instance_init(&instance, "here", 4) < 0 ||
            accounts_obtain(&accounts, "$G", &instance.bus) < 0 ||
            bus_subscribe(instance.bus, &reclaim, BYTES("answers"), answers) < 0)
                return -1;
        instance.accounts = &accounts;
        services_init(&services, &instance, &workers, &home);
        reclaim_thread_begin();
        reclaim_thread_offline();
        return 0;
}

static int tear_down(void **state) {
        worker.is_stopping = true;
        LIST_FOREACH_SAFE (link, &worker.guests) {
                struct worker_guest *guest = container_of(link, struct worker_guest, link);

                guest->stop(guest);
        }
        mailbox_close(&worker.mailbox);
        (void)uv_run(&worker.loop, UV_RUN_DEFAULT);
        if (worker.is_online)
                reclaim_thread_offline();
        assert_int_equal(uv_loop_close(&worker.loop), 0);
        mailbox_close(&home);
        (void)uv_run(&home_loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&home_loop), 0);
        bus_unsubscribe(instance.bus, &reclaim, answers);
        services_deinit(&services);
        entry = config_service_unref(entry);
        for (unsigned i = 0; i < WORKER_DEPTH_MAX; i++)
                match_cache_deinit(&worker.matches[i]);
        accounts_deinit(&accounts);
        reclaim_flush(&reclaim);
        reclaim_flush(&worker.reclaim);
        reclaim_drain();
        mailbox_deinit(&worker.mailbox);
        mailbox_deinit(&home);
        instance_deinit(&instance);
        reclaim_thread_end();
        return 0;
}

static void request(const char *reply, const char *payload) {
        struct message message = {.subject = BYTES("a"),
                                  .reply = bytes_from_string(reply),
                                  .payload = bytes_from_string(payload),
                                  .bus = instance.bus,
                                  .count = 1};

        assert_int_equal(bus_publish(instance.bus, &worker, &message, NULL), 1);
}

static void assert_counts(unsigned running, unsigned waiting) {
        unsigned n_running, n_waiting;

        service_pool_count(services.all[0], &n_running, &n_waiting);
        assert_int_equal(n_running, running);
        assert_int_equal(n_waiting, waiting);
}

static uint64_t errors_of(enum service_error error) {
        return atomic_load(&services.all[0]->counts.n_errors[error]);
}

static void test_so_many_are_taken_as_may_run_and_wait(void **state) {
        begin("concurrency = 2; backlog = 3;");
        for (unsigned i = 0; i < 5; i++)
                request("answers", "x");
        assert_int_equal(n_answers, 0);
        assert_counts(0, 5);
        request("answers", "x");
        assert_int_equal(n_answers, 1);
        assert_string_equal(last, "NATS/1.0\r\nNats-Service-Error: too many requests wait\r\n"
                                  "Nats-Service-Error-Code: 429\r\n\r\n");
        assert_int_equal(errors_of(SERVICE_BUSY), 1);
        /* Those that were taken fail when the worker looks at them, and there is room again. */
        run_loops();
        assert_int_equal(n_answers, 6);
        assert_counts(0, 0);
        assert_int_equal(errors_of(SERVICE_UNAVAILABLE), 5);
        /* Nothing was run, so there is nothing to say of how long that takes. */
        assert_int_equal(latency_count(&services.all[0]->counts.latency), 0);
        request("answers", "x");
        assert_counts(0, 1);
        run_loops();
}

static void test_without_a_backlog_nobody_waits(void **state) {
        begin("concurrency = 1; backlog = 0;");
        request("answers", "x");
        assert_int_equal(n_answers, 0);
        request("answers", "x");
        assert_int_equal(n_answers, 1);
        run_loops();
}

static void test_their_payloads_are_limited_together(void **state) {
        char large[600];

        memset(large, 'x', sizeof(large) - 1);
        large[sizeof(large) - 1] = '\0';
        begin("");
        request("answers", large);
        request("answers", large);
        assert_int_equal(n_answers, 1);
        assert_int_equal(errors_of(SERVICE_BUSY), 1);
        request("answers", "small");
        assert_int_equal(n_answers, 1);
        run_loops();
        assert_int_equal(n_answers, 3);
        request("answers", large);
        run_loops();
        assert_int_equal(errors_of(SERVICE_BUSY), 1);
}

static void test_messages_without_a_reply_are_limited_as_well(void **state) {
        begin("concurrency = 1; backlog = 1;");
        for (unsigned i = 0; i < 5; i++)
                request("", "x");
        assert_counts(0, 2);
        assert_int_equal(errors_of(SERVICE_BUSY), 3);
        run_loops();
        assert_counts(0, 0);
        assert_int_equal(n_answers, 0);
        assert_int_equal(services.all[0]->counts.n_requests, 5);
}

static void test_a_subject_with_a_nul_is_refused(void **state) {
        struct message message = {.subject = {"w.\0", 3},
                                  .reply = BYTES("answers"),
                                  .bus = instance.bus,
                                  .payload = BYTES("x"),
                                  .count = 1};

        begin("");
        services.all[0]->kind->take(services.all[0], &worker, &message);
        assert_int_equal(n_answers, 1);
        assert_int_equal(errors_of(SERVICE_BAD_REQUEST), 1);
}

static void test_what_waits_is_answered_though_the_service_goes(void **state) {
        begin("");
        for (unsigned i = 0; i < 3; i++)
                request("answers", "x");
        apply(NULL, 0);
        assert_int_equal(services.n, 0);
        reclaim_drain();
        run_loops();
        assert_int_equal(n_answers, 3);
        assert_true(list_is_empty(&worker.guests));
}

static void test_the_same_configuration_leaves_it_alone(void **state) {
        struct config_service *before;
        struct service *service;

        begin("concurrency = 2;");
        service = services.all[0];
        before = entry;
        load("concurrency = 2;");
        apply(&entry, 1);
        assert_ptr_equal(services.all[0], service);
        config_service_unref(entry);
        load("concurrency = 3;");
        apply(&entry, 1);
        assert_ptr_not_equal(services.all[0], service);
        config_service_unref(before);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_so_many_are_taken_as_may_run_and_wait),
                TEST(test_without_a_backlog_nobody_waits),
                TEST(test_their_payloads_are_limited_together),
                TEST(test_messages_without_a_reply_are_limited_as_well),
                TEST(test_a_subject_with_a_nul_is_refused),
                TEST(test_what_waits_is_answered_though_the_service_goes),
                TEST(test_the_same_configuration_leaves_it_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
