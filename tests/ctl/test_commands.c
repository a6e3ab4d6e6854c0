/* Whole command lines, against a daemon of a few lines that listens on an abstract socket.
 *
 * The fake daemon knows nothing but a table: a request on this subject gets that answer. So each
 * test says what the daemon would answer, and what sockctl must print and return.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/commands.h"
#include "ctl/session.h"

#define SERVER     "{\"name\":\"host-a\",\"id\":\"ID\"}"
#define DATA(text) "{\"server\":" SERVER ",\"data\":" text "}"
#define ERROR(code, text)                                                                          \
        "{\"server\":" SERVER ",\"error\":{\"code\":" code ",\"description\":\"" text "\"}}"

/* The next request on this subject gets this answer; NULL: 503. "-ERR ..." is sent as a line. */
struct exchange {
        const char *subject, *answer;
};

struct daemon {
        const struct exchange *exchanges; /* up to one without a subject */
        int listener;
        pthread_t thread;
        char seen[4096]; /* payloads of the requests, one a line */
};

static char address[sizeof("unix:@") + sizeof(((struct sockaddr_un *)0)->sun_path)];

static void answer(struct daemon *daemon, int descriptor, const char *subject, const char *reply,
                   const char *payload) {
        const struct exchange *exchange = daemon->exchanges;

        size_t n_seen = strlen(daemon->seen);

        snprintf(daemon->seen + n_seen, sizeof(daemon->seen) - n_seen, "%.1000s\n", payload);
        if (!exchange->subject || strcmp(exchange->subject, subject) != 0) {
                dprintf(descriptor, "-ERR 'unexpected %s'\r\n", subject);
                return;
        }
        daemon->exchanges++;
        if (!exchange->answer)
                dprintf(descriptor, "HMSG %s 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply);
        else if (exchange->answer[0] == '-')
                dprintf(descriptor, "%s\r\n", exchange->answer);
        else
                dprintf(descriptor, "MSG %s 1 %zu\r\n%s\r\n", reply, strlen(exchange->answer),
                        exchange->answer);
}

/* One client at a time, line by line; payloads of these tests have no line ends. */
static void serve(struct daemon *daemon, FILE *stream) {
        char line[65536], subject[256], reply[256], payload[65536];
        size_t n;

        while (fgets(line, sizeof(line), stream)) {
                if (strncmp(line, "PING", 4) == 0) {
                        dprintf(fileno(stream), "PONG\r\n");
                } else if (sscanf(line, "PUB %255s %255s %zu", subject, reply, &n) == 3) {
                        assert_non_null(fgets(payload, sizeof(payload), stream));
                        payload[n] = '\0';
                        answer(daemon, fileno(stream), subject, reply, payload);
                }
        }
}

static void *daemon_run(void *data) {
        struct daemon *daemon = data;
        int descriptor;

        while ((descriptor = accept(daemon->listener, NULL, NULL)) >= 0) {
                FILE *stream = fdopen(descriptor, "r");

                dprintf(descriptor,
                        "INFO {\"server_id\":\"ID\",\"server_name\":\"host-a\",\"version\":"
                        "\"2.9.10\",\"sockd_version\":\"0.1.0\",\"headers\":true,"
                        "\"max_payload\":1000}\r\n");
                serve(daemon, stream);
                fclose(stream);
        }
        return NULL;
}

static void daemon_start(struct daemon *daemon, const struct exchange *exchanges) {
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        int n = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "sockctl-test-%d", getpid());

        snprintf(address, sizeof(address), "unix:@%s", name.sun_path + 1);
        memset(daemon, 0, sizeof(*daemon));
        daemon->exchanges = exchanges;
        daemon->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(daemon->listener, (struct sockaddr *)&name,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)),
                         0);
        assert_int_equal(listen(daemon->listener, 5), 0);
        assert_int_equal(pthread_create(&daemon->thread, NULL, daemon_run, daemon), 0);
}

static void daemon_stop(struct daemon *daemon) {
        shutdown(daemon->listener, SHUT_RDWR);
        pthread_join(daemon->thread, NULL);
        close(daemon->listener);
}

struct outcome {
        int code;
        char *out, *err;
};

static struct outcome run(const char *words[]) {
        struct outcome outcome = {0};
        char *argv[16];
        int argc = 0;
        size_t n_out, n_err;
        FILE *out = open_memstream(&outcome.out, &n_out),
             *err = open_memstream(&outcome.err, &n_err);

