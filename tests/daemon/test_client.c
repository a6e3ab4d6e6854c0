/* A client: what each verb answers, byte for byte, and what ends it. Clients are at the other end
 * of socket pairs whose own ends real workers have; each ends its part with a PING, whose PONG
 * comes behind everything that was caused before. */
#include "daemon/client.h"

#include "daemon/bus.h"
#include "daemon/closed_log.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/permissions.h"
#include "daemon/subject_index.h"
#include "daemon/transport.h"

#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define N_WORKERS 2
#define QUIET     "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\n"

static struct config config;
static struct instance instance;
static struct bus bus, system_bus;
static struct closed_log closed_log;
static struct workers workers;
static struct listener *listener;
static bool is_running;
static int fds[8];
static unsigned n_fds;

/* --- the stage ------------------------------------------------------------------------------ */

static int set_up(void **state) {
        config = (struct config){.n_references = 1};
        config.server = (struct config_server){
                .max_payload = 1048576,
                .max_control_line = 4096,
                .max_pending = 64 << 20,
                .ping_interval_ms = 120000,
                .ping_max = 2,
                .write_deadline_ms = 10000,
        };
        n_fds = 0;
        if (instance_init(&instance, "here", 64) < 0 || bus_init(&bus, "$G") < 0 ||
            bus_init(&system_bus, "$SYS") < 0 || closed_log_init(&closed_log) < 0)
                return -1;
        instance.bus = &bus;
        instance.system_bus = &system_bus;
        instance.closed = &closed_log;
        atomic_store(&instance.max_connections, 64);
        listener = calloc(1, sizeof(*listener));
        if (!listener)
                return -1;
        atomic_init(&listener->admits_anonymous, true);
        atomic_init(&listener->n_references, 1);
        listener->name = strdup("test");
        listener->fd = -1;
        listener->family = AF_UNIX;
        listener->transport = &transport_stream;
        is_running = true;
        return workers_start(&workers, N_WORKERS, &instance, &config);
}

/* Ends the workers: what they did can be looked at afterwards. */
static void stop(void) {
        if (is_running)
                workers_stop(&workers);
        is_running = false;
}

static int tear_down(void **state) {
        stop();
        while (n_fds > 0)
                close(fds[--n_fds]);
        workers_deinit(&workers);
        bus_deinit(&bus);
        bus_deinit(&system_bus);
        reclaim_drain();
        closed_log_deinit(&closed_log);
        instance_deinit(&instance);
        listener_unref(listener);
        config.default_permissions = permissions_unref(config.default_permissions);
        return 0;
}

/* Something that a worker shall do; the test waits until it has. */
struct errand {
        struct task task;
        struct worker *worker;
        void (*run)(struct errand *errand);
        int fd;
        uint64_t id; /* of a connection */
        int result;
        pthread_mutex_t lock;
        pthread_cond_t done;
        bool is_done;
};

static void errand_run(struct task *task) {
        struct errand *errand = container_of(task, struct errand, task);

        errand->run(errand);
        pthread_mutex_lock(&errand->lock);
        errand->is_done = true;
        pthread_cond_signal(&errand->done);
        pthread_mutex_unlock(&errand->lock);
}

static int send_errand(struct errand *errand, unsigned worker) {
        pthread_mutex_init(&errand->lock, NULL);
        pthread_cond_init(&errand->done, NULL);
        errand->task.run = errand_run;
        errand->worker = &workers.all[worker];
        assert_int_equal(mailbox_post(&errand->worker->mailbox, &errand->task), 0);
        pthread_mutex_lock(&errand->lock);
        while (!errand->is_done)
                pthread_cond_wait(&errand->done, &errand->lock);
        pthread_mutex_unlock(&errand->lock);
        pthread_mutex_destroy(&errand->lock);
        pthread_cond_destroy(&errand->done);
        return errand->result;
}

static void open_connection(struct errand *errand) {
        const struct admission_place place = {.refusal = REFUSAL_NONE};
        struct peer peer = {.port = 0};

        errand->result = connection_open(errand->worker, listener, errand->fd, &peer, &place);
}

/* A connection in that worker; its INFO is still to be read. */
static int join(unsigned worker) {
        struct timeval patience = {.tv_sec = 30};
        struct errand errand = {.run = open_connection};
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                         0);
        assert_int_equal(fcntl(pair[0], F_SETFL, 0), 0);
        assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                         0);
        errand.fd = pair[1];
        assert_int_equal(send_errand(&errand, worker), 0);
        fds[n_fds++] = pair[0];
        return pair[0];
}

static void say_bytes(int fd, struct bytes bytes) {
        while (bytes.length > 0) {
                ssize_t n = send(fd, bytes.data, bytes.length, MSG_NOSIGNAL);

                assert_true(n > 0);
                bytes.data += n;
                bytes.length -= (size_t)n;
        }
}

static void say(int fd, const char *text) {
        say_bytes(fd, bytes_from_string(text));
}

