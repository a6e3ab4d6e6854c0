/* A load on servers of streams, and the bare servers that are their limits or stand behind them. A
 * SOCKET is a port of 127.0.0.1 or the path of a Unix socket.
 *
 *      stream target PORT
 *              reads to the end, and answers each piece that it has read with as many bytes if it
 * is short; prints its port, which may be given as 0 stream echo SOCKET answers with all that it
 * reads; the same stream bulk SOCKET MIB MiB a second of one stream to the target stream turns
 * SOCKET N AT_ONCE questions and answers of 64 bytes a second, on so many connections one at a time
 *      stream both SOCKET MIB
 *              MiB a second of one stream to an echo and back
 *      stream connect SOCKET N AT_ONCE
 *              connections a second, with a byte there and one back
 *      stream lines SOCKET N
 *              lines of 32 bytes a second, until the server has read the last one
 *
 * A server ends a connection when its peer has. A load prints `rate=` and a number.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PIECE      (256 * 1024)
#define SHORT      1024
#define EVENTS_MAX 256
#define TURN       64
#define LINE       32

static char piece[PIECE];

static double now_s(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct socket_address {
        union {
                struct sockaddr any;
                struct sockaddr_in in;
                struct sockaddr_un un;
        };
        socklen_t length;
};

static struct socket_address address_of(const char *text) {
        struct socket_address address = {.length = 0};

        if (text[0] == '/') {
                address.un.sun_family = AF_UNIX;
                if (strlen(text) >= sizeof(address.un.sun_path))
                        errx(2, "stream: %s is too long", text);
                memcpy(address.un.sun_path, text, strlen(text) + 1);
                address.length = sizeof(address.un);
        } else {
                address.in.sin_family = AF_INET;
                address.in.sin_port = htons((uint16_t)atoi(text));
                address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                address.length = sizeof(address.in);
        }
        return address;
}

static void watch(int epoll, int fd) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                err(1, "stream: epoll_ctl");
}

/* --- servers ------------------------------------------------------------------------------- */

static void accept_all(int epoll, int listener) {
        int fd;

        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                watch(epoll, fd);
}

/* Sends all. A peer that does not read keeps the others waiting; the loads read. */
static bool answer(int fd, size_t length) {
        for (size_t n_sent = 0; n_sent < length;) {
                ssize_t n = send(fd, piece + n_sent, length - n_sent, MSG_NOSIGNAL);

                if (n < 0 && errno == EAGAIN)
                        (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
                else if (n < 0)
                        return false;
                else
                        n_sent += (size_t)n;
        }
        return true;
}

/* answer_max: longer pieces are not answered. */
static void serve(int fd, ssize_t answer_max) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n <= 0 || (n <= answer_max && !answer(fd, (size_t)n)))
                (void)close(fd);
}

static int listen_on(const char *where) {
        struct socket_address address = address_of(where);
        int listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

        (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(listener, &address.any, address.length) < 0 || listen(listener, 4096) < 0 ||
            getsockname(listener, &address.any, &address.length) < 0)
                err(1, "stream: cannot listen");
        if (address.any.sa_family == AF_INET)
                printf("%u\n", ntohs(address.in.sin_port));
        (void)fflush(stdout);
        return listener;
}

static void run_server(const char *where, ssize_t answer_max) {
        int listener = listen_on(where), epoll = epoll_create1(EPOLL_CLOEXEC);

        watch(epoll, listener);
        for (;;) {
                struct epoll_event events[EVENTS_MAX];
                int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == listener)
                                accept_all(epoll, listener);
                        else
                                serve(events[i].data.fd, answer_max);
                }
        }
}

/* --- loads --------------------------------------------------------------------------------------
 */

static int connect_one(const char *where) {
        struct socket_address address = address_of(where);
        int fd = socket(address.any.sa_family, SOCK_STREAM, 0), on = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (fd < 0 || connect(fd, &address.any, address.length) < 0)
                err(1, "stream: cannot connect");
        return fd;
}

static void send_all(int fd, size_t length) {
        while (length > 0) {
                ssize_t n = send(fd, piece, length < PIECE ? length : PIECE, MSG_NOSIGNAL);

                if (n < 0)
                        err(1, "stream: send");
                length -= (size_t)n;
        }
}

static void receive_all(int fd, size_t length) {
        while (length > 0) {
                ssize_t n = recv(fd, piece, length, 0);

                if (n <= 0)
                        errx(1, "stream: the answer is too short");
                length -= (size_t)n;
        }
}

static void run_bulk(const char *where, double mebibytes) {
        int fd = connect_one(where);
        double begin = now_s();

        send_all(fd, (size_t)(mebibytes * 1048576));
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, piece, sizeof(piece), 0) > 0)
                ;
        printf("rate=%.0f\n", mebibytes / (now_s() - begin));
}

