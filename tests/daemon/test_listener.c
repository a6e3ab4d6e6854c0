/* Listeners: who may take a path, when others may connect, and what is inherited. Everything is
 * bound in a directory of the test's own or on ports that the kernel chooses. */
#include "daemon/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/test_listener.XXXXXX";
static struct config_listener config;
static struct address_socket socket_address;
static struct listener *listener;
static char *reason;
static char path[sizeof(directory) + 2];

/* The mode that the path has when others begin to be able to connect. */
static mode_t mode_when_listening;

/* Stands in front of the C library's. */
int listen(int fd, int backlog) {
        struct stat now;

        if (lstat(path, &now) == 0)
                mode_when_listening = now.st_mode & 07777;
        return (int)syscall(SYS_listen, fd, backlog);
}

/* A kernel without IPv6, as far as anybody can see. */
static bool has_no_ipv6;

int socket(int family, int type, int protocol) {
        if (has_no_ipv6 && family == AF_INET6) {
                errno = EAFNOSUPPORT;
                return -1;
        }
        return (int)syscall(SYS_socket, family, type, protocol);
}

static int make_directory(void **state) {
        if (!mkdtemp(directory))
                return -1;
        snprintf(path, sizeof(path), "%s/s", directory);
        return 0;
}

static int remove_directory(void **state) {
        return rmdir(directory);
}

static int set_up(void **state) {
        listener = NULL;
        reason = NULL;
        mode_when_listening = 0;
        has_no_ipv6 = false;
        return 0;
}

static int tear_down(void **state) {
        listener = listener_unref(listener);
        free(reason);
        reason = NULL;
        (void)unlink(path);
        return 0;
}

/* Configures a listener at that address. */
static void configure(const char *address) {
        struct address_socket *sockets = NULL;
        size_t n = 0;

        config = (struct config_listener){.name = (char *)"test",
                                          .mode = 0600,
                                          .owner = (uid_t)-1,
                                          .group = (gid_t)-1,
                                          .nodelay = true,
                                          .keepalive = true,
                                          .backlog = 16};
        assert_int_equal(address_parse(&config.address, address, NULL), 0);
        assert_int_equal(address_resolve(&config.address, true, &sockets, &n, NULL), 0);
        assert_true(n > 0);
        socket_address = sockets[0];
        free(sockets);
}

static int bind_listener(struct listener **listenerp) {
        free(reason);
        reason = NULL;
        return listener_bind(listenerp, &config, &socket_address, 0, &reason);
}

/* A socket of our own at the path, bound and maybe listening. */
static int bind_path(int type, bool listens) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        strcpy(address.sun_path, path);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        if (listens)
                assert_int_equal(listen(fd, 4), 0);
        return fd;
}

