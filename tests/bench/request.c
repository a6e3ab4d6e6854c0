/* Requests and replies. */
#include "tests/bench/load.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_SIZE (256 * 1024)
/* Of request and reply. */
#define REQUEST_SIZE 64

struct client {
        int fd;
        long id, n_requests;
        uint64_t sent_ns;
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

static void request(struct client *client) {
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
        client->sent_ns = now_ns();
        write_all(client->fd, message, n);
}

void run_request(void) {
        long n_clients = *parameter("clients"), n_total = *parameter("messages");
        struct client *clients = calloc((size_t)n_clients, sizeof(*clients));
        uint64_t *latencies = calloc((size_t)n_total, sizeof(*latencies));
        int epoll = epoll_create1(0);
        long n_sent = 0, n_done = 0;
        struct measurement measurement;
        struct epoll_event events[64];
        pthread_t thread;
        char line[128], buffer[4096];

        memset(filler, 'x', sizeof(filler));
        responder_fd = open_client("SUB request 1\r\n", NULL);
        for (long i = 0; i < n_clients; i++) {
                struct client *client = &clients[i];

                client->fd = open_client("", &client->id);
                if (!is_relay) {
                        (void)snprintf(line, sizeof(line), "SUB _INBOX.%08ld 1\r\n", client->id);
                        write_all(client->fd, line, strlen(line));
                        synchronize(client->fd);
                }
                client->n_requests = 2; /* sids from here on */
                (void)epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd,
                                &(struct epoll_event){.events = EPOLLIN, .data.ptr = client});
        }
        (void)pthread_create(&thread, NULL, respond, NULL);
        measurement = measure();
        for (; n_sent < n_clients && n_sent < n_total; n_sent++)
                request(&clients[n_sent]);
        while (n_done < n_total) {
                int n = epoll_wait(epoll, events, 64, -1);

                for (int i = 0; i < n; i++) {
                        struct client *client = events[i].data.ptr;
                        ssize_t got = read(client->fd, buffer, sizeof(buffer));
                        size_t n_got;

                        if (got <= 0)
                                errx(1, "load: the server ended a client's connection");
                        n_got = answer_pings(client->fd, buffer, (size_t)got);
                        if (n_got > client->n_missing)
                                errx(1, "load: not the reply: %.*s", (int)n_got, buffer);
                        client->n_missing -= n_got;
                        if (client->n_missing > 0 || n_got == 0)
                                continue;
                        latencies[n_done++] = now_ns() - client->sent_ns;
                        if (n_sent < n_total) {
                                request(client);
                                n_sent++;
                        }
                }
        }
        report(&measurement, (double)n_total);
        report_latencies(latencies, n_total);
        (void)shutdown(responder_fd, SHUT_RDWR);
        (void)pthread_join(thread, NULL);
}
