/* clang-format off */
/* Peers that a test needs many of, or that behave badly: they speak bytes, not the protocol.
 *
 *      peer hold ADDRESS N     N clients, then orders on standard input, one a line:
 *                                ping        PING on each, and a PONG from each
 *                                more N      N connections more, which nobody may accept yet
 *                                admitted    the INFO of those, which are clients from then on
 *                                admitted CONNECT ...   the same, who say that
 *                                say TEXT    a line on each, also on those; nothing is read
 *                                drop N      closes N of the clients, the oldest
 *                                closed      says `waiting`, closes each once the server has done so
 *                              each answered by a line; the end of the input ends it
 *      peer talk ADDRESS       sends standard input as it comes, prints what comes up to a PONG or the end
 *      peer silent ADDRESS     sends nothing, prints each line with the milliseconds since connecting
 *      peer insist ADDRESS N   sends up to N bytes more after an error that ends the connection, and says
 *                              whether they were taken or refused
 *      peer deaf ADDRESS SUBJECT
 *                              subscribes, says `deaf`, and never reads again, until the end of input
 *      peer through ADDRESS    sends standard input as it comes, ends its output with it, and prints all
 *                              that comes until the end; says `open` on standard error before
 *      peer take ADDRESS N     the same, up to N bytes; then it leaves
 *      peer stuff ADDRESS      sends and does not read, until it is closed; prints `stuffed N`
 *      peer leave ADDRESS      connects, sends standard input, and ends without reading
 *      peer orphan ADDRESS     connects, and ends; the connection lives on in a child, which says
 *                              `orphaned` when it is alone, until the end of input
 *      peer churn ADDRESS N    opens and closes N connections, each in one of several ways
 *      peer flood ADDRESS N SEED
 *                              N connections of random bytes, one after the other
 *      peer knock ADDRESS N    N connections at the same time, of whom none need be admitted; prints how
 *                              many were told an error before the end, and how many were just closed
 *      peer probe PATH         tries to connect to PATH all the time, until the end of the input, and
 *                              prints each mode and owner that PATH had, and who was let in
 *
 * Whatever takes more than PEER_SECONDS (default 20) ends with status 1. PEER_FROM is the address that
 * they connect from, as in tcp://127.0.0.2:0; by default the system chooses.
 */
/* clang-format on */
#include "tests/support/target.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct address_socket target;
static long long deadline_ms;

static long long now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static long long seconds_allowed(void) {
        const char *seconds = getenv("PEER_SECONDS");

        return seconds ? atoll(seconds) : 20;
}

static void restart_deadline(void) {
        deadline_ms = now_ms() + 1000 * seconds_allowed();
}

static int connect_one(void) {
        int fd = socket(target.family, target.type | SOCK_CLOEXEC, 0);
        const char *from = getenv("PEER_FROM");
        struct address_socket source;

        if (from) {
                (void)target_resolve(from, true, &source);
                if (fd < 0 || bind(fd, &source.socket.any, source.length) < 0)
                        err(1, "peer: cannot bind to %s", from);
        }
        if (fd < 0 || connect(fd, &target.socket.any, target.length) < 0)
                err(1, "peer: cannot connect");
        return fd;
}

/* Waits until fd is readable; later than the deadline is an error. */
static void wait_readable(int fd) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        long long left = deadline_ms - now_ms();

        if (poll(&poller, 1, (int)(left > 0 ? left : 0)) <= 0)
                errx(1, "peer: nothing came in time");
}

/* Reads a line, byte by byte, as nothing behind it may be taken. Returns false at the end. */
static bool read_line(int fd, char *line, size_t size) {
        size_t n = 0;

        for (char byte = '\0'; byte != '\n'; line[n++] = byte) {
                wait_readable(fd);
                if (n + 1 >= size || read(fd, &byte, 1) != 1)
                        return false;
        }
        line[n] = '\0';
        line[strcspn(line, "\r\n")] = '\0';
        return true;
}

/* Reads lines until one begins so. Returns false at the end. */
static bool read_until(int fd, const char *prefix) {
        char line[65536];

        while (read_line(fd, line, sizeof(line)))
                if (strncmp(line, prefix, strlen(prefix)) == 0)
                        return true;
        return false;
}

static void send_text(int fd, const char *text) {
        (void)!write(fd, text, strlen(text));
}

/* --- hold ------------------------------------------------------------------------------------- */

static struct crowd {
        int *fds;
        size_t n, n_clients; /* the others were not admitted as yet */
} crowd;

static const char crowd_connect[] = "CONNECT {\"verbose\":false}";

