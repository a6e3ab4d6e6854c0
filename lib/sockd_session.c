/* A client without a connection: what it does so that the server knows it all the same.
 *
 * The server knows it by its datagrams. One that subscribes makes a session, and ends it by
 * silence; the server may also be started again, and nobody tells. So everything that a session
 * consists of, CONNECT and the SUBs, is sent again and again, which changes nothing where it is
 * known already: while the program waits, some time before the session would end, and with each
 * request and flush.
 *
 * The CONNECT that stands before a SUB has the cookie, which proves our address. One that the
 * server does not know any more costs the rest of its datagram; the answer brings a new one, and
 * what was lost is sent again.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define RENEW_MS    10000 /* where the server does not say how soon a session ends */
#define RENEW_LEAST 10
#define REFUSED_MS  250 /* between two renewals for the sake of a cookie */
#define N_GREETINGS 8
#define GREETING_MS 250   /* for the first one; each of the others takes twice as long */
#define BEAR_MS     30000 /* so long may a server be away */

/* --- life ----------------------------------------------------------------------------------- */

static int watch(const struct sockd_session *session, int descriptor) {
        struct epoll_event event = {.events = EPOLLIN};

        return epoll_ctl(session->waiter, EPOLL_CTL_ADD, descriptor, &event) < 0 ? -errno : 0;
}

int sockd_session_init(struct sockd *sockd) {
        struct sockd_session *session = &sockd->session;
        int result;

        session->waiter = epoll_create1(EPOLL_CLOEXEC);
        session->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (session->waiter < 0 || session->timer < 0)
                return -errno;
        result = watch(session, session->timer);
        return result ? result : watch(session, sockd->descriptor);
}

static void remove_subscription(struct sockd_session *session,
                                struct sockd_subscription *subscription) {
        struct sockd_subscription *end = session->subscriptions + session->n_subscriptions;

        free(subscription->subject);
        free(subscription->queue);
        memmove(subscription, subscription + 1,
                (size_t)(end - subscription - 1) * sizeof(*subscription));
        session->n_subscriptions--;
}

void sockd_session_deinit(struct sockd *sockd) {
        struct sockd_session *session = &sockd->session;

        if (session->waiter >= 0)
                close(session->waiter);
        if (session->timer >= 0)
                close(session->timer);
        while (session->n_subscriptions > 0)
                remove_subscription(session, &session->subscriptions[session->n_subscriptions - 1]);
        free(session->subscriptions);
        *session = (struct sockd_session){.waiter = -1, .timer = -1, .renew_ms = INT64_MAX};
}

/* --- when something is due ------------------------------------------------------------------ */

/* From then on the waiter is readable, for who waits in a poll(2) of his own. */
static void set_due(struct sockd_session *session, int64_t renew_ms) {
        struct itimerspec time = {.it_interval = {0}};

        session->renew_ms = renew_ms;
        if (renew_ms != INT64_MAX) {
                time.it_value.tv_sec = (time_t)(renew_ms / 1000);
                time.it_value.tv_nsec = renew_ms % 1000 * 1000000 + 1;
        }
        (void)timerfd_settime(session->timer, TFD_TIMER_ABSTIME, &time, NULL);
}

/* A third of the time after which the server forgets us: two datagrams may be lost. */
static int64_t interval(const struct sockd *sockd) {
        json_int_t timeout_ms = json_integer_value(json_object_get(sockd->info, "session_timeout"));

        if (timeout_ms <= 0 || timeout_ms / 3 > RENEW_MS)
                return RENEW_MS;
        return timeout_ms / 3 < RENEW_LEAST ? RENEW_LEAST : timeout_ms / 3;
}

int64_t sockd_session_limit(const struct sockd *sockd, int64_t deadline_ms) {
        return sockd->session.renew_ms < deadline_ms ? sockd->session.renew_ms : deadline_ms;
}

int64_t sockd_try_deadline(unsigned try, unsigned n_tries, int64_t first_ms, int64_t deadline_ms) {
        int64_t limit_ms = sockd_now() + (first_ms << try);

        return try + 1 < n_tries && limit_ms < deadline_ms ? limit_ms : deadline_ms;
}