        while (words[argc]) {
                argv[argc] = (char *)words[argc];
                argc++;
        }
        argv[argc] = NULL;
        outcome.code = commands_main(argc, argv, out, err);
        fclose(out);
        fclose(err);
        return outcome;
}

#define RUN(...) run((const char *[]){"sockctl", __VA_ARGS__, NULL})

static void assert_outcome(struct outcome outcome, int code, const char *out, const char *err) {
        assert_string_equal(outcome.err, err);
        assert_string_equal(outcome.out, out);
        assert_int_equal(outcome.code, code);
        free(outcome.out);
        free(outcome.err);
}

/* Runs a command line against a daemon that answers so. */
static void assert_exchange(const char *subject, const char *reply, struct outcome expected,
                            const char *sent, const char *words[]) {
        const struct exchange exchanges[] = {{subject, reply}, {NULL, NULL}};
        struct daemon daemon;
        struct outcome outcome;

        daemon_start(&daemon, exchanges);
        outcome = run(words);
        daemon_stop(&daemon);
        assert_outcome(outcome, expected.code, expected.out, expected.err);
        assert_string_equal(daemon.seen, sent);
}

#define OUTCOME(code, out, err)                                                                    \
        (struct outcome) {                                                                         \
                code, (char *)(out), (char *)(err)                                                 \
        }
#define WORDS(...)                                                                                 \
        (const char *[]) {                                                                         \
                "sockctl", "-s", address, __VA_ARGS__, NULL                                        \
        }

static void test_listeners_are_a_table(void **state) {
        assert_exchange(
                "$SYS.REQ.SERVER.PING.LISTENERZ",
                DATA("{\"listeners\":[{\"name\":\"tcp\",\"address\":\"tcp://127.0.0.1:43211\","
                     "\"handler\":\"bus\",\"connections\":2,\"total_connections\":1234567,"
                     "\"activated\":true}]}"),
                OUTCOME(0,
                        "NAME  ADDRESS                HANDLER  TLS  NOW  TOTAL  OPENED BY\n"
                        "tcp   tcp://127.0.0.1:43211  bus      -      2  1.23M  systemd\n"
                        "\n1 listener\n",
                        ""),
                "\n", WORDS("listeners"));
}

static void test_listeners_tell_their_tls(void **state) {
        static const struct {
                const char *tls, *shown;
        } rows[] = {
                {"{\"required\":true,\"first\":false,\"verify\":false,\"map\":false}", "required"},
                {"{\"required\":false,\"first\":false,\"verify\":true,\"map\":false}",
                 "optional,verify"},
                {"{\"required\":true,\"first\":true,\"verify\":true,\"map\":true}",
                 "first,verify,map"},
        };
        char answer[512], shown[128];

        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                snprintf(answer, sizeof(answer),
                         DATA("{\"listeners\":[{\"name\":\"a\",\"address\":\"tls://x:1\","
                              "\"handler\":\"bus\",\"tls\":%s}]}"),
                         rows[i].tls);
                snprintf(shown, sizeof(shown), "a  tls://x:1  bus  %s  0  0  sockd\n",
                         rows[i].shown);
                assert_exchange("$SYS.REQ.SERVER.PING.LISTENERZ", answer, OUTCOME(0, shown, ""),
                                "\n", WORDS("listeners", "--no-legend"));
        }
}

static void test_refusals_are_a_table(void **state) {
        /* Of those who refused somebody, or let somebody go, with the reasons that there were. */
        assert_exchange(
                "$SYS.REQ.SERVER.PING.LISTENERZ",
                DATA("{\"listeners\":[{\"name\":\"a\",\"address\":\"tcp://127.0.0.1:1\","
                     "\"refused\":{\"address\":0,\"cps\":0},\"expired\":{\"idle_timeout\":0}},"
                     "{\"name\":\"b\",\"address\":\"tcp://127.0.0.1:2\","
                     "\"refused\":{\"address\":120000,\"time\":0,\"cps\":7},"
                     "\"expired\":{\"idle_timeout\":2,\"max_time\":1}},"
                     "{\"name\":\"c\",\"address\":\"udp://127.0.0.1:3\","
                     "\"expired\":{\"max_time\":1}}]}"),
                OUTCOME(0,
                        "NAME  ADDRESS            HANDLER  TLS  NOW  TOTAL  OPENED BY\n"
                        "a     tcp://127.0.0.1:1  -        -      0      0  sockd\n"
                        "b     tcp://127.0.0.1:2  -        -      0      0  sockd\n"
                        "c     udp://127.0.0.1:3  -        -      0      0  sockd\n"
                        "\n3 listeners\n"
                        "\nLIMITS OF          REFUSED  ENDED  WHY\n"
                        "tcp://127.0.0.1:2     120k      3  120000 address, 7 cps, 2 idle_timeout, "
                        "1 max_time\n"
                        "udp://127.0.0.1:3        0      1  1 max_time\n"
                        "\n2 limited listeners\n",
                        ""),
                "\n", WORDS("listeners"));
}

