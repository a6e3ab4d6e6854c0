/* Reports: times and durations as texts (protocol.md A.1 to A.3), and what is said of connections
 * and the server. */
#include "daemon/report.h"

#include "daemon/client.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/spawner.h"
#include "daemon/subject_index.h"
#include "daemon/tls_context.h"
#include "daemon/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define US UINT64_C(1000)

/* Seconds of 2026-11-20T20:36:37Z. */
#define START UINT64_C(1795206997)

static struct server server;
static struct config config;
static struct spawner spawner;
static struct worker worker;
static struct listener listener;
static struct connection connection;
static struct client client;

static int set_up(void **state) {
        memset(&server, 0, sizeof(server));
        memset(&worker, 0, sizeof(worker));
        config = (struct config){.server.max_payload = 1048576,
                                 .server.workers = 1,
                                 .programs.max_running = 7,
                                 .programs.max_starts = 77};
        if (instance_init(&server.instance, "here", 1) < 0 ||
            accounts_obtain(&server.accounts, "$G", &server.instance.bus) < 0 ||
            uv_loop_init(&worker.loop) < 0)
                return -1;
        spawner = (struct spawner){.fd = -1, .pid = 1};
        server.config = &config;
        server.options.spawner = &spawner;
        server.workers = (struct workers){.all = &worker, .count = 1};
        listener = (struct listener){.name = (char *)"local", .family = AF_UNIX};
        connection = (struct connection){.id = 5,
                                         .handler = handler_of(HANDLER_BUS),
                                         .fd = -1,
                                         .worker = &worker,
                                         .listener = &listener,
                                         .client = &client,
                                         .last_input_ms = uv_now(&worker.loop)};
        client = (struct client){.connection = &connection, .bus = server.instance.bus};
        return pthread_mutex_init(&connection.lock, NULL);
}

static int tear_down(void **state) {
        pthread_mutex_destroy(&connection.lock);
        accounts_deinit(&server.accounts);
        instance_deinit(&server.instance);
        reclaim_drain();
        return uv_loop_close(&worker.loop);
}

static const char *text_of(json_t *object, const char *key) {
        assert_true(json_is_string(json_object_get(object, key)));
        return json_string_value(json_object_get(object, key));
}

static void check_integer(json_t *object, const char *key, json_int_t number) {
        assert_true(json_is_integer(json_object_get(object, key)));
        assert_int_equal(json_integer_value(json_object_get(object, key)), number);
}

/* Checks one text of a report, and lets the report go. */
static void check_text(json_t *object, const char *key, const char *text) {
        assert_string_equal(text_of(object, key), text);
        json_decref(object);
}

static void check_traffic(json_t *object, json_int_t in_messages, json_int_t in_bytes,
                          json_int_t out_messages, json_int_t out_bytes) {
        check_integer(object, "in_msgs", in_messages);
        check_integer(object, "in_bytes", in_bytes);
        check_integer(object, "out_msgs", out_messages);
        check_integer(object, "out_bytes", out_bytes);
}

/* The report of a connection that was closed after a time. */
static json_t *closed_after(uint64_t start_ns, uint64_t ns) {
        struct closed_connection closed = {.start_ns = start_ns,
                                           .stop_ns = start_ns + ns,
                                           .reason = REASON_CLIENT_CLOSED,
                                           .listener = (char *)"local"};
        json_t *object = report_closed(&closed);

        assert_non_null(object);
        return object;
}

