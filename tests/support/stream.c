/* Both ends of streams that sockd forwards. Bytes are numbered ones, so that each end knows what
 * has to come, and "N HASH" says how many came and which.
 *
 *      stream serve ADDRESS HOW
 *              accepts, each connection in a process of its own; says `serving` and the address,
 *              and then what became of each: `ended N HASH` or `broken`
 *           echo       sends back what comes, and ends when the peer has
 *           sum        reads to the end, answers with a line: N HASH, and who the peer is
 *           tell       reads to the end, says `told TEXT`, with \xNN for what is not printable
 *           greet      says hello, ends its output, and reads to the end
 *           pour=N     sends N bytes, ends, and waits for the peer's end
 *           reset      resets the connection when something has come
 *           quit       waits for something and does not read it, sends until nothing is taken any
 *                      more, closes: says `ended N HASH` of what it has sent
 *           deaf       never reads
 *      stream send ADDRESS N
 *              sends N bytes and ends, reads to the end: says `sent N HASH`, `got N HASH`, and, if
 *              it is one, the line that it got; or `broken`
 *      stream receive ADDRESS N
 *              the same; says `waiting`, and reads once a line comes on standard input
 *      stream abort ADDRESS
 *              sends a byte, waits for one, resets the connection
 *      stream stall ADDRESS
 *              sends until nothing is taken any more, says `stalled`, and resets the connection
 *              when a line comes on standard input
 *      stream watch ADDRESS
 *              sends a byte, waits for one, says `there`, then `ended` or `broken` when the
 *              connection is
 *      stream hang ADDRESS N
 *              N connections that say nothing: says `hanging N`, and keeps them until the end of
 *              standard input
 *      stream hold ADDRESS N
 *              N connections, a byte there and back on each: says `held N`; again for each line
 *              of standard input: `turned N`, of which that was so
 *
 * A client that takes more than STREAM_SECONDS (default 60) is killed.
 */
#include "tests/support/target.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECE 65536

static struct address_socket target;
static enum address_scheme scheme;

/* How many bytes there were, and which. */
struct sum {
        uint64_t n, hash;
};

static void sum_add(struct sum *sum, const char *bytes, size_t length) {
        for (size_t i = 0; i < length; i++)
                sum->hash = (sum->hash ^ (unsigned char)bytes[i]) * 0x100000001b3;
        sum->n += length;
}

static void say_sum(const char *word, const struct sum *sum) {
        printf("%s %llu %016llx\n", word, (unsigned long long)sum->n,
               (unsigned long long)sum->hash);
        (void)fflush(stdout);
}

static void say(const char *line) {
        printf("%s\n", line);
        (void)fflush(stdout);
}

/* The bytes of a stream from the position on. */
static void write_bytes(char *bytes, size_t length, uint64_t position) {
        for (size_t i = 0; i < length; i++, position++)
                bytes[i] = (char)((position * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

static int connect_one(void) {
        int fd = socket(target.family, target.type | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, &target.socket.any, target.length) < 0)
                err(1, "stream: cannot connect");
        return fd;
}

static void reset(int fd) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};

        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        (void)close(fd);
}

/* --- traffic -----------------------------------------------------------------------------------
 */

struct traffic {
        int fd;
        uint64_t n_to_send;
        bool is_paused; /* does not read */
        bool is_ended;
        struct sum sent, got;
        char line[256]; /* the beginning of what came */
};

