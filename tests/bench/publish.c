/* Messages from publishers to subscribers. */
#include "tests/bench/load.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE  (256 * 1024)
#define WRITE_SIZE (64 * 1024)

struct publisher {
        pthread_t thread;
        int fd;
        long n_messages;
};

/* The message as it is sent. Returns its length. */
static size_t make_message(char *to, long size) {
        int n = sprintf(to, "PUB bench %ld\r\n", size);

        memset(to + n, 'x', (size_t)size);
        memcpy(to + n + size, "\r\n", 2);
        return (size_t)(n + size + 2);
}

/* The length of a message as it arrives. */
static size_t received_length(long size) {
        return (size_t)snprintf(NULL, 0, is_relay ? "PUB bench %ld\r\n" : "MSG bench 1 %ld\r\n",
                                size) +
               (size_t)size + 2;
}

static void *publish(void *argument) {
        struct publisher *publisher = argument;
        long size = *parameter("size"), n_batch;
        char *batch = malloc(WRITE_SIZE + (size_t)size + 64);
        size_t length = make_message(batch, size);
        long left = publisher->n_messages;

        n_batch = length < WRITE_SIZE ? (long)(WRITE_SIZE / length) : 1;
        for (long i = 1; i < n_batch; i++)
                memcpy(batch + (size_t)i * length, batch, length);
        for (; left >= n_batch; left -= n_batch)
                write_all(publisher->fd, batch, length * (size_t)n_batch);
        write_all(publisher->fd, batch, length * (size_t)left);
        synchronize(publisher->fd);
        free(batch);
        return NULL;
}

/* Reads on all descriptors until each has had `each` bytes at least. */
static void drain(const int *fds, long n, uint64_t each) {
        int epoll = epoll_create1(0);
        uint64_t *left = calloc((size_t)n, sizeof(*left));
        char *buffer = malloc(READ_SIZE);
        struct epoll_event events[64];
        long n_left = each > 0 ? n : 0;

        for (long i = 0; i < n; i++) {
                left[i] = each;
                (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i],
                                &(struct epoll_event){.events = EPOLLIN, .data.u64 = (uint64_t)i});
        }
        while (n_left > 0) {
                int n_events = epoll_wait(epoll, events, 64, -1);

                for (int i = 0; i < n_events; i++) {
                        uint64_t which = events[i].data.u64;
                        ssize_t got = read(fds[which], buffer, READ_SIZE);

                        if (got <= 0)
                                errx(1, "load: the server ended a subscriber's connection");
                        /* A PING or two of the server may be among it. */
                        if ((uint64_t)got > left[which])
                                got = (ssize_t)left[which];
                        left[which] -= (uint64_t)got;
                        n_left -= left[which] == 0;
                }
        }
        (void)close(epoll);
        free(left);
        free(buffer);
}

static _Atomic bool is_over;

/* Subscribes and unsubscribes so many times a second. */
static void *churn(void *argument) {
        int fd = open_client("", NULL);
        uint64_t begin = now_ns();
        char lines[65536];

        for (uint64_t done = 0; !is_over;) {
                uint64_t due = (now_ns() - begin) * (uint64_t)*parameter("churn") / 1000000000u;
                size_t n = 0;

                for (; done < due && n < sizeof(lines) - 128; done++)
                        n += (size_t)sprintf(lines + n, "SUB churn.%lu %lu\r\nUNSUB %lu\r\n",
                                             (unsigned long)done, (unsigned long)done,
                                             (unsigned long)done);
                write_all(fd, lines, n);
                (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
        }
        synchronize(fd);
        (void)close(fd);
        return NULL;
}

void run_publish(void) {
        long n_publishers = *parameter("publishers"), n_subscribers = *parameter("subscribers");
        long each = *parameter("messages") / n_publishers, size = *parameter("size");
        struct publisher *publishers = calloc((size_t)n_publishers, sizeof(*publishers));
        int *subscribers = calloc((size_t)n_subscribers + 1, sizeof(int));
        long n_messages = each * n_publishers;
        struct measurement measurement;
        pthread_t churner;

        if (*parameter("crowd") > 0)
                (void)open_crowd(*parameter("crowd"), false);
        if (*parameter("wildcards") > 0)
                (void)open_crowd(*parameter("wildcards"), true);
        for (long i = 0; i < n_subscribers; i++)
                subscribers[i] = open_client("SUB bench 1\r\n", NULL);
        for (long i = 0; i < *parameter("stalled"); i++)
                (void)open_client("SUB bench 1\r\n", NULL);
        for (long i = 0; i < n_publishers; i++) {
                publishers[i].fd = open_client("", NULL);
                publishers[i].n_messages = each;
        }
        if (*parameter("churn") > 0)
                (void)pthread_create(&churner, NULL, churn, NULL);
        measurement = measure();
        for (long i = 0; i < n_publishers; i++)
                (void)pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]);
        drain(subscribers, n_subscribers, received_length(size) * (uint64_t)n_messages);
        for (long i = 0; i < n_publishers; i++)
                (void)pthread_join(publishers[i].thread, NULL);
        report(&measurement, (double)n_messages * (double)(n_subscribers > 0 ? n_subscribers : 1));
        is_over = true;
        if (*parameter("churn") > 0)
                (void)pthread_join(churner, NULL);
}
