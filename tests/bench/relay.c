/* A bare relay: the least that a message server could do, as the limit to measure against.
 *
 * One thread, one epoll. It greets as a NATS server does, so that the same load generator speaks to
 * it; then it copies what publishers send to all subscribers, without looking at it: one read, one
 * write for each subscriber. Only a reply, "PUB _INBOX.00000012 …", goes to the one connection of
 * that number, which INFO had told it. It never leaves a partial write behind (it waits), frees
 * nothing while it runs, and trusts its peers: it is no server.
 *
 * usage: relay tcp PORT | relay unix PATH
 *
 * Prints its port or path when it listens.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_PEERS 65536
#define READ_SIZE (128 * 1024)
#define REPLY     "PUB _INBOX."

struct peer {
        bool is_ready; /* the PING of its beginning was answered */
        size_t n_held; /* bytes of an incomplete reply */
        char *held;
};

static struct peer peers[MAX_PEERS]; /* by descriptor */
static int subscribers[MAX_PEERS];
static size_t n_subscribers;
static char buffer[READ_SIZE];

static int listen_tcp(const char *port) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(port)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &length) < 0)
                err(1, "relay: port %s", port);
        printf("%u\n", (unsigned)ntohs(address.sin_port));
        return fd;
}

static int listen_unix(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                errx(1, "relay: the path is too long");
        strcpy(address.sun_path, path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, 4096) < 0)
                err(1, "relay: %s", path);
        printf("%s\n", path);
        return fd;
}

/* Writes all of it, and waits for a peer that does not keep up. */
static void send_all(int fd, const char *data, size_t length) {
        while (length > 0) {
                ssize_t n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EAGAIN) {
                        (void)poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
                        continue;
                }
                if (n < 0)
                        return; /* its end is noticed when it is read */
                data += n;
                length -= (size_t)n;
        }
}

static void greet(int epoll, int listener) {
        char info[256];
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

        if (fd < 0 || fd >= MAX_PEERS) {
                (void)close(fd);
                return;
        }
        peers[fd] = (struct peer){.is_ready = false};
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                        &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        send_all(
                fd, info,
                (size_t)snprintf(info, sizeof(info),
                                 "INFO {\"server_id\":\"RELAY\",\"version\":\"2.10.22\",\"headers\""
                                 ":true,\"max_payload\":1048576,\"client_id\":%d}\r\n",
                                 fd));
}

static void drop(int fd) {
        for (size_t i = 0; i < n_subscribers; i++)
                if (subscribers[i] == fd)
                        subscribers[i--] = subscribers[--n_subscribers];
        free(peers[fd].held);
        peers[fd].held = NULL;
        (void)close(fd);
}

/* The beginning of a connection: CONNECT, SUB if it is a subscriber, PING. */
static void begin(int fd, const char *data, size_t length) {
        if (memmem(data, length, "SUB ", 4))
                subscribers[n_subscribers++] = fd;
        if (memmem(data, length, "PING\r\n", 6)) {
                peers[fd].is_ready = true;
                send_all(fd, "PONG\r\n", 6);
        }
}

/* Length of the message at the beginning, 0 if it is incomplete. */
static size_t message_length(const char *data, size_t length) {
        const char *end = memchr(data, '\n', length);
        const char *size = end ? memrchr(data, ' ', (size_t)(end - data)) : NULL;
        size_t n = size ? (size_t)(end + 1 - data) + strtoul(size, NULL, 10) + 2 : 0;

        return n <= length ? n : 0;
}

/* Sends each reply to the connection it names. */
static void route(int fd, char *data, size_t length) {
        struct peer *peer = &peers[fd];
        size_t n;

        while (length > sizeof(REPLY) + 8 && (n = message_length(data, length)) > 0) {
                send_all(atoi(data + strlen(REPLY)), data, n);
                data += n;
                length -= n;
        }
        peer->n_held = length;
        if (length > 0 && !peer->held)
                peer->held = malloc(READ_SIZE);
        if (length > 0)
                memcpy(peer->held, data, length);
}

/* Sends to all subscribers. A PING at the end asks whether it has been done. */
static void broadcast(int fd, size_t length) {
        bool is_asked = length >= 6 && memcmp(buffer + length - 6, "PING\r\n", 6) == 0;

        for (size_t i = 0; i < n_subscribers; i++)
                send_all(subscribers[i], buffer, length - (is_asked ? 6 : 0));
        if (is_asked)
                send_all(fd, "PONG\r\n", 6);
}

static void relay(int fd) {
        size_t n_held = peers[fd].n_held;
        ssize_t n;

        if (n_held > 0)
                memcpy(buffer, peers[fd].held, n_held);
        n = recv(fd, buffer + n_held, sizeof(buffer) - n_held, 0);
        if (n <= 0) {
                if (n == 0 || errno != EAGAIN)
                        drop(fd);
                return;
        }
        if (!peers[fd].is_ready)
                begin(fd, buffer, (size_t)n);
        else if (n_held > 0 || memcmp(buffer, REPLY, strlen(REPLY)) == 0)
                route(fd, buffer, n_held + (size_t)n);
        else
                broadcast(fd, (size_t)n);
}

int main(int argc, char **argv) {
        struct epoll_event events[64];
        struct rlimit limit;
        int epoll = epoll_create1(0), listener;

        if (argc != 3)
                errx(2, "usage: relay tcp PORT | relay unix PATH");
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        listener = strcmp(argv[1], "tcp") == 0 ? listen_tcp(argv[2]) : listen_unix(argv[2]);
        (void)fflush(stdout);
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
                        &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
        for (;;) {
                int n = epoll_wait(epoll, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        if (events[i].data.fd == listener)
                                greet(epoll, listener);
                        else
                                relay(events[i].data.fd);
                }
        }
}