static void test_one_listener_is_shown_in_full(void **state) {
        /* Each of its sockets, and of what is counted what there was. */
        static const char answer[] = DATA(
                "{\"listeners\":[{\"name\":\"a\",\"address\":\"tcp://127.0.0.1:1\"},"
                "{\"name\":\"u\",\"address\":\"udp://127.0.0.1:2\",\"datagrams\":{\"received\":"
                "7,\"sent\":0,\"dropped\":{\"malformed\":3,\"rate\":0,\"kernel\":1}}},"
                "{\"name\":\"a\",\"address\":\"tcp://[::1]:1\",\"activated\":true,"
                "\"counted\":{\"x\":2,\"y\":0,\"z\":1},\"nothing\":{\"x\":0},"
                "\"tls\":{\"first\":true}}]}");

        assert_exchange("$SYS.REQ.SERVER.PING.LISTENERZ", answer,
                        OUTCOME(0,
                                "   name:  a\n"
                                "address:  tcp://127.0.0.1:1\n"
                                "\n"
                                "     name:  a\n"
                                "  address:  tcp://[::1]:1\n"
                                "activated:  true\n"
                                "  counted:  2 x, 1 z\n"
                                "  nothing:  none\n"
                                "      tls:  {\"first\":true}\n",
                                ""),
                        "\n", WORDS("listeners", "show", "a"));
        assert_exchange(
                "$SYS.REQ.SERVER.PING.LISTENERZ", answer,
                OUTCOME(0,
                        "     name:  u\n"
                        "  address:  udp://127.0.0.1:2\n"
                        "datagrams:  7 received, 0 sent, 4 dropped: 3 malformed, 1 kernel\n",
                        ""),
                "\n", WORDS("listeners", "show", "u"));
        assert_exchange("$SYS.REQ.SERVER.PING.LISTENERZ",
                        DATA("{\"listeners\":[{\"name\":\"a\"},{\"name\":\"b\"}]}"),
                        OUTCOME(0, "{\"listeners\":[{\"name\":\"b\"}]}\n", ""), "\n",
                        WORDS("listeners", "show", "b", "--json"));
        assert_exchange(
                "$SYS.REQ.SERVER.PING.LISTENERZ", DATA("{\"listeners\":[]}"),
                OUTCOME(3, "", "sockctl: no listener \"b\"; `sockctl listeners` lists them\n"),
                "\n", WORDS("listeners", "show", "b"));
}

static void test_accounts_are_a_table(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.ACCOUNTZ",
                        DATA("{\"accounts\":[\"$G\",\"SYS\"],\"account_details\":["
                             "{\"account_name\":\"$G\",\"client_connections\":3,"
                             "\"subscriptions\":12,\"num_exports\":1,\"num_imports\":2},"
                             "{\"account_name\":\"SYS\",\"is_system\":true}]}"),
                        OUTCOME(0,
                                "NAME  CLIENTS  SUBS  EXPORTS  IMPORTS  IS\n"
                                "$G          3    12        1        2  -\n"
                                "SYS         0     0        0        0  system\n"
                                "\n2 accounts\n",
                                ""),
                        "\n", WORDS("accounts"));
        /* As a nats-server has it. */
        assert_exchange("$SYS.REQ.SERVER.PING.ACCOUNTZ", DATA("{\"accounts\":[\"A\"]}"),
                        OUTCOME(0, "A  -  -  -  -  -\n", ""), "\n",
                        WORDS("accounts", "--no-legend"));
}

