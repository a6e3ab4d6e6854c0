/* Each condition of a rule, alone and with others, for peers of each kind. */
#include "daemon/identity_peer.h"

#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/peer_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

#define NO_UID .uid = (uid_t)-1
#define NO_GID .gid = (gid_t)-1
#define NO_ID  NO_UID, NO_GID

static struct connection connection;
static struct peer_facts facts;
static struct session *const a_session = (struct session *)&facts; /* never looked into */

/* A process of a service, on a Unix socket. */
static int set_up(void **state) {
        struct stat program;

        assert_int_equal(stat("/proc/self/exe", &program), 0);
        facts = (struct peer_facts){
                .exe = (char *)"/usr/bin/x",
                .exe_file = program.st_ino,
                .exe_device = program.st_dev,
                .slice = (char *)"system.slice",
                .unit = (char *)"x.service",
        };
        connection = (struct connection){
                .fd = -1,
                .peer = {.has_credentials = true, .uid = 7001, .gid = 7002, .pid = 7003},
                .facts = &facts,
        };
        return 0;
}

/* The same over TCP. */
static void become_tcp(void) {
        connection.is_owner_asked = true;
        connection.peer = (struct peer){.has_owner = true, .uid = 7001};
        strcpy(connection.peer.ip, "127.0.0.1");
}

static bool fits(struct config_peer rule) {
        return identity_peer_fits(&rule, &connection);
}

static void test_each_condition_has_to_hold(void **state) {
        assert_true(fits((struct config_peer){NO_GID, .uid = 7001}));
        assert_false(fits((struct config_peer){NO_GID, .uid = 7002}));
        assert_true(fits((struct config_peer){NO_UID, .gid = 7002}));
        assert_false(fits((struct config_peer){NO_UID, .gid = 7001}));
        assert_true(fits((struct config_peer){NO_ID, .pid = 7003}));
        assert_false(fits((struct config_peer){NO_ID, .pid = 7001}));
        assert_true(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/bin/sh"}));
        assert_true(fits((struct config_peer){NO_ID, .unit = (char *)"x.service"}));
        assert_false(fits((struct config_peer){NO_ID, .unit = (char *)"y.service"}));
        assert_true(fits((struct config_peer){NO_ID, .slice = (char *)"system.slice"}));
        assert_false(fits((struct config_peer){NO_ID, .slice = (char *)"x.slice"}));
        assert_false(fits((struct config_peer){NO_ID, .user_unit = (char *)"x.service"}));
}

static void test_all_conditions_have_to_hold(void **state) {
        struct config_peer all = {
                .uid = 7001,
                .gid = 7002,
                .pid = 7003,
                .exe = (char *)"/proc/self/exe",
                .unit = (char *)"x.service",
                .slice = (char *)"system.slice",
        };
        struct config_peer but_one = all;

        assert_true(fits(all));
        but_one.uid++;
        assert_false(fits(but_one));
        but_one = all;
        but_one.gid++;
        assert_false(fits(but_one));
        but_one = all;
        but_one.pid++;
        assert_false(fits(but_one));
        but_one = all;
        but_one.exe = (char *)"/bin/sh";
        assert_false(fits(but_one));
        but_one = all;
        but_one.unit = (char *)"x.scope";
        assert_false(fits(but_one));
        but_one = all;
        but_one.slice = (char *)"y.slice";
        assert_false(fits(but_one));
}

static void test_no_condition_fits_nobody(void **state) {
        assert_false(fits((struct config_peer){NO_ID}));
}

static void test_what_is_not_known_does_not_hold(void **state) {
        facts = (struct peer_facts){.exe = NULL};
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
        assert_false(fits((struct config_peer){NO_ID, .unit = (char *)"x.service"}));
        assert_false(fits((struct config_peer){NO_ID, .slice = (char *)"system.slice"}));
}

static void test_a_text_is_not_a_program(void **state) {
        facts.exe_file++;
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
        facts.exe = (char *)"/proc/self/exe";
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
}

static void test_a_tcp_peer_has_a_uid_and_a_unit(void **state) {
        become_tcp();
        assert_true(fits((struct config_peer){NO_GID, .uid = 7001}));
        assert_false(fits((struct config_peer){NO_GID, .uid = 0}));
        assert_true(fits((struct config_peer){NO_ID, .unit = (char *)"x.service"}));
        assert_true(
                fits((struct config_peer){NO_GID, .uid = 7001, .slice = (char *)"system.slice"}));
        assert_false(fits((struct config_peer){NO_UID, .gid = 0}));
        assert_false(fits((struct config_peer){NO_ID, .pid = 7003}));
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
}

static void test_an_unknown_tcp_peer_is_nobody(void **state) {
        /* Above all it is not root, whose number is the zero that stands there. */
        become_tcp();
        connection.facts = NULL;
        connection.peer.has_owner = false;
        connection.peer.uid = 0;
        assert_false(fits((struct config_peer){NO_GID, .uid = 0}));
        assert_false(fits((struct config_peer){NO_UID, .gid = 0}));
        assert_false(fits((struct config_peer){NO_ID, .unit = (char *)"x.service"}));
        connection.is_owner_asked = false; /* of a descriptor that says nothing */
        assert_false(fits((struct config_peer){NO_GID, .uid = 0}));
}

static void test_a_datagram_peer_has_only_ids(void **state) {
        connection.facts = NULL;
        connection.session = a_session;
        assert_true(fits((struct config_peer){.uid = 7001, .gid = 7002}));
        assert_false(fits((struct config_peer){NO_ID, .pid = 7003}));
        assert_false(fits((struct config_peer){NO_ID, .exe = (char *)"/proc/self/exe"}));
        assert_false(fits((struct config_peer){NO_ID, .unit = (char *)"x.service"}));
        connection.peer = (struct peer){.ip = "127.0.0.1"};
        assert_false(fits((struct config_peer){NO_GID, .uid = 0}));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_each_condition_has_to_hold, set_up),
                cmocka_unit_test_setup(test_all_conditions_have_to_hold, set_up),
                cmocka_unit_test_setup(test_no_condition_fits_nobody, set_up),
                cmocka_unit_test_setup(test_what_is_not_known_does_not_hold, set_up),
                cmocka_unit_test_setup(test_a_text_is_not_a_program, set_up),
                cmocka_unit_test_setup(test_a_tcp_peer_has_a_uid_and_a_unit, set_up),
                cmocka_unit_test_setup(test_an_unknown_tcp_peer_is_nobody, set_up),
                cmocka_unit_test_setup(test_a_datagram_peer_has_only_ids, set_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
