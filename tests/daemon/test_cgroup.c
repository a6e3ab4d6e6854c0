/* Which unit a control group is of, by paths as systemd makes them and as others forge them. */
#include "daemon/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_bytes(struct bytes bytes, const char *expected) {
        char text[512];

        snprintf(text, sizeof(text), "%.*s", (int)bytes.length, bytes.length ? bytes.data : "");
        assert_string_equal(text, expected);
}

/* Checks in a copy of the exact length, behind which a sanitizer sees everything. */
static void check_unit(const char *path, const char *slice, const char *unit,
                       const char *user_unit) {
        size_t length = strlen(path);
        char *copy = malloc(length ? length : 1);
        struct cgroup_unit found;

        assert_non_null(copy);
        memcpy(copy, path, length);
        found = cgroup_unit_of((struct bytes){copy, length});
        check_bytes(found.slice, slice);
        check_bytes(found.unit, unit);
        check_bytes(found.user_unit, user_unit);
        free(copy);
}

static void test_services_are_found_in_their_slices(void **state) {
        check_unit("/system.slice/nginx.service", "system.slice", "nginx.service", "");
        check_unit("/system.slice/system-getty.slice/getty@tty1.service", "system-getty.slice",
                   "getty@tty1.service", "");
        check_unit("/init.scope", "-.slice", "init.scope", "");
        check_unit("/user.slice/user-1000.slice/session-2.scope", "user-1000.slice",
                   "session-2.scope", "");
        check_unit("/system.slice/docker.socket", "system.slice", "docker.socket", "");
        check_unit("/system.slice/dev-disk-by\\x2dlabel-a.mount", "system.slice",
                   "dev-disk-by\\x2dlabel-a.mount", "");
}

static void test_units_of_users_are_kept_apart(void **state) {
        check_unit("/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service",
                   "user-1000.slice", "user@1000.service", "foo.service");
        check_unit("/user.slice/user-1000.slice/user@1000.service/a.slice/a-b.slice/run-1.scope/x",
                   "user-1000.slice", "user@1000.service", "run-1.scope");
        check_unit("/user.slice/user-1000.slice/user@1000.service/init.scope", "user-1000.slice",
                   "user@1000.service", "init.scope");
        check_unit("/user.slice/user-1000.slice/user@1000.service", "user-1000.slice",
                   "user@1000.service", "");
        check_unit("/user.slice/user-1000.slice/user@1000.service/nonsense/foo.service",
                   "user-1000.slice", "user@1000.service", "");
}

static void test_what_a_unit_makes_below_it_counts_as_the_unit(void **state) {
        /* Else whoever has a control group of his own could pose as any service. */
        check_unit("/system.slice/a.service/system.slice/nginx.service", "system.slice",
                   "a.service", "");
        check_unit("/system.slice/a.service/nginx.service", "system.slice", "a.service", "");
        check_unit("/system.slice/a.service/user@0.service/b.service", "system.slice", "a.service",
                   "");
        check_unit("/docker/1234/system.slice/nginx.service", "", "", "");
        check_unit("/../nginx.service", "", "", "");
}

static void test_names_are_unescaped(void **state) {
        check_unit("/system.slice/_cpu.service", "system.slice", "cpu.service", "");
        check_unit("/_cpu.slice/__a.service", "cpu.slice", "_a.service", "");
}

static void test_what_is_no_unit_is_none(void **state) {
        check_unit("", "", "", "");
        check_unit("/", "", "", "");
        check_unit("//", "", "", "");
        check_unit("nginx.service", "", "", "");
        check_unit("//nginx.service", "", "", "");
        check_unit("/system.slice", "system.slice", "", "");
        check_unit("/system.slice/", "system.slice", "", "");
        check_unit("/system.slice/x", "system.slice", "", "");
        check_unit("/system.slice/nginx.service (deleted)", "system.slice", "", "");
        check_unit("/system.slice/nginx service.service", "system.slice", "", "");
        check_unit("/system.slice/.service", "system.slice", "", "");
        check_unit("/system.slice/nginx@.service", "system.slice", "", "");
        check_unit("/system.slice/@a.service", "system.slice", "", "");
        check_unit("/system.slice/nginx.service.d", "system.slice", "", "");
        check_unit("/a@b.slice/nginx.service", "", "", "");
}