static bool send_some(struct traffic *traffic) {
        uint64_t left = traffic->n_to_send - traffic->sent.n;
        char bytes[PIECE];
        size_t length = left < PIECE ? (size_t)left : PIECE;
        ssize_t n;

        write_bytes(bytes, length, traffic->sent.n);
        n = send(traffic->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                return errno == EAGAIN;
        sum_add(&traffic->sent, bytes, (size_t)n);
        if (traffic->sent.n == traffic->n_to_send)
                (void)shutdown(traffic->fd, SHUT_WR);
        return true;
}

static bool receive_some(struct traffic *traffic) {
        char bytes[PIECE];
        ssize_t n = recv(traffic->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN;
        if (traffic->got.n < sizeof(traffic->line) - 1) {
                size_t room = sizeof(traffic->line) - 1 - (size_t)traffic->got.n;

                memcpy(traffic->line + traffic->got.n, bytes, (size_t)n < room ? (size_t)n : room);
        }
        sum_add(&traffic->got, bytes, (size_t)n);
        traffic->is_ended = n == 0;
        return true;
}

static bool take_order(struct traffic *traffic) {
        char order;

        traffic->is_paused = false;
        return read(STDIN_FILENO, &order, 1) >= 0;
}

/* Sends all, and reads to the end. Returns whether both went well. */
static bool exchange(struct traffic *traffic) {
        bool is_good = true;

        if (traffic->n_to_send == 0)
                (void)shutdown(traffic->fd, SHUT_WR);
        while (is_good && (!traffic->is_ended || traffic->sent.n < traffic->n_to_send)) {
                bool sends = traffic->sent.n < traffic->n_to_send;
                bool reads = !traffic->is_paused && !traffic->is_ended;
                struct pollfd polls[] = {
                        {.fd = traffic->fd,
                         .events = (short)((sends ? POLLOUT : 0) | (reads ? POLLIN : 0))},
                        {.fd = traffic->is_paused ? STDIN_FILENO : -1, .events = POLLIN},
                };

                if (polls[0].events == 0)
                        polls[0].fd = -1;
                if (poll(polls, 2, -1) < 0)
                        err(1, "stream: poll");
                if (polls[1].revents)
                        is_good = take_order(traffic);
                if (is_good && sends && (polls[0].revents & (POLLOUT | POLLERR | POLLHUP)))
                        is_good = send_some(traffic);
                if (is_good && reads && (polls[0].revents & (POLLIN | POLLERR | POLLHUP)))
                        is_good = receive_some(traffic);
        }
        return is_good;
}

/* --- the server --------------------------------------------------------------------------------
 */

static bool serve_echo(struct traffic *traffic) {
        char bytes[PIECE];
        ssize_t n;

        while ((n = recv(traffic->fd, bytes, sizeof(bytes), 0)) > 0) {
                sum_add(&traffic->got, bytes, (size_t)n);
                for (ssize_t i = 0, k; i < n; i += k) {
                        k = send(traffic->fd, bytes + i, (size_t)(n - i), MSG_NOSIGNAL);
                        if (k < 0)
                                return false;
                }
        }
        return n == 0;
}

static bool read_to_end(struct traffic *traffic) {
        char bytes[PIECE];
        ssize_t n;

        while ((n = recv(traffic->fd, bytes, sizeof(bytes), 0)) > 0)
                sum_add(&traffic->got, bytes, (size_t)n);
        return n == 0;
}

static bool serve_sum(struct traffic *traffic) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof(peer);
        char text[ADDRESS_TEXT_MAX];

        if (!read_to_end(traffic) ||
            getpeername(traffic->fd, (struct sockaddr *)&peer, &length) < 0)
                return false;
        dprintf(traffic->fd, "%llu %016llx %s\n", (unsigned long long)traffic->got.n,
                (unsigned long long)traffic->got.hash,
                address_format_socket(scheme, (struct sockaddr *)&peer, length, text));
        return true;
}

static bool serve_tell(struct traffic *traffic) {
        unsigned char bytes[1024];
        size_t length = 0;
        ssize_t n;

        while (length < sizeof(bytes) &&
               (n = recv(traffic->fd, bytes + length, sizeof(bytes) - length, 0)) > 0)
                length += (size_t)n;
        printf("told ");
        for (size_t i = 0; i < length; i++)
                printf(bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "\\x%02x", bytes[i]);
        printf("\n");
        return true;
}

/* Nothing is taken any more when that has been so for a while. */
static bool is_taken(int fd) {
        struct pollfd poller = {.fd = fd, .events = POLLOUT};

        return poll(&poller, 1, 500) == 1;
}

static bool serve_quit(struct traffic *traffic) {
        struct pollfd poller = {.fd = traffic->fd, .events = POLLIN};

        traffic->n_to_send = UINT64_MAX;
        if (poll(&poller, 1, -1) != 1)
                return false;
        while (is_taken(traffic->fd))
                if (!send_some(traffic))
                        return false;
        (void)close(traffic->fd);
        traffic->got = traffic->sent;
        return true;
}

static bool serve(struct traffic *traffic, const char *how) {
        char byte;

        if (strcmp(how, "echo") == 0)
                return serve_echo(traffic);
        if (strcmp(how, "sum") == 0)
                return serve_sum(traffic);
        if (strncmp(how, "pour=", 5) == 0) {
                traffic->n_to_send = strtoull(how + 5, NULL, 10);
                return exchange(traffic);
        }
        if (strcmp(how, "tell") == 0)
                return serve_tell(traffic);
        if (strcmp(how, "greet") == 0) {
                dprintf(traffic->fd, "hello\n");
                (void)shutdown(traffic->fd, SHUT_WR);
                return read_to_end(traffic);
        }
        if (strcmp(how, "quit") == 0)
                return serve_quit(traffic);
        if (strcmp(how, "reset") == 0) {
                (void)recv(traffic->fd, &byte, 1, 0);
                reset(traffic->fd);
                return true;
        }
        for (;;)
                (void)pause();
}

static void serve_one(int fd, const char *how) {
        struct traffic traffic = {.fd = fd};

        if (serve(&traffic, how))
                say_sum("ended", &traffic.got);
        else
                say("broken");
        exit(0);
}

static void run_server(const char *how) {
        int listener = socket(target.family, target.type | SOCK_CLOEXEC, 0);
        struct sockaddr_storage name;
        socklen_t length = sizeof(name);
        char text[ADDRESS_TEXT_MAX];

        if (listener < 0 || bind(listener, &target.socket.any, target.length) < 0 ||
            listen(listener, 1024) < 0 ||
            getsockname(listener, (struct sockaddr *)&name, &length) < 0)
                err(1, "stream: cannot listen");
        (void)signal(SIGCHLD, SIG_IGN);
        printf("serving %s\n",
               address_format_socket(scheme, (struct sockaddr *)&name, length, text));
        (void)fflush(stdout);
        for (;;) {
                int fd = accept(listener, NULL, NULL);
                pid_t server = getpid();

                if (fd < 0)
                        err(1, "stream: accept");
                if (fork() == 0) {
                        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                        if (getppid() != server)
                                exit(1);
                        (void)close(listener);
                        serve_one(fd, how);
                }
                (void)close(fd);
        }
}

/* --- clients -----------------------------------------------------------------------------------
 */

static void run_exchange(uint64_t n, bool is_paused) {
        struct traffic traffic = {.fd = connect_one(), .n_to_send = n, .is_paused = is_paused};

        if (is_paused)
                say("waiting");
        if (!exchange(&traffic)) {
                say("broken");
                exit(1);
        }
        say_sum("sent", &traffic.sent);
        say_sum("got", &traffic.got);
        if (traffic.got.n < sizeof(traffic.line) && strchr(traffic.line, '\n'))
                printf("%s", traffic.line);
}

/* A byte there, and one back. */
static bool turn(int fd) {
        char byte = 'x';

        return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1;
}

static int connect_and_turn(void) {
        int fd = connect_one();

        if (!turn(fd))
                errx(1, "stream: no byte came back");
        return fd;
}

static void run_stall(void) {
        int fd = connect_one();
        char bytes[PIECE] = "", order;

        while (is_taken(fd))
                if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
                    errno != EAGAIN)
                        err(1, "stream: send");
        say("stalled");
        (void)!read(STDIN_FILENO, &order, 1);
        reset(fd);
}

