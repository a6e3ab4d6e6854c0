/* A bare relay of datagrams: the least that a message server could do, as the limit to measure
 * against.
 *
 * One thread, one socket: a recvmmsg for what has come, a sendmmsg for all that is to leave. It
 * knows requests, which go to who has subscribed to them, and replies, "PUB _INBOX.00000012 …",
 * which go to who has subscribed to that number; both leave as they came. Anything else that is
 * published it receives, and that is all. It waits for who does not keep up, and trusts its peers:
 * it is no server.
 *
 * usage: datagram_relay udp PORT | datagram_relay dgram PATH
 *
 * Prints its port or path when it receives.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BATCH_SIZE 64
/* Not a power of two, so that datagrams do not all compete for the same lines of the cache. */
#define DATAGRAM_SIZE (16384 + 192)
#define MAX_PEERS     1024
/* What waits to be received; as much as sockd's listener has in this comparison. */
#define RECEIVE_BUFFER (4 * 1024 * 1024)
#define REPLY          "PUB _INBOX."
#define REQUEST        "PUB request"
#define PING           "PING\r\n"

struct peer {
        struct sockaddr_un name; /* long enough for all */
        socklen_t length;
};

static struct peer responder, requesters[MAX_PEERS];
static char data[BATCH_SIZE][DATAGRAM_SIZE];
static struct peer senders[BATCH_SIZE];
static struct iovec in_iov[BATCH_SIZE], out_iov[BATCH_SIZE];
static struct mmsghdr in[BATCH_SIZE], out[BATCH_SIZE];
static unsigned n_out;

static int open_udp(const char *port) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(port)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof(address);
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 ||
            getsockname(fd, (struct sockaddr *)&address, &length) < 0)
                err(1, "datagram_relay: port %s", port);
        printf("%u\n", (unsigned)ntohs(address.sin_port));
        return fd;
}

static int open_unix(const char *path) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                errx(1, "datagram_relay: the path is too long");
        strcpy(address.sun_path, path);
        if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                err(1, "datagram_relay: %s", path);
        printf("%s\n", path);
        return fd;
}

static void set_receive_buffer(int fd) {
        int size = RECEIVE_BUFFER;

        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void send_to(struct peer *peer, char *bytes, size_t length) {
        out_iov[n_out] = (struct iovec){bytes, length};
        out[n_out].msg_hdr.msg_name = &peer->name;
        out[n_out].msg_hdr.msg_namelen = peer->length;
        n_out++;
}

/* The beginning of a peer: SUB if it is a subscriber, and PING. */
static void begin(unsigned i, size_t length) {
        static char pong[] = "PONG\r\n";
        char *text = data[i];

        text[length] = '\0';
        if (strncmp(text, "SUB request", 11) == 0)
                responder = senders[i];
        else if (strncmp(text, "SUB _INBOX.", 11) == 0)
                requesters[atoi(text + 11) % MAX_PEERS] = senders[i];
        if (length >= strlen(PING) && strcmp(text + length - strlen(PING), PING) == 0)
                send_to(&senders[i], pong, strlen(pong));
}

static void take(unsigned i) {
        size_t length = in[i].msg_len;

        senders[i].length = in[i].msg_hdr.msg_namelen;
        if (memcmp(data[i], REPLY, strlen(REPLY)) == 0)
                send_to(&requesters[atoi(data[i] + strlen(REPLY)) % MAX_PEERS], data[i], length);
        else if (memcmp(data[i], REQUEST, strlen(REQUEST)) == 0)
                send_to(&responder, data[i], length);
        else if (memcmp(data[i], "PUB", 3) != 0)
                begin(i, length);
}

static void send_all(int fd) {
        unsigned sent = 0;

        while (sent < n_out) {
                int n = sendmmsg(fd, out + sent, n_out - sent, MSG_NOSIGNAL);

                sent += n > 0 ? (unsigned)n : 1; /* somebody is gone */
        }
        n_out = 0;
}

static void init_batch(void) {
        for (size_t i = 0; i < BATCH_SIZE; i++) {
                in_iov[i] = (struct iovec){data[i], DATAGRAM_SIZE - 1};
                in[i].msg_hdr = (struct msghdr){
                        .msg_iov = &in_iov[i], .msg_iovlen = 1, .msg_name = &senders[i].name};
                out[i].msg_hdr = (struct msghdr){.msg_iov = &out_iov[i], .msg_iovlen = 1};
        }
}

int main(int argc, char **argv) {
        int fd;

        if (argc != 3)
                errx(2, "usage: datagram_relay udp PORT | datagram_relay dgram PATH");
        fd = strcmp(argv[1], "udp") == 0 ? open_udp(argv[2]) : open_unix(argv[2]);
        (void)fflush(stdout);
        set_receive_buffer(fd);
        init_batch();
        for (;;) {
                int n;

                for (size_t i = 0; i < BATCH_SIZE; i++)
                        in[i].msg_hdr.msg_namelen = sizeof(senders[i].name);
                n = recvmmsg(fd, in, BATCH_SIZE, MSG_WAITFORONE, NULL);
                for (int i = 0; i < n; i++)
                        take((unsigned)i);
                send_all(fd);
        }
}
