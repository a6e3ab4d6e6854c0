/* Shares of the send buffer of a Unix datagram socket, with sockets of this process. */
#include "daemon/unread.h"

#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define BUFFER 200000

struct end {
        int fd;
        struct sockaddr_un address;
        socklen_t length;
        uint64_t key;
};

static struct end own;
static struct unread *unread;

/* Takes a name that the kernel chooses. */
static struct end open_end(void) {
        struct end end = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                          .address = {.sun_family = AF_UNIX},
                          .length = sizeof(end.address)};

        assert_int_equal(bind(end.fd, (struct sockaddr *)&end.address, sizeof(sa_family_t)), 0);
        assert_int_equal(getsockname(end.fd, (struct sockaddr *)&end.address, &end.length), 0);
        /* Shares are of users as told; the kernel tells who has the socket. */
        end.key = unread_key((struct bytes){end.address.sun_path,
                                            end.length - offsetof(struct sockaddr_un, sun_path)},
                             getuid());
        return end;
}

static int set_up(void **state) {
        own = open_end();
        assert_int_equal(setsockopt(own.fd, SOL_SOCKET, SO_SNDBUF, &(int){BUFFER / 2}, sizeof(int)),
                         0);
        unread = unread_new(own.fd);
        assert_non_null(unread);
        return 0;
}

static int tear_down(void **state) {
        unread_free(unread);
        close(own.fd);
        return 0;
}

/* Sends a datagram, if it is admitted. */
static bool send_to(const struct end *peer, uid_t uid, size_t length) {
        static const char data[65536];
        const struct sockaddr *address = (const struct sockaddr *)&peer->address;

        if (!unread_admit(unread, peer->key, uid, length))
                return false;
        if (sendto(own.fd, data, length, MSG_DONTWAIT, address, peer->length) == (ssize_t)length)
                return true;
        unread_withdraw(unread, peer->key, length);
        return false;
}

/* Sends until no more goes, or all of them are sent. Returns how many. */
static unsigned fill(const struct end *peer, uid_t uid, size_t length, unsigned max) {
        unsigned n = 0;

        while (n < max && send_to(peer, uid, length))
                n++;
        return n;
}

static void read_all(const struct end *peer) {
        char data[65536];

        while (recv(peer->fd, data, sizeof(data), MSG_DONTWAIT) > 0)
                ;
}

static size_t in_buffer(void) {
        int n = 0;

        assert_int_equal(ioctl(own.fd, SIOCOUTQ, &n), 0);
        return (size_t)n;
}

static void test_who_reads_gets_everything(void **state) {
        struct end peer = open_end();

        for (unsigned i = 0; i < 20000; i++) {
                assert_true(send_to(&peer, 1, i % 3 ? 16 : 16000));
                if (i % 4 == 3)
                        read_all(&peer);
        }
        close(peer.fd);
}

static void test_who_does_not_read_has_less_than_half(void **state) {
        struct end stalled = open_end(), peer = open_end();

        assert_int_equal(fill(&stalled, 1, 30000, 100), 2);
        assert_true(in_buffer() <= BUFFER / 8 * 3);
        for (unsigned i = 0; i < 20000; i++) {
                assert_true(send_to(&peer, 1, 16));
                read_all(&peer);
        }
        assert_false(send_to(&stalled, 1, 30000));
        read_all(&stalled);
        assert_true(send_to(&stalled, 1, 30000));
        close(stalled.fd);
        close(peer.fd);
}

/* Sends on until one is admitted: the kernel is not asked all the time. */
static void insist(const struct end *peer, uid_t uid, size_t length) {
        uint64_t deadline_ns = uv_hrtime() + 10 * UINT64_C(1000000000);

        while (!send_to(peer, uid, length))
                assert_true(uv_hrtime() < deadline_ns);
}

