/* Users that programs run as: looked up, compared with what sockd is, and permitted or not. */
#include "daemon/run_as.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct run_as *run_as;

static int set_up(void **state) {
        run_as_init();
        return 0;
}

static int tear_down(void **state) {
        run_as = run_as_free(run_as);
        return 0;
}

static void test_a_user_is_looked_up(void **state) {
        assert_int_equal(run_as_find(&run_as, "root", NULL), 0);
        assert_string_equal(run_as->name, "root");
        assert_string_equal(run_as->login, "root");
        assert_int_equal(run_as->uid, 0);
        assert_int_equal(run_as->gid, 0);
        assert_non_null(run_as->home);
        assert_non_null(run_as->shell);
        assert_true(run_as->n_groups >= 1);
}

static void test_a_number_is_the_user_with_it(void **state) {
        assert_int_equal(run_as_find(&run_as, "0", NULL), 0);
        assert_string_equal(run_as->name, "0");
        assert_string_equal(run_as->login, "root");
}

static void test_a_number_may_be_nobodys_if_it_has_a_group(void **state) {
        assert_int_equal(run_as_find(&run_as, "3999999999", NULL), -EINVAL);
        assert_null(run_as);
        assert_int_equal(run_as_find(&run_as, "3999999999", "3999999998"), 0);
        assert_true(run_as->uid == 3999999999u);
        assert_true(run_as->gid == 3999999998u);
        assert_int_equal(run_as->n_groups, 0);
        assert_null(run_as->login);
        assert_false(run_as->is_own);
}

static void test_a_group_may_be_another_one(void **state) {
        bool has = false;

        assert_int_equal(run_as_find(&run_as, "root", "daemon"), 0);
        assert_int_equal(run_as->uid, 0);
        assert_true(run_as->gid != 0);
        for (size_t i = 0; i < run_as->n_groups; i++)
                has |= run_as->groups[i] == run_as->gid;
        assert_true(has);
}

static void test_what_does_not_exist_is_said(void **state) {
        assert_int_equal(run_as_find(&run_as, "no such user", NULL), -ENOENT);
        assert_null(run_as);
        assert_int_equal(run_as_find(&run_as, "", NULL), -ENOENT);
        assert_int_equal(run_as_find(&run_as, "4294967295", "0"), -ENOENT);
        assert_int_equal(run_as_find(&run_as, "root", "no such group"), -ESRCH);
        assert_int_equal(run_as_find(&run_as, NULL, "no such group"), -ESRCH);
        assert_null(run_as);
}

static void test_oneself_is_always_permitted(void **state) {
        char reason[RUN_AS_REASON_MAX];

        assert_int_equal(run_as_find(&run_as, NULL, NULL), 0);
        assert_true(run_as->uid == geteuid());
        assert_true(run_as->gid == getegid());
        assert_null(run_as->name);
        assert_true(run_as->is_own);
        assert_int_equal(run_as_check(run_as, reason), 0);
}

static void become_another(void) {
        _exit(setresgid(3999999998u, 3999999998u, 3999999998u) == 0 &&
                              setresuid(3999999999u, 3999999999u, 3999999999u) == 0
                      ? 0
                      : 1);
}

static void test_others_need_rights(void **state) {
        char reason[RUN_AS_REASON_MAX];
        int r, status;
        pid_t pid;

        assert_int_equal(run_as_find(&run_as, "3999999999", "3999999998"), 0);
        r = run_as_check(run_as, reason);
        if (r == 0) {
                /* Whoever says so can do so. */
                pid = fork();
                assert_true(pid >= 0);
                if (pid == 0)
                        become_another();
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
                return;
        }
        assert_int_equal(r, -EPERM);
        assert_non_null(strstr(reason, "the right to run programs as others: "));
        assert_non_null(strstr(reason, "AmbientCapabilities="));
        assert_true(strlen(reason) < RUN_AS_REASON_MAX - 1);
}

static void test_who_has_no_rights_is_told_which(void **state) {
        char reason[RUN_AS_REASON_MAX];

        if (geteuid() != 0 || seteuid(3999999999u) < 0)
                skip();
        run_as_init();
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(run_as_find(&run_as, "3999999998", "3999999998"), 0);
        assert_int_equal(run_as_check(run_as, reason), -EPERM);
        assert_non_null(strstr(reason, "sockd lacks CAP_SETUID, CAP_SETGID, CAP_KILL;"));
}

/* Whoever changes groups from now on is killed, as by a service manager's filter. */
static int filter_calls(void) {
        struct sock_filter instructions[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setgroups, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {.len = sizeof(instructions) / sizeof(instructions[0]),
                                     .filter = instructions};

        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int check_under_filter(void) {
        struct run_as other = {.name = (char *)"other", .uid = 3999999999u, .gid = 3999999999u};
        char reason[RUN_AS_REASON_MAX];

        if (filter_calls() < 0)
                return 2;
        run_as_init();
        if (run_as_check(&other, reason) != -EPERM)
                return 3;
        return strstr(reason, "the system calls for it are filtered;") ? 0 : 4;
}

static void test_a_filter_is_found_without_dying_of_it(void **state) {
        int status;
        pid_t pid;

        if (geteuid() != 0)
                skip();
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                _exit(check_under_filter());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_user_is_looked_up),
                TEST(test_a_number_is_the_user_with_it),
                TEST(test_a_number_may_be_nobodys_if_it_has_a_group),
                TEST(test_a_group_may_be_another_one),
                TEST(test_what_does_not_exist_is_said),
                TEST(test_oneself_is_always_permitted),
                TEST(test_others_need_rights),
                TEST(test_who_has_no_rights_is_told_which),
                TEST(test_a_filter_is_found_without_dying_of_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
