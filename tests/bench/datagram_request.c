/* Requests and replies in datagrams. Each side is a peer of the server, a session of sockd's. */
#include "tests/bench/load.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams in one system call of the responder, and the longest. */
#define BATCH_SIZE    32
#define DATAGRAM_SIZE 512
/* Of request and reply. */
#define REQUEST_SIZE 64
/* What does not come within this time is lost. */
#define PATIENCE_MS 2000

struct client {
        struct requester requester;
        size_t length; /* of the request */
        char request[DATAGRAM_SIZE];
};

struct responder {
        pthread_t thread;
        int fd;
        char filler[REQUEST_SIZE];
        char data[BATCH_SIZE][DATAGRAM_SIZE], replies[BATCH_SIZE][DATAGRAM_SIZE];
        struct iovec in_iov[BATCH_SIZE], out_iov[BATCH_SIZE];
        struct mmsghdr in[BATCH_SIZE], out[BATCH_SIZE];
};

static _Atomic bool is_over;

/* Makes the reply to a request. */
static void answer(struct responder *responder, size_t i) {
        char *line = responder->data[i];
        char *inbox = memmem(line, responder->in[i].msg_len, "_INBOX.", 7);
        char *blank = inbox ? strchr(inbox, ' ') : NULL;

        if (!blank)
                errx(1, "load: a request without reply: %.40s", line);
        responder->out_iov[i].iov_len = (size_t)sprintf(
                responder->replies[i], "PUB %.*s %d\r\n%.*s\r\n", (int)(blank - inbox), inbox,
                REQUEST_SIZE, REQUEST_SIZE, responder->filler);
}

static void *respond(void *argument) {
        struct responder *responder = argument;

        while (!is_over) {
                int n = recvmmsg(responder->fd, responder->in, BATCH_SIZE, MSG_WAITFORONE, NULL);

                if (n < 0 || responder->in[0].msg_len == 0)
                        continue; /* nothing for long, or it is over */
                for (int i = 0; i < n; i++)
                        answer(responder, (size_t)i);
                send_datagrams(responder->fd, responder->out, (unsigned)n);
        }
        return NULL;
}

static struct responder *responder_new(void) {
        struct responder *responder = calloc(1, sizeof(*responder));

        memset(responder->filler, 'x', REQUEST_SIZE);
        for (size_t i = 0; i < BATCH_SIZE; i++) {
                responder->in_iov[i] = (struct iovec){responder->data[i], DATAGRAM_SIZE - 1};
                responder->in[i].msg_hdr =
                        (struct msghdr){.msg_iov = &responder->in_iov[i], .msg_iovlen = 1};
                responder->out_iov[i].iov_base = responder->replies[i];
                responder->out[i].msg_hdr =
                        (struct msghdr){.msg_iov = &responder->out_iov[i], .msg_iovlen = 1};
        }
        responder->fd = open_datagram("SUB request 1\r\n");
        (void)pthread_create(&responder->thread, NULL, respond, responder);
        return responder;
}

static void send_request(struct requester *requester) {
        const struct client *client = (const struct client *)requester;

        if (send(requester->fd, client->request, client->length, MSG_NOSIGNAL) < 0)
                err(1, "load: send");
}

static void open_requester(struct requester *requester, long number) {
        struct client *client = (struct client *)requester;
        char line[64];
        int n;

        (void)snprintf(line, sizeof(line), "SUB _INBOX.%08ld 1\r\n", number);
        requester->fd = open_datagram(line);
        n = sprintf(client->request, "PUB request _INBOX.%08ld %d\r\n", number, REQUEST_SIZE);
        memset(client->request + n, 'x', REQUEST_SIZE);
        memcpy(client->request + n + REQUEST_SIZE, "\r\n", 2);
        client->length = (size_t)n + REQUEST_SIZE + 2;
}

static bool take_reply(struct requester *requester) {
        char data[DATAGRAM_SIZE];
        ssize_t n = recv(requester->fd, data, sizeof(data) - 1, 0);

        if (n < 0)
                err(1, "load: recv");
        data[n] = '\0';
        if (!strstr(data, "_INBOX."))
                errx(1, "load: not the reply: %s", data);
        return true;
}

void run_datagram_request(void) {
        static const struct requests requests = {
                .client_size = sizeof(struct client),
                .open = open_requester,
                .send = send_request,
                .take = take_reply,
                .patience_ms = PATIENCE_MS,
        };
        struct responder *responder = responder_new();

        run_requests(&requests);
        is_over = true; /* recvmmsg gives nothing at once, from now on */
        (void)shutdown(responder->fd, SHUT_RDWR);
        (void)pthread_join(responder->thread, NULL);
}
