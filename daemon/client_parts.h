/* What the parts of a client need of each other: client.c (its life and its verbs),
 * client_login.c, client_turn.c, client_permissions.c, client_subscriptions.c, client_liveness.c
 * and client_delivery.c. For the client's own worker, but for what is said to be for the
 * publisher's.
 */
#pragma once

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/message.h"
#include "daemon/permissions.h"

#include <time.h>

/* How long a datagram peer without a subscription is left alone before it is looked whether it has
 * had its last messages: what workers have staged has left by then. */
#define CLIENT_FORGET_MS 100

/* Room for the longest subject: max_control_line can be no more. */
#define CLIENT_SUBJECT_MAX (64 * 1024 + 1)

static inline unsigned long long client_id(const struct client *client) {
        return (unsigned long long)client->connection->id;
}

static inline uint64_t real_time_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The smaller of two limits, of which 0 is none. */
static inline uint64_t client_limit(uint64_t a, uint64_t b) {
        return a != 0 && (b == 0 || a < b) ? a : b;
}

/* Takes over the limits that are in force for it. */
void client_adopt_limits(struct client *client);

/* Makes the client of a connection. NULL if there is no memory. */
struct client *client_new(struct connection *connection);

/* Counts it as one of the server's, and of its user. Returns whether there was room; if not it
 * ends. */
bool client_take_place(struct client *client);

/* Refuses a login: in a while it is told so, and closed. */
void client_refuse(struct client *client);

/* Stages bytes for the client. */
void client_write(struct client *client, struct bytes bytes);

/* Stages +OK if the client is verbose. */
void client_acknowledge(struct client *client);

/* Stages an -ERR. */
void client_error(struct client *client, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Says what was wrong and ends the connection. */
void client_fail(struct client *client, const char *text, const char *reason);

/* Stages a new INFO if anything in it has changed. Later INFOs go to those who understand them and
 * have had their first PONG (protocol.md 2.3). */
void client_refresh_info(struct client *client);

/* The client is to last. Returns whether it may; says so if not. */
bool client_settle(struct client *client);

/* Draws what an nkey is to sign. */
void client_draw_nonce(struct client *client);

/* Finds out who it is before it says so; and again when the rules have changed, which may end the
 * connection. */
void client_identify(struct client *client);
/* The same of the next datagram peer, who mostly is as the one before. */
void client_identify_next(struct client *client);
void client_identify_again(struct client *client);

/* Wipes what is secret of its claim. */
void client_forget_secrets(struct client *client);

/* Finds out who it is by its credentials; client_connected() or the end of the connection follows,
 * maybe later. */
void client_login(struct client *client);

/* The same, in its turn, from a rule on. */
void client_login_from(struct client *client, size_t first);

/* Turns of a source that has failed; client_turn.c. Whether it may be looked at who it is now; if
 * not, it will be. */
bool client_has_turn(struct client *client);

/* Looks whether its turn has come, and goes on if so; or gives up. */
void client_turn_comes(struct client *client);

/* Whether it has to take a turn, as others of its source have failed since it began. */
bool client_lacks_turn(const struct client *client);

/* It has not failed. */
void client_return_turn(struct client *client);

/* It ends, perhaps before its turn has come. */
void client_give_up_turn(struct client *client);

/* It has failed, whether or not it is still there to be told. Returns in how many milliseconds it
 * is to be told. */
uint64_t client_spend_turn(struct client *client);

/* Whether its user has no more clients than he may. */
bool client_user_has_room(const struct client *client);

/* It is not one of its user's clients any more. */
void client_leave_user(struct client *client);

/* Its CONNECT was good so far, and it is known who it is. */
void client_connected(struct client *client);

/* Tells on the system account that it has logged in, if that was not told yet; and that it has gone
 * from its account, if so. Datagram peers come and go without a word. */
void client_announce(struct client *client);
void client_renounce(struct client *client, const char *reason);

/* SUB and UNSUB. */
void client_subscribe(struct client *client, const struct operation *operation);
void client_unsubscribe(struct client *client, const struct operation *operation);

/* Takes a subscription out of the index and frees it when nobody uses it any more. */
void client_end_subscription(struct client *client, struct subscription *subscription);
void client_end_subscriptions(struct client *client);

/* Ends the subscription of that sid if it has had its last message. Returns the one that is still
 * there, or NULL. */
struct subscription *client_expire(struct client *client, struct bytes sid);

/* How many messages of a run the client may publish, the first ones. If that is none, *decisionp
 * says why. */
size_t client_permit_publish(struct client *client, const struct message *message,
                             struct permissions_decision *decisionp);

/* Answers each message of a run that may not be published, and counts it. */
void client_deny_publish(struct client *client, const struct message *message,
                         struct permissions_decision decision);

/* Whether the client may subscribe; says so if not. *filteredp: there are messages that are to be
 * kept from the subscription. */
bool client_permit_subscription(struct client *client, struct bytes subject, struct bytes queue,
                                bool *filteredp);

/* Ends subscriptions that are not allowed any more. */
void client_review_subscriptions(struct client *client);

/* Whether a message is to be kept from a subscription that is filtered. The publisher's thread. */
bool client_filters(struct client *client, struct worker *worker,
                    const struct subscription *subscription, struct bytes subject);

/* Remembers that the client may answer to a message, or a run, with a reply, if it may do that at
 * all. Before it is delivered; the publisher's thread. */
void client_expect_responses(struct client *client, struct worker *worker,
                             const struct message *message);

/* Whether it has these: not if there was no memory for them. */
bool client_has_permissions(const struct client *client, const struct permissions *permissions);

/* Frees what it may do, when nobody else can see it any more. */
void client_free_permissions(struct client *client);

/* PING: after its PONG no message of a subscription that was ended before may come, also none that
 * another worker has just staged. */
void client_ping(struct client *client);

/* When the first PING of ours is due, in milliseconds after CONNECT. */
uint64_t client_first_ping_ms(const struct client *client);

/* PONG. */
void client_ponged(struct client *client);

/* Delivers a message; see struct receiver. The publisher's thread. */
size_t client_deliver(struct receiver *receiver, struct worker *worker,
                      struct subscription *subscription, const struct message *message);

/* MSG and HMSG. */
extern const struct client_form client_form_nats;