/* Each connection asks again as soon as it has its answer. */
static void run_turns(const char *where, long n, long n_at_once) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        double begin = now_s();
        long n_asked = 0, n_answered = 0;

        for (; n_asked < n_at_once; n_asked++) {
                int fd = connect_one(where);

                watch(epoll, fd);
                send_all(fd, TURN);
        }
        while (n_answered < n) {
                struct epoll_event events[EVENTS_MAX];
                int n_events = epoll_wait(epoll, events, EVENTS_MAX, -1);

                for (int i = 0; i < n_events; i++) {
                        receive_all(events[i].data.fd, TURN);
                        n_answered++;
                        if (n_asked++ < n)
                                send_all(events[i].data.fd, TURN);
                }
        }
        printf("rate=%.0f\n", (double)n / (now_s() - begin));
}

static void run_both(const char *where, double mebibytes) {
        size_t to_send = (size_t)(mebibytes * 1048576), to_receive = to_send;
        int fd = connect_one(where);
        double begin = now_s();

        while (to_receive > 0) {
                struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
                ssize_t n;

                if (to_send > 0)
                        poll_fd.events |= POLLOUT;
                (void)poll(&poll_fd, 1, -1);
                n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
                if (n == 0 || (n < 0 && errno != EAGAIN))
                        errx(1, "stream: the echo ended");
                to_receive -= n > 0 ? (size_t)n : 0;
                n = to_send > 0 ? send(fd, piece, to_send < PIECE ? to_send : PIECE,
                                       MSG_NOSIGNAL | MSG_DONTWAIT)
                                : 0;
                if (n < 0 && errno != EAGAIN)
                        err(1, "stream: send");
                to_send -= n > 0 ? (size_t)n : 0;
        }
        printf("rate=%.0f\n", mebibytes / (now_s() - begin));
}

static void run_lines(const char *where, long n) {
        const size_t n_in_piece = PIECE / LINE;
        int fd = connect_one(where);
        double begin = now_s();

        for (size_t i = 0; i < n_in_piece; i++) {
                memset(piece + i * LINE, 'x', LINE);
                piece[i * LINE + LINE - 1] = '\n';
        }
        for (long left = n; left > 0; left -= (long)n_in_piece)
                send_all(fd, (size_t)left < n_in_piece ? (size_t)left * LINE : PIECE);
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, piece, sizeof(piece), 0) > 0)
                ;
        printf("rate=%.0f\n", (double)n / (now_s() - begin));
}

/* Begins a connection, which has sent its byte when it is there. */
static void begin_connection(int epoll, const char *where) {
        int fd = connect_one(where);

        send_all(fd, 1);
        watch(epoll, fd);
}

static void run_connect(const char *where, long n, long n_at_once) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        double begin = now_s();
        long n_begun = 0, n_ended = 0;

        for (; n_begun < n_at_once; n_begun++)
                begin_connection(epoll, where);
        while (n_ended < n) {
                struct epoll_event events[EVENTS_MAX];
                int n_events = epoll_wait(epoll, events, EVENTS_MAX, -1);

                for (int i = 0; i < n_events; i++) {
                        receive_all(events[i].data.fd, 1);
                        (void)close(events[i].data.fd);
                        n_ended++;
                        if (n_begun < n) {
                                begin_connection(epoll, where);
                                n_begun++;
                        }
                }
        }
        printf("rate=%.0f\n", (double)n / (now_s() - begin));
}

int main(int argc, char **argv) {
        const char *what = argc > 2 ? argv[1] : "";

        if (strcmp(what, "target") == 0)
                run_server(argv[2], SHORT);
        else if (strcmp(what, "echo") == 0)
                run_server(argv[2], PIECE);
        else if (strcmp(what, "bulk") == 0 && argc > 3)
                run_bulk(argv[2], atof(argv[3]));
        else if (strcmp(what, "turns") == 0 && argc > 4)
                run_turns(argv[2], atol(argv[3]), atol(argv[4]));
        else if (strcmp(what, "both") == 0 && argc > 3)
                run_both(argv[2], atof(argv[3]));
        else if (strcmp(what, "connect") == 0 && argc > 4)
                run_connect(argv[2], atol(argv[3]), atol(argv[4]));
        else if (strcmp(what, "lines") == 0 && argc > 3)
                run_lines(argv[2], atol(argv[3]));
        else
                errx(2, "usage: stream target PORT | echo SOCKET | bulk SOCKET MIB | "
                        "turns SOCKET N AT_ONCE | both SOCKET MIB | connect SOCKET N AT_ONCE | "
                        "lines SOCKET N");
        return 0;
}