static void test_names_have_a_limit(void **state) {
        char name[300];

        memset(name, 'a', sizeof(name));
        memcpy(name + CGROUP_NAME_MAX - 8, ".service", 8);
        assert_true(cgroup_is_unit((struct bytes){name, CGROUP_NAME_MAX}));
        memset(name, 'a', sizeof(name));
        memcpy(name + CGROUP_NAME_MAX - 7, ".service", 8);
        assert_false(cgroup_is_unit((struct bytes){name, CGROUP_NAME_MAX + 1}));
}

static void test_names_of_units_and_slices_are_told_apart(void **state) {
        assert_true(cgroup_is_unit(BYTES("nginx.service")));
        assert_true(cgroup_is_unit(BYTES("nginx@1.service")));
        assert_true(cgroup_is_unit(BYTES("a@b@c.service")));
        assert_false(cgroup_is_unit(BYTES("system.slice")));
        assert_false(cgroup_is_unit(BYTES("nginx")));
        assert_false(cgroup_is_unit(BYTES("nginx.timer")));
        assert_false(cgroup_is_unit(BYTES("")));
        assert_false(cgroup_is_unit(BYTES("a\0b.service")));
        assert_true(cgroup_is_slice(BYTES("system.slice")));
        assert_true(cgroup_is_slice(BYTES("-.slice")));
        assert_false(cgroup_is_slice(BYTES(".slice")));
        assert_false(cgroup_is_slice(BYTES("a.service")));
}

static void test_the_hierarchy_of_systemd_is_found(void **state) {
        check_bytes(cgroup_path(BYTES("0::/system.slice/a.service\n")), "/system.slice/a.service");
        /* Both versions at once, as systemd has it: the unified one counts. */
        check_bytes(cgroup_path(BYTES("5:memory:/x\n1:name=systemd:/b.service\n0::/a.service\n")),
                    "/a.service");
        /* Version 1 alone. */
        check_bytes(cgroup_path(BYTES("1:name=systemd:/b.service\n0::/\n")), "/b.service");
        check_bytes(cgroup_path(BYTES("2:cpu,cpuacct:/x\n1:name=systemd:/b.service\n")),
                    "/b.service");
        check_bytes(cgroup_path(BYTES("0::/\n")), "/");
        check_bytes(cgroup_path(BYTES("0::/a:b.service\n")), "/a:b.service");
}

static void test_what_is_cut_or_malformed_is_no_path(void **state) {
        check_bytes(cgroup_path(BYTES("")), "");
        check_bytes(cgroup_path(BYTES("\n\n")), "");
        check_bytes(cgroup_path(BYTES("0::/a.service")), "");
        check_bytes(cgroup_path(BYTES("0:/a.service\n")), "");
        check_bytes(cgroup_path(BYTES("00::/a.service\n")), "");
        check_bytes(cgroup_path(BYTES("0:cpu:/a.service\n")), "");
        check_bytes(cgroup_path(BYTES("1:memory:/a.service\n")), "");
        check_bytes(cgroup_path(BYTES("1:name=systemd:/a.serv")), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_services_are_found_in_their_slices),
                cmocka_unit_test(test_units_of_users_are_kept_apart),
                cmocka_unit_test(test_what_a_unit_makes_below_it_counts_as_the_unit),
                cmocka_unit_test(test_names_are_unescaped),
                cmocka_unit_test(test_what_is_no_unit_is_none),
                cmocka_unit_test(test_names_have_a_limit),
                cmocka_unit_test(test_names_of_units_and_slices_are_told_apart),
                cmocka_unit_test(test_the_hierarchy_of_systemd_is_found),
                cmocka_unit_test(test_what_is_cut_or_malformed_is_no_path),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