static int connect_to(const struct address_socket *to) {
        int fd = socket(to->family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        if (connect(fd, &to->socket.any, to->length) == 0)
                return fd;
        close(fd);
        return -errno;
}

static void check_connects(void) {
        int fd = connect_to(&socket_address);

        assert_true(fd >= 0);
        close(fd);
}

static bool exists(void) {
        return access(path, F_OK) == 0;
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

static void check_reason(const char *part) {
        assert_non_null(reason);
        if (!strstr(reason, part))
                fail_msg("\"%s\" does not say \"%s\"", reason, part);
}

/* --- Unix paths ----------------------------------------------------------------------------- */

static void test_a_path_can_be_connected_to(void **state) {
        /* It is known as it was bound, and goes with the listener. */
        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_null(reason);
        assert_string_equal(listener->name, "test");
        assert_int_equal(listener->family, AF_UNIX);
        assert_int_equal(listener->port, 0);
        assert_false(listener->is_activated);
        assert_int_equal(strncmp(listener->text, "unix://", 7), 0);
        assert_string_equal(listener->text + 7, path);
        assert_true(listener_is_reachable(listener));
        assert_int_equal(fcntl(listener->fd, F_GETFD), FD_CLOEXEC);
        assert_true(fcntl(listener->fd, F_GETFL) & O_NONBLOCK);
        check_connects();
        listener = listener_unref(listener);
        assert_false(exists());
}

static void test_the_mode_is_set_before_anybody_can_connect(void **state) {
        /* Whatever the umask: there is no moment at which too many may. */
        static const mode_t modes[] = {0600, 0660, 0666, 0};
        mode_t mask = umask(0);

        for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
                struct stat now;

                umask(i % 2 ? 0077 : 0);
                configure(path);
                config.mode = modes[i];
                mode_when_listening = 07777;
                assert_int_equal(bind_listener(&listener), 0);
                assert_int_equal(mode_when_listening, modes[i]);
                assert_int_equal(lstat(path, &now), 0);
                assert_int_equal(now.st_mode & 07777, modes[i]);
                listener = listener_unref(listener);
        }
        umask(mask);
}

static void test_a_stale_socket_is_replaced(void **state) {
        /* What a daemon left behind that was killed. */
        struct stat before, after;

        close(bind_path(SOCK_STREAM, true));
        assert_int_equal(lstat(path, &before), 0);
        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_int_equal(lstat(path, &after), 0);
        assert_true(S_ISSOCK(after.st_mode));
        assert_int_equal(after.st_ino, listener->file.st_ino);
        check_connects();
}

static void test_a_live_socket_is_refused(void **state) {
        /* With a reason that names it; it stays where it is, and at work. */
        struct stat before, after;
        int fd = bind_path(SOCK_STREAM, true);

        assert_int_equal(lstat(path, &before), 0);
        configure(path);
        assert_int_equal(bind_listener(&listener), -EADDRINUSE);
        assert_null(listener);
        check_reason("another process is listening");
        check_reason(path);
        assert_int_equal(lstat(path, &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        check_connects();
        close(fd);
}

static void test_a_live_socket_with_a_full_backlog_is_refused(void **state) {
        /* That it does not answer at once does not make it stale. */
        int fds[64], n = 0, fd = bind_path(SOCK_STREAM, false);

        assert_int_equal(listen(fd, 0), 0);
        configure(path);
        while (n < 64) {
                fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                if (connect(fds[n++], &socket_address.socket.any, socket_address.length) < 0)
                        break;
        }
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(bind_listener(&listener), -EADDRINUSE);
        check_reason("another process is listening");
        assert_true(exists());
        while (n > 0)
                close(fds[--n]);
        close(fd);
}

static void test_a_live_socket_of_another_type_is_refused(void **state) {
        /* A datagram socket cannot be connected to, but somebody has it. */
        static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

        for (size_t i = 0; i < 2; i++) {
                int fd = bind_path(types[i], types[i] == SOCK_SEQPACKET);

                configure(path);
                assert_int_equal(bind_listener(&listener), -EADDRINUSE);
                check_reason("another process is listening");
                assert_true(exists());
                close(fd);
                assert_int_equal(unlink(path), 0);
        }
}

static void test_what_is_no_socket_is_left_alone(void **state) {
        /* A file, a link (even to a socket), a directory. */
        char other[sizeof(path) + 1];
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        struct stat now;

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "precious", 8), 8);
        close(fd);
        configure(path);
        assert_int_equal(bind_listener(&listener), -EEXIST);
        check_reason("not a socket");
        assert_int_equal(lstat(path, &now), 0);
        assert_int_equal(now.st_size, 8);
        assert_int_equal(unlink(path), 0);

        close(bind_path(SOCK_STREAM, true));
        snprintf(other, sizeof(other), "%s2", path);
        assert_int_equal(rename(path, other), 0);
        assert_int_equal(symlink(other, path), 0);
        assert_int_equal(bind_listener(&listener), -EEXIST);
        assert_int_equal(lstat(path, &now), 0);
        assert_true(S_ISLNK(now.st_mode));
        assert_int_equal(unlink(other), 0);
        assert_int_equal(unlink(path), 0);

        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(bind_listener(&listener), -EEXIST);
        assert_int_equal(rmdir(path), 0);
        assert_null(listener);
}

static void test_a_missing_directory_is_told(void **state) {
        /* "No such file or directory" alone would leave one guessing. */
        char missing[128];

        snprintf(missing, sizeof(missing), "%s/none/s", directory);
        configure(missing);
        assert_int_equal(bind_listener(&listener), -ENOENT);
        check_reason(missing);
        check_reason("directory does not exist");
}

static void test_a_path_that_cannot_be_given_away_is_removed_again(void **state) {
        /* A failed start leaves nothing behind. */
        uid_t uid = geteuid();

        /* Root may give files to anybody. */
        assert_int_equal(chmod(directory, 0777), 0);
        if (uid == 0)
                assert_int_equal(seteuid(65534), 0);
        configure(path);
        config.owner = 0;
        (void)bind_listener(&listener);
        assert_int_equal(seteuid(uid), 0);
        check_reason("owner");
        assert_null(listener);
        assert_false(exists());
}

static void test_a_successor_keeps_its_path(void **state) {
        /* Whoever replaced the path meanwhile owns it: it is not removed with the listener. */
        int fd;

        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_int_equal(unlink(path), 0);
        assert_false(listener_is_reachable(listener));
        fd = bind_path(SOCK_STREAM, true);
        assert_false(listener_is_reachable(listener));
        listener = listener_unref(listener);
        assert_true(exists());
        check_connects();
        close(fd);
}

static void test_a_path_that_is_gone_already_harms_nobody(void **state) {
        /* Somebody tidied up. */
        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_int_equal(unlink(path), 0);
        listener = listener_unref(listener);
        assert_false(exists());
}

static void test_two_of_our_own_are_kept_apart(void **state) {
        /* The second is refused, and the first is not disturbed. */
        struct listener *second = NULL;

        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_int_equal(bind_listener(&second), -EADDRINUSE);
        assert_null(second);
        assert_true(listener_is_reachable(listener));
        check_connects();
}

static void test_abstract_names_leave_no_file(void **state) {
        /* They are refused while in use, and free at once afterwards. */
        struct listener *second = NULL;
        char name[128];

        snprintf(name, sizeof(name), "unix:@%s", directory);
        configure(name);
        assert_int_equal(bind_listener(&listener), 0);
        assert_string_equal(listener->text, name);
        assert_true(listener_is_reachable(listener));
        check_connects();
        assert_int_equal(bind_listener(&second), -EADDRINUSE);
        check_reason("another process uses it");
        assert_null(second);
        listener = listener_unref(listener);
        assert_int_equal(connect_to(&socket_address), -ECONNREFUSED);
}

/* --- Internet ------------------------------------------------------------------------------- */

static void set_port(uint16_t port) {
        ((struct sockaddr_in *)(void *)&socket_address.socket)->sin_port = htons(port);
}

static int option(int fd, int level, int name) {
        int value = -1;
        socklen_t length = sizeof(value);

        assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
        return value;
}

static void test_port_0_is_chosen_by_the_kernel(void **state) {
        /* And known afterwards, in the text too. */
        char text[64];

        configure("tcp://127.0.0.1:0");
        assert_int_equal(bind_listener(&listener), 0);
        assert_true(listener->port > 0);
        assert_int_equal(listener->family, AF_INET);
        snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", listener->port);
        assert_string_equal(listener->text, text);
        assert_true(listener_is_reachable(listener));
        set_port(listener->port);
        check_connects();
        listener = listener_unref(listener);
        assert_int_equal(connect_to(&socket_address), -ECONNREFUSED);
}

/* Binds 127.0.0.1 to a port of the kernel's choice, and another address beside it. */
static struct listener *bind_siblings(void) {
        struct listener *sibling = NULL;

        configure("tcp://127.0.0.1:0");
        assert_int_equal(bind_listener(&listener), 0);
        configure("tcp://127.0.0.2:0");
        assert_int_equal(listener_bind(&sibling, &config, &socket_address, listener->port, &reason),
                         0);
        return sibling;
}

static void test_siblings_share_the_port(void **state) {
        /* Several addresses of one name get the same one if it is free, and another if not. */
        struct listener *sibling = bind_siblings(), *taken = NULL;

        /* Other processes bind ports there as well. */
        for (unsigned i = 0; i < 20 && sibling->port != listener->port; i++) {
                listener_unref(sibling);
                listener = listener_unref(listener);
                sibling = bind_siblings();
        }
        assert_int_equal(sibling->port, listener->port);
        assert_int_equal(listener_bind(&taken, &config, &socket_address, listener->port, &reason),
                         0);
        assert_true(taken->port > 0);
        assert_int_not_equal(taken->port, listener->port);
        listener_unref(sibling);
        listener_unref(taken);
}

static void test_a_port_in_use_is_refused(void **state) {
        /* With a reason that names address and port. */
        struct listener *second = NULL;
        char text[64];

        configure("tcp://127.0.0.1:0");
        assert_int_equal(bind_listener(&listener), 0);
        snprintf(text, sizeof(text), "tcp://127.0.0.1:%u", listener->port);
        configure(text);
        assert_int_equal(bind_listener(&second), -EADDRINUSE);
        assert_null(second);
        check_reason(text);
        check_reason("another process uses it");
}

static void test_a_listener_follows_another_on_its_port(void **state) {
        /* Where that one shares it; neither does in the end, and both are connected to meanwhile.
         */
        struct listener *wide = NULL;
        char text[64];

        configure("tcp://127.0.0.1:0");
        assert_int_equal(bind_listener(&listener), 0);
        snprintf(text, sizeof(text), "tcp://0.0.0.0:%u", listener->port);
        configure(text);
        assert_int_equal(bind_listener(&wide), -EADDRINUSE);
        free(reason);
        assert_int_equal(listener_bind_beside(&wide, &config, &socket_address, &reason),
                         -EADDRINUSE);
        check_reason("another process uses it");
        listener_share(listener, true);
        assert_int_equal(listener_bind_beside(&wide, &config, &socket_address, &reason), 0);
        assert_int_equal(option(wide->fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
        assert_int_equal(listener_listen(wide, &config, &reason), 0);
        listener_share(listener, false);
        assert_int_equal(option(wide->fd, SOL_SOCKET, SO_REUSEPORT), 0);
        assert_int_equal(option(listener->fd, SOL_SOCKET, SO_REUSEPORT), 0);
        check_connects();
        listener = listener_unref(listener);
        check_connects();
        assert_string_equal(wide->text, text);
        listener_unref(wide);
}

static void test_options_of_connections_are_set_on_the_listener(void **state) {
        /* Accepted sockets inherit them; they may be changed later. */
        configure("tcp://127.0.0.1:0");
        config.nodelay = false;
        assert_int_equal(bind_listener(&listener), 0);
        assert_false(option(listener->fd, IPPROTO_TCP, TCP_NODELAY));
        assert_true(option(listener->fd, SOL_SOCKET, SO_KEEPALIVE));
        config.nodelay = true;
        config.keepalive = false;
        assert_int_equal(listener_apply(listener, &config, &reason), 0);
        assert_true(option(listener->fd, IPPROTO_TCP, TCP_NODELAY));
        assert_false(option(listener->fd, SOL_SOCKET, SO_KEEPALIVE));
}

static void test_any_address_leaves_room_for_the_other_family(void **state) {
        /* "*" stands for two sockets with one port. */
        struct address_socket *sockets = NULL;
        struct listener *listeners[4] = {NULL};
        uint16_t port = 0;
        size_t n = 0;

        configure("tcp://*:0");
        assert_int_equal(address_resolve(&config.address, true, &sockets, &n, NULL), 0);
        assert_in_range(n, 1, 4);
        for (size_t i = 0; i < n; i++) {
                int r = listener_bind(&listeners[i], &config, &sockets[i], port, &reason);

                if (r == LISTENER_NO_IPV6)
                        continue;
                assert_int_equal(r, 0);
                port = port ? port : listeners[i]->port;
        }
        for (size_t i = 0; i < n; i++)
                listener_unref(listeners[i]);
        free(sockets);
}

static void test_that_there_is_no_ipv6_is_told_apart(void **state) {
        /* From errors, as others may do without such an address; one of IPv4 is had all the same.
         */
        static const char *const addresses[] = {"tcp://[::1]:0", "tcp://[::]:0",
                                                "tcp://[2001:db8::1]:0"};

        has_no_ipv6 = true;
        for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
                configure(addresses[i]);
                assert_int_equal(bind_listener(&listener), LISTENER_NO_IPV6);
                assert_null(listener);
                check_reason("this machine has no IPv6");
        }
        configure("tcp://127.0.0.1:0");
        assert_int_equal(bind_listener(&listener), 0);
}

static void test_an_address_of_others_is_an_error(void **state) {
        /* Of either family: IPv6 is no excuse where it is not what is missing. */
        int r;

        configure("tcp://192.0.2.1:0");
        assert_int_equal(bind_listener(&listener), -EADDRNOTAVAIL);
        check_reason("tcp://192.0.2.1:0");
        configure("tcp://[2001:db8::1]:0");
        r = bind_listener(&listener);
        if (r == LISTENER_NO_IPV6)
                skip();
        assert_int_equal(r, -EADDRNOTAVAIL);
        check_reason("tcp://[2001:db8::1]:0");
}

/* --- changes -------------------------------------------------------------------------------- */

static void test_the_mode_may_be_changed_later(void **state) {
        /* On the path that is bound. */
        struct stat now;

        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        config.mode = 0666;
        assert_int_equal(listener_apply(listener, &config, &reason), 0);
        assert_int_equal(lstat(path, &now), 0);
        assert_int_equal(now.st_mode & 07777, 0666);
        check_connects();
}

static void test_a_listener_taken_over_keeps_its_path(void **state) {
        /* Under a new name, with the same socket; the old one leaves the path alone, the new one
         * removes it in the end. */
        struct listener *renamed = NULL;

        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        config.name = (char *)"renamed";
        assert_int_equal(listener_take_over(&renamed, &config, listener, &reason), 0);
        assert_string_equal(renamed->name, "renamed");
        assert_string_equal(renamed->text, listener->text);
        listener_inherit(renamed);
        listener = listener_unref(listener);
        assert_true(exists());
        assert_true(listener_is_reachable(renamed));
        check_connects();
        listener_unref(renamed);
        assert_false(exists());
}

static void test_a_plan_that_is_given_up_changes_nothing(void **state) {
        /* Until it inherits, the new listener may go without a trace. */
        struct listener *renamed = NULL;

        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        config.name = (char *)"renamed";
        config.mode = 0666;
        assert_int_equal(listener_take_over(&renamed, &config, listener, &reason), 0);
        listener_unref(renamed);
        assert_true(listener_is_reachable(listener));
        check_connects();
        listener = listener_unref(listener);
        assert_false(exists());
}

/* --- inherited sockets ---------------------------------------------------------------------- */

static int adopt(int fd) {
        free(reason);
        reason = NULL;
        return listener_adopt(&listener, &config, fd, &reason);
}

static void test_an_inherited_unix_socket_is_adopted(void **state) {
        /* Its path is the service manager's: mode and file stay as they are. */
        int fd = bind_path(SOCK_STREAM, true);
        struct stat now;

        configure(path);
        assert_int_equal(chmod(path, 0640), 0);
        assert_int_equal(adopt(fd), 0);
        assert_true(listener->is_activated);
        assert_int_equal(listener->fd, fd);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        config.mode = 0666;
        assert_int_equal(listener_apply(listener, &config, &reason), 0);
        assert_int_equal(lstat(path, &now), 0);
        assert_int_equal(now.st_mode & 07777, 0640);
        check_connects();
        listener = listener_unref(listener);
        assert_false(is_open(fd));
        assert_true(exists());
}

static void test_an_inherited_internet_socket_is_adopted(void **state) {
        /* At whatever port it is. */
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 4), 0);
        configure("tcp://127.0.0.1:4222");
        assert_int_equal(adopt(fd), 0);
        assert_true(listener->port > 0);
        assert_true(option(fd, IPPROTO_TCP, TCP_NODELAY));
        set_port(listener->port);
        check_connects();
}