static void test_services_are_a_table(void **state) {
        assert_exchange(
                "$SYS.REQ.SERVER.PING.SERVICEZ",
                DATA("{\"total\":2,\"services\":[{\"name\":\"sockd-echo\",\"subject\":\"sockd."
                     "echo\","
                     "\"account\":\"$G\",\"kind\":\"built in\",\"requests\":0,\"errors\":0},"
                     "{\"name\":\"up\",\"subject\":\"host.up\",\"account\":\"A\",\"kind\":"
                     "\"program\","
                     "\"requests\":12,\"errors\":3,\"running\":1,\"waiting\":2,"
                     "\"latency\":{\"p50\":1250,\"p90\":25000000,\"p99\":5000000000}}]}"),
                OUTCOME(0,
                        "NAME        SUBJECT     ACCOUNT  KIND      REQUESTS  ERRORS  RUNNING  "
                        "WAITING    P50   P90   P99\n"
                        "sockd-echo  sockd.echo  $G       built in         0       0        -  "
                        "      -      -     -     -\n"
                        "up          host.up     A        program         12       3        1  "
                        "      2  1.2us  25ms  5.0s\n"
                        "\n2 services\n",
                        ""),
                "{\"offset\":0,\"limit\":1024}\n", WORDS("services"));
}

static void test_no_legend_leaves_rows_only(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.LISTENERZ",
                        DATA("{\"listeners\":[{\"name\":\"a\\u001b[2J\",\"address\":\"unix:///x\","
                             "\"handler\":\"bus\"}]}"),
                        OUTCOME(0, "a?[2J  unix:///x  bus  -  0  0  sockd\n", ""), "\n",
                        WORDS("listeners", "--no-legend"));
}

static void test_json_is_what_the_daemon_said(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.VARZ", DATA("{\"server_id\":\"ID\",\"pid\":7}"),
                        OUTCOME(0, "{\"server_id\":\"ID\",\"pid\":7}\n", ""), "\n",
                        WORDS("status", "--json"));
}

static void test_status_tells_the_state(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.VARZ",
                        DATA("{\"server_name\":\"host-a\",\"version\":\"2.9.10\",\"sockd_version\":"
                             "\"0.1.0\",\"pid\":7,\"workers\":2,\"uptime\":\"3s\",\"mem\":1048576,"
                             "\"lame_duck\":true,\"log_level\":\"info\",\"config_file\":\"\","
                             "\"max_payload\":1048576,\"max_pending\":67108864,\"connections\":3,"
                             "\"max_connections\":10,\"total_connections\":4,\"out_msgs\":1,"
                             "\"out_bytes\":2048}"),
                        OUTCOME(0,
                                "● host-a is draining (lame duck), up 3s\n"
                                "       Version:  sockd 0.1.0, as NATS 2.9.10\n"
                                "       Process:  7, 2 workers\n"
                                "        Memory:  1M, processor 0.0%\n"
                                "       Clients:  3 of 10, 4 since the start\n"
                                " Subscriptions:  0\n"
                                "Slow consumers:  0\n"
                                "      Received:  0 messages, 0 bytes\n"
                                "          Sent:  1 message, 2K\n"
                                "        Limits:  payload 1M, pending 64M for each client\n"
                                " Configuration:  no file\n"
                                "     Log level:  info\n",
                                ""),
                        "\n", WORDS("status"));
}

static void test_lists_are_asked_page_by_page(void **state) {
        static const struct exchange exchanges[] = {
                {"$SYS.REQ.SERVER.PING.SUBSZ",
                 DATA("{\"total\":3,\"subscriptions_list\":[{\"subject\":\"a\",\"sid\":\"1\","
                      "\"cid\":5},"
                      "{\"subject\":\"b\",\"sid\":\"2\",\"cid\":5}]}")},
                {"$SYS.REQ.SERVER.PING.SUBSZ",
                 DATA("{\"total\":3,\"subscriptions_list\":[{\"subject\":\"c\",\"qgroup\":\"q\","
                      "\"sid\":"
                      "\"3\",\"cid\":6,\"msgs\":2,\"max\":9,\"account\":\"A\"}]}")},
                {NULL, NULL},
        };
        struct daemon daemon;

        daemon_start(&daemon, exchanges);
        assert_outcome(RUN("-s", address, "subs", "x.y"), 0,
                       "SUBJECT  QUEUE  CLIENT  SID  MESSAGES  OF  ACCOUNT\n"
                       "a        -           5    1         0   -  -\n"
                       "b        -           5    2         0   -  -\n"
                       "c        q           6    3         2   9  A\n\n3 subscriptions\n",
                       "");
        daemon_stop(&daemon);
        assert_string_equal(
                daemon.seen,
                "{\"subscriptions\":true,\"test\":\"x.y\",\"offset\":0,\"limit\":1024}\n"
                "{\"subscriptions\":true,\"test\":\"x.y\",\"offset\":2,\"limit\":1024}\n");
}

