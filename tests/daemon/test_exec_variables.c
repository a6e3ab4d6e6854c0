/* What programs are told of peers, in variables of their environment. */
#include "daemon/exec_variables.h"

#include "daemon/config_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The variables, each with a blank behind it. */
static const char *told(const struct variables_peer *peer) {
        static char text[4096];
        char **variables = exec_variables_make(peer);

        assert_non_null(variables);
        *text = '\0';
        for (char **variable = variables; *variable; variable++) {
                strcat(text, *variable);
                strcat(text, " ");
        }
        config_strings_free(variables);
        return text;
}

static void test_tcp(void **state) {
        const struct variables_peer peer = {
                .listener = "a",
                .ip = "192.0.2.1",
                .port = 1234,
                .local_ip = "192.0.2.2",
                .local_port = 80,
                .tls_version = "1.3",
        };

        assert_string_equal(told(&peer),
                            "SOCKD_LISTENER=a PROTO=TCP SOCKD_PEER_ADDRESS=192.0.2.1 "
                            "SOCKD_PEER_PORT=1234 SOCKD_LOCAL_ADDRESS=192.0.2.2 "
                            "SOCKD_LOCAL_PORT=80 REMOTE_HOST=192.0.2.1 REMOTE_PORT=1234 "
                            "TCPREMOTEIP=192.0.2.1 TCPREMOTEPORT=1234 TCPLOCALIP=192.0.2.2 "
                            "TCPLOCALPORT=80 SOCKD_TLS_VERSION=1.3 ");
}

static void test_udp(void **state) {
        const struct variables_peer peer = {
                .listener = "a", .is_datagram = true, .ip = "::1", .port = 5, .local_port = 6};

        assert_string_equal(told(&peer),
                            "SOCKD_LISTENER=a PROTO=UDP SOCKD_PEER_ADDRESS=::1 SOCKD_PEER_PORT=5 "
                            "SOCKD_LOCAL_PORT=6 REMOTE_HOST=::1 REMOTE_PORT=5 UDPREMOTEIP=::1 "
                            "UDPREMOTEPORT=5 UDPLOCALPORT=6 ");
}

static void test_unix(void **state) {
        const struct variables_peer peer = {
                .listener = "a",
                .is_unix = true,
                .ip = "",
                .local_path = "/run/x",
                .has_uid = true,
                .has_process = true,
                .uid = 4294967294u,
                .gid = 0,
                .pid = 42,
                .user = "alice",
                .unit = "nginx.service",
        };

        assert_string_equal(
                told(&peer),
                "SOCKD_LISTENER=a PROTO=UNIX SOCKD_LOCAL_ADDRESS=/run/x UNIXLOCALPATH=/run/x "
                "UNIXREMOTEEUID=4294967294 UNIXREMOTEEGID=0 UNIXREMOTEPID=42 "
                "SOCKD_PEER_UID=4294967294 SOCKD_PEER_GID=0 SOCKD_PEER_PID=42 "
                "SOCKD_PEER_USER=alice SOCKD_PEER_UNIT=nginx.service ");
}

static void test_a_uid_alone_is_told_alone(void **state) {
        const struct variables_peer peer = {
                .listener = "a", .ip = "127.0.0.1", .has_uid = true, .uid = 7};

        assert_string_equal(told(&peer),
                            "SOCKD_LISTENER=a PROTO=TCP SOCKD_PEER_ADDRESS=127.0.0.1 "
                            "REMOTE_HOST=127.0.0.1 TCPREMOTEIP=127.0.0.1 SOCKD_PEER_UID=7 ");
}

static void test_what_is_not_printable_is_replaced(void **state) {
        const struct variables_peer peer = {.listener = "a",
                                            .is_unix = true,
                                            .local_path = "/a\nPATH=/evil\x1b",
                                            .unit = "\xff"};

        assert_string_equal(told(&peer),
                            "SOCKD_LISTENER=a PROTO=UNIX SOCKD_LOCAL_ADDRESS=/a PATH=/evil? "
                            "UNIXLOCALPATH=/a PATH=/evil? SOCKD_PEER_UNIT=? ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_udp),
                cmocka_unit_test(test_unix),
                cmocka_unit_test(test_a_uid_alone_is_told_alone),
                cmocka_unit_test(test_what_is_not_printable_is_replaced),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