static void crowd_add(size_t n) {
        crowd.fds = reallocarray(crowd.fds, crowd.n + n + 1, sizeof(*crowd.fds));
        if (!crowd.fds)
                err(1, "peer");
        for (size_t i = 0; i < n; i++)
                crowd.fds[crowd.n++] = connect_one();
}

static void crowd_admit(const char *connect) {
        for (; crowd.n_clients < crowd.n; crowd.n_clients++) {
                if (!read_until(crowd.fds[crowd.n_clients], "INFO "))
                        errx(1, "peer: a connection ended before its INFO");
                send_text(crowd.fds[crowd.n_clients], connect);
                send_text(crowd.fds[crowd.n_clients], "\r\n");
        }
}

static size_t crowd_ping(void) {
        size_t n = 0;

        for (size_t i = 0; i < crowd.n_clients; i++)
                send_text(crowd.fds[i], "PING\r\n");
        for (size_t i = 0; i < crowd.n_clients; i++)
                n += read_until(crowd.fds[i], "PONG");
        return n;
}

static size_t crowd_say(const char *text) {
        for (size_t i = 0; i < crowd.n; i++) {
                send_text(crowd.fds[i], text);
                send_text(crowd.fds[i], "\r\n");
        }
        return crowd.n;
}

static void crowd_drop(size_t n) {
        for (size_t i = 0; i < n; i++)
                close(crowd.fds[i]);
        memmove(crowd.fds, crowd.fds + n, (crowd.n - n) * sizeof(*crowd.fds));
        crowd.n -= n;
        crowd.n_clients -= n;
}

static size_t crowd_await_close(void) {
        char bytes[4096];

        size_t n = crowd.n;

        for (size_t i = 0; i < n; i++) {
                do
                        wait_readable(crowd.fds[i]);
                while (read(crowd.fds[i], bytes, sizeof(bytes)) > 0);
                close(crowd.fds[i]);
        }
        crowd.n = crowd.n_clients = 0;
        return n;
}

static void crowd_obey(const char *order) {
        size_t number = 0;

        restart_deadline();
        if (strcmp(order, "ping") == 0) {
                printf("alive %zu\n", crowd_ping());
        } else if (sscanf(order, "more %zu", &number) == 1) {
                crowd_add(number);
                printf("connected %zu\n", number);
        } else if (strcmp(order, "admitted") == 0 || strncmp(order, "admitted ", 9) == 0) {
                crowd_admit(order[8] ? order + 9 : crowd_connect);
                printf("admitted %zu\n", crowd.n_clients);
        } else if (strncmp(order, "say ", strlen("say ")) == 0) {
                printf("said %zu\n", crowd_say(order + strlen("say ")));
        } else if (sscanf(order, "drop %zu", &number) == 1 && number <= crowd.n_clients) {
                crowd_drop(number);
                printf("dropped %zu\n", number);
        } else if (strcmp(order, "closed") == 0) {
                puts("waiting");
                printf("closed %zu\n", crowd_await_close());
        } else {
                errx(2, "peer: unknown order: %s", order);
        }
}

static int hold(size_t n) {
        char order[128];

        crowd_add(n);
        crowd_admit(crowd_connect);
        printf("held %zu\n", crowd_ping());
        while (fgets(order, sizeof(order), stdin)) {
                order[strcspn(order, "\n")] = '\0';
                crowd_obey(order);
        }
        return 0;
}

/* --- single ones ------------------------------------------------------------------------------ */

static int talk(void) {
        struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                {.fd = connect_one(), .events = POLLIN}};
        char text[65536], line[65536];

        while (poll(ends, 2, 1000 * (int)seconds_allowed()) > 0) {
                ssize_t n = ends[0].revents ? read(STDIN_FILENO, text, sizeof(text)) : 0;

                if (n > 0)
                        (void)!write(ends[1].fd, text, (size_t)n);
                else if (ends[0].revents)
                        ends[0].fd = -1;
                if (!ends[1].revents)
                        continue;
                if (!read_line(ends[1].fd, line, sizeof(line)))
                        break;
                puts(line);
                if (strcmp(line, "PONG") == 0)
                        return 0;
        }
        puts("(closed)");
        return 0;
}

/* Prints what comes, and sends a byte now and then if interval_ms says so. */
static int listen_idly(void) {
        long long begin_ms = now_ms();
        int fd = connect_one();
        char line[65536];

        while (read_line(fd, line, sizeof(line)))
                printf("%lld %s\n", now_ms() - begin_ms, line);
        printf("%lld (closed)\n", now_ms() - begin_ms);
        return 0;
}

