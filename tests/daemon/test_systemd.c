/* The service manager: sockets that it passes, and what it is told. Its side is played by the
 * environment, descriptors from 3 on, and a datagram socket. */
#include "daemon/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define FIRST_FD 3
#define N_FDS    3

static struct systemd systemd;
/* What had those numbers before: make(1) passes descriptors of its own. */
static int saved[N_FDS];
static int manager = -1;

#ifdef HAVE_LIBSYSTEMD
static const bool has_libsystemd = true;
#else
static const bool has_libsystemd = false;
#endif

static void forget_environment(void) {
        static const char *const names[] = {"LISTEN_FDS",   "LISTEN_PID",    "LISTEN_FDNAMES",
                                            "WATCHDOG_PID", "WATCHDOG_USEC", "NOTIFY_SOCKET"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                unsetenv(names[i]);
}

static int set_up(void **state) {
        forget_environment();
        for (int i = 0; i < N_FDS; i++) {
                saved[i] = fcntl(FIRST_FD + i, F_DUPFD_CLOEXEC, 100);
                if (saved[i] >= 0)
                        close(FIRST_FD + i);
        }
        return 0;
}

static int tear_down(void **state) {
        forget_environment();
        if (manager >= 0)
                close(manager);
        manager = -1;
        for (int i = 0; i < N_FDS; i++) {
                if (saved[i] >= 0 && dup2(saved[i], FIRST_FD + i) < 0)
                        return -1;
                close(saved[i] >= 0 ? saved[i] : FIRST_FD + i);
        }
        return 0;
}

static void skip_without_libsystemd(void) {
        if (has_libsystemd)
                return;
        print_message("skipping: built without libsystemd\n");
        skip();
}

static void set_number(const char *name, long number) {
        char text[32];

        snprintf(text, sizeof(text), "%ld", number);
        assert_int_equal(setenv(name, text, 1), 0);
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

/* Puts sockets at the numbers from 3 on, as the service manager does. */
static void pass_sockets(int n, const char *names) {
        for (int i = 0; i < n; i++) {
                int fd = socket(AF_UNIX, SOCK_STREAM, 0);

                assert_true(fd >= 0);
                if (fd == FIRST_FD + i)
                        continue;
                assert_int_equal(dup2(fd, FIRST_FD + i), FIRST_FD + i);
                close(fd);
        }
        set_number("LISTEN_PID", getpid());
        set_number("LISTEN_FDS", n);
        if (names)
                setenv("LISTEN_FDNAMES", names, 1);
}

static void test_without_a_manager_nothing_happens(void **state) {
        /* No sockets, no watchdog, and nobody to tell anything. */
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.n_sockets, 0);
        assert_int_equal(systemd.watchdog_ms, 0);
        assert_false(systemd.is_notified);
        assert_int_equal(systemd_take_socket(&systemd, "x"), -1);
        systemd_ready(&systemd);
        systemd_status(&systemd, "%s", "x");
        systemd_deinit(&systemd);
}

static void test_sockets_are_taken_by_name(void **state) {
        /* Each once, in order where several have one name; they are the taker's then. */
        skip_without_libsystemd();
        pass_sockets(3, "tcp:local:tcp");
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.n_sockets, 3);
        assert_int_equal(systemd_take_socket(&systemd, "other"), -1);
        assert_int_equal(systemd_take_socket(&systemd, "local"), 4);
        assert_int_equal(systemd_take_socket(&systemd, "local"), -1);
        assert_int_equal(systemd_take_socket(&systemd, "tcp"), 3);
        assert_int_equal(systemd_take_socket(&systemd, "tcp"), 5);
        assert_int_equal(systemd_take_socket(&systemd, "tcp"), -1);
        systemd_deinit(&systemd);
        for (int i = 0; i < 3; i++)
                assert_true(is_open(FIRST_FD + i));
}

static void test_what_nobody_took_is_closed(void **state) {
        /* At the end, and only that. */
        skip_without_libsystemd();
        pass_sockets(2, "a:b");
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd_take_socket(&systemd, "b"), 4);
        systemd_deinit(&systemd);
        assert_false(is_open(3));
        assert_true(is_open(4));
}

static void test_sockets_stay_with_this_process(void **state) {
        /* Programs that it starts get neither the descriptors nor the variables. */
        skip_without_libsystemd();
        pass_sockets(1, "a");
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(fcntl(3, F_GETFD), FD_CLOEXEC);
        assert_null(getenv("LISTEN_FDS"));
        assert_null(getenv("LISTEN_PID"));
        assert_null(getenv("LISTEN_FDNAMES"));
        systemd_deinit(&systemd);
}

static void test_sockets_without_names_are_unknown(void **state) {
        /* Which is the name that sd_listen_fds(3) gives them. */
        skip_without_libsystemd();
        pass_sockets(1, NULL);
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.n_sockets, 1);
        assert_string_equal(systemd.sockets[0].name, "unknown");
        systemd_deinit(&systemd);
}

