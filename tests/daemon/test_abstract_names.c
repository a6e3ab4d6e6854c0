/* Whose abstract names are, with sockets of this process. */
#include "daemon/abstract_names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct end {
        int fd;
        struct sockaddr_un address;
        struct bytes name;
};

static struct end own;
static struct abstract_names *names;

/* Takes a name that the kernel chooses. */
static void open_end(struct end *end) {
        socklen_t length = sizeof(end->address);

        end->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        end->address = (struct sockaddr_un){.sun_family = AF_UNIX};
        assert_int_equal(bind(end->fd, (struct sockaddr *)&end->address, sizeof(sa_family_t)), 0);
        assert_int_equal(getsockname(end->fd, (struct sockaddr *)&end->address, &length), 0);
        end->name = (struct bytes){end->address.sun_path,
                                   length - offsetof(struct sockaddr_un, sun_path)};
}

static int set_up(void **state) {
        open_end(&own);
        names = abstract_names_new(own.fd);
        assert_non_null(names);
        return 0;
}

static int tear_down(void **state) {
        abstract_names_free(names);
        close(own.fd);
        return 0;
}

/* What the kernel says as soon as it can be asked. */
static int check(struct bytes name, uid_t uid) {
        uint64_t deadline_ns = uv_hrtime() + 10 * UINT64_C(1000000000);
        int r;

        while ((r = abstract_names_check(names, name, uid)) == -EAGAIN)
                assert_true(uv_hrtime() < deadline_ns);
        return r;
}

static void test_a_name_is_its_users(void **state) {
        struct end peer;

        open_end(&peer);
        assert_int_equal(check(peer.name, getuid()), 0);
        assert_int_equal(check(peer.name, getuid() + 1), ABSTRACT_NAMES_FOREIGN);
        close(peer.fd);
}

static void test_what_nobody_has_is_foreign(void **state) {
        assert_int_equal(check((struct bytes){"\0test", 5}, getuid()), ABSTRACT_NAMES_FOREIGN);
        assert_int_equal(check((struct bytes){"\0", 1}, getuid()), ABSTRACT_NAMES_FOREIGN);
}

static void test_part_of_a_name_is_another_one(void **state) {
        struct end peer;

        open_end(&peer);
        assert_int_equal(check((struct bytes){peer.name.data, peer.name.length - 1}, getuid()),
                         ABSTRACT_NAMES_FOREIGN);
        close(peer.fd);
}

static void test_who_floods_keeps_nobody_out_for_long(void **state) {
        struct end peer;
        unsigned n_refused = 0;

        for (unsigned i = 0; i < 100000 && n_refused < 100; i++)
                n_refused += abstract_names_check(names, (struct bytes){"\0test", 5}, 1) == -EAGAIN;
        assert_int_equal(n_refused, 100);
        open_end(&peer);
        assert_int_equal(check(peer.name, getuid()), 0);
        for (unsigned i = 0; i < 100; i++)
                (void)abstract_names_check(names, (struct bytes){"\0test", 5}, 1);
        /* It was told of. */
        assert_int_equal(abstract_names_check(names, peer.name, getuid()), 0);
        close(peer.fd);
}

static void test_where_our_own_socket_is_not_no_name_is_known(void **state) {
        int fds[2];
        struct abstract_names *others;

        /* A pipe stands for a socket of another network namespace. */
        assert_int_equal(pipe(fds), 0);
        others = abstract_names_new(fds[0]);
        assert_int_equal(abstract_names_check(others, own.name, getuid()), ABSTRACT_NAMES_FOREIGN);
        abstract_names_free(others);
        close(fds[0]);
        close(fds[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_name_is_its_users, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_nobody_has_is_foreign, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_part_of_a_name_is_another_one, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_floods_keeps_nobody_out_for_long, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_where_our_own_socket_is_not_no_name_is_known,
                                                set_up, tear_down),
        };

        return cmocka_run_group_tests_name("abstract_names", tests, NULL, NULL);
}
