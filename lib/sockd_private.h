/* libsockd from inside: the handle, and what its files offer each other.
 *
 *      sockd.c             the handle: settings, login, what the server said
 *      sockd_messaging.c   publish, subscribe, next, request, flush, process
 *      sockd_session.c     what a peer without a connection needs: tries, and renewals
 *      sockd_buffers.c     the two buffers: sending and receiving
 *      sockd_socket.c      the socket: its kinds, opening it
 *      sockd_tls.c         TLS between the buffers and the socket
 *      sockd_operation.c   bytes to operations; pure
 *      sockd_header.c      header blocks; pure
 *
 * The input buffer, with the positions that move through it:
 *
 *      0          start              scan                end        size
 *      | consumed | messages that    | not looked at     | free     |
 *                 | sockd_next() has | yet
 *                 | not told yet     |
 *
 * sockd_next() takes from start. Calls that wait for something particular, a PONG or an answer,
 * look from scan on, leave messages of the user's subscriptions where they are and cut out what
 * they handled. So messages are never copied to a queue.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "lib/address.h"
#include "lib/sockd.h"

/* A line of the server that is longer is no NATS. INFO, with all its URLs, is the longest. */
#define SOCKD_LINE_MAX    ((size_t)1 << 20)
#define SOCKD_SUBJECT_MAX 4096
#define SOCKD_INPUT_SIZE  ((size_t)128 << 10)
#define SOCKD_INPUT_MAX   ((size_t)64 << 20) /* and one message of max_payload on top */
#define SOCKD_OUTPUT_SIZE ((size_t)96 << 10)
#define SOCKD_OUTPUT_FULL ((size_t)64 << 10) /* sent when this much has gathered */
#define SOCKD_PING_LENGTH 6
#define SOCKD_SEND_MS     10000
/* "HPUB " subject " " reply " " header-size " " size CRLF */
#define SOCKD_LINE_ROOM (2 * SOCKD_SUBJECT_MAX + 64)
/* Of 86 characters, and of longer ones that there may be some day. */
#define SOCKD_SIGNATURE_SIZE 256
#define SOCKD_PAYLOAD_MAX    999999999 /* nine digits (protocol.md, 1.3) */

enum sockd_operation_type {
        SOCKD_OPERATION_MESSAGE,
        SOCKD_OPERATION_PING,
        SOCKD_OPERATION_PONG,
        SOCKD_OPERATION_OK,
        SOCKD_OPERATION_ERROR,
        SOCKD_OPERATION_INFO,
};

/* One operation of the server; the slices point into the bytes it was parsed from. */
struct sockd_operation {
        enum sockd_operation_type type;
        size_t length;                /* of the operation, payload included */
        struct sockd_message message; /* MESSAGE */
        const char *text;             /* ERROR: without quotes; INFO: the JSON */
        size_t n_text;
};

enum {
        SOCKD_OPERATION_INCOMPLETE = 1,
        SOCKD_OPERATION_MALFORMED = 2,
};

/* A kind of socket. */
struct sockd_transport {
        bool keeps_boundaries;  /* what is sent at once is a record, and holds whole operations */
        bool is_connectionless; /* the server knows the client by its datagrams only */
        bool is_lossy;          /* what is sent need not arrive, so that requests are repeated */
        size_t full;            /* the output is sent when this much has gathered */
        size_t max;             /* of a record */
};

/* What an operation wants of the datagram that it goes with: a CONNECT before it that allows
 * headers, or one with the cookie as well, which makes the session. */
enum sockd_kind {
        SOCKD_KIND_CONTROL,
        SOCKD_KIND_PUBLISH,
        SOCKD_KIND_PUBLISH_HEADERS,
        SOCKD_KIND_SUBSCRIBE,
};

enum sockd_connect_level {
        SOCKD_CONNECT_NONE,
        SOCKD_CONNECT_PLAIN,
        SOCKD_CONNECT_COOKIE,
};

/* A subscription that has to be renewed. */
struct sockd_subscription {
        uint64_t number;
        uint64_t maximum, n_received; /* maximum 0: none */
        char *subject, *queue;        /* own; queue may be NULL */
};

/* What a connectionless handle has beside its socket. */
struct sockd_session {
        int waiter; /* epoll(7) of the socket and the timer, own, or -1 */
        int timer;  /* timerfd, own, or -1: when something has to be renewed */
        struct sockd_subscription *subscriptions; /* own, by number */
        size_t n_subscriptions;
        int64_t renewed_ms, renew_ms; /* when it was, and when it is to be; INT64_MAX: never */
        bool is_cookie_refused;       /* since the last renewal */
};

