/* A load on relays of streams, and the target behind them.
 *
 *      stream target PORT
 *              listens on 127.0.0.1; prints the port, which may be given as 0
 *      stream bulk PORT MIB
 *              MiB a second of one stream to the target
 *      stream turns PORT N
 *              questions and answers of 64 bytes a second, one at a time
 *      stream connect PORT N AT_ONCE
 *              connections a second, with a byte there and one back
 *
 * The target reads to the end, and answers each piece that it has read with as many bytes if it is
 * short; it ends a connection when its peer has. A load prints `rate=` and a number.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE      (256 * 1024)
#define SHORT      1024
#define EVENTS_MAX 256

static char piece[PIECE];

static double now_s(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct sockaddr_in address_of(const char *port) {
        return (struct sockaddr_in){.sin_family = AF_INET,
                                    .sin_port = htons((uint16_t)atoi(port)),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void watch(int epoll, int fd) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                err(1, "stream: epoll_ctl");
}

/* --- the target ---------------------------------------------------------------------------------
 */

static void accept_all(int epoll, int listener) {
        int fd;

        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                watch(epoll, fd);
}

static void serve(int fd) {
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        if (n < 0 && errno == EAGAIN)
                return;
        if (n > 0 && n <= SHORT)
                (void)send(fd, piece, (size_t)n, MSG_NOSIGNAL);
        if (n <= 0)
                (void)close(fd);
}

static void run_target(const char *port) {
        struct sockaddr_in in = address_of(port);
        socklen_t length = sizeof(in);
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
        int epoll = epoll_create1(EPOLL_CLOEXEC);

        (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(listener, 4096) < 0 ||
            getsockname(listener, (struct sockaddr *)&in, &length) < 0)
                err(1, "stream: cannot listen");
        printf("%u\n", ntohs(in.sin_port));
        (void)fflush(stdout);
        watch(epoll, listener);
        for (;;) {
                struct epoll_event events[EVENTS_MAX];
                int n = epoll_wait(epoll, events, EVENTS_MAX, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == listener)
                                accept_all(epoll, listener);
                        else
                                serve(events[i].data.fd);
                }
        }
}

/* --- loads --------------------------------------------------------------------------------------
 */

static int connect_one(const char *port, int flags) {
        struct sockaddr_in in = address_of(port);
        int fd = socket(AF_INET, SOCK_STREAM | flags, 0), on = 1;

        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (fd < 0 || (connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 && errno != EINPROGRESS))
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

static void run_bulk(const char *port, double mebibytes) {
        int fd = connect_one(port, 0);
        double begin = now_s();

        send_all(fd, (size_t)(mebibytes * 1048576));
        (void)shutdown(fd, SHUT_WR);
        while (recv(fd, piece, sizeof(piece), 0) > 0)
                ;
        printf("rate=%.0f\n", mebibytes / (now_s() - begin));
}

static void run_turns(const char *port, long n) {
        int fd = connect_one(port, 0);
        double begin = now_s();

        for (long i = 0; i < n; i++) {
                send_all(fd, 64);
                receive_all(fd, 64);
        }
        printf("rate=%.0f\n", (double)n / (now_s() - begin));
}

/* Begins a connection, which has sent its byte when it is there. */
static void begin_connection(int epoll, const char *port) {
        int fd = connect_one(port, 0);

        send_all(fd, 1);
        watch(epoll, fd);
}

static void run_connect(const char *port, long n, long n_at_once) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);
        double begin = now_s();
        long n_begun = 0, n_ended = 0;

        for (; n_begun < n_at_once; n_begun++)
                begin_connection(epoll, port);
        while (n_ended < n) {
                struct epoll_event events[EVENTS_MAX];
                int n_events = epoll_wait(epoll, events, EVENTS_MAX, -1);

                for (int i = 0; i < n_events; i++) {
                        receive_all(events[i].data.fd, 1);
                        (void)close(events[i].data.fd);
                        n_ended++;
                        if (n_begun < n) {
                                begin_connection(epoll, port);
                                n_begun++;
                        }
                }
        }
        printf("rate=%.0f\n", (double)n / (now_s() - begin));
}

int main(int argc, char **argv) {
        const char *what = argc > 2 ? argv[1] : "";

        if (strcmp(what, "target") == 0)
                run_target(argv[2]);
        else if (strcmp(what, "bulk") == 0 && argc > 3)
                run_bulk(argv[2], atof(argv[3]));
        else if (strcmp(what, "turns") == 0 && argc > 3)
                run_turns(argv[2], atol(argv[3]));
        else if (strcmp(what, "connect") == 0 && argc > 4)
                run_connect(argv[2], atol(argv[3]), atol(argv[4]));
        else
                errx(2, "usage: stream target PORT | bulk PORT MIB | turns PORT N | "
                        "connect PORT N AT_ONCE");
        return 0;
}