static void test_however_many_do_not_read_there_is_room(void **state) {
        struct end stalled[300], peer = open_end();
        unsigned n = 0;

        for (size_t i = 0; i < 300; i++) {
                stalled[i] = open_end();
                n += fill(&stalled[i], 1, 16, 8);
        }
        assert_in_range(n, 50, 299);
        assert_true(in_buffer() <= BUFFER / 4 * 3);
        for (unsigned i = 0; i < 2000; i++) {
                insist(&peer, 2, 16);
                read_all(&peer);
        }
        insist(&peer, 2, 40000);
        for (size_t i = 0; i < 300; i++)
                close(stalled[i].fd);
        close(peer.fd);
}

static void test_who_is_gone_leaves_room(void **state) {
        struct end stalled = open_end();

        assert_true(send_to(&stalled, 1, 30000));
        for (unsigned i = 0; i < 2000; i++) {
                struct end peer = open_end();

                insist(&peer, 1, 16);
                close(peer.fd);
        }
        close(stalled.fd);
}

static void test_what_was_not_sent_does_not_count(void **state) {
        struct end stalled = open_end();

        assert_true(send_to(&stalled, 1, 30000));
        for (unsigned i = 0; i < 1000; i++) {
                assert_true(unread_admit(unread, stalled.key, 1, 2000));
                unread_withdraw(unread, stalled.key, 2000);
        }
        close(stalled.fd);
}

static void test_what_was_not_sent_leaves_room_for_any_number(void **state) {
        struct end stalled = open_end(), peer = open_end();

        assert_true(send_to(&stalled, 1, 30000));
        for (uint64_t key = 1; key < 5000; key++) {
                assert_true(unread_admit(unread, key, 1, 16));
                unread_withdraw(unread, key, 16);
        }
        assert_true(send_to(&peer, 1, 16));
        close(stalled.fd);
        close(peer.fd);
}

/* Of another network namespace, or closed. */
static void test_peers_that_nobody_tells_of_count_as_having_read(void **state) {
        struct end stalled = open_end();
        uint64_t deadline_ns = uv_hrtime() + 10 * UINT64_C(1000000000);

        assert_true(send_to(&stalled, 1, 30000));
        for (unsigned i = 0; i < 1000; i++)
                while (!unread_admit(unread, 12345, 1, 2000))
                        assert_true(uv_hrtime() < deadline_ns);
        close(stalled.fd);
}

static uint64_t cpu_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* So many users that nobody else can be remembered: the kernel is not asked all the time. */
static void test_a_full_table_costs_no_time(void **state) {
        enum { MANY = 1024 };
        static struct end stalled[MANY];
        struct rlimit limit;
        uint64_t begin_ms;
        unsigned n = 0;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        if (limit.rlim_max < MANY + 100 ||
            setsockopt(own.fd, SOL_SOCKET, SO_SNDBUFFORCE, &(int){4 << 20}, sizeof(int)) < 0)
                skip();
        unread_resize(unread);
        for (unsigned i = 0; i < MANY; i++) {
                stalled[i] = open_end();
                assert_true(send_to(&stalled[i], 1000 + i, 16));
        }
        begin_ms = cpu_ms();
        for (; cpu_ms() - begin_ms < 200; n++)
                assert_false(unread_admit(unread, 12345, 1, 16));
        assert_true(n > 1000);
        read_all(&stalled[0]);
        insist(&stalled[0], 1, 16);
        for (unsigned i = 0; i < MANY; i++)
                close(stalled[i].fd);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_who_reads_gets_everything, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_who_does_not_read_has_less_than_half, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_however_many_do_not_read_there_is_room, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_who_is_gone_leaves_room, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_what_was_not_sent_does_not_count, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(test_what_was_not_sent_leaves_room_for_any_number,
                                                set_up, tear_down),
                cmocka_unit_test_setup_teardown(
                        test_peers_that_nobody_tells_of_count_as_having_read, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_a_full_table_costs_no_time, set_up, tear_down),
        };

        return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