/* Goes on sending after an error that ends the connection. */
static int insist(size_t n) {
        static const char start[] = "PUB a 999999999\r\n";
        static char payload[65536];
        int fd = connect_one();

        if (write(fd, start, sizeof(start) - 1) < 0 || !read_until(fd, "-ERR"))
                errx(1, "peer: no error came");
        for (size_t sent = 0; sent < n;) {
                ssize_t r = send(fd, payload, sizeof(payload), MSG_NOSIGNAL);

                if (r < 0) {
                        puts("refused");
                        return 0;
                }
                sent += (size_t)r;
        }
        puts("taken");
        return 0;
}

static int deaf(const char *subject) {
        int fd = connect_one();
        char byte;

        dprintf(fd, "CONNECT {\"verbose\":false}\r\nSUB %s 1\r\nPING\r\n", subject);
        if (!read_until(fd, "PONG"))
                errx(1, "peer: the connection ended");
        puts("deaf");
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        return 0;
}

static void write_all(int fd, const char *bytes, size_t n) {
        while (n > 0) {
                ssize_t r = write(fd, bytes, n);

                if (r < 0)
                        err(1, "peer: cannot write");
                bytes += r;
                n -= (size_t)r;
        }
}

/* Sends what may be sent at once of standard input; ends output with it. */
static void pass_input(struct pollfd ends[2]) {
        static char text[65536];
        static size_t start, end;
        ssize_t n = start == end ? read(STDIN_FILENO, text, sizeof(text)) : 0;

        if (n > 0) {
                start = 0;
                end = (size_t)n;
        } else if (start == end) {
                (void)shutdown(ends[1].fd, SHUT_WR);
                ends[0].fd = -1;
                ends[1].events = POLLIN;
                return;
        }
        n = send(ends[1].fd, text + start, end - start, MSG_DONTWAIT | MSG_NOSIGNAL);
        start += n > 0 ? (size_t)n : 0;
        /* What is left waits for the socket, and so does the input behind it. */
        ends[0].fd = start < end ? -1 : STDIN_FILENO;
        ends[1].events = start < end ? POLLIN | POLLOUT : POLLIN;
}

static int through(size_t n_max) {
        struct pollfd ends[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                {.fd = connect_one(), .events = POLLIN}};
        char bytes[65536];

        fputs("open\n", stderr);
        while (n_max > 0 && poll(ends, 2, 1000 * (int)seconds_allowed()) > 0) {
                if (ends[0].revents || (ends[1].revents & POLLOUT))
                        pass_input(ends);
                if (ends[1].revents & ~POLLOUT) {
                        ssize_t n = read(ends[1].fd, bytes,
                                         n_max < sizeof(bytes) ? n_max : sizeof(bytes));

                        if (n <= 0)
                                return n == 0 ? 0 : 1;
                        write_all(STDOUT_FILENO, bytes, (size_t)n);
                        n_max -= (size_t)n;
                }
        }
        return n_max == 0 ? 0 : 1;
}

