/* A client: one peer on the bus. A function for each verb, and its subscriptions by sid.
 *
 * A client belongs to the worker of its connection. Others touch it in one way: client's receiver
 * delivers messages in the publisher's thread, and reads only what is atomic or fixed.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/credentials.h"
#include "daemon/guesses.h"
#include "daemon/identity.h"
#include "daemon/mailbox.h"
#include "daemon/sid_table.h"
#include "daemon/worker.h"
#include "lib/parser.h"

#include <stdatomic.h>

struct bus;
struct connection;
struct grant;
struct message;
struct permissions;
struct responses;
struct stage;
struct usage;

/* With the NUL. */
#define CLIENT_NONCE_SIZE 16

/* What a client says of itself to log in, and what comes of that. */
struct claim {
        char nonce[CLIENT_NONCE_SIZE];  /* what it signs; "" if nobody has an nkey */
        struct credentials credentials; /* secrets of it until it is known who it is */
        struct proof proof;
        struct guess_turn guess; /* TURN_TAKEN: when it comes; TURN_CROWDED: when it is too late */
};

/* What decides who a datagram peer is that has said nothing yet. */
struct client_ground {
        uint64_t config; /* its id */
        const struct bus *bus;
        bool admits_anonymous, identifies; /* of the listener, as is the bus */
        bool has_credentials;
        uid_t uid;
        gid_t gid;
        pid_t pid; /* where messages tell it; else 0 */
};

/* Of a source that has failed; see guesses.h. */
enum client_turn {
        TURN_NONE,
        TURN_CROWDED, /* there was none for it yet */
        TURN_TAKEN,   /* and it may be given back */
        TURN_SPENT,   /* it has failed, which is counted */
};

struct client;

/* How a client is told of messages. In the publisher's thread. */
struct client_form {
        /* Appends a message, or a run, to a stage. Returns 0 or -ENOMEM. */
        int (*stage)(struct client *client, struct stage *stage, struct subscription *subscription,
                     const struct message *message);
        /* How long that is of one message, at most. */
        size_t (*length)(struct client *client, const struct subscription *subscription,
                         const struct message *message);
        /* It is more than a frame of the transport. */
        void (*too_large)(struct client *client, struct worker *worker);
};

/* Tens of thousands may be there and idle: what only some of them need has memory of its own,
 * and small members stand side by side. */
struct client {
        struct receiver receiver;
        const struct client_form *form; /* fixed when it first subscribes */
        struct connection *connection;  /* owns the client */
        struct worker *worker;
        struct bus *bus; /* of its account */

        /* Who it is. */
        char *user;                   /* owned; the name of the rule that fits, NULL: none */
        struct claim *claim;          /* owned; NULL: nothing; see client_claim() */
        struct client_ground *ground; /* owned; why it is that, of a datagram peer; NULL, or config
                                       * 0: not by its peer alone */
        struct usage *usage;          /* a reference; NULL: it is no user */
        uint64_t max_subscriptions, max_payload; /* of its user; 0: as for all */
        char *signature;               /* owned; headers that its messages get, NULL: none */
        _Atomic(struct grant *) grant; /* owned; what it may do; NULL: everything. Others read it in
                                        * their batch; see client_permissions.c */
        struct responses *responses;   /* owned; NULL: none were ever allowed */
        struct counter denied_publishes, denied_subscriptions;
        enum role role;
        enum client_turn turn;
        bool must_login;    /* nothing but a CONNECT is taken */
        bool is_logging_in; /* a password is checked, or it waits for its turn */
        bool is_waiting;    /* the latter */
        bool is_refused;    /* it will be told so */

        /* As CONNECT says; protocol.md 3.1. */
        bool has_spoken;   /* there was a CONNECT */
        bool is_connected; /* one was accepted */
        bool verbose, pedantic, echo, no_responders;
        _Atomic bool headers;
        bool names_account;
        int protocol;
        char *name, *lang, *version; /* owned; NULL: not given */

        struct parser parser;
        struct sid_table subscriptions;
        _Atomic uint64_t n_subscriptions; /* the same as the table's, for other threads */

