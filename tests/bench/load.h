/* What the parts of the load generator share; see load.c. Everything ends the program on failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a parameter of the command line. */
long *parameter(const char *name);

/* Nanoseconds of a clock that does not jump. */
uint64_t now_ns(void);

/* Resident memory of the server, in bytes; 0: not known. */
long server_memory(void);

/* What has passed since: prints how many a second `count` are, and what they cost the server. */
struct measurement {
        uint64_t begin_ns, begin_cpu_ns;
};

struct measurement measure(void);
void report(const struct measurement *measurement, double count);

/* Prints p50 and p99 of latencies in nanoseconds, which it sorts. */
void report_latencies(uint64_t *latencies, long n);

/* Where the server is, and whether it is the relay, which is known from the first connection on. */
extern const char *server_address;
extern bool is_relay;

/* A blocking connection that has sent `lines` and had its PONG. *idp: what INFO calls it. */
int open_client(const char *lines, long *idp);

void write_all(int fd, const char *data, size_t length);

/* Takes the PINGs of the server out of what has come, and answers them. Returns what is left. */
size_t answer_pings(int fd, char *data, size_t length);

/* Waits until the server has dealt with all that was sent. */
void synchronize(int fd);

/* A socket that speaks to a server of datagrams, which has answered `lines` with a PONG. */
int open_datagram(const char *lines);

struct mmsghdr;
void send_datagrams(int fd, struct mmsghdr *messages, unsigned n);

/* Waits until the server has received all that was sent through fd. Returns how many datagrams were
 * dropped since it began, because there was no room for them. */
unsigned long await_reception(int fd);

/* A connection with many subscriptions that nothing is sent to. */
int open_crowd(long n, bool is_wildcard);

/* What a client that requests begins with. */
struct requester {
        int fd;
        uint64_t sent_ns; /* when its request was sent */
};

/* How requests are made. */
struct requests {
        size_t client_size; /* a struct requester, and more */
        void (*open)(struct requester *client, long number);
        void (*send)(struct requester *client);
        bool (*take)(struct requester *client); /* reads; whether the reply is there as a whole */
        int patience_ms; /* what does not come within this time is lost; -1: nothing is */
};

/* Has the clients send their requests, and prints how many a second there were and how long they
 * took. */
void run_requests(const struct requests *requests);

/* The workloads. */
void run_connect(void);
void run_datagram_publish(void);
void run_datagram_request(void);
void run_idle(void);
void run_publish(void);
void run_request(void);
void run_subscribe(void);