struct sockd {
        const struct sockd_transport *transport;
        struct address_socket server; /* Unix datagram: where it is; length 0: not known */
        struct sockd_session session;
        int descriptor;  /* own, or -1 */
        int64_t lost_ms; /* since when the network has failed, and nothing arrived; 0: it has not */
        int failure;     /* result that ended the connection, or 0 */
        bool is_deaf;    /* the peer takes nothing more; it is only read */

        char *input; /* own; kept across connections */
        size_t input_size, start, scan, end;
        size_t n_answered; /* bytes at scan that the last request returned */
        bool is_drained;   /* the last recv(2) took all there was */

        char *output; /* own; kept across connections */
        size_t output_size, n_output;
        size_t n_reserved;                      /* up to here the output stays in one record */
        enum sockd_connect_level connect_level; /* of the record in the output */

        struct sockd_tls *tls; /* own; NULL: none */
        bool wants_tls;        /* the address says so, or the server */
        char host[256];        /* who the server has to be; "": not known */

        char *name, *user, *password, *token, *nkey; /* own, or NULL */
        sockd_sign_fn *sign;                         /* with nkey */
        void *sign_context;
        char signature[SOCKD_SIGNATURE_SIZE]; /* of the server's nonce */
        char *ca, *certificate, *key;         /* own, or NULL; see sockd_set_tls() */
        bool is_tls_first;
        json_t *info; /* own, or NULL; the getters' texts belong to it */
        size_t max_payload;

        uint64_t n_subscriptions; /* the last number given out */
        uint64_t inbox;           /* number of the inbox's subscription; 0: none yet */
        char inbox_prefix[48];    /* "_INBOX.<unique>." */
        size_t n_inbox_prefix;
        uint64_t n_requests;
        uint64_t n_pings, n_pongs;

        char error[512];
};

/* Takes the first operation from n bytes. Returns 0; or INCOMPLETE, with operation->length the
 * number of bytes that it will have, if that is known already, else 0; or MALFORMED. */
int sockd_operation_parse(const char *bytes, size_t n, struct sockd_operation *operation);

/* CLOCK_MONOTONIC; the same plus a timeout, INT64_MAX for a negative one. */
int64_t sockd_now(void);
int64_t sockd_deadline(int timeout_ms);

/* Returns 0 when an event is there, SOCKD_TIMEOUT or -errno. A signal does not end the wait. */
int sockd_wait(int descriptor, short events, int64_t deadline_ms);

/* The addresses that a text stands for; the caller frees them. The reason of a failure goes to
 * sockd->error. */
int sockd_socket_resolve(struct sockd *sockd, const char *text, struct address_socket **socketsp,
                         size_t *np);

/* Opens a connected socket, takes a connected one over, or connects that of a Unix datagram server
 * that was started again. Return 0, SOCKD_TIMEOUT or -errno. */
int sockd_socket_open(struct sockd *sockd, const struct address_socket *address,
                      int64_t deadline_ms);
int sockd_socket_adopt(struct sockd *sockd, int descriptor);
int sockd_socket_reopen(struct sockd *sockd);

/* Begins something of n bytes that stays in one record: an operation, or several, each of which
 * begins so too. Sends first what has no room beside it. */
int sockd_output_begin(struct sockd *sockd, enum sockd_kind kind, size_t n);

/* Appends to the output, of a stream sending first what has no room. */
int sockd_output_append(struct sockd *sockd, const void *bytes, size_t n);

/* Sends all of the output. */
int sockd_output_send(struct sockd *sockd);

/* Sends the output, then waits for input and appends it to the buffer. n_wanted: how long the
 * operation will be that is incomplete, or 0. Slices into the buffer die. */
int sockd_input_receive(struct sockd *sockd, size_t n_wanted, int64_t deadline_ms);

/* Looks whether TLS is to begin now that INFO has come: sockd->wants_tls. Returns 0, or a result
 * that ends the connection. */
int sockd_tls_check_info(struct sockd *sockd);

/* The handshake. Returns 0, SOCKD_TIMEOUT, SOCKD_TLS, SOCKD_CLOSED or -errno. */
int sockd_tls_begin(struct sockd *sockd, int64_t deadline_ms);
void sockd_tls_deinit(struct sockd *sockd);