static int stuff(void) {
        static char bytes[65536];
        int fd = connect_one();
        ssize_t n;
        size_t sum = 0;

        while ((n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0)
                sum += (size_t)n;
        printf("stuffed %zu\n", sum);
        return 0;
}

static int leave(void) {
        int fd = connect_one();
        char text[65536];
        size_t n = fread(text, 1, sizeof(text), stdin);

        (void)!write(fd, text, n);
        return close(fd) == 0 ? 0 : 1;
}

static int orphan(void) {
        int fd = connect_one(), lives[2];
        pid_t child;
        char byte;

        if (pipe2(lives, O_CLOEXEC) < 0 || (child = fork()) < 0)
                err(1, "peer");
        if (child > 0)
                return 0; /* and so the end that the child reads from comes to its end */
        (void)close(lives[1]);
        while (read(lives[0], &byte, 1) > 0)
                ;
        puts("orphaned");
        while (read(STDIN_FILENO, &byte, 1) > 0)
                ;
        return close(fd) == 0 ? 0 : 1;
}

/* --- many ------------------------------------------------------------------------------------- */

static int churn(size_t n) {
        static const char *const beginnings[] = {
                "", "", "CONNECT {}\r\nSUB a 1\r\n", "CONN", "SUB a.* q 1\r\nPUB a 5\r\nhel",
        };

        for (size_t i = 0; i < n; i++) {
                struct linger reset = {.l_onoff = 1};
                int fd = connect_one();

                send_text(fd, beginnings[i % 5]);
                if (i % 3 == 0 && !read_until(fd, "INFO "))
                        errx(1, "peer: connection %zu ended before its INFO", i);
                if (i % 7 == 0 && target.family != AF_UNIX)
                        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
                close(fd);
                restart_deadline();
        }
        printf("churned %zu\n", n);
        return 0;
}

/* Half of it random, half of it what looks like operations. */
static size_t make_garbage(char *bytes, size_t size) {
        static const char *const pieces[] = {
                "PUB ",
                "SUB ",
                "\r\n",
                " ",
                "99999999999999999999",
                "CONNECT {",
                "HPUB a 1 0\r\n",
                "-ERR 'x'\r\n",
                "PING\r\n",
                "UNSUB 1",
                "\n",
                "MSG a 1 1\r\nx\r\n",
                "A0 LS\r\n",
                "\xff",
        };
        size_t n = (size_t)rand() % size, at = 0;

        while (at < n) {
                const char *piece = pieces[(size_t)rand() % (sizeof(pieces) / sizeof(*pieces))];
                size_t length = strlen(piece);

                if (rand() % 2 == 0 && at + length < n) {
                        memcpy(bytes + at, piece, length);
                        at += length;
                } else {
                        bytes[at++] = (char)rand();
                }
        }
        return n;
}

static int flood(size_t n, unsigned seed) {
        static char bytes[65536];

        srand(seed);
        for (size_t i = 0; i < n; i++) {
                size_t length = make_garbage(bytes, sizeof(bytes)), sent = 0;
                int fd = connect_one();

                while (sent < length) {
                        ssize_t done = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);

                        if (done < 0)
                                break;
                        sent += (size_t)done;
                }
                /* What was not an error may be waiting for more. */
                (void)shutdown(fd, SHUT_WR);
                do
                        wait_readable(fd);
                while (read(fd, bytes, sizeof(bytes)) > 0);
                close(fd);
                restart_deadline();
        }
        printf("flooded %zu\n", n);
        return 0;
}

static int knock(size_t n) {
        size_t n_told = 0;

        crowd_add(n);
        for (size_t i = 0; i < n; i++) {
                n_told += read_until(crowd.fds[i], "-ERR");
                while (read_until(crowd.fds[i], "-ERR"))
                        ;
                close(crowd.fds[i]);
        }
        printf("told %zu, closed %zu\n", n_told, n - n_told);
        return 0;
}

/* --- probe ------------------------------------------------------------------------------------ */

static int probe(const char *path) {
        struct stat now, before = {.st_mode = 0};
        bool was_there = false, was_admitted = false;
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

        puts("probing");
        for (size_t i = 0; i % 64 != 0 || poll(&input, 1, 0) == 0; i++) {
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

                if (connect(fd, &target.socket.any, target.length) == 0 && !was_admitted) {
                        puts("admitted");
                        was_admitted = true;
                }
                close(fd);
                if (lstat(path, &now) < 0)
                        continue;
                if (!was_there || now.st_mode != before.st_mode || now.st_uid != before.st_uid ||
                    now.st_gid != before.st_gid)
                        printf("mode %04o owner %ld group %ld\n", (unsigned)now.st_mode & 07777,
                               (long)now.st_uid, (long)now.st_gid);
                before = now;
                was_there = true;
        }
        return 0;
}

static void raise_limit(void) {
        struct rlimit limit;

        (void)getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv) {
        const char *what = argc > 2 ? argv[1] : "";
        size_t number = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        raise_limit();
        restart_deadline();
        if (argc > 2)
                (void)target_resolve(argv[2], false, &target);
        if (strcmp(what, "hold") == 0)
                return hold(number);
        if (strcmp(what, "talk") == 0)
                return talk();
        if (strcmp(what, "silent") == 0)
                return listen_idly();
        if (strcmp(what, "insist") == 0)
                return insist(number);
        if (strcmp(what, "deaf") == 0 && argc > 3)
                return deaf(argv[3]);
        if (strcmp(what, "through") == 0)
                return through(SIZE_MAX);
        if (strcmp(what, "take") == 0)
                return through(number);
        if (strcmp(what, "stuff") == 0)
                return stuff();
        if (strcmp(what, "leave") == 0)
                return leave();
        if (strcmp(what, "orphan") == 0)
                return orphan();
        if (strcmp(what, "churn") == 0)
                return churn(number);
        if (strcmp(what, "flood") == 0 && argc > 4)
                return flood(number, (unsigned)strtoul(argv[4], NULL, 10));
        if (strcmp(what, "knock") == 0)
                return knock(number);
        if (strcmp(what, "probe") == 0)
                return probe(argv[2]);
        errx(2, "usage: peer "
                "hold|talk|through|take|stuff|silent|insist|deaf|leave|orphan|churn|flood|knock|"
                "probe ADDRESS [...]");
}
