/* What is known of a process: of this one, of one that has gone, and of one that is not what its
 * path says. */
#include "daemon/peer_facts.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PEERPIDFD 77 /* SO_PEERPIDFD, since Linux 6.5 */

static struct peer_facts *facts;
static char own_path[PATH_MAX];

static int set_up(void **state) {
        ssize_t n = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);

        assert_true(n > 0);
        own_path[n] = '\0';
        return 0;
}

static int tear_down(void **state) {
        facts = peer_facts_free(facts);
        return 0;
}

static void check_is_empty(void) {
        assert_non_null(facts);
        assert_null(facts->exe);
        assert_null(facts->slice);
        assert_null(facts->unit);
        assert_null(facts->user_unit);
        assert_false(peer_facts_runs(facts, own_path));
}

static void test_this_process_runs_this_program(void **state) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        facts = peer_facts_of_socket(ends[0], getpid(), geteuid());
        close(ends[0]);
        close(ends[1]);
        assert_non_null(facts);
        assert_string_equal(facts->exe, own_path);
        assert_true(peer_facts_runs(facts, own_path));
        assert_false(peer_facts_runs(facts, "/bin/sh"));
        assert_false(peer_facts_runs(facts, "/nonexistent"));
}

static void test_another_path_of_the_program_does(void **state) {
        facts = peer_facts_of_pid(getpid(), geteuid());
        assert_non_null(facts);
        assert_true(peer_facts_runs(facts, "/proc/self/exe"));
}

static void test_a_pid_has_to_be_the_users(void **state) {
        facts = peer_facts_of_pid(getpid(), geteuid());
        assert_string_equal(facts->exe, own_path);
        tear_down(state);
        facts = peer_facts_of_pid(getpid(), geteuid() + 1);
        check_is_empty();
}

static void test_no_process_has_no_facts(void **state) {
        facts = peer_facts_of_pid(0, geteuid());
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_pid(-1, geteuid());
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_socket(-1, getpid(), geteuid());
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_socket(-1, 0, geteuid());
        check_is_empty();
}

/* Accepts from a child that has connected, and then does nothing, at most as long as this process
 * lives. */
static int accept_child(pid_t *pidp) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
        socklen_t length = sizeof(address);

        assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        assert_int_equal(listen(listener, 1), 0);
        *pidp = fork();
        assert_true(*pidp >= 0);
        if (*pidp == 0) {
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                    connect(fd, (struct sockaddr *)&address, length) == 0)
                        pause();
                _exit(0);
        }
        fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        close(listener);
        return fd;
}

static void test_a_process_that_has_ended_has_no_facts(void **state) {
        int fd;
        pid_t pid;

        fd = accept_child(&pid);
        facts = peer_facts_of_socket(fd, pid, geteuid());
        assert_string_equal(facts->exe, own_path);
        tear_down(state);

        /* Not yet waited for, so that the pid is still its own; and then when it is free. */
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        facts = peer_facts_of_socket(fd, pid, geteuid());
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_pid(pid, geteuid());
        check_is_empty();
        tear_down(state);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        facts = peer_facts_of_socket(fd, pid, geteuid());
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_pid(pid, geteuid());
        check_is_empty();
        close(fd);
}

static void test_the_descriptor_says_which_process_it_is(void **state) {
        /* A pid that somebody else has by now: the socket's process is not that one. */
        int fd, process = -1;
        socklen_t size = sizeof(process);
        bool has_descriptors;
        pid_t pid;

        fd = accept_child(&pid);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        has_descriptors =
                getsockopt(fd, SOL_SOCKET, PEERPIDFD, &process, &size) == 0 || errno != ENOPROTOOPT;
        if (has_descriptors)
                facts = peer_facts_of_socket(fd, getpid(), geteuid());
        close(fd);
        if (!has_descriptors)
                skip();
        check_is_empty();
}

static void test_no_control_group_is_no_unit(void **state) {
        facts = peer_facts_of_cgroup(0);
        check_is_empty();
        tear_down(state);
        facts = peer_facts_of_cgroup(UINT64_MAX);
        check_is_empty();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_this_process_runs_this_program, tear_down),
                cmocka_unit_test_teardown(test_another_path_of_the_program_does, tear_down),
                cmocka_unit_test_teardown(test_a_pid_has_to_be_the_users, tear_down),
                cmocka_unit_test_teardown(test_no_process_has_no_facts, tear_down),
                cmocka_unit_test_teardown(test_a_process_that_has_ended_has_no_facts, tear_down),
                cmocka_unit_test_teardown(test_the_descriptor_says_which_process_it_is, tear_down),
                cmocka_unit_test_teardown(test_no_control_group_is_no_unit, tear_down),
        };

        return cmocka_run_group_tests(tests, set_up, NULL);
}