static void test_clients_show_who_they_are(void **state) {
        assert_exchange(
                "$SYS.REQ.SERVER.PING.CONNZ",
                DATA("{\"total\":2,\"connections\":[{\"cid\":5,\"name\":\"n\",\"peer\":\"unix:\","
                     "\"listener\":\"local\",\"uid\":0,\"pid\":42,\"subscriptions\":1,\"idle\":"
                     "\"2s\"},{\"cid\":6,"
                     "\"lang\":\"go\",\"ip\":\"127.0.0.1\",\"port\":4711,\"authorized_user\":"
                     "\"alice\",\"pending_bytes\":2048,\"idle\":\"0s\"}]}"),
                OUTCOME(0,
                        "ID  NAME  PEER            USER   LISTENER  SUBS  PENDING  IN  OUT  IDLE\n"
                        " 5  n     unix pid 42     uid 0  local        1        0   0    0  2s\n"
                        " 6  go    127.0.0.1:4711  alice  -            0       2K   0    0  0s\n"
                        "\n2 clients\n",
                        ""),
                "{\"auth\":true,\"state\":0,\"offset\":0,\"limit\":1024}\n", WORDS("clients"));
}

static void test_clients_are_sorted_by_what_there_is(void **state) {
        assert_exchange(
                "$SYS.REQ.SERVER.PING.CONNZ", DATA("{\"total\":0,\"connections\":[]}"),
                OUTCOME(0, "0 clients\n", ""),
                "{\"auth\":true,\"state\":0,\"sort\":\"rtt\",\"offset\":0,\"limit\":1024}\n",
                WORDS("clients", "--sort", "rtt"));
}

#define NO_DAEMON "-s", "unix:///nonexistent/s"

static void test_values_are_checked_without_a_daemon(void **state) {
        assert_outcome(RUN(NO_DAEMON, "clients", "--sort", "size"), 2, "",
                       "sockctl: --sort \"size\": cid, start, subs, pending, msgs_to, msgs_from, "
                       "bytes_to, bytes_from, last, idle, uptime, rtt, stop or reason was "
                       "expected\n");
        assert_outcome(RUN(NO_DAEMON, "clients", "--state", "shut"), 2, "",
                       "sockctl: --state \"shut\": open, closed or all was expected\n");
        assert_outcome(RUN(NO_DAEMON, "clients", "kill", "1"), 2, "",
                       "sockctl: clients \"kill\": show ID or kick ID was expected\n");
        assert_outcome(RUN(NO_DAEMON, "clients", "kick", "1x"), 2, "",
                       "sockctl: clients kick: the number of a client was expected, as `sockctl "
                       "clients` shows it\n");
        assert_outcome(RUN(NO_DAEMON, "pub", "a", "x", "--count", "0"), 2, "",
                       "sockctl: --count \"0\": at least 1 was expected\n");
        assert_outcome(RUN(NO_DAEMON, "reply", "a"), 2, "",
                       "sockctl: a program was expected: reply SUBJECT -- PROGRAM "
                       "[ARGUMENT...]\n");
}

static void test_a_client_is_shown_line_by_line(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.CONNZ",
                        DATA("{\"total\":1,\"connections\":[{\"cid\":17,\"name\":\"n\","
                             "\"subscriptions_list\":[\"a\",\"b\"]}]}"),
                        OUTCOME(0,
                                "               cid:  17\n"
                                "              name:  n\n"
                                "subscriptions_list:  a\n"
                                "subscriptions_list:  b\n",
                                ""),
                        "{\"cid\":17,\"auth\":true,\"subscriptions\":true,\"state\":2}\n",
                        WORDS("clients", "show", "17"));
}

static void test_a_client_that_is_not_there_is_not_found(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.CONNZ", DATA("{\"total\":0,\"connections\":[]}"),
                        OUTCOME(3, "", "sockctl: no client 17; `sockctl clients` lists them\n"),
                        "{\"cid\":17,\"auth\":true,\"subscriptions\":true,\"state\":2}\n",
                        WORDS("clients", "show", "17"));
        assert_exchange("$SYS.REQ.SERVER.ID.KICK", ERROR("500", "no such client or leafnode id"),
                        OUTCOME(3, "", "sockctl: clients: no such client or leafnode id\n"),
                        "{\"cid\":17}\n", WORDS("clients", "kick", "17"));
}