/* Reads exactly what is expected. */
static void expect(int fd, const char *text) {
        size_t length = strlen(text), n = 0;
        char *got = calloc(1, length + 1);

        while (n < length) {
                ssize_t r = recv(fd, got + n, length - n, 0);

                if (r <= 0)
                        break;
                n += (size_t)r;
        }
        assert_string_equal(got, text);
        free(got);
}

static void expect_end(int fd) {
        char byte;

        assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

/* Reads a line, which begins with that. */
static void expect_line(int fd, const char *beginning, char *line, size_t size) {
        size_t n = 0;

        while (n + 1 < size && recv(fd, line + n, 1, 0) == 1)
                if (line[n++] == '\n')
                        break;
        line[n] = '\0';
        if (strncmp(line, beginning, strlen(beginning)) != 0)
                fail_msg("\"%s\" does not begin with \"%s\"", line, beginning);
}

static void skip_info(int fd) {
        char line[4096];

        expect_line(fd, "INFO {", line, sizeof(line));
}

/* A client that has said that, and read INFO. */
static int join_saying(unsigned worker, const char *text) {
        int fd = join(worker);

        skip_info(fd);
        say(fd, text);
        return fd;
}

static int join_quietly(unsigned worker) {
        return join_saying(worker, QUIET);
}

/* All that was caused has come: nothing but the PONG. */
static void expect_quiet(int fd) {
        say(fd, "PING\r\n");
        expect(fd, "PONG\r\n");
}

static void note_reason(const struct closed_connection *closed, void *context) {
        *(const char **)context = closed->reason;
}

/* Why the last connection ended. */
static const char *last_reason(void) {
        const char *reason = "none";

        closed_log_visit(&closed_log, note_reason, &reason);
        return reason;
}

/* --- beginning ------------------------------------------------------------------------------ */

static void test_info_comes_first(void **state) {
        /* One line, with an id of the client's own. */
        char line[4096];

        expect_line(join(0), "INFO {\"server_id\":\"N", line, sizeof(line));
        assert_non_null(strstr(line, "\"client_id\":1"));
        expect_line(join(1), "INFO {\"server_id\":\"N", line, sizeof(line));
        assert_non_null(strstr(line, "\"client_id\":2"));
}

static void test_clients_are_verbose_and_pedantic_at_first(void **state) {
        /* Each operation is answered once, PING by PONG alone; +OK precedes the publisher's own
         * message. */
        int fd = join_saying(0, "");

        say(fd, "SUB a 1\r\n");
        expect(fd, "+OK\r\n");
        say(fd, "PUB a 2\r\nhi\r\n");
        expect(fd, "+OK\r\nMSG a 1 2\r\nhi\r\n");
        say(fd, "PUB a.* 0\r\n\r\n");
        expect(fd, "-ERR 'Invalid Publish Subject'\r\n+OK\r\n");
        say(fd, "UNSUB 1\r\n");
        expect(fd, "+OK\r\n");
        say(fd, "UNSUB unknown\r\n");
        expect(fd, "+OK\r\n");
        say(fd, "CONNECT {}\r\n");
        expect(fd, "+OK\r\n");
        expect_quiet(fd);
}

static void test_a_client_that_is_not_verbose_hears_no_ok(void **state) {
        /* Not even for the CONNECT that says so; and again if it changes its mind. */
        int fd = join_quietly(0);

        say(fd, "SUB a 1\r\nPUB b 0\r\n\r\nUNSUB 1\r\n");
        expect_quiet(fd);
        say(fd, "CONNECT {\"verbose\":true}\r\n");
        expect(fd, "+OK\r\n");
}

static void test_a_second_connect_keeps_subscriptions(void **state) {
        /* And what it does not name. */
        int fd = join_quietly(0);

        say(fd, "SUB a 1\r\nCONNECT {\"echo\":true}\r\nPUB a 1\r\nx\r\n");
        expect(fd, "MSG a 1 1\r\nx\r\n");
        expect_quiet(fd);
}

/* --- publishing and subscribing ------------------------------------------------------------- */

static void test_messages_have_every_form(void **state) {
        /* With and without reply, with and without headers (protocol.md 4.2). */
        int fd = join_quietly(0);

        say(fd, "SUB a.* sid\r\n"
                "PUB a.b 2\r\nhi\r\n"
                "PUB a.b r 0\r\n\r\n"
                "HPUB a.b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
                "HPUB a.b r 12 12\r\nNATS/1.0\r\n\r\n\r\n"
                "HPUB a.b 0 2\r\nhi\r\n"
                "PUB a.b 002\r\n\r\n\r\n");
        expect(fd, "MSG a.b sid 2\r\nhi\r\n"
                   "MSG a.b sid r 0\r\n\r\n"
                   "HMSG a.b sid 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
                   "HMSG a.b sid r 12 12\r\nNATS/1.0\r\n\r\n\r\n"
                   "MSG a.b sid 2\r\nhi\r\n"
                   "MSG a.b sid 2\r\n\r\n\r\n");
        expect_quiet(fd);
}

static void test_headers_are_cut_off_for_those_without(void **state) {
        /* The size is that of what remains. */
        int publisher = join_quietly(0), old = join_saying(1, "CONNECT {\"verbose\":false}\r\n");

        say(old, "SUB a 1\r\n");
        expect_quiet(old);
        say(publisher, "HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
        expect(old, "MSG a 1 r 2\r\nhi\r\n");
}

static void test_large_payloads_arrive_whole(void **state) {
        /* Copied or shared, to several clients of both workers. */
        static const size_t sizes[] = {4095, 4096, 65536, 131072, 1048576};
        int publisher = join_quietly(0), receivers[3];
        static char payload[1048576 + 1], line[64];

        for (unsigned i = 0; i < 3; i++) {
                receivers[i] = join_quietly(i % 2);
                say(receivers[i], "SUB a 1\r\n");
                expect_quiet(receivers[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                for (size_t k = 0; k < sizes[i]; k++)
                        payload[k] = (char)('a' + (k * 7 + i) % 23);
                payload[sizes[i]] = '\0';
                snprintf(line, sizeof(line), "PUB a %zu\r\n", sizes[i]);
                say(publisher, line);
                say(publisher, payload);
                say(publisher, "\r\n");
                snprintf(line, sizeof(line), "MSG a 1 %zu\r\n", sizes[i]);
                for (unsigned k = 0; k < 3; k++) {
                        expect(receivers[k], line);
                        expect(receivers[k], payload);
                        expect(receivers[k], "\r\n");
                }
        }
}

static void test_a_known_sid_is_not_taken_again(void **state) {
        /* The first subscription stays. */
        int fd = join_quietly(0);

        say(fd, "SUB a 1\r\nSUB b 1\r\nPUB b 0\r\n\r\nPUB a 0\r\n\r\n");
        expect(fd, "MSG a 1 0\r\n\r\n");
        expect_quiet(fd);
}

static void test_refused_subscriptions_are_told(void **state) {
        /* The connection stays, there is no +OK, and the sid is free. */
        static const struct {
                const char *line, *error;
        } rows[] = {
                {"SUB a..b 1\r\n", "-ERR 'Invalid Subject'\r\n"},
                {"SUB a.>.b 1\r\n", "-ERR 'Invalid Subject'\r\n"},
                {"SUB .a q 1\r\n", "-ERR 'Invalid Subject'\r\n"},
                {"SUB a _sys_ 1\r\n",
                 "-ERR 'Permissions Violation for Subscription to \"a\" using queue "
                 "\"_sys_\"'\r\n"},
                {"SUB a\"\\\x01 _sys_ 1\r\n",
                 "-ERR 'Permissions Violation for Subscription to \"a\\\"\\\\\\x01\" using queue "
                 "\"_sys_\"'\r\n"},
        };
        int fd = join_saying(0, "");

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                say(fd, rows[i].line);
                expect(fd, rows[i].error);
        }
        say(fd, "SUB a 1\r\n");
        expect(fd, "+OK\r\n");
        assert_int_equal(subject_index_count(bus.index), 1);
}

static void test_subscriptions_are_limited(void **state) {
        /* One that ends makes room for another. */
        int fd;

        config.server.max_subscriptions = 2;
        fd = join_quietly(0);
        say(fd, "SUB a 1\r\nSUB b 2\r\nSUB c 3\r\n");
        expect(fd, "-ERR 'maximum subscriptions exceeded'\r\n");
        say(fd, "UNSUB 1\r\nSUB c 3\r\n");
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 2);
}

static void test_without_echo_own_messages_do_not_come_back(void **state) {
        /* Those of others do. */
        int fd = join_saying(0, "CONNECT {\"verbose\":false,\"echo\":false}\r\nSUB a 1\r\n");
        int other = join_quietly(0);

        expect_quiet(fd);
        say(fd, "PUB a 1\r\nx\r\n");
        expect_quiet(fd);
        say(other, "PUB a 1\r\ny\r\n");
        expect(fd, "MSG a 1 1\r\ny\r\n");
}

static void test_nobody_responding_is_told(void **state) {
        /* To those who asked for it, on their plain subscription to the reply. */
        int fd = join_saying(0, "CONNECT {\"verbose\":false,\"headers\":true,"
                                "\"no_responders\":true}\r\nSUB in.* 7\r\n");

        say(fd, "PUB a in.1 0\r\n\r\n");
        expect(fd, "HMSG in.1 7 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        say(fd, "PUB a 0\r\n\r\nPUB a other 0\r\n\r\nSUB a 8\r\nPUB a in.1 0\r\n\r\n");
        expect(fd, "MSG a 8 in.1 0\r\n\r\n");
        expect_quiet(fd);
}

static void test_control_subjects_are_closed_to_strangers(void **state) {
        /* Nobody hears them, and so nobody can pose as the server. */
        int fd = join_quietly(0);

        say(fd, "SUB $SYS.REQ.> 1\r\nPUB $SYS.REQ.SERVER.PING 0\r\n\r\nPUB $SYS.x 0\r\n\r\n");
        expect_quiet(fd);
}

/* --- ending subscriptions ------------------------------------------------------------------- */

static void test_a_maximum_ends_a_subscription(void **state) {
        /* It counts from the beginning; one that is reached already ends it at once. */
        int fd = join_quietly(0);

        say(fd, "SUB a 1\r\nUNSUB 1 2\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\n");
        expect(fd, "MSG a 1 0\r\n\r\nMSG a 1 0\r\n\r\n");
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 0);
        say(fd, "SUB a 1\r\nPUB a 0\r\n\r\nUNSUB 1 1\r\nPUB a 0\r\n\r\n");
        expect(fd, "MSG a 1 0\r\n\r\n");
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 0);
}

static void test_a_maximum_is_reached_by_another_worker(void **state) {
        /* So many messages come and no more, and the sid may then be used again at once. */
        int publisher = join_quietly(0), fd = join_quietly(1);

        for (unsigned i = 0; i < 50; i++) {
                say(fd, "SUB a 1\r\nUNSUB 1 2\r\n");
                expect_quiet(fd);
                say(publisher, "PUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\n");
                expect_quiet(publisher);
                expect(fd, "MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\n");
        }
        expect_quiet(fd);
        say(fd, "SUB b 1\r\n");
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 1);
}

