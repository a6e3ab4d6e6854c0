/* Requests and replies. */
#include "tests/bench/load.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (256 * 1024)
/* Of request and reply. */
#define REQUEST_SIZE 64

struct client {
        struct requester requester;
        long id, n_requests;
        size_t n_missing; /* bytes of the reply */
};

static char filler[REQUEST_SIZE];

static int responder_fd;

/* Answers what has come; returns what is incomplete. */
static size_t answer(char *data, size_t length) {
        static char replies[READ_SIZE * 2];
        size_t n = 0;
        char *end = data + length, *line_end;

        while ((line_end = memchr(data, '\n', (size_t)(end - data))) &&
               end - line_end > REQUEST_SIZE + 2) {
                char *inbox = memmem(data, (size_t)(line_end - data), "_INBOX.", 7);
                char *blank = inbox ? memchr(inbox, ' ', (size_t)(line_end - inbox)) : NULL;

                if (!blank)
                        errx(1, "load: a request without reply: %.*s", (int)(line_end - data),
                             data);
                n += (size_t)sprintf(replies + n, "PUB %.*s %d\r\n%.*s\r\n", (int)(blank - inbox),
                                     inbox, REQUEST_SIZE, REQUEST_SIZE, filler);
                data = line_end + 1 + REQUEST_SIZE + 2;
        }
        write_all(responder_fd, replies, n);
        return (size_t)(end - data);
}

static void *respond(void *argument) {
        static char buffer[READ_SIZE];
        size_t n = 0;

        for (;;) {
                ssize_t got = read(responder_fd, buffer + n, sizeof(buffer) - n);
                size_t left;

                if (got <= 0)
                        return NULL;
                n = answer_pings(responder_fd, buffer, n + (size_t)got);
                left = answer(buffer, n);
                memmove(buffer, buffer + n - left, left);
                n = left;
        }
}

static void send_request(struct requester *requester) {
        struct client *client = (struct client *)requester;
        char message[256];
        size_t n = 0;
        long inbox = client->id;

        if (*parameter("new_inboxes")) {
                /* As old clients do: a subscription for each request. */
                n = (size_t)sprintf(message, "SUB _INBOX.%08ld.%ld %ld\r\nUNSUB %ld 1\r\n", inbox,
                                    client->n_requests, client->n_requests, client->n_requests);
                n += (size_t)sprintf(message + n, "PUB request _INBOX.%08ld.%ld %d\r\n%.*s\r\n",
                                     inbox, client->n_requests, REQUEST_SIZE, REQUEST_SIZE, filler);
                client->n_missing =
                        (size_t)snprintf(NULL, 0, "MSG _INBOX.%08ld.%ld %ld %d\r\n", inbox,
                                         client->n_requests, client->n_requests, REQUEST_SIZE);
        } else {
                n = (size_t)sprintf(message, "PUB request _INBOX.%08ld %d\r\n%.*s\r\n", inbox,
                                    REQUEST_SIZE, REQUEST_SIZE, filler);
                client->n_missing = (size_t)snprintf(
                        NULL, 0, is_relay ? "PUB _INBOX.%08ld %d\r\n" : "MSG _INBOX.%08ld 1 %d\r\n",
                        inbox, REQUEST_SIZE);
        }
        client->n_missing += REQUEST_SIZE + 2;
        client->n_requests++;
        write_all(requester->fd, message, n);
}

static void open_requester(struct requester *requester, long number) {
        struct client *client = (struct client *)requester;
        char line[128];

        requester->fd = open_client("", &client->id);
        client->n_requests = 2; /* sids from here on */
        if (is_relay)
                return;
        (void)snprintf(line, sizeof(line), "SUB _INBOX.%08ld 1\r\n", client->id);
        write_all(requester->fd, line, strlen(line));
        synchronize(requester->fd);
}

static bool take_reply(struct requester *requester) {
        struct client *client = (struct client *)requester;
        char buffer[4096];
        ssize_t got = read(requester->fd, buffer, sizeof(buffer));
        size_t n;

        if (got <= 0)
                errx(1, "load: the server ended a client's connection");
        n = answer_pings(requester->fd, buffer, (size_t)got);
        if (n > client->n_missing)
                errx(1, "load: not the reply: %.*s", (int)n, buffer);
        client->n_missing -= n;
        return client->n_missing == 0 && n > 0;
}

void run_request(void) {
        static const struct requests requests = {
                .client_size = sizeof(struct client),
                .open = open_requester,
                .send = send_request,
                .take = take_reply,
                .patience_ms = -1,
        };
        pthread_t thread;

        memset(filler, 'x', sizeof(filler));
        responder_fd = open_client("SUB request 1\r\n", NULL);
        (void)pthread_create(&thread, NULL, respond, NULL);
        run_requests(&requests);
        (void)shutdown(responder_fd, SHUT_RDWR);
        (void)pthread_join(thread, NULL);
}