static void test_actions_ask_this_server_alone(void **state) {
        assert_exchange("$SYS.REQ.SERVER.ID.KICK", "{\"server\":" SERVER "}",
                        OUTCOME(0, "client 17 is disconnected\n", ""), "{\"cid\":17}\n",
                        WORDS("clients", "kick", "17"));
        assert_exchange("$SYS.REQ.SERVER.ID.STOP", "{\"server\":" SERVER "}",
                        OUTCOME(0, "{\"done\":\"stop\"}\n", ""), "\n", WORDS("--json", "stop"));
        assert_exchange("$SYS.REQ.SERVER.ID.LOGLEVEL", DATA("{\"level\":\"info\"}"),
                        OUTCOME(0, "info\n", ""), "\n", WORDS("log-level"));
        assert_exchange("$SYS.REQ.SERVER.ID.LOGLEVEL", DATA("{\"level\":\"debug\"}"),
                        OUTCOME(0, "debug\n", ""), "{\"level\":\"debug\"}\n",
                        WORDS("log-level", "debug"));
        assert_exchange("$SYS.REQ.SERVER.ID.LOGLEVEL", ERROR("400", "unknown log level"),
                        OUTCOME(2, "", "sockctl: log-level: unknown log level\n"),
                        "{\"level\":\"loud\"}\n", WORDS("log-level", "loud"));
}

static void test_a_failed_reload_tells_each_line(void **state) {
        assert_exchange("$SYS.REQ.SERVER.ID.RELOAD",
                        ERROR("500", "x.conf:3: wrong\\nx.conf:5: too"),
                        OUTCOME(1, "", "sockctl: reload: x.conf:3: wrong\nx.conf:5: too\n"), "\n",
                        WORDS("reload"));
        assert_exchange("$SYS.REQ.SERVER.ID.RELOAD", ERROR("500", "wrong"),
                        OUTCOME(1, "{\"error\":{\"code\":1,\"message\":\"reload: wrong\"}}\n", ""),
                        "\n", WORDS("reload", "--json"));
}

static void test_missing_rights_name_the_role(void **state) {
        static const char error[] =
                "sockctl: \"clients\" needs a role over TCP and UDP, which \"users\" in sockd.conf "
                "can give; \"sockctl access whoami\" tells who you are\n";
        static const char denied[] = "sockctl: Permissions Violation for Publish to \"x\"; ask for "
                                     "this permission in sockd.conf\n";
        static const char sent[] = "{\"auth\":true,\"state\":0,\"offset\":0,\"limit\":1024}\n";

        assert_exchange("$SYS.REQ.SERVER.PING.CONNZ", NULL, OUTCOME(4, "", error), sent,
                        WORDS("clients"));
        assert_exchange("$SYS.REQ.SERVER.PING.CONNZ",
                        "-ERR 'Permissions Violation for Publish to \"x\"'", OUTCOME(4, "", denied),
                        sent, WORDS("clients"));
}

static void test_answers_that_are_no_json_are_refused(void **state) {
        assert_exchange("$SYS.REQ.SERVER.PING.VARZ", "nonsense",
                        OUTCOME(1, "", "sockctl: status: the answer is no JSON object\n"), "\n",
                        WORDS("status"));
        assert_exchange("$SYS.REQ.SERVER.PING.CONNZ", DATA("null"), OUTCOME(0, "0 clients\n", ""),
                        "{\"auth\":true,\"state\":0,\"offset\":0,\"limit\":1024}\n",
                        WORDS("clients"));
}

static void test_requests_without_responders_are_not_found(void **state) {
        assert_exchange("svc", NULL,
                        OUTCOME(3, "",
                                "sockctl: nobody answers on \"svc\": no service has subscribed "
                                "to it\n"),
                        "x\n", WORDS("request", "svc", "x"));
        assert_exchange("svc", "yes", OUTCOME(0, "yes\n", ""), "x\n", WORDS("request", "svc", "x"));
}

static void test_too_large_a_payload_names_the_limit(void **state) {
        static const struct exchange none[] = {{NULL, NULL}};
        char payload[1002];
        struct daemon daemon;

        memset(payload, 'x', sizeof(payload) - 1);
        payload[sizeof(payload) - 1] = '\0';
        daemon_start(&daemon, none);
        assert_outcome(RUN("-s", address, "pub", "a", payload), 1, "",
                       "sockctl: \"a\": the payload is too large: 1001 bytes are more than the "
                       "server takes, 1000; see max_payload in sockd.conf\n");
        daemon_stop(&daemon);
}

