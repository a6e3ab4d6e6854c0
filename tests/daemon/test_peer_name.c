/* Whether names of Unix datagram peers are their own, with sockets of this process. */
#include "daemon/peer_name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], path[108];

static int set_up(void **state) {
        snprintf(directory, sizeof(directory), "/tmp/test_peer_name.XXXXXX");
        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/s", directory);
        return 0;
}

static int tear_down(void **state) {
        (void)unlink(path);
        assert_int_equal(rmdir(directory), 0);
        return 0;
}

/* The address as a peer of that name has it. */
static socklen_t name_it(struct sockaddr_un *address, const char *name) {
        size_t length = strlen(name) + 1;

        *address = (struct sockaddr_un){.sun_family = AF_UNIX};
        memcpy(address->sun_path, name, length);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int bind_to(const char *name) {
        struct sockaddr_un address;
        socklen_t length = name_it(&address, name);
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
        return fd;
}

/* What is said of a name, without a descriptor. */
static int ask(const char *name, uid_t uid) {
        struct sockaddr_un address;
        socklen_t length = name_it(&address, name);
        int fd, r = peer_name_open(&address, length, uid, NULL, &fd);

        if (r == 0 && fd >= 0)
                close(fd);
        return r;
}

static void test_a_path_is_of_its_owner(void **state) {
        int fd = bind_to(path);

        assert_int_equal(ask(path, getuid()), 0);
        assert_int_equal(ask(path, getuid() + 1), PEER_NAME_FOREIGN);
        close(fd);
}

static void test_what_is_no_socket_is_foreign(void **state) {
        assert_int_equal(ask(path, getuid()), PEER_NAME_FOREIGN);
        assert_int_equal(ask(directory, getuid()), PEER_NAME_FOREIGN);
        assert_int_equal(symlink("t", path), 0);
        assert_int_equal(ask(path, getuid()), PEER_NAME_FOREIGN);
}

static void test_a_link_to_a_socket_is_foreign(void **state) {
        char other[108];
        int fd;

        snprintf(other, sizeof(other), "%s/t", directory);
        fd = bind_to(other);
        assert_int_equal(ask(other, getuid()), 0);
        assert_int_equal(symlink("t", path), 0);
        assert_int_equal(ask(path, getuid()), PEER_NAME_FOREIGN);
        close(fd);
        assert_int_equal(unlink(other), 0);
}

static void test_a_relative_path_is_foreign(void **state) {
        int fd = bind_to(path);

        assert_int_equal(chdir(directory), 0);
        assert_int_equal(ask("s", getuid()), PEER_NAME_FOREIGN);
        assert_int_equal(ask("./s", getuid()), PEER_NAME_FOREIGN);
        assert_int_equal(chdir("/"), 0);
        close(fd);
}

static void test_a_path_without_end_is_foreign(void **state) {
        /* As long as the kernel's own field, and what it tells then. */
        struct {
                struct sockaddr_un address;
                char end[2];
        } name = {.address = {.sun_family = AF_UNIX}};
        int fd;

        memset(name.address.sun_path, '/', sizeof(name.address.sun_path));
        assert_int_equal(
                peer_name_open(&name.address, sizeof(name.address) + 1, getuid(), NULL, &fd),
                PEER_NAME_FOREIGN);
        assert_int_equal(peer_name_open(&name.address, sizeof(name.address), getuid(), NULL, &fd),
                         PEER_NAME_FOREIGN);
        assert_int_equal(peer_name_open(&name.address, sizeof(sa_family_t), getuid(), NULL, &fd),
                         PEER_NAME_FOREIGN);
}

static void test_an_abstract_name_needs_no_proof_without_names(void **state) {
        struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0a"};
        int fd;

        assert_int_equal(peer_name_open(&address, sizeof(sa_family_t) + 2, 1, NULL, &fd), 0);
        assert_int_equal(fd, -1);
        assert_int_equal(peer_name_bytes(&address, sizeof(sa_family_t) + 2).length, 2);
}

static void test_the_address_leads_to_the_socket_itself(void **state) {
        struct sockaddr_un address, target;
        socklen_t length = name_it(&address, path);
        int peer = bind_to(path), fd, other, sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char text[2];

        assert_int_equal(peer_name_open(&address, length, getuid(), NULL, &fd), 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/dev/null", path), 0);
        length = peer_name_address(&target, fd);
        assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&target, length), 1);
        assert_int_equal(recv(peer, text, sizeof(text), MSG_DONTWAIT), 1);
        close(peer);
        assert_int_equal(sendto(sender, "x", 1, 0, (struct sockaddr *)&target, length), -1);
        assert_int_equal(errno, ECONNREFUSED);

        /* Another one stands there. */
        assert_int_equal(unlink(path), 0);
        peer = bind_to(path);
        length = name_it(&address, path);
        assert_int_equal(peer_name_open(&address, length, getuid(), NULL, &other), 0);
        assert_true(peer_name_is_same(fd, fd));
        assert_false(peer_name_is_same(fd, other));
        close(peer);
        close(other);
        close(fd);
        close(sender);
}

static bool is_firm(const char *name, uid_t uid) {
        return peer_name_is_firm(bytes_from_string(name), uid);
}

static void test_a_path_is_firm_where_others_cannot_write(void **state) {
        char deep[128], open_directory[100], link[100];

        snprintf(open_directory, sizeof(open_directory), "%s/open", directory);
        snprintf(link, sizeof(link), "%s/link", directory);
        assert_int_equal(mkdir(open_directory, 0700), 0);
        assert_int_equal(symlink("open", link), 0);
        assert_true(is_firm(path, geteuid()));
        assert_true(is_firm(path, 0));
        assert_false(is_firm(path, geteuid() + 1));
        assert_false(is_firm("s", geteuid()));
        snprintf(deep, sizeof(deep), "%s/s", open_directory);
        assert_true(is_firm(deep, geteuid()));
        assert_int_equal(chmod(open_directory, 0770), 0);
        assert_false(is_firm(deep, geteuid()));
        assert_int_equal(chmod(open_directory, 0707), 0);
        assert_false(is_firm(deep, geteuid()));
        assert_int_equal(chmod(open_directory, 01777), 0);
        assert_true(is_firm(deep, geteuid()));
        if (geteuid() == 0) {
                assert_int_equal(chown(open_directory, 12345, 0), 0);
                assert_false(is_firm(deep, 0));
        }
        snprintf(deep, sizeof(deep), "%s/s", link);
        assert_false(is_firm(deep, geteuid()));
        snprintf(deep, sizeof(deep), "%s/none/s", directory);
        assert_false(is_firm(deep, geteuid()));
        assert_int_equal(unlink(link), 0);
        assert_int_equal(rmdir(open_directory), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_path_is_of_its_owner, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_is_no_socket_is_foreign, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_link_to_a_socket_is_foreign, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_a_relative_path_is_foreign, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_path_without_end_is_foreign, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_an_abstract_name_needs_no_proof_without_names,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_path_is_firm_where_others_cannot_write,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_the_address_leads_to_the_socket_itself, set_up,
                                                tear_down),
        };

        return cmocka_run_group_tests_name("peer_name", tests, NULL, NULL);
}
