/* Answers about sockets, as the kernel gives them and as it should not; and one real connection. */
#include "daemon/sock_owner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct answer {
        struct nlmsghdr header;
        struct inet_diag_msg socket;
        struct rtattr name;
        uint32_t cgroup[2]; /* only aligned as netlink aligns it */
};

static struct answer answer;
static struct sock_ends ends;
static struct sock_owner owner;

/* The answer for 127.0.0.1:1000, connected to 127.0.0.2:4222, of uid 7001. */
static int set_up(void **state) {
        uint64_t cgroup = UINT64_C(0x100000007);

        assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", &ends.own), 1);
        assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.2", &ends.other), 1);
        ends.own_port = htons(1000);
        ends.other_port = htons(4222);
        owner = (struct sock_owner){.uid = 1};
        answer = (struct answer){
                .header = {.nlmsg_len = sizeof(answer), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
                .socket = {.idiag_family = AF_INET,
                           .idiag_state = TCP_ESTABLISHED,
                           .idiag_uid = 7001,
                           .idiag_inode = 99,
                           .id = {.idiag_sport = htons(1000), .idiag_dport = htons(4222)}},
                .name = {.rta_len = RTA_LENGTH(8), .rta_type = INET_DIAG_CGROUP_ID},
        };
        answer.socket.id.idiag_src[0] = htonl(0x7f000001);
        answer.socket.id.idiag_dst[0] = htonl(0x7f000002);
        memcpy(answer.cgroup, &cgroup, sizeof(cgroup));
        return 0;
}

/* Reads the first bytes of it from memory of that length. */
static int read_cut(size_t length) {
        char *copy = malloc(length ? length : 1);
        int r;

        assert_non_null(copy);
        memcpy(copy, &answer, length);
        r = sock_owner_read((struct bytes){copy, length}, &ends, &owner);
        free(copy);
        return r;
}

static int read_answer(void) {
        return read_cut(sizeof(answer));
}

static void test_the_owner_is_read(void **state) {
        assert_int_equal(read_answer(), 0);
        assert_int_equal(owner.uid, 7001);
        assert_true(owner.cgroup == UINT64_C(0x100000007));
}

static void test_a_socket_of_ipv6_may_speak_ipv4(void **state) {
        answer.socket.idiag_family = AF_INET6;
        memcpy(answer.socket.id.idiag_src, &ends.own, 16);
        memcpy(answer.socket.id.idiag_dst, &ends.other, 16);
        assert_int_equal(read_answer(), 0);
        answer.socket.id.idiag_src[0] = 1;
        assert_int_equal(read_answer(), -ENOENT);
}

static void test_older_kernels_tell_no_control_group(void **state) {
        answer.header.nlmsg_len = offsetof(struct answer, name);
        assert_int_equal(read_answer(), 0);
        assert_int_equal(owner.uid, 7001);
        assert_true(owner.cgroup == 0);
}

static void test_attributes_of_other_lengths_are_passed_over(void **state) {
        answer.name.rta_len = RTA_LENGTH(4);
        assert_int_equal(read_answer(), 0);
        assert_true(owner.cgroup == 0);
        answer.name.rta_len = 3;
        assert_int_equal(read_answer(), 0);
        assert_true(owner.cgroup == 0);
        answer.name.rta_len = UINT16_MAX;
        assert_int_equal(read_answer(), 0);
        assert_true(owner.cgroup == 0);
}

static void test_nothing_is_read_behind_the_answer(void **state) {
        struct {
                struct answer answer;
                uint32_t behind[2];
        } whole = {.answer = answer, .behind = {7, 7}};
        struct rtattr next = {.rta_len = RTA_LENGTH(8), .rta_type = INET_DIAG_CGROUP_ID};

        /* The last attribute ends where the answer does, without what aligns the next one. */
        whole.answer.name = (struct rtattr){.rta_len = RTA_LENGTH(1)};
        memcpy(&whole.answer.cgroup[1], &next, sizeof(next));
        whole.answer.header.nlmsg_len = offsetof(struct answer, name) + RTA_LENGTH(1);
        assert_int_equal(
                sock_owner_read((struct bytes){(char *)&whole, sizeof(whole)}, &ends, &owner), 0);
        assert_true(owner.cgroup == 0);
}

static void test_another_socket_is_nobody(void **state) {
        /* As one that listens on the client's port. */
        answer.socket.id.idiag_dport = 0;
        answer.socket.id.idiag_dst[0] = 0;
        assert_int_equal(read_answer(), -ENOENT);
        set_up(state);
        answer.socket.id.idiag_sport = htons(1001);
        assert_int_equal(read_answer(), -ENOENT);
        set_up(state);
        answer.socket.id.idiag_src[0] = htonl(0x7f000003);
        assert_int_equal(read_answer(), -ENOENT);
        assert_int_equal(owner.uid, 1);
}

static void test_a_closed_socket_is_nobodys(void **state) {
        /* Of which the kernel says that it is root's. */
        answer.socket.idiag_uid = 0;
        answer.socket.idiag_inode = 0;
        answer.socket.idiag_state = TCP_FIN_WAIT2;
        assert_int_equal(read_answer(), -ENOENT);
        assert_int_equal(owner.uid, 1);
}

static void test_a_socket_needs_a_connection(void **state) {
        static const uint8_t good[] = {TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
                                       TCP_CLOSE_WAIT};
        unsigned n_good = 0;

        for (unsigned i = 0; i < sizeof(good); i++) {
                answer.socket.idiag_state = good[i];
                assert_int_equal(read_answer(), 0);
        }
        for (unsigned i = 0; i < 256; i++) {
                answer.socket.idiag_state = (uint8_t)i;
                n_good += read_answer() == 0;
        }
        assert_int_equal(n_good, sizeof(good));
}

static void test_errors_are_handed_up(void **state) {
        struct nlmsgerr *error = NLMSG_DATA(&answer.header);

        answer.header.nlmsg_type = NLMSG_ERROR;
        error->error = -EPERM;
        assert_int_equal(read_answer(), -EPERM);
        error->error = 0;
        assert_int_equal(read_answer(), -EPROTO);
        answer.header.nlmsg_len = NLMSG_LENGTH(0);
        assert_int_equal(read_answer(), -EPROTO);
}

static void test_what_is_cut_or_no_answer_is_refused(void **state) {
        for (size_t length = 0; length < sizeof(answer); length++)
                assert_int_equal(read_cut(length), -EPROTO);
        answer.header.nlmsg_len = NLMSG_LENGTH(sizeof(answer.socket)) - 1;
        assert_int_equal(read_answer(), -EPROTO);
        answer.header.nlmsg_len = 0;
        assert_int_equal(read_answer(), -EPROTO);
        set_up(state);
        answer.header.nlmsg_type = NLMSG_DONE;
        assert_int_equal(read_answer(), -EPROTO);
}

static void test_a_connection_to_oneself_is_ones_own(void **state) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), accepted;
        socklen_t length = sizeof(address);

        assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
        accepted = accept(listener, NULL, NULL);
        assert_true(accepted >= 0);
        assert_int_equal(sock_owner_of_peer(accepted, &owner), 0);
        assert_int_equal(owner.uid, geteuid());

        /* Who has gone is nobody, not root. */
        close(client);
        assert_int_equal(sock_owner_of_peer(accepted, &owner), -ENOENT);
        close(accepted);
        close(listener);
        assert_int_equal(sock_owner_of_peer(-1, &owner), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_the_owner_is_read, set_up),
                cmocka_unit_test_setup(test_a_socket_of_ipv6_may_speak_ipv4, set_up),
                cmocka_unit_test_setup(test_older_kernels_tell_no_control_group, set_up),
                cmocka_unit_test_setup(test_attributes_of_other_lengths_are_passed_over, set_up),
                cmocka_unit_test_setup(test_nothing_is_read_behind_the_answer, set_up),
                cmocka_unit_test_setup(test_another_socket_is_nobody, set_up),
                cmocka_unit_test_setup(test_a_closed_socket_is_nobodys, set_up),
                cmocka_unit_test_setup(test_a_socket_needs_a_connection, set_up),
                cmocka_unit_test_setup(test_errors_are_handed_up, set_up),
                cmocka_unit_test_setup(test_what_is_cut_or_no_answer_is_refused, set_up),
                cmocka_unit_test_setup(test_a_connection_to_oneself_is_ones_own, set_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