/* That descriptor is refused with a reason, and closed. */
static void check_refused(int fd, const char *why) {
        assert_true(fd >= 0);
        assert_true(adopt(fd) < 0);
        assert_null(listener);
        check_reason(why);
        assert_false(is_open(fd));
}

static void test_inherited_descriptors_of_wrong_types_are_refused(void **state) {
        /* Each with its reason, and none is left open. */
        int pair[2];

        configure(path);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        check_refused(pair[0], "not a listening stream socket");
        check_refused(pair[1], "not a listening stream socket");
        check_refused(open("/dev/null", O_RDONLY | O_CLOEXEC), "not a listening stream socket");
        check_refused(bind_path(SOCK_DGRAM, false), "not a listening stream socket");
        assert_int_equal(unlink(path), 0);
        check_refused(bind_path(SOCK_SEQPACKET, true), "not a listening stream socket");
        assert_int_equal(unlink(path), 0);
        check_refused(bind_path(SOCK_STREAM, false), "not a listening stream socket");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        check_refused(pair[0], "not a listening stream socket");
        close(pair[1]);
}

static void test_inherited_sockets_of_another_family_are_refused(void **state) {
        /* An address that says Unix does not get an Internet socket, nor the other way round. */
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(listen(fd, 4), 0);
        configure(path);
        check_refused(fd, "another family");
        fd = bind_path(SOCK_STREAM, true);
        configure("tcp://127.0.0.1:0");
        check_refused(fd, "another family");
        assert_true(exists());
}