/* As send(2) and recv(2) on a non-blocking socket. After EPROTO sockd_fail() was called already.
 * *is_drainedp: nothing more is buffered here. And what to wait for after EAGAIN, also where there
 * is no TLS. */
ssize_t sockd_tls_send(struct sockd *sockd, const void *bytes, size_t n);
ssize_t sockd_tls_receive(struct sockd *sockd, void *bytes, size_t n, bool *is_drainedp);
short sockd_tls_send_events(const struct sockd *sockd);
short sockd_tls_receive_events(const struct sockd *sockd);

/* The line of CONNECT, to be given back by sockd_connect_line_free(); NULL if there is no memory.
 * is_padded: with blanks that give the server room for its INFO. */
char *sockd_connect_line(const struct sockd *sockd, bool with_cookie, bool is_padded);

/* Wipes and frees a line, in which passwords may be; takes NULL. */
void sockd_connect_line_free(char *line);

/* Puts CONNECT and a PING, in one record. Returns 0 or a negative errno. */
int sockd_put_greeting(struct sockd *sockd, bool with_cookie, bool is_padded);

/* Put one line each into the output. */
int sockd_put_ping(struct sockd *sockd);
int sockd_put_subscribe(struct sockd *sockd, const char *subject, size_t n_subject,
                        const char *queue, uint64_t subscription);
int sockd_put_unsubscribe(struct sockd *sockd, uint64_t subscription, uint64_t maximum);

/* What a connectionless handle has beside its socket, made and given back. Returns 0 or -errno. */
int sockd_session_init(struct sockd *sockd);
void sockd_session_deinit(struct sockd *sockd);

/* Logs in: asks until the server has said who it is and answered a PING. */
int sockd_session_greet(struct sockd *sockd, int64_t deadline_ms);

/* The CONNECT that has to stand before an operation of that kind in the datagram at hand: its
 * length, or 0; and itself. */
size_t sockd_session_connect_length(const struct sockd *sockd, enum sockd_kind kind);
int sockd_session_put_connect(struct sockd *sockd, enum sockd_kind kind);

/* Notes a subscription, or a change of it. maximum 0: it has ended. */
int sockd_session_add(struct sockd *sockd, const char *subject, const char *queue, uint64_t number);
void sockd_session_set_maximum(struct sockd *sockd, uint64_t number, uint64_t maximum);

/* Ends all subscriptions, before the socket is closed. */
void sockd_session_end(struct sockd *sockd);

/* Puts all subscriptions into the output once more, with what makes the session. */
int sockd_session_put(struct sockd *sockd);

/* Does that, and sends it, if it is due; and when that will be, if it is before a deadline. */
int sockd_session_renew(struct sockd *sockd);
int64_t sockd_session_limit(const struct sockd *sockd, int64_t deadline_ms);

/* A datagram arrived. Returns how much of it is operations. */
size_t sockd_session_take(struct sockd *sockd, const char *bytes, size_t n);

/* The server did not take the cookie, and has sent a new one. */
void sockd_session_refused(struct sockd *sockd);

/* How long the nth try of n_tries, from 0, of something may take: the last one to the deadline, the
 * first one first_ms, and each of the others twice as long. */
int64_t sockd_try_deadline(unsigned try, unsigned n_tries, int64_t first_ms, int64_t deadline_ms);

/* Whether a failure of the network is borne: a server that is started again gets the subscriptions
 * with the next renewal. */
bool sockd_session_bears(const struct sockd *sockd, int result);

/* The next operation at scan, received if need be; all but messages have been handled and cut out.
 * For a message the caller calls sockd_scan_keep() or sockd_scan_drop(). */
int sockd_scan(struct sockd *sockd, struct sockd_operation *operation, int64_t deadline_ms);
void sockd_scan_keep(struct sockd *sockd, const struct sockd_operation *operation);
void sockd_scan_drop(struct sockd *sockd, size_t length);

/* Does what an operation that is no message asks for. Returns 0, DENIED, REFUSED, VIOLATION. */
int sockd_handle(struct sockd *sockd, const struct sockd_operation *operation);

/* Notes why, closes the socket if the result ends the connection, and returns the result. */
__attribute__((format(printf, 3, 4))) int sockd_fail(struct sockd *sockd, int result,
                                                     const char *format, ...);