static void test_times_are_rfc_3339(void **state) {
        /* In UTC, with nanoseconds whose trailing zeroes are cut (A.1). */
        static const struct {
                uint64_t ns;
                const char *text;
        } rows[] = {
                {0, "1970-01-01T00:00:00Z"},
                {START * S, "2026-11-20T20:36:37Z"},
                {START * S + 924738150, "2026-11-20T20:36:37.92473815Z"},
                {START * S + 1, "2026-11-20T20:36:37.000000001Z"},
                {START * S + 500000000, "2026-11-20T20:36:37.5Z"},
                {START * S + 999999999, "2026-11-20T20:36:37.999999999Z"},
                {UINT64_C(951782400) * S, "2000-02-29T00:00:00Z"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                check_text(closed_after(rows[i].ns, 0), "start", rows[i].text);
                check_text(closed_after(rows[i].ns, 0), "stop", rows[i].text);
        }
}

static void test_the_time_of_the_moment_has_the_form(void **state) {
        /* As the answers' "now". */
        json_t *now = report_now();
        const char *text = json_string_value(now);

        assert_int_equal(strspn(text, "0123456789-T:.Z"), strlen(text));
        assert_in_range(strlen(text), 20, 30);
        assert_int_equal(text[10], 'T');
        assert_int_equal(text[strlen(text) - 1], 'Z');
        json_decref(now);
}

static void test_uptimes_are_whole_units(void **state) {
        /* From the largest one on, all smaller ones present; a year has 365 days (A.2). */
        static const struct {
                uint64_t s;
                const char *text;
        } rows[] = {
                {0, "0s"},
                {59, "59s"},
                {60, "1m0s"},
                {123, "2m3s"},
                {3599, "59m59s"},
                {3600, "1h0m0s"},
                {3605, "1h0m5s"},
                {86399, "23h59m59s"},
                {86400, "1d0h0m0s"},
                {273906, "3d4h5m6s"},
                {UINT64_C(364) * 86400, "364d0h0m0s"},
                {UINT64_C(365) * 86400, "1y0d0h0m0s"},
                {UINT64_C(367) * 86400 + 11045, "1y2d3h4m5s"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                check_text(closed_after(START * S, rows[i].s * S + S - 1), "uptime", rows[i].text);
}

static void test_round_trips_are_as_go_prints_them(void **state) {
        /* Cut to microseconds below a millisecond, minutes and hours apart (A.3). */
        static const struct {
                uint64_t ns;
                const char *text;
        } rows[] = {
                {0, "0s"},
                {1, "1ns"},
                {850, "850ns"},
                {US, "1\xc2\xb5s"},
                {374 * US + 999, "374\xc2\xb5s"},
                {999 * US + 999, "999\xc2\xb5s"},
                {MS, "1ms"},
                {MS + 18 * US, "1.018ms"},
                {10 * MS, "10ms"},
                {100 * MS + 100 * US, "100.1ms"},
                {S, "1s"},
                {S + 500 * MS, "1.5s"},
                {10 * S, "10s"},
                {59 * S + 250 * MS, "59.25s"},
                {60 * S, "1m0s"},
                {62 * S + 500 * MS, "1m2.5s"},
                {600 * S + 10 * S, "10m10s"},
                {3600 * S, "1h0m0s"},
                {3723 * S + 500 * MS, "1h2m3.5s"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                client.rtt_ns = rows[i].ns;
                check_text(report_connection(&connection, false), "rtt", rows[i].text);
        }
}

static void test_a_clock_that_steps_back_gives_no_long_times(void **state) {
        /* What begins later than it ends has lasted no time, rather than five centuries. */
        struct closed_connection closed = {.start_ns = UINT64_C(1) << 62,
                                           .stop_ns = 1u << 30,
                                           .reason = REASON_CLIENT_CLOSED,
                                           .listener = (char *)"local"};

        check_text(report_closed(&closed), "uptime", "0s");
        closed.stop_ns = UINT64_C(1) << 62;
        check_text(report_closed(&closed), "idle", "0s");
        connection.start_ns = UINT64_C(1) << 62;
        check_text(report_connection(&connection, false), "uptime", "0s");
}

static void test_a_connection_is_described(void **state) {
        /* With its counters, and only the names that were given. */
        json_t *object;

        strcpy(connection.peer.ip, "192.0.2.1");
        connection.peer.port = 1234;
        counter_add(&connection.in_messages, 1);
        counter_add(&connection.in_bytes, 2);
        connection.out_messages = 3;
        connection.out_bytes = 4;
        client.lang = (char *)"C";
        client.role = ROLE_ADMIN;
        connection.last_input_ms = uv_now(&worker.loop) - 61000;
        object = report_connection(&connection, false);
        check_integer(object, "cid", 5);
        assert_string_equal(text_of(object, "kind"), "Client");
        assert_string_equal(text_of(object, "ip"), "192.0.2.1");
        assert_string_equal(text_of(object, "peer"), "192.0.2.1:1234");
        check_integer(object, "port", 1234);
        check_traffic(object, 1, 2, 3, 4);
        check_integer(object, "pending_bytes", 0);
        check_integer(object, "subscriptions", 0);
        assert_string_equal(text_of(object, "lang"), "C");
        assert_null(json_object_get(object, "name"));
        assert_string_equal(text_of(object, "listener"), "local");
        assert_string_equal(text_of(object, "idle"), "1m1s");
        assert_string_equal(text_of(object, "role"), "admin");
        assert_null(json_object_get(object, "subscriptions_list"));
        json_decref(object);
}

static void test_peers_of_each_family_have_a_text(void **state) {
        /* IPv6 in brackets, Unix peers by their process. */
        json_t *object;

        strcpy(connection.peer.ip, "2001:db8::1");
        connection.peer.port = 99;
        check_text(report_connection(&connection, false), "peer", "[2001:db8::1]:99");

        connection.peer =
                (struct peer){.has_credentials = true, .uid = 1000, .gid = 100, .pid = 4242};
        object = report_connection(&connection, false);
        assert_string_equal(text_of(object, "peer"), "unix: pid 4242");
        check_integer(object, "uid", 1000);
        check_integer(object, "gid", 100);
        check_integer(object, "pid", 4242);
        assert_string_equal(text_of(object, "ip"), "");
        assert_null(json_object_get(object, "exe"));
        json_decref(object);

        connection.peer = (struct peer){.ip = "127.0.0.1", .port = 99, .has_owner = true, .uid = 7};
        object = report_connection(&connection, false);
        assert_string_equal(text_of(object, "peer"), "127.0.0.1:99");
        check_integer(object, "uid", 7);
        assert_null(json_object_get(object, "gid"));
        assert_null(json_object_get(object, "pid"));
        json_decref(object);
}

static void test_what_is_known_of_a_process_is_told(void **state) {
        /* What was asked for before, and nothing of what is not known. */
        struct peer_facts facts = {.exe = (char *)"/usr/bin/\xff",
                                   .slice = (char *)"user-1.slice",
                                   .unit = (char *)"user@1.service"};
        json_t *object;

        connection.peer = (struct peer){.has_credentials = true};
        connection.facts = &facts;
        object = report_connection(&connection, true);
        assert_string_equal(text_of(object, "exe"), "/usr/bin/\xef\xbf\xbd");
        assert_string_equal(text_of(object, "slice"), "user-1.slice");
        assert_string_equal(text_of(object, "unit"), "user@1.service");
        assert_null(json_object_get(object, "user_unit"));
        json_decref(object);
        connection.facts = NULL;
}

static void test_names_that_are_no_utf8_are_replaced(void **state) {
        /* Byte by byte by U+FFFD, as Go does; the report stays JSON. */
        client.name = (char *)"a\xff\xc3\xa4\xe2\x82";
        check_text(report_connection(&connection, false), "name",
                   "a\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_a_closed_connection_is_described(void **state) {
        /* With the reason, and counters as they were. */
        struct closed_connection closed = {
                .id = 9,
                .start_ns = START * S,
                .stop_ns = (START + 2) * S,
                .reason = REASON_STALE,
                .name = (char *)"n",
                .listener = (char *)"tcp",
                .in_messages = 1,
                .in_bytes = 2,
                .out_messages = 3,
                .out_bytes = 4,
                .n_subscriptions = 5,
        };
        json_t *object = report_closed(&closed);

        check_integer(object, "cid", 9);
        assert_string_equal(text_of(object, "reason"), REASON_STALE);
        assert_string_equal(text_of(object, "name"), "n");
        assert_null(json_object_get(object, "lang"));
        assert_string_equal(text_of(object, "listener"), "tcp");
        check_traffic(object, 1, 2, 3, 4);
        check_integer(object, "subscriptions", 5);
        check_integer(object, "pending_bytes", 0);
        assert_string_equal(text_of(object, "last_activity"), text_of(object, "stop"));
        json_decref(object);
}

static struct receiver nobody;

static void test_subscriptions_are_described(void **state) {
        /* By subject, queue and maximum, the last two only if there are any; and listed with their
         * connection when asked for. */
        struct subscription *subscription = subscription_new(&nobody, BYTES("7"), BYTES("q"));
        struct reclaim reclaim = {NULL};
        json_t *object;
        size_t length;
        char *subject;

        assert_int_equal(bus_subscribe(server.instance.bus, &reclaim, BYTES("a.*.>"), subscription),
                         0);
        assert_int_equal(sid_table_add(&client.subscriptions, subscription), 0);
        subject = report_subject(subscription, &length);
        assert_string_equal(subject, "a.*.>");
        assert_int_equal(length, 5);
        atomic_store(&subscription->max, 10);
        atomic_store(&subscription->n_delivered, 3);
        object = report_subscription(&connection, subscription, (struct bytes){subject, length});
        assert_string_equal(text_of(object, "account"), "$G");
        assert_string_equal(text_of(object, "subject"), "a.*.>");
        assert_string_equal(text_of(object, "qgroup"), "q");
        assert_string_equal(text_of(object, "sid"), "7");
        check_integer(object, "msgs", 3);
        check_integer(object, "max", 10);
        check_integer(object, "cid", 5);
        json_decref(object);
        free(subject);

        object = report_connection(&connection, true);
        check_integer(object, "subscriptions", 1);
        assert_int_equal(json_array_size(json_object_get(object, "subscriptions_list")), 1);
        assert_string_equal(
                json_string_value(json_array_get(json_object_get(object, "subscriptions_list"), 0)),
                "a.*.>");
        json_decref(object);

        sid_table_remove(&client.subscriptions, subscription);
        sid_table_deinit(&client.subscriptions);
        bus_unsubscribe(server.instance.bus, &reclaim, subscription);
        reclaim_flush(&reclaim);

        subscription = subscription_new(&nobody, BYTES("8"), BYTES(""));
        object = report_subscription(&connection, subscription, BYTES("\xff"));
        assert_string_equal(text_of(object, "subject"), "\xef\xbf\xbd");
        assert_null(json_object_get(object, "qgroup"));
        assert_null(json_object_get(object, "max"));
        json_decref(object);
        subscription_free(subscription);
}

static void test_counters_of_all_workers_are_summed(void **state) {
        /* In VARZ and in STATSZ. */
        static struct worker two[2];
        json_t *object;

        memset(two, 0, sizeof(two));
        for (unsigned i = 0; i < 2; i++) {
                counter_add(&two[i].stats.in_messages, 1 + i);
                counter_add(&two[i].stats.in_bytes, 10 + i);
                counter_add(&two[i].stats.out_messages, 100 + i);
                counter_add(&two[i].stats.out_bytes, 1000 + i);
                counter_add(&two[i].stats.slow_consumers, 10000 + i);
                counter_add(&two[i].stats.programs_asked, 30 + i);
                counter_add(&two[i].stats.programs_over, 20);
                counter_add(&two[i].stats.programs_ended, 9 + i);
                counter_add(&two[i].stats.programs_late, 3);
                counter_add(&two[i].stats.programs_refused, 4);
                counter_add(&two[i].stats.programs_failed, 5);
        }
        server.workers = (struct workers){.all = two, .count = 2};
        atomic_store(&server.instance.n_connections, 4);
        atomic_store(&server.instance.n_total, 44);
        object = report_varz(&server);
        assert_string_equal(text_of(object, "server_id"), server.instance.id);
        assert_string_equal(text_of(object, "server_name"), "here");
        check_traffic(object, 3, 21, 201, 2001);
        check_integer(object, "slow_consumers", 20001);
        check_integer(object, "connections", 4);
        check_integer(object, "total_connections", 44);
        check_integer(object, "max_payload", 1048576);
        assert_true(json_integer_value(json_object_get(object, "mem")) > 0);
        check_integer(json_object_get(object, "programs"), "running", 21);
        check_integer(json_object_get(object, "programs"), "ended", 19);
        check_integer(json_object_get(object, "programs"), "late", 6);
        check_integer(json_object_get(object, "programs"), "refused", 8);
        check_integer(json_object_get(object, "programs"), "failed", 10);
        check_integer(json_object_get(object, "programs"), "max_running", 7);
        check_integer(json_object_get(object, "programs"), "max_starts", 77);
        json_decref(object);

        object = report_statsz(&server);
        check_integer(json_object_get(object, "received"), "msgs", 3);
        check_integer(json_object_get(object, "received"), "bytes", 21);
        check_integer(json_object_get(object, "sent"), "msgs", 201);
        check_integer(json_object_get(object, "sent"), "bytes", 2001);
        check_integer(object, "slow_consumers", 20001);
        check_integer(object, "connections", 4);
        json_decref(object);
}

static void test_listeners_are_described(void **state) {
        /* As configured and as bound. */
        struct listener *list[] = {&listener};
        json_t *object, *row;

        listener.transport = &transport_stream;
        strcpy(listener.text, "unix:///run/x");
        strcpy(listener.address.path, "/run/x");
        atomic_store(&listener.n_connections, 2);
        atomic_store(&listener.n_total, 3);
        server.listeners = list;
        server.n_listeners = 1;
        object = report_listeners(&server);
        assert_string_equal(text_of(object, "server_id"), server.instance.id);
        row = json_array_get(json_object_get(object, "listeners"), 0);
        assert_string_equal(text_of(row, "name"), "local");
        assert_string_equal(text_of(row, "address"), "unix:///run/x");
        assert_string_equal(text_of(row, "handler"), "bus");
        assert_string_equal(text_of(row, "family"), "unix");
        check_integer(row, "connections", 2);
        check_integer(row, "total_connections", 3);
        assert_null(json_object_get(row, "datagrams"));
        assert_null(json_object_get(row, "tls"));
        json_decref(object);
}

static void test_listeners_tell_their_tls(void **state) {
        struct tls_context context = {.n_references = 1, .is_required = true, .verifies = true};
        struct listener *list[] = {&listener};
        json_t *object, *tls;

        listener.transport = &transport_stream;
        listener.tls = &context;
        server.listeners = list;
        server.n_listeners = 1;
        object = report_listeners(&server);
        listener.tls = NULL;
        tls = json_object_get(json_array_get(json_object_get(object, "listeners"), 0), "tls");
        assert_true(json_is_true(json_object_get(tls, "required")));
        assert_true(json_is_false(json_object_get(tls, "first")));
        assert_true(json_is_true(json_object_get(tls, "verify")));
        assert_true(json_is_false(json_object_get(tls, "map")));
        json_decref(object);
}

static void test_refusals_are_counted_by_reason(void **state) {
        /* Each reason has its number, also when it is 0. */
        struct listener *list[] = {&listener};
        json_t *object, *row, *refused, *expired;

        listener.transport = &transport_stream;
        atomic_store(&listener.admission.n_refused[REFUSAL_NONE], 99);
        atomic_store(&listener.admission.n_refused[REFUSAL_ADDRESS], 3);
        atomic_store(&listener.admission.n_refused[REFUSAL_CPS], 1);
        admission_count_expired(&listener.admission, TIME_LIMIT_TOTAL);
        server.listeners = list;
        server.n_listeners = 1;
        object = report_listeners(&server);
        row = json_array_get(json_object_get(object, "listeners"), 0);
        refused = json_object_get(row, "refused");
        check_integer(refused, "address", 3);
        check_integer(refused, "cps", 1);
        check_integer(refused, "uid", 0);
        assert_int_equal(json_object_size(refused), N_REFUSALS - 1);
        expired = json_object_get(row, "expired");
        check_integer(expired, "max_time", 1);
        check_integer(expired, "idle_timeout", 0);
        assert_int_equal(json_object_size(expired), N_TIME_LIMITS);
        json_decref(object);
}

static void test_datagrams_are_counted_by_what_became_of_them(void **state) {
        /* Each reason has its number, also when it is 0. */
        struct listener *list[] = {&listener};
        json_t *object, *datagrams, *dropped;

        listener.transport = &transport_datagram;
        atomic_store(&listener.datagrams.n_received, 10);
        atomic_store(&listener.datagrams.n_sent, 4);
        listener_dropped(&listener, DROP_MALFORMED, 2);
        listener_dropped(&listener, DROP_KERNEL, 1);
        server.listeners = list;
        server.n_listeners = 1;
        object = report_listeners(&server);
        datagrams = json_object_get(json_array_get(json_object_get(object, "listeners"), 0),
                                    "datagrams");
        check_integer(datagrams, "received", 10);
        check_integer(datagrams, "sent", 4);
        dropped = json_object_get(datagrams, "dropped");
        check_integer(dropped, "malformed", 2);
        check_integer(dropped, "kernel", 1);
        check_integer(dropped, "rate", 0);
        assert_int_equal(json_object_size(dropped), N_DROPS);
        json_decref(object);
}

static void test_answers_are_numbered(void **state) {
        /* The server object says who answers, and when. */
        json_t *first = report_server(&server.instance), *second = report_server(&server.instance);

        assert_string_equal(text_of(first, "id"), server.instance.id);
        assert_string_equal(text_of(first, "name"), "here");
        assert_true(json_is_string(json_object_get(first, "time")));
        check_integer(second, "seq", json_integer_value(json_object_get(first, "seq")) + 1);
        json_decref(first);
        json_decref(second);
}

static void test_accounts_tell_what_they_have(void **state) {
        char *both[] = {(char *)"B", NULL};
        struct config_export exports[] = {
                {.stream = (char *)"s.>", .accounts = both},
                {.service = (char *)"v"},
        };
        struct config_import imports[] = {
                {.stream = (char *)"x", .account = (char *)"$G", .to = (char *)"p.x"}};
        struct config_account described = {.name = (char *)"A",
                                           .exports = exports,
                                           .n_exports = 2,
                                           .imports = imports,
                                           .n_imports = 1};
        json_t *data, *detail, *object;
        struct bus *bus;

        config.accounts = &described;
        config.n_accounts = 1;
        server.instance.system_bus = server.instance.bus;
        assert_int_equal(accounts_obtain(&server.accounts, "A", &bus), 0);
        assert_int_equal(accounts_obtain(&server.accounts, "gone", &bus), 0);
        data = report_accounts(&server);
        assert_int_equal(json_array_size(json_object_get(data, "accounts")), 2);
        object = json_array_get(json_object_get(data, "account_details"), 1);
        assert_string_equal(text_of(object, "account_name"), "A");
        check_integer(object, "num_exports", 2);
        check_integer(object, "num_imports", 1);
        json_decref(data);
        data = report_account(&server, "A");
        detail = json_object_get(data, "account_detail");
        object = json_array_get(json_object_get(detail, "exports"), 0);
        assert_string_equal(text_of(object, "subject"), "s.>");
        assert_string_equal(text_of(object, "type"), "stream");
        assert_int_equal(json_array_size(json_object_get(object, "approved_accounts")), 1);
        object = json_array_get(json_object_get(detail, "exports"), 1);
        assert_string_equal(text_of(object, "type"), "service");
        assert_null(json_object_get(object, "approved_accounts"));
        object = json_array_get(json_object_get(detail, "imports"), 0);
        assert_string_equal(text_of(object, "account"), "$G");
        assert_string_equal(text_of(object, "local_subject"), "p.x");
        json_decref(data);
        assert_null(report_account(&server, "B"));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_times_are_rfc_3339),
                TEST(test_the_time_of_the_moment_has_the_form),
                TEST(test_uptimes_are_whole_units),
                TEST(test_round_trips_are_as_go_prints_them),
                TEST(test_a_clock_that_steps_back_gives_no_long_times),
                TEST(test_a_connection_is_described),
                TEST(test_peers_of_each_family_have_a_text),
                TEST(test_what_is_known_of_a_process_is_told),
                TEST(test_names_that_are_no_utf8_are_replaced),
                TEST(test_a_closed_connection_is_described),
                TEST(test_subscriptions_are_described),
                TEST(test_counters_of_all_workers_are_summed),
                TEST(test_listeners_are_described),
                TEST(test_listeners_tell_their_tls),
                TEST(test_refusals_are_counted_by_reason),
                TEST(test_datagrams_are_counted_by_what_became_of_them),
                TEST(test_answers_are_numbered),
                TEST(test_accounts_tell_what_they_have),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