bool sockd_session_bears(const struct sockd *sockd, int result) {
        return result < 0 && result != -ENOBUFS && sockd->failure == 0 &&
               sockd->session.n_subscriptions > 0 && sockd->lost_ms > 0 &&
               sockd_now() - sockd->lost_ms < BEAR_MS;
}

void sockd_session_refused(struct sockd *sockd) {
        struct sockd_session *session = &sockd->session;

        session->is_cookie_refused = true;
        if (session->n_subscriptions > 0)
                set_due(session, session->renewed_ms + REFUSED_MS);
}

/* --- CONNECT -------------------------------------------------------------------------------- */

static enum sockd_connect_level level_of(const struct sockd *sockd, enum sockd_kind kind) {
        if (!sockd->transport->is_connectionless)
                return SOCKD_CONNECT_NONE;
        switch (kind) {
        case SOCKD_KIND_PUBLISH_HEADERS:
                return SOCKD_CONNECT_PLAIN;
        case SOCKD_KIND_SUBSCRIBE:
                return SOCKD_CONNECT_COOKIE;
        case SOCKD_KIND_CONTROL:
        case SOCKD_KIND_PUBLISH:
                break;
        }
        return SOCKD_CONNECT_NONE;
}

/* The line, to be freed; NULL where none is needed, or there is no memory. */
static char *make_connect(const struct sockd *sockd, enum sockd_kind kind) {
        enum sockd_connect_level level = level_of(sockd, kind);

        if (level <= sockd->connect_level)
                return NULL;
        return sockd_connect_line(sockd, level == SOCKD_CONNECT_COOKIE, false);
}

size_t sockd_session_connect_length(const struct sockd *sockd, enum sockd_kind kind) {
        char *line = make_connect(sockd, kind);
        size_t n = line ? strlen(line) : 0;

        sockd_connect_line_free(line);
        return n;
}

int sockd_session_put_connect(struct sockd *sockd, enum sockd_kind kind) {
        char *line = make_connect(sockd, kind);
        int result = -ENOMEM;

        if (!line)
                return sockd_fail(sockd, result, "out of memory");
        result = sockd_output_append(sockd, line, strlen(line));
        sockd->connect_level = level_of(sockd, kind);
        sockd_connect_line_free(line);
        return result;
}

/* --- greeting ------------------------------------------------------------------------------- */

static int await_greeting(struct sockd *sockd, int64_t deadline_ms) {
        uint64_t n_before = sockd->n_pongs;
        struct sockd_operation operation;
        int result = 0;

        sockd->session.is_cookie_refused = false;
        while (result == 0 && (!sockd->info || sockd->n_pongs == n_before)) {
                result = sockd_scan(sockd, &operation, deadline_ms);
                if (result == 0 && operation.type == SOCKD_OPERATION_MESSAGE)
                        sockd_scan_drop(sockd, operation.length);
                if (result == 0 && sockd->session.is_cookie_refused)
                        return SOCKD_TIMEOUT;
        }
        return result;
}

/* Whom the server does not trust yet it tells hardly more than the cookie. */
static bool is_known(const struct sockd *sockd) {
        return json_object_get(sockd->info, "server_id") != NULL;
}

int sockd_session_greet(struct sockd *sockd, int64_t deadline_ms) {
        int result = 0;

        for (unsigned i = 0; i < N_GREETINGS; i++) {
                int64_t limit_ms = sockd_try_deadline(i, N_GREETINGS, GREETING_MS, deadline_ms);

                result = sockd_put_greeting(sockd, true, true);
                if (result == 0)
                        result = await_greeting(sockd, limit_ms);
                if (result == 0 && is_known(sockd))
                        return 0;
                if ((result && result != SOCKD_TIMEOUT) || sockd_now() >= deadline_ms)
                        return result;
        }
        return result;
}

/* --- subscriptions -------------------------------------------------------------------------- */

static struct sockd_subscription *find(const struct sockd_session *session, uint64_t number) {
        size_t low = 0, high = session->n_subscriptions;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (session->subscriptions[middle].number < number)
                        low = middle + 1;
                else
                        high = middle;
        }
        if (low == session->n_subscriptions || session->subscriptions[low].number != number)
                return NULL;
        return &session->subscriptions[low];
}

