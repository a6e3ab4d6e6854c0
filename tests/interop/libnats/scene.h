/* The stage for a case: connections, subscriptions and what they have received, in few words. */

#pragma once

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L         /* condition variables on the monotonic clock */
#endif

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nats/nats.h>

enum {
        DEADLINE_MS = 20000,
        MAX_CONNECTIONS = 4,
        MAX_SUBSCRIPTIONS = 8,
        MAX_PEERS = 2,
        MAX_COLLECTORS = 4,
        MAX_NUMBERS = 100000,
        LARGE_BYTES = 1024 * 1024,      /* the default max_payload */
};

/* A number of events, counted in libnats' threads and awaited in ours. */
struct counter {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned count;
};

/* Numbered messages, as they arrive at one subscription. */
struct collector {
        struct counter arrived;
        bool in_order;                  /* number n came as the n-th message, counted from 0 */
        struct seen *seen;
};

/* Numbered messages, as they arrive at all collectors of a scene together. */
struct seen {
        struct counter arrived;
        unsigned n_unexpected;          /* came twice, or are no number below MAX_NUMBERS */
        bool numbers[MAX_NUMBERS];
};

struct scene {
        struct scene *older;
        bool reconnects;
        natsConnection *sender;
        natsConnection *receiver;
        natsConnection *connections[MAX_CONNECTIONS];
        size_t n_connections;
        natsSubscription *subscriptions[MAX_SUBSCRIPTIONS];
        size_t n_subscriptions;
        int peers[MAX_PEERS];           /* UDP sockets; see peer.h */
        size_t n_peers;
        struct counter disconnected, reconnected, closed;
        struct collector collectors[MAX_COLLECTORS];
        struct seen seen;
};

#define assert_status(expected, call)                                                              \
        do {                                                                                       \
                natsStatus status_ = (call);                                                       \
                if (status_ != (expected))                                                         \
                        fail_msg("%s: %s, expected %s", #call, natsStatus_GetText(status_),        \
                                 natsStatus_GetText(expected));                                    \
        } while (false)

#define assert_ok(call) assert_status(NATS_OK, call)

/* Rows of a table of cases. Where no restart is expected, a lost connection stays lost, and the
 * case fails. */
#define LIBNATS_CASE(function)                                                                     \
        { "libnats: " #function, function, scene_open, scene_close, NULL }
#define LIBNATS_RESTART_CASE(function)                                                             \
        { "libnats: " #function, function, scene_open_reconnecting, scene_close, NULL }

extern const char *server_url;
extern uint16_t server_udp_port;        /* 0: it has none */

unsigned counter_read(struct counter *counter);

/* Returns the count as soon as it has reached the expected one, or what it is at the deadline. */
unsigned counter_await(struct counter *counter, unsigned expected);

/* For cmocka: a scene has a sender and a receiver when its case begins. */
int scene_open(void **statep);
int scene_open_reconnecting(void **statep);
int scene_close(void **statep);

/* A callback may still run when its subscription is gone already; so scenes stay in memory until
 * libnats has ended, and this is called. */
void scenes_free(void);

/* What every connection of this scene has in common. */
natsOptions *scene_options(struct scene *scene);

/* Takes the options; the connection belongs to the scene. */
natsConnection *scene_connect(struct scene *scene, natsOptions *options);

/* The subscription belongs to the scene from now on. */
natsSubscription *scene_keep(struct scene *scene, natsSubscription *subscription);

/* The receiver subscribes, and the server knows it when these return. */
natsSubscription *subscribe(struct scene *scene, const char *subject);
natsSubscription *subscribe_in_group(struct scene *scene, const char *subject, const char *group);
natsSubscription *subscribe_with(struct scene *scene, const char *subject, natsMsgHandler handler,
                                 void *closure);

void flush(natsConnection *connection);

/* Afterwards all that the sender has published is with the receiver's libnats. */
void settle(struct scene *scene);

void publish(natsConnection *connection, const char *subject, const char *text);

/* Publishes the numbers from 0 to n - 1. */
natsStatus publish_numbers(natsConnection *connection, const char *subject, uint32_t n);

/* Handlers of messages: the first collects numbers in the collector that is its closure. */
void on_number(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
               void *closure);
void answer_with_the_same(natsConnection *connection, natsSubscription *subscription,
                          natsMsg *message, void *closure);

/* Answers with an empty message whose header Answer is the request's header Question. */
void answer_with_headers(natsConnection *connection, natsSubscription *subscription,
                         natsMsg *message, void *closure);

natsMsg *next_message(natsSubscription *subscription);
void expect(natsSubscription *subscription, const char *subject, const char *text);
void expect_nothing_more(struct scene *scene, natsSubscription *subscription);
void expect_no_responders(natsConnection *connection);

/* How many messages the server has sent to this connection, whether libnats delivered them or
 * not. */
uint64_t messages_received(natsConnection *connection);

/* LARGE_BYTES reproducible bytes, among them NUL, CR and LF, and one more. */
unsigned char *large_payload(uint32_t seed);