        /* Liveness. */
        uint64_t used_ms;         /* loop time of the last operation but PING and PONG */
        uint64_t ping_sent_ns;    /* monotonic time; 0: no answer is awaited */
        uint64_t rtt_measured_ns; /* monotonic time of the last measurement */
        uint64_t rtt_ns;          /* 0: not known */
        unsigned n_pings_out;
        bool has_ponged;   /* a PING of the client was answered */
        bool has_measured; /* the first PING of ours has gone out */

        bool needs_fence;         /* PONG has to wait for other workers: a subscription was ended */
        bool has_violated;        /* the rest of this frame is not looked at */
        bool is_leaving;          /* it was told so, though the server stays */
        bool is_counted;          /* against max_connections */
        bool is_announced;        /* it was told on the system account that it is there */
        uint64_t told_generation; /* what the last INFO said */
};

/* Begins: makes the connection's client and sends INFO. Returns 0 or a negative errno. */
int client_open(struct connection *connection);

/* The same for peers that say nothing of themselves, for all handlers but the bus. What the kernel
 * and TLS know of the peer decides who it is; when that is known handler->begun is called, or the
 * peer is refused. */
int client_open_plain(struct connection *connection);
void client_secured_plain(struct connection *connection);

/* The datagram peer is to stay, as a session. Returns whether it may. */
bool client_keep_plain(struct client *client);

/* Whether a datagram of such a peer may be taken; if not, that is counted. */
bool client_admits_datagram(struct client *client);

/* A datagram peer of that kind is to last. Returns whether it may; says so if not. */
bool client_settle_plain(struct client *client);

/* The time of such a client has come: it is refused. */
void client_deadline_plain(struct connection *connection);

/* The TLS handshake is over: the client's time begins. */
void client_secured(struct client *client);

/* Another datagram peer: the client is as new, but for its connection. */
void client_renew(struct client *client);

/* When an input has cost so much, the worker's other connections have their turn: some
 * milliseconds. See struct pressure. */
#define CLIENT_WORK_MAX 100000

/* What became of a message. */
enum client_outcome {
        CLIENT_PUBLISHED, /* somebody got it */
        CLIENT_UNHEARD,   /* nobody did */
        CLIENT_DENIED,    /* it may not be published; that was said */
        CLIENT_DROPPED,   /* it was more than the rate of its source; only of datagrams */
};

/* Publishes a message of the client's, or a run; between client_begin_input() and
 * client_end_input(). message->count becomes the number of those, the first ones, that this was the
 * outcome for; none if they were dropped. */
enum client_outcome client_publish(struct client *client, struct message *message);

/* Carries out one operation; it may end the connection. Returns how many of a run were carried out,
 * the first ones: at least one. */
size_t client_operation(struct client *client, const struct operation *operation);

/* Something else comes before the CONNECT that says who it is. */
void client_refuse_operation(struct client *client);

/* The parser found input that is unusable: the end of the connection, or of the frame. */
void client_violation(struct client *client, enum parser_result result);

/* Around the operations of one input. */
void client_begin_input(struct client *client);
void client_end_input(struct client *client);

/* The client's time has come: to ping, or to give up. */
void client_deadline(struct client *client);

/* Limits or the server's state changed. */
void client_changed(struct client *client);

/* Says what the client may publish and subscribe to; NULL: everything. A reference is taken. What
 * it has subscribed to and may not any more ends. In its own worker, within a batch. */
void client_set_permissions(struct client *client, struct permissions *permissions);

/* Whether it may publish to a subject. In its own worker. */
bool client_may_publish(const struct client *client, struct bytes subject);

/* Tells this one client to look for another server. Returns whether it understands that. */
bool client_tell_lame_duck(struct client *client);

/* What it claims, to be changed: NULL if there is no memory. Good until it begins anew. */
struct claim *client_claim(struct client *client);

/* The same to be looked at: of zeroes if there is nothing. */
const struct claim *client_claimed(const struct client *client);

/* Wipes and frees that. */
void client_drop_claim(struct client *client);

/* The connection ends: takes the subscriptions out. */
void client_close(struct client *client);

/* Frees it. NULL is allowed. Returns NULL. */
struct client *client_free(struct client *client);