static void test_nothing_comes_behind_the_pong_after_unsub(void **state) {
        /* Whatever the other worker is just publishing. */
        int publisher = join_quietly(0), fd = join_quietly(1);
        char line[64];

        for (unsigned i = 0; i < 100; i++) {
                say(fd, "SUB a 1\r\n");
                expect_quiet(fd);
                for (unsigned k = 0; k < 20; k++)
                        say(publisher, "PUB a 0\r\n\r\n");
                say(fd, "UNSUB 1\r\nPING\r\n");
                do {
                        expect_line(fd, "", line, sizeof(line));
                        if (strcmp(line, "MSG a 1 0\r\n") == 0)
                                expect(fd, "\r\n");
                } while (strcmp(line, "PONG\r\n") != 0);
                expect_quiet(publisher);
                expect_quiet(fd);
        }
}

static void test_subscriptions_end_with_their_client(void **state) {
        /* All of them, and it is remembered with its reason and names. */
        int fd = join_saying(0, "CONNECT {\"verbose\":false,\"name\":\"n\"}\r\n");
        char line[64];

        for (unsigned i = 0; i < 20000; i++) {
                snprintf(line, sizeof(line), "SUB a.%u%s %u\r\n", i, i % 3 ? "" : ".*", i);
                say(fd, line);
        }
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 20000);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        expect_end(fd);
        stop();
        assert_int_equal(subject_index_count(bus.index), 0);
        assert_string_equal(last_reason(), REASON_CLIENT_CLOSED);
        assert_int_equal(atomic_load(&instance.n_connections), 0);
        assert_int_equal(atomic_load(&instance.n_total), 1);
}