static void test_a_descriptor_that_is_closed_is_refused(void **state) {
        /* The environment promised more than there was. */
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        close(fd);
        configure(path);
        check_refused(fd, "not usable");
}

static void test_connections_are_counted(void **state) {
        /* Those that are, and all that ever were. */
        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        listener_connected(listener);
        listener_connected(listener);
        listener_disconnected(listener);
        assert_int_equal(atomic_load(&listener->n_connections), 1);
        assert_int_equal(atomic_load(&listener->n_total), 2);
}

static void test_a_reference_keeps_the_socket_open(void **state) {
        /* Connections hold one each; the last one closes. */
        configure(path);
        assert_int_equal(bind_listener(&listener), 0);
        assert_ptr_equal(listener_ref(listener), listener);
        assert_null(listener_unref(listener));
        assert_true(exists());
        check_connects();
        listener = listener_unref(listener);
        assert_false(exists());
        assert_null(listener_unref(NULL));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_path_can_be_connected_to),
                TEST(test_the_mode_is_set_before_anybody_can_connect),
                TEST(test_a_stale_socket_is_replaced),
                TEST(test_a_live_socket_is_refused),
                TEST(test_a_live_socket_with_a_full_backlog_is_refused),
                TEST(test_a_live_socket_of_another_type_is_refused),
                TEST(test_what_is_no_socket_is_left_alone),
                TEST(test_a_missing_directory_is_told),
                TEST(test_a_path_that_cannot_be_given_away_is_removed_again),
                TEST(test_a_successor_keeps_its_path),
                TEST(test_a_path_that_is_gone_already_harms_nobody),
                TEST(test_two_of_our_own_are_kept_apart),
                TEST(test_abstract_names_leave_no_file),
                TEST(test_port_0_is_chosen_by_the_kernel),
                TEST(test_siblings_share_the_port),
                TEST(test_a_port_in_use_is_refused),
                TEST(test_a_listener_follows_another_on_its_port),
                TEST(test_options_of_connections_are_set_on_the_listener),
                TEST(test_any_address_leaves_room_for_the_other_family),
                TEST(test_that_there_is_no_ipv6_is_told_apart),
                TEST(test_an_address_of_others_is_an_error),
                TEST(test_the_mode_may_be_changed_later),
                TEST(test_a_listener_taken_over_keeps_its_path),
                TEST(test_a_plan_that_is_given_up_changes_nothing),
                TEST(test_an_inherited_unix_socket_is_adopted),
                TEST(test_an_inherited_internet_socket_is_adopted),
                TEST(test_inherited_descriptors_of_wrong_types_are_refused),
                TEST(test_inherited_sockets_of_another_family_are_refused),
                TEST(test_a_descriptor_that_is_closed_is_refused),
                TEST(test_connections_are_counted),
                TEST(test_a_reference_keeps_the_socket_open),
        };

        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