static void test_a_daemon_that_is_not_there_is_explained(void **state) {
        static const char error[] =
                "no daemon at unix:///nonexistent/s: not running, or listening elsewhere; see: "
                "systemctl status sockd";
        char line[256], json[256];

        snprintf(line, sizeof(line), "sockctl: %s\n", error);
        snprintf(json, sizeof(json), "{\"error\":{\"code\":5,\"message\":\"%s\"}}\n", error);
        assert_outcome(RUN("-s", "unix:///nonexistent/s", "ping"), 5, "", line);
        assert_outcome(RUN("-s", "unix:///nonexistent/s", "status"), 3, "", line);
        assert_outcome(RUN("-s", "unix:///nonexistent/s", "clients", "--json"), 5, json, "");
        assert_outcome(RUN("-s", "/dev/null", "ping"), 5, "",
                       "sockctl: no daemon at /dev/null: that is no socket\n");
}

/* Checks what a failure to connect is called. */
static void check_failure(int result, const char *at, const char *reason, int code,
                          const char *expected) {
        struct options options;
        struct context context = {.options = &options, .unreachable_code = EXIT_UNREACHABLE};
        char *text;
        size_t n;

        options_init(&options);
        context.err = open_memstream(&text, &n);
        assert_int_equal(session_fail_connect(&context, result, at, reason), code);
        fclose(context.err);
        assert_string_equal(text, expected);
        free(text);
}

static void test_failures_to_connect_say_what_to_do(void **state) {
        check_failure(-ENOENT, "unix:///run/sockd/sockd.sock", "No such file or directory", 5,
                      "sockctl: no daemon at unix:///run/sockd/sockd.sock: not running; start it "
                      "with: systemctl start sockd\n");
        check_failure(-ECONNREFUSED, "tcp://[::1]:1", "Connection refused", 5,
                      "sockctl: no daemon at tcp://[::1]:1: nothing listens there; see the "
                      "listeners of its configuration\n");
        check_failure(
                SOCKD_TIMEOUT, "unix:@x", "no answer in time", 124,
                "sockctl: unix:@x: no answer in time; the daemon there hangs, or it is no NATS "
                "server; --timeout waits longer\n");
        check_failure(-EACCES, "unix:///nonexistent/s", "Permission denied", 4,
                      "sockctl: unix:///nonexistent/s: no permission; run it as root\n");
}

static void test_the_environment_names_the_daemon(void **state) {
        static const struct exchange none[] = {{NULL, NULL}};
        struct daemon daemon;
        struct outcome outcome;

        daemon_start(&daemon, none);
        setenv("SOCKD_URL", address, 1);
        outcome = RUN("version");
        assert_outcome(outcome, 0,
                       "sockctl " PACKAGE_VERSION "\nsockd 0.1.0 on host-a, as NATS 2.9.10\n", "");
        setenv("SOCKD_URL", "unix:///nonexistent/s", 1);
        assert_outcome(RUN("version"), 0, "sockctl " PACKAGE_VERSION "\nno daemon to ask\n", "");
        unsetenv("SOCKD_URL");
        daemon_stop(&daemon);
}

static void test_usage_errors_say_what_to_do(void **state) {
        assert_outcome(RUN("stauts"), 2, "",
                       "sockctl: unknown verb \"stauts\"; did you mean \"status\"?\n");
        assert_outcome(RUN("xyzzy"), 2, "",
                       "sockctl: unknown verb \"xyzzy\"; sockctl help lists them\n");
        assert_outcome(RUN("pub"), 2, "", "sockctl: usage: sockctl pub SUBJECT [DATA|-]\n");
        assert_outcome(RUN("status", "--count", "1"), 2, "",
                       "sockctl: --count is no option of this verb; see sockctl help status\n");
        assert_outcome(
                RUN("--count", "1", "sub"), 2, "",
                "sockctl: --count is no option of sockctl; it goes behind the verb; see sockctl "
                "help\n");
        assert_outcome(
                RUN("--json", "nope!"), 2,
                "{\"error\":{\"code\":2,\"message\":\"unknown verb \\\"nope!\\\"; sockctl help "
                "lists them\"}}\n",
                "");
}

static void test_a_benchmark_takes_no_option_that_has_no_effect(void **state) {
        assert_outcome(RUN("bench", "--msgs", "0"), 2, "",
                       "sockctl: --msgs \"0\": at least 1 was expected; see sockctl help bench\n");
        assert_outcome(RUN("bench", "--duration", "0s"), 2, "",
                       "sockctl: --duration \"0s\": at least 1ms was expected\n");
        assert_outcome(RUN("bench", "--duration", "1s", "--msgs", "1"), 2, "",
                       "sockctl: either --msgs or --duration was expected\n");
        assert_outcome(RUN("bench", "--clients", "2"), 2, "",
                       "sockctl: --clients goes with --request only; else --pubs send\n");
        assert_outcome(RUN("bench", "--request", "--pubs", "2"), 2, "",
                       "sockctl: --pubs does not go with --request, where --clients send\n");
        assert_outcome(RUN("bench", "--pubs", "600", "--subs", "401"), 2, "",
                       "sockctl: 1001 connections: no more than 1000 were expected\n");
}