/* --- what ends a client --------------------------------------------------------------------- */

static void test_errors_that_end_a_client_are_told(void **state) {
        /* Exactly that text, then the end; and the reason is remembered (protocol.md 4.4). */
        static const struct {
                const char *input, *output, *reason;
        } rows[] = {
                {"FOO\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"PUB a 1\r\nxy\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"HPUB a 0 0\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"CONNECT {\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"CONNECT {\"verbose\":1}\r\n", "-ERR 'Unknown Protocol Operation'\r\n",
                 REASON_VIOLATION},
                {"INFO x\r\n", "-ERR 'Unknown Protocol Operation'\r\n", REASON_VIOLATION},
                {"PUB a 1048577\r\n", "-ERR 'Maximum Payload Violation'\r\n", REASON_MAX_PAYLOAD},
                {"CONNECT {\"account\":\"A\"}\r\n", "-ERR 'Authorization Violation'\r\n",
                 REASON_AUTHENTICATION},
                {"CONNECT {\"protocol\":2}\r\n", "-ERR 'invalid client protocol'\r\n",
                 REASON_CLIENT_PROTOCOL},
                {"CONNECT {\"no_responders\":true}\r\n",
                 "-ERR 'no responders requires headers support'\r\n", REASON_NO_RESPONDERS},
                {"-ERR 'x'\r\n", "", REASON_PARSE_ERROR},
                {"PING\r\nFOO\r\nPING\r\n", "PONG\r\n-ERR 'Unknown Protocol Operation'\r\n",
                 REASON_VIOLATION},
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                int fd = join_saying(0, rows[i].input);

                expect(fd, rows[i].output);
                expect_end(fd);
                assert_string_equal(last_reason(), rows[i].reason);
                close(fds[--n_fds]);
        }
}

static void test_a_long_control_line_is_refused(void **state) {
        /* As soon as it is too long, complete or not. */
        static char line[5000];
        int fd = join_saying(0, "");

        memset(line, 'x', sizeof(line) - 1);
        memcpy(line, "SUB ", 4);
        say(fd, line);
        expect(fd, "-ERR 'maximum control line exceeded'\r\n");
        expect_end(fd);
        assert_string_equal(last_reason(), REASON_CONTROL_LINE);
}

static void test_what_only_servers_say_may_be_ignored(void **state) {
        /* INFO with an object, and +OK. */
        int fd = join_quietly(0);

        say(fd, "INFO {\"x\":1}\r\n+OK\r\nPONG\r\n");
        expect_quiet(fd);
}

static void test_too_many_connections_are_refused(void **state) {
        /* After INFO, and the others stay; one that leaves makes room. */
        int first, second;

        atomic_store(&instance.max_connections, 1);
        first = join_quietly(0);
        expect_quiet(first);
        second = join_saying(1, "");
        expect(second, "-ERR 'maximum connections exceeded'\r\n");
        expect_end(second);
        expect_quiet(first);
        assert_int_equal(shutdown(first, SHUT_WR), 0);
        expect_end(first);
        assert_int_equal(atomic_load(&instance.n_connections), 0);
        expect_quiet(join_quietly(0));
}

static void test_silence_is_asked_and_then_ended(void **state) {
        /* As many PINGs as are allowed, and then the reason. */
        int fd;

        config.server.ping_interval_ms = 50;
        fd = join_quietly(0);
        expect(fd, "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
        expect_end(fd);
        assert_string_equal(last_reason(), REASON_STALE);
}

static void test_clients_that_have_gone_leave_no_memory(void **state) {
        const size_t n = 40, n_user = 3000;
        size_t before = 0;
        char text[4000];

        snprintf(text, sizeof(text), "CONNECT {\"verbose\":false,\"user\":\"%0*d\"}\r\nPING\r\n",
                 (int)n_user, 0);
        for (size_t i = 0; i < N_WORKERS + n; i++) {
                int fd = join_saying(i % N_WORKERS, text);

                expect(fd, "PONG\r\n");
                close(fds[--n_fds]);
                if (i == N_WORKERS) /* each has the memory that it keeps */
                        before = mallinfo2().uordblks;
        }
        stop();
        assert_true(mallinfo2().uordblks < before + n * n_user / 2);
}

/* --- later INFOs ---------------------------------------------------------------------------- */

static void tell_of_changes(struct errand *errand) {
        LIST_FOREACH (link, &errand->worker->connections)
                client_changed(container_of(link, struct connection, link)->client);
}

static void change(void) {
        struct errand errand = {.run = tell_of_changes};

        atomic_fetch_add(&instance.generation, 1);
        send_errand(&errand, 0);
}

static void test_changes_are_told_to_those_who_understand(void **state) {
        /* Who said protocol 1 and has had its first PONG: at once, or behind that PONG. */
        int new = join_saying(0, "CONNECT {\"verbose\":false,\"protocol\":1}\r\n");
        int late = join_saying(0, "CONNECT {\"verbose\":false,\"protocol\":1}\r\n");
        int old = join_quietly(0);

        expect_quiet(new);
        expect_quiet(old);
        change();
        skip_info(new);
        say(late, "PING\r\n");
        expect(late, "PONG\r\n");
        skip_info(late);
        expect_quiet(new);
        expect_quiet(late);
        expect_quiet(old);
}

static void tell_lame_duck(struct errand *errand) {
        LIST_FOREACH (link, &errand->worker->connections) {
                struct connection *connection = container_of(link, struct connection, link);

                if (connection->id == errand->id)
                        errand->result = client_tell_lame_duck(connection->client);
        }
}

static void test_one_client_can_be_asked_to_leave(void **state) {
        /* It is told so and stays; one that does not understand is not. */
        int new = join_saying(0, "CONNECT {\"verbose\":false,\"protocol\":1}\r\n");
        int old = join_quietly(0);
        struct errand to_new = {.run = tell_lame_duck, .id = 1};
        struct errand to_old = {.run = tell_lame_duck, .id = 2};
        char line[4096];

        expect_quiet(new);
        expect_quiet(old);
        assert_true(send_errand(&to_new, 0));
        expect_line(new, "INFO {", line, sizeof(line));
        assert_non_null(strstr(line, "\"ldm\":true"));
        expect_quiet(new);
        assert_false(send_errand(&to_old, 0));
        expect_quiet(old);
}

/* --- permissions ---------------------------------------------------------------------------- */

static void do_nothing(struct errand *errand) {
        /* What the worker did before comes before what follows here. */
}

static void set_default_permissions(struct permissions *permissions) {
        for (unsigned i = 0; i < N_WORKERS; i++) {
                struct errand errand = {.run = do_nothing};

                send_errand(&errand, i);
        }
        permissions_unref(config.default_permissions);
        config.default_permissions = permissions;
}

/* Who says CONNECT from now on has these, or, after change_permissions(), everybody: an entry for
 * each list, or NULL, and how many responses; 0: none because of that. */
static void permit(const char *const entries[N_PERMISSIONS_LISTS], uint64_t n_responses) {
        struct permissions *permissions = permissions_new();

        assert_non_null(permissions);
        for (unsigned list = 0; list < N_PERMISSIONS_LISTS; list++) {
                const char *blank = entries[list] ? strchr(entries[list], ' ') : NULL;
                struct bytes subject = {entries[list], blank ? (size_t)(blank - entries[list]) : 0};

                if (!entries[list])
                        continue;
                if (!blank)
                        subject.length = strlen(entries[list]);
                assert_int_equal(permissions_open(permissions, list, "x", 1), 0);
                assert_int_equal(permissions_add(permissions, list, subject,
                                                 blank ? bytes_from_string(blank + 1) : BYTES(""),
                                                 "x", 2),
                                 0);
        }
        if (n_responses > 0)
                assert_int_equal(
                        permissions_allow_responses(permissions, n_responses, 60000, "x", 3), 0);
        assert_int_equal(permissions_seal(permissions), 0);
        set_default_permissions(permissions);
}

static void permit_everything(void) {
        set_default_permissions(NULL);
}

#define PERMIT(n_responses, ...)                                                                   \
        permit((const char *const[N_PERMISSIONS_LISTS]){__VA_ARGS__}, n_responses)

static void change_permissions(void) {
        for (unsigned i = 0; i < N_WORKERS; i++) {
                struct errand errand = {.run = tell_of_changes};

                send_errand(&errand, i);
        }
}

static uint64_t count_denied(void) {
        uint64_t n = 0;

        for (unsigned i = 0; i < N_WORKERS; i++)
                n += counter_read(&workers.all[i].stats.denied_publishes) +
                     counter_read(&workers.all[i].stats.denied_subscriptions);
        return n;
}

static void test_denied_publishes_are_told_and_dropped(void **state) {
        /* Without +OK and without a 503; a pedantic error comes before. */
        int other = join_quietly(1), fd;

        say(other, "SUB > 1\r\n");
        expect_quiet(other);
        PERMIT(0, [PERMISSIONS_PUBLISH_ALLOW] = "a.>", [PERMISSIONS_PUBLISH_DENY] = "a.no");
        fd = join_saying(0, "CONNECT {\"headers\":true,\"no_responders\":true}\r\nSUB r 1\r\n");
        expect(fd, "+OK\r\n+OK\r\n");
        say(fd, "PUB a.x 1\r\nx\r\nPUB b r 1\r\nx\r\nPUB a.no 1\r\nx\r\nPUB b.* 1\r\nx\r\n"
                "PUB $SYS.x 0\r\n\r\n");
        expect(fd, "+OK\r\n-ERR 'Permissions Violation for Publish to \"b\"'\r\n"
                   "-ERR 'Permissions Violation for Publish to \"a.no\"'\r\n"
                   "-ERR 'Invalid Publish Subject'\r\n"
                   "-ERR 'Permissions Violation for Publish to \"b.*\"'\r\n"
                   "-ERR 'Permissions Violation for Publish to \"$SYS.x\"'\r\n");
        expect_quiet(fd);
        expect(other, "MSG a.x 1 1\r\nx\r\n");
        expect_quiet(other);
        assert_int_equal(count_denied(), 4);
}

static void test_each_message_of_a_run_is_denied(void **state) {
        int other, fd;

        PERMIT(0, [PERMISSIONS_PUBLISH_DENY] = "no");
        other = join_quietly(1);
        say(other, "SUB > 1\r\n");
        expect_quiet(other);
        fd = join_quietly(0);
        say(fd, "PUB no 1\r\na\r\nPUB no 1\r\nb\r\nPUB no 1\r\nc\r\nPUB yes 1\r\nd\r\n");
        for (unsigned i = 0; i < 3; i++)
                expect(fd, "-ERR 'Permissions Violation for Publish to \"no\"'\r\n");
        expect_quiet(fd);
        expect(other, "MSG yes 1 1\r\nd\r\n");
        expect_quiet(other);
}

static void test_denied_subscriptions_are_told(void **state) {
        int fd;

        PERMIT(0, [PERMISSIONS_SUBSCRIBE_ALLOW] = "a.* v1", [PERMISSIONS_SUBSCRIBE_DENY] = "a.no");
        fd = join_saying(0, "CONNECT {}\r\nSUB b 1\r\nSUB a.x 2\r\nSUB a.x v\"2 3\r\n"
                            "SUB a.x v1 4\r\nSUB a.no v1 5\r\nSUB a.> v1 6\r\n");
        expect(fd, "+OK\r\n-ERR 'Permissions Violation for Subscription to \"b\"'\r\n"
                   "-ERR 'Permissions Violation for Subscription to \"a.x\"'\r\n"
                   "-ERR 'Permissions Violation for Subscription to \"a.x\" using queue "
                   "\"v\\\"2\"'\r\n+OK\r\n"
                   "-ERR 'Permissions Violation for Subscription to \"a.no\" using queue "
                   "\"v1\"'\r\n"
                   "-ERR 'Permissions Violation for Subscription to \"a.>\" using queue "
                   "\"v1\"'\r\n");
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 1);
        assert_int_equal(count_denied(), 5);
}

static void test_what_is_denied_in_part_is_kept_back(void **state) {
        /* It does not count for a maximum, and another member of the queue group has it. */
        int publisher = join_quietly(0), free, fd;

        free = join_quietly(1);
        expect_quiet(publisher);
        expect_quiet(free);
        PERMIT(0, [PERMISSIONS_SUBSCRIBE_DENY] = "a.no");
        fd = join_quietly(1);
        say(fd, "SUB a.* 1\r\nUNSUB 1 2\r\nSUB a.* q 2\r\n");
        expect_quiet(fd);
        say(free, "SUB a.no q 3\r\n");
        expect_quiet(free);
        for (unsigned i = 0; i < 10; i++)
                say(publisher, "PUB a.no 1\r\nn\r\n");
        say(publisher, "UNSUB 9\r\n");
        expect_quiet(publisher);
        for (unsigned i = 0; i < 10; i++)
                expect(free, "MSG a.no 3 1\r\nn\r\n");
        expect_quiet(free);
        expect_quiet(fd);
        say(fd, "UNSUB 2\r\n");
        expect_quiet(fd);
        say(publisher, "PUB a.x 1\r\n1\r\nPUB a.no 1\r\nn\r\nPUB a.y 1\r\n2\r\nPUB a.z 1\r\n3\r\n");
        expect_quiet(publisher);
        expect(fd, "MSG a.x 1 1\r\n1\r\nMSG a.y 1 1\r\n2\r\n");
        expect_quiet(fd);
}

static void test_no_responders_is_kept_back_as_well(void **state) {
        int fd;

        PERMIT(0, [PERMISSIONS_SUBSCRIBE_DENY] = "r.no");
        fd = join_saying(0,
                         "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n"
                         "SUB r.* 1\r\nPUB nobody r.no 0\r\n\r\nPUB nobody r.x 0\r\n\r\n");
        expect(fd, "HMSG r.x 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
        expect_quiet(fd);
}

static void test_responders_may_answer(void **state) {
        /* As often as is allowed, for each request; nobody else, and nothing else. */
        int asker = join_quietly(0), service;

        say(asker, "SUB r.> 1\r\n");
        expect_quiet(asker);
        PERMIT(2, [PERMISSIONS_SUBSCRIBE_ALLOW] = "svc");
        service = join_quietly(1);
        say(service, "SUB svc 5\r\nPUB r.1 1\r\na\r\n");
        expect(service, "-ERR 'Permissions Violation for Publish to \"r.1\"'\r\n");
        expect_quiet(service);
        say(asker, "PUB svc r.1 1\r\n?\r\n");
        expect(service, "MSG svc 5 r.1 1\r\n?\r\n");
        say(service, "PUB r.2 1\r\na\r\n"
                     "PUB r.1 1\r\na\r\nPUB r.1 1\r\nb\r\nPUB r.1 1\r\nc\r\n");
        expect(service, "-ERR 'Permissions Violation for Publish to \"r.2\"'\r\n"
                        "-ERR 'Permissions Violation for Publish to \"r.1\"'\r\n");
        expect_quiet(service);
        expect(asker, "MSG r.1 1 1\r\na\r\nMSG r.1 1 1\r\nb\r\n");
        expect_quiet(asker);
        /* What was asked outlasts a reload. */
        say(asker, "PUB svc r.3 1\r\n?\r\n");
        expect(service, "MSG svc 5 r.3 1\r\n?\r\n");
        PERMIT(1, [PERMISSIONS_SUBSCRIBE_DENY] = "x");
        change_permissions();
        say(service, "PUB r.3 1\r\nd\r\n");
        expect_quiet(service);
        expect(asker, "MSG r.3 1 1\r\nd\r\n");
}

static void test_a_reload_ends_what_is_not_allowed_any_more(void **state) {
        int publisher = join_quietly(0), fd = join_quietly(1);

        say(fd, "SUB a.x 1\r\nSUB b \"q 2\r\nSUB a.* 3\r\n");
        expect_quiet(fd);
        expect_quiet(publisher);
        PERMIT(0, [PERMISSIONS_SUBSCRIBE_ALLOW] = "a.*", [PERMISSIONS_SUBSCRIBE_DENY] = "a.x");
        change_permissions();
        for (unsigned i = 0; i < 2; i++) {
                char line[256];

                expect_line(fd, "-ERR 'Permissions Violation for Subscription to ", line,
                            sizeof(line));
                if (!strstr(line, "to \"a.x\" (sid \"1\")'") &&
                    !strstr(line, "to \"b\" using queue \"\\\"q\" (sid \"2\")'"))
                        fail_msg("%s", line);
        }
        expect_quiet(fd);
        assert_int_equal(subject_index_count(bus.index), 1);
        say(publisher, "PUB a.x 1\r\nx\r\nPUB a.y 1\r\ny\r\n");
        expect_quiet(publisher);
        expect(fd, "MSG a.y 3 1\r\ny\r\n");
        expect_quiet(fd);
        permit_everything();
        change_permissions();
        say(publisher, "PUB a.x 1\r\nx\r\n");
        expect_quiet(publisher);
        expect(fd, "MSG a.x 3 1\r\nx\r\n");
        expect_quiet(fd);
}

static void test_permissions_change_while_messages_come(void **state) {
        /* Whatever the other worker delivers meanwhile. */
        int publisher = join_quietly(0), fd;
        char line[64];

        expect_quiet(publisher);
        PERMIT(1, [PERMISSIONS_PUBLISH_ALLOW] = "a.>", [PERMISSIONS_SUBSCRIBE_DENY] = "a.no");
        fd = join_quietly(1);
        say(fd, "SUB a.* 1\r\n");
        expect_quiet(fd);
        for (unsigned i = 0; i < 200; i++) {
                for (unsigned k = 0; k < 20; k++)
                        say(publisher, "PUB a.no r 0\r\n\r\nPUB a.y r 0\r\n\r\n");
                PERMIT(1, [PERMISSIONS_PUBLISH_ALLOW] = "a.>",
                       [PERMISSIONS_SUBSCRIBE_DENY] = i % 2 ? "a.no" : "a.*.b");
                change_permissions();
                for (unsigned n = 0; n < 20; n += strcmp(line, "MSG a.y 1 r 0\r\n") == 0)
                        expect_line(fd, "", line, sizeof(line));
        }
        expect(fd, "\r\n");
        expect_quiet(fd);
}

/* --- order and cuts ------------------------------------------------------------------------- */

static void test_the_way_input_is_cut_does_not_matter(void **state) {
        /* Byte by byte, the same comes back. */
        static const char input[] = "SUB a.* q 1\r\nSUB a.b 2\r\nPUB a.b r 4\r\na\r\nb\r\n"
                                    "HPUB a.b 12 13\r\nNATS/1.0\r\n\r\nx\r\nUNSUB 2\r\n"
                                    "PUB a.b 0\r\n\r\nUNSUB 1\r\nPING\r\n";
        static const char output[] = "MSG a.b 2 r 4\r\na\r\nb\r\nMSG a.b 1 r 4\r\na\r\nb\r\n"
                                     "HMSG a.b 2 12 13\r\nNATS/1.0\r\n\r\nx\r\n"
                                     "HMSG a.b 1 12 13\r\nNATS/1.0\r\n\r\nx\r\n"
                                     "MSG a.b 1 0\r\n\r\nPONG\r\n";
        int whole = join_quietly(0), cut;

        say(whole, input);
        expect(whole, output);
        cut = join_quietly(1);
        for (size_t i = 0; i < sizeof(input) - 1; i++)
                say_bytes(cut, (struct bytes){input + i, 1});
        expect(cut, output);
}

static void test_messages_of_one_publisher_stay_in_order(void **state) {
        /* Between two workers, in a long row. */
        int publisher = join_quietly(0), fd = join_quietly(1);
        char line[64];

        say(fd, "SUB a 1\r\n");
        expect_quiet(fd);
        for (unsigned i = 1000; i < 5000; i++) {
                snprintf(line, sizeof(line), "PUB a 4\r\n%u\r\n", i);
                say(publisher, line);
        }
        for (unsigned i = 1000; i < 5000; i++) {
                snprintf(line, sizeof(line), "MSG a 1 4\r\n%u\r\n", i);
                expect(fd, line);
        }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_info_comes_first),
                TEST(test_clients_are_verbose_and_pedantic_at_first),
                TEST(test_a_client_that_is_not_verbose_hears_no_ok),
                TEST(test_a_second_connect_keeps_subscriptions),
                TEST(test_messages_have_every_form),
                TEST(test_headers_are_cut_off_for_those_without),
                TEST(test_large_payloads_arrive_whole),
                TEST(test_a_known_sid_is_not_taken_again),
                TEST(test_refused_subscriptions_are_told),
                TEST(test_subscriptions_are_limited),
                TEST(test_without_echo_own_messages_do_not_come_back),
                TEST(test_nobody_responding_is_told),
                TEST(test_control_subjects_are_closed_to_strangers),
                TEST(test_a_maximum_ends_a_subscription),
                TEST(test_a_maximum_is_reached_by_another_worker),
                TEST(test_nothing_comes_behind_the_pong_after_unsub),
                TEST(test_subscriptions_end_with_their_client),
                TEST(test_errors_that_end_a_client_are_told),
                TEST(test_a_long_control_line_is_refused),
                TEST(test_what_only_servers_say_may_be_ignored),
                TEST(test_too_many_connections_are_refused),
                TEST(test_silence_is_asked_and_then_ended),
                TEST(test_clients_that_have_gone_leave_no_memory),
                TEST(test_changes_are_told_to_those_who_understand),
                TEST(test_one_client_can_be_asked_to_leave),
                TEST(test_denied_publishes_are_told_and_dropped),
                TEST(test_each_message_of_a_run_is_denied),
                TEST(test_denied_subscriptions_are_told),
                TEST(test_what_is_denied_in_part_is_kept_back),
                TEST(test_no_responders_is_kept_back_as_well),
                TEST(test_responders_may_answer),
                TEST(test_a_reload_ends_what_is_not_allowed_any_more),
                TEST(test_permissions_change_while_messages_come),
                TEST(test_the_way_input_is_cut_does_not_matter),
                TEST(test_messages_of_one_publisher_stay_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