static void test_sockets_for_another_process_are_left_alone(void **state) {
        /* The variables were inherited by mistake. */
        skip_without_libsystemd();
        pass_sockets(1, "a");
        set_number("LISTEN_PID", getpid() + 1);
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.n_sockets, 0);
        assert_int_equal(systemd_take_socket(&systemd, "a"), -1);
        systemd_deinit(&systemd);
        assert_true(is_open(3));
}

static void test_no_sockets_at_all_are_none(void **state) {
        /* A manager that says so passes none, and that is all. */
        skip_without_libsystemd();
        pass_sockets(0, NULL);
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.n_sockets, 0);
        assert_null(getenv("LISTEN_FDS"));
        systemd_deinit(&systemd);
}

static void test_a_wrong_number_of_sockets_is_an_error(void **state) {
        /* Rather than silence. */
        skip_without_libsystemd();
        pass_sockets(1, "a");
        setenv("LISTEN_FDS", "many", 1);
        assert_true(systemd_init(&systemd) < 0);
        systemd_deinit(&systemd);
        pass_sockets(1, "a:b");
        assert_true(systemd_init(&systemd) < 0);
        systemd_deinit(&systemd);
}

static void test_the_watchdog_is_known_in_milliseconds(void **state) {
        /* If it is meant for this process. */
        skip_without_libsystemd();
        setenv("WATCHDOG_USEC", "30000000", 1);
        set_number("WATCHDOG_PID", getpid());
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.watchdog_ms, 30000);
        assert_null(getenv("WATCHDOG_USEC"));
        systemd_deinit(&systemd);

        setenv("WATCHDOG_USEC", "30000000", 1);
        set_number("WATCHDOG_PID", getpid() + 1);
        assert_int_equal(systemd_init(&systemd), 0);
        assert_int_equal(systemd.watchdog_ms, 0);
        systemd_deinit(&systemd);
}

/* A socket of the manager's in the abstract namespace, under a name that the kernel chose. */
static void listen_to_notifications(void) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        socklen_t length = sizeof(sa_family_t);
        char name[64];

        manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(manager >= 0);
        assert_int_equal(bind(manager, (struct sockaddr *)&address, length), 0);
        length = sizeof(address);
        assert_int_equal(getsockname(manager, (struct sockaddr *)&address, &length), 0);
        length -= (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1;
        snprintf(name, sizeof(name), "@%.*s", (int)length, address.sun_path + 1);
        setenv("NOTIFY_SOCKET", name, 1);
}

/* The next notification, "" if there is none. A datagram that was sent has arrived. */
static const char *notification(void) {
        static char text[1024];
        ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

static void test_the_manager_is_told_each_state(void **state) {
        /* One datagram for each, in the words of sd_notify(3). */
        skip_without_libsystemd();
        listen_to_notifications();
        assert_int_equal(systemd_init(&systemd), 0);
        assert_true(systemd.is_notified);
        systemd_ready(&systemd);
        assert_string_equal(notification(), "READY=1");
        systemd_stopping(&systemd);
        assert_non_null(strstr(notification(), "STOPPING=1"));
        systemd_status(&systemd, "Serving %u clients", 3u);
        assert_string_equal(notification(), "STATUS=Serving 3 clients");
        assert_string_equal(notification(), "");
        systemd_deinit(&systemd);
}

static void test_reloading_tells_the_time_in_the_same_datagram(void **state) {
        /* Or the manager waits for it for ever. */
        unsigned long long usec = 0;

        skip_without_libsystemd();
        listen_to_notifications();
        assert_int_equal(systemd_init(&systemd), 0);
        systemd_reloading(&systemd);
        assert_int_equal(sscanf(notification(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
        assert_true(usec > 0);
        assert_string_equal(notification(), "");
        systemd_deinit(&systemd);
}

static void test_the_watchdog_is_fed_only_if_there_is_one(void **state) {
        /* And a long status is cut. */
        char status[1000];

        skip_without_libsystemd();
        listen_to_notifications();
        assert_int_equal(systemd_init(&systemd), 0);
        systemd_watchdog(&systemd);
        assert_string_equal(notification(), "");
        systemd.watchdog_ms = 1;
        systemd_watchdog(&systemd);
        assert_string_equal(notification(), "WATCHDOG=1");
        memset(status, 'x', sizeof(status) - 1);
        status[sizeof(status) - 1] = '\0';
        systemd_status(&systemd, "%s", status);
        assert_in_range(strlen(notification()), 100, 500);
        systemd_deinit(&systemd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_without_a_manager_nothing_happens),
                TEST(test_sockets_are_taken_by_name),
                TEST(test_what_nobody_took_is_closed),
                TEST(test_sockets_stay_with_this_process),
                TEST(test_sockets_without_names_are_unknown),
                TEST(test_sockets_for_another_process_are_left_alone),
                TEST(test_no_sockets_at_all_are_none),
                TEST(test_a_wrong_number_of_sockets_is_an_error),
                TEST(test_the_watchdog_is_known_in_milliseconds),
                TEST(test_the_manager_is_told_each_state),
                TEST(test_reloading_tells_the_time_in_the_same_datagram),
                TEST(test_the_watchdog_is_fed_only_if_there_is_one),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