static void test_subjects_that_reach_nobody_are_refused(void **state) {
        static const char *const subjects[] = {"", ".", "a.", ".a", "a..b", "a b", "a.>.b"};
        static const char wrong[] = " is no valid subject: that is words with a dot between them, "
                                    "none empty or with a blank, and > only the last\n";

        for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
                char error[256];

                snprintf(error, sizeof(error), "sockctl: \"%s\"%s", subjects[i], wrong);
                assert_outcome(RUN("pub", subjects[i], "x"), 2, "", error);
                assert_outcome(RUN("sub", subjects[i]), 2, "", error);
                assert_outcome(RUN("request", subjects[i], "x"), 2, "", error);
                assert_outcome(RUN("reply", subjects[i], "--echo"), 2, "", error);
                assert_outcome(RUN("subs", subjects[i]), 2, "", error);
                assert_outcome(RUN("bench", "--subject", subjects[i]), 2, "", error);
                assert_outcome(RUN("pub", "--reply", subjects[i], "a"), 2, "", error);
        }
        assert_outcome(RUN("sub", "--queue", "", "a"), 2, "",
                       "sockctl: --queue \"\": a word was expected\n");
        assert_outcome(RUN("sub", "--queue", "a b", "a"), 2, "",
                       "sockctl: --queue \"a b\": a word was expected\n");
}

static void test_help_is_there_for_every_verb(void **state) {
        static const char *const verbs[] = {
                "status", "listeners", "accounts", "clients", "subs",    "ping",   "pub",
                "sub",    "request",   "reply",    "bench",   "config",  "reload", "drain",
                "stop",   "log-level", "version",  "help",    "services"};

        for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
                struct outcome outcome = RUN("help", verbs[i]), other = RUN(verbs[i], "--help");
                struct outcome overview = RUN("help");

                assert_int_equal(outcome.code, 0);
                assert_non_null(strstr(outcome.out, verbs[i]));
                assert_non_null(strstr(overview.out, verbs[i]));
                assert_outcome(other, 0, outcome.out, "");
                assert_outcome(outcome, 0, outcome.out, "");
                assert_outcome(overview, 0, overview.out, "");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_listeners_are_a_table),
                cmocka_unit_test(test_listeners_tell_their_tls),
                cmocka_unit_test(test_refusals_are_a_table),
                cmocka_unit_test(test_one_listener_is_shown_in_full),
                cmocka_unit_test(test_accounts_are_a_table),
                cmocka_unit_test(test_services_are_a_table),
                cmocka_unit_test(test_no_legend_leaves_rows_only),
                cmocka_unit_test(test_json_is_what_the_daemon_said),
                cmocka_unit_test(test_status_tells_the_state),
                cmocka_unit_test(test_lists_are_asked_page_by_page),
                cmocka_unit_test(test_clients_show_who_they_are),
                cmocka_unit_test(test_clients_are_sorted_by_what_there_is),
                cmocka_unit_test(test_a_client_is_shown_line_by_line),
                cmocka_unit_test(test_a_client_that_is_not_there_is_not_found),
                cmocka_unit_test(test_actions_ask_this_server_alone),
                cmocka_unit_test(test_a_failed_reload_tells_each_line),
                cmocka_unit_test(test_missing_rights_name_the_role),
                cmocka_unit_test(test_answers_that_are_no_json_are_refused),
                cmocka_unit_test(test_requests_without_responders_are_not_found),
                cmocka_unit_test(test_too_large_a_payload_names_the_limit),
                cmocka_unit_test(test_a_daemon_that_is_not_there_is_explained),
                cmocka_unit_test(test_failures_to_connect_say_what_to_do),
                cmocka_unit_test(test_the_environment_names_the_daemon),
                cmocka_unit_test(test_usage_errors_say_what_to_do),
                cmocka_unit_test(test_a_benchmark_takes_no_option_that_has_no_effect),
                cmocka_unit_test(test_values_are_checked_without_a_daemon),
                cmocka_unit_test(test_subjects_that_reach_nobody_are_refused),
                cmocka_unit_test(test_help_is_there_for_every_verb),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
