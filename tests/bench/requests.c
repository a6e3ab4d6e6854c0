/* Requests of many clients, each of which sends the next one when it has the reply to the last. */
#include "tests/bench/load.h"

#include <err.h>
#include <stdlib.h>
#include <sys/epoll.h>

static void request(const struct requests *requests, struct requester *client) {
        client->sent_ns = now_ns();
        requests->send(client);
}

void run_requests(const struct requests *requests) {
        long n_clients = *parameter("clients"), n_total = *parameter("messages");
        char *clients = calloc((size_t)n_clients, requests->client_size);
        uint64_t *latencies = calloc((size_t)n_total, sizeof(*latencies));
        int epoll = epoll_create1(0);
        long n_sent = 0, n_done = 0;
        struct measurement measurement;
        struct epoll_event events[64];

        for (long i = 0; i < n_clients; i++) {
                void *client = clients + (size_t)i * requests->client_size;

                requests->open(client, i);
                (void)epoll_ctl(epoll, EPOLL_CTL_ADD, ((struct requester *)client)->fd,
                                &(struct epoll_event){.events = EPOLLIN, .data.ptr = client});
        }
        measurement = measure();
        for (; n_sent < n_clients && n_sent < n_total; n_sent++)
                request(requests, (void *)(clients + (size_t)n_sent * requests->client_size));
        while (n_done < n_total) {
                int n = epoll_wait(epoll, events, 64, requests->patience_ms);

                if (n == 0)
                        errx(1, "load: %ld requests were lost", n_sent - n_done);
                for (int i = 0; i < n; i++) {
                        struct requester *client = events[i].data.ptr;

                        if (!requests->take(client))
                                continue;
                        latencies[n_done++] = now_ns() - client->sent_ns;
                        if (n_sent == n_total)
                                continue;
                        request(requests, client);
                        n_sent++;
                }
        }
        report(&measurement, (double)n_total);
        report_latencies(latencies, n_total);
}
