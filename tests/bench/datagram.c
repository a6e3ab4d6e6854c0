/* Datagram sockets to the server, and what has become of what was sent.
 *
 * UDP drops what the server has no room for, and counts it: what was sent and is neither there nor
 * waiting any more, the server has had. A Unix socket makes the sender wait instead.
 */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What does not come within this time is lost. */
#define PATIENCE_S 2

static bool is_udp(void) {
        return strncmp(server_address, "udp:", 4) == 0;
}

static int open_udp(void) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                 .sin_port = htons((uint16_t)atoi(server_address + 4))};
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        return connect(fd, (struct sockaddr *)&in, sizeof(in)) < 0 ? -1 : fd;
}

/* It needs a name to be answered; the kernel gives it one. */
static int open_unix(void) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

        if (bind(fd, (struct sockaddr *)&un, sizeof(sa_family_t)) < 0)
                return -1;
        (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", server_address + strlen("dgram:"));
        return connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -1 : fd;
}

int open_datagram(const char *lines) {
        int fd = is_udp() ? open_udp() : open_unix(), n;
        struct timeval patience = {.tv_sec = PATIENCE_S};
        char text[512], answer[512];

        if (fd < 0)
                err(1, "load: cannot connect to %s", server_address);
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        n = snprintf(text, sizeof(text), "%sPING\r\n", lines);
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL) < 0)
                err(1, "load: send");
        if (recv(fd, answer, sizeof(answer), 0) < 4 || memcmp(answer, "PONG", 4) != 0)
                errx(1, "load: the server does not answer");
        return fd;
}

void send_datagrams(int fd, struct mmsghdr *messages, unsigned n) {
        while (n > 0) {
                int sent = sendmmsg(fd, messages, n, MSG_NOSIGNAL);

                if (sent < 0 && errno != EINTR)
                        err(1, "load: sendmmsg");
                if (sent > 0) {
                        messages += sent;
                        n -= (unsigned)sent;
                }
        }
}

/* What the server's UDP sockets have waiting, in bytes, and have dropped, as the kernel shows it.
 */
static unsigned long udp_waiting(unsigned long *n_droppedp) {
        unsigned port = (unsigned)atoi(server_address + 4), local, bytes;
        unsigned long waiting = 0, dropped;
        FILE *file = fopen("/proc/net/udp", "re");
        char line[512];

        if (!file)
                err(1, "load: /proc/net/udp");
        *n_droppedp = 0;
        while (fgets(line, sizeof(line), file))
                if (sscanf(line,
                           " %*d: %*x:%x %*x:%*x %*x %*x:%x %*x:%*x %*x %*u %*d %*u %*d %*s %lu",
                           &local, &bytes, &dropped) == 3 &&
                    local == port) {
                        waiting += bytes;
                        *n_droppedp += dropped;
                }
        (void)fclose(file);
        return waiting;
}

/* What of `fd` the server has not read yet. */
static unsigned long unix_waiting(int fd) {
        int n = 0;

        (void)ioctl(fd, SIOCOUTQ, &n);
        return (unsigned long)n;
}

unsigned long await_reception(int fd) {
        unsigned long n_dropped = 0;

        while ((is_udp() ? udp_waiting(&n_dropped) : unix_waiting(fd)) > 0)
                (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        return n_dropped;
}