static void run_watch(void) {
        int fd = connect_and_turn();
        char byte;

        say("there");
        say(recv(fd, &byte, 1, 0) == 0 ? "ended" : "broken");
}

static unsigned long turn_all(const int *fds, unsigned long n) {
        unsigned long n_good = 0;

        for (unsigned long i = 0; i < n; i++)
                n_good += send(fds[i], "x", 1, MSG_NOSIGNAL) == 1;
        n_good = 0;
        for (unsigned long i = 0; i < n; i++) {
                char byte;

                n_good += recv(fds[i], &byte, 1, 0) == 1;
        }
        return n_good;
}

static void run_hang(unsigned long n) {
        char byte;

        for (unsigned long i = 0; i < n; i++)
                (void)connect_one();
        printf("hanging %lu\n", n);
        (void)fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
}

static void run_hold(unsigned long n) {
        int *fds = calloc(n, sizeof(*fds));
        char line[64];

        for (unsigned long i = 0; fds && i < n; i++)
                fds[i] = connect_one();
        if (!fds || turn_all(fds, n) != n)
                errx(1, "stream: no byte came back");
        printf("held %lu\n", n);
        (void)fflush(stdout);
        while (fgets(line, sizeof(line), stdin)) {
                printf("turned %lu\n", turn_all(fds, n));
                (void)fflush(stdout);
        }
}

int main(int argc, char **argv) {
        const char *what = argc > 2 ? argv[1] : "", *seconds = getenv("STREAM_SECONDS");
        uint64_t n = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
        if (argc < 3)
                errx(2, "usage: stream WHAT ADDRESS [HOW | N]");
        scheme = target_resolve(argv[2], strcmp(what, "serve") == 0, &target);
        if (strcmp(what, "serve") != 0)
                (void)alarm(seconds ? (unsigned)atoi(seconds) : 60);
        if (strcmp(what, "serve") == 0 && argc > 3)
                run_server(argv[3]);
        else if (strcmp(what, "send") == 0)
                run_exchange(n, false);
        else if (strcmp(what, "receive") == 0)
                run_exchange(n, true);
        else if (strcmp(what, "abort") == 0)
                reset(connect_and_turn());
        else if (strcmp(what, "stall") == 0)
                run_stall();
        else if (strcmp(what, "watch") == 0)
                run_watch();
        else if (strcmp(what, "hang") == 0)
                run_hang((unsigned long)n);
        else if (strcmp(what, "hold") == 0)
                run_hold((unsigned long)n);
        else
                errx(2, "stream: what is %s?", what);
        return 0;
}