int sockd_session_add(struct sockd *sockd, const char *subject, const char *queue,
                      uint64_t number) {
        struct sockd_session *session = &sockd->session;
        struct sockd_subscription *all, *subscription;

        all = realloc(session->subscriptions, (session->n_subscriptions + 1) * sizeof(*all));
        if (!all)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        session->subscriptions = all;
        subscription = &all[session->n_subscriptions++];
        *subscription = (struct sockd_subscription){.number = number,
                                                    .subject = strdup(subject),
                                                    .queue = queue ? strdup(queue) : NULL};
        if (!subscription->subject || (queue && !subscription->queue)) {
                remove_subscription(session, subscription);
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        }
        if (session->renew_ms == INT64_MAX)
                set_due(session, sockd_now() + interval(sockd));
        return 0;
}

void sockd_session_set_maximum(struct sockd *sockd, uint64_t number, uint64_t maximum) {
        struct sockd_subscription *subscription = find(&sockd->session, number);

        if (!subscription)
                return;
        subscription->maximum = maximum;
        if (maximum <= subscription->n_received)
                remove_subscription(&sockd->session, subscription);
        if (sockd->session.n_subscriptions == 0)
                set_due(&sockd->session, INT64_MAX);
}

/* Counts a message. Where its subscription thereby ends, the server is told so as well: it may have
 * begun to count anew. */
static void count_message(struct sockd *sockd, uint64_t number) {
        struct sockd_subscription *subscription = find(&sockd->session, number);

        if (!subscription)
                return;
        subscription->n_received++;
        if (subscription->maximum == 0 || subscription->n_received < subscription->maximum)
                return;
        sockd_session_set_maximum(sockd, number, subscription->maximum);
        (void)sockd_put_unsubscribe(sockd, number, 0);
}

size_t sockd_session_take(struct sockd *sockd, const char *bytes, size_t n) {
        struct sockd_operation operation;
        size_t n_taken = 0;

        sockd->lost_ms = 0;
        while (n_taken < n &&
               sockd_operation_parse(bytes + n_taken, n - n_taken, &operation) == 0) {
                if (operation.type == SOCKD_OPERATION_MESSAGE)
                        count_message(sockd, operation.message.subscription);
                n_taken += operation.length;
        }
        return n_taken;
}

/* Nobody would tell the server, and it would go on to send, and count, what nobody takes. What does
 * not leave at once stays behind. */
void sockd_session_end(struct sockd *sockd) {
        struct sockd_session *session = &sockd->session;
        int result = sockd->failure;

        sockd->n_output = sockd->n_reserved = 0;
        for (size_t i = 0; result == 0 && i < session->n_subscriptions; i++)
                result = sockd_put_unsubscribe(sockd, session->subscriptions[i].number, 0);
        if (result == 0 && sockd->n_output > 0)
                (void)send(sockd->descriptor, sockd->output, sockd->n_output,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- renewal -------------------------------------------------------------------------------- */

static int put_subscription(struct sockd *sockd, const struct sockd_subscription *subscription) {
        int result =
                sockd_put_subscribe(sockd, subscription->subject, strlen(subscription->subject),
                                    subscription->queue, subscription->number);

        if (result == 0 && subscription->maximum > 0)
                result = sockd_put_unsubscribe(sockd, subscription->number, subscription->maximum);
        return result;
}

int sockd_session_put(struct sockd *sockd) {
        struct sockd_session *session = &sockd->session;
        int result = 0;

        session->renewed_ms = sockd_now();
        session->is_cookie_refused = false;
        if (session->n_subscriptions > 0)
                set_due(session, session->renewed_ms + interval(sockd));
        for (size_t i = 0; result == 0 && i < session->n_subscriptions; i++)
                result = put_subscription(sockd, &session->subscriptions[i]);
        return result;
}

int sockd_session_renew(struct sockd *sockd) {
        int result;

        if (sockd->session.renew_ms == INT64_MAX || sockd_now() < sockd->session.renew_ms)
                return 0;
        result = sockd_session_put(sockd);
        return result ? result : sockd_output_send(sockd);
}
