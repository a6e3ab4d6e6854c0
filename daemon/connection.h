/* One peer on one transport: input, output, close, timers. It knows no protocol.
 *
 * A connection is read, closed and freed by its own worker only. Other workers may do one thing
 * with it: stage output for it and flush that (connection_output(), connection_flush()), within a
 * batch in which they found it through the index. What the socket does not take waits in `pending`,
 * under the connection's lock, and from then on the connection's own worker sends it when the
 * socket is writable.
 *
 * It ends in three steps: no more input and output; the descriptor closed and a grace period for
 * those who may still hold a pointer; freed by its own worker.
 */
#pragma once

#include "daemon/admission.h"
#include "daemon/cookie.h"
#include "daemon/outbox.h"
#include "daemon/proxy_protocol.h"
#include "daemon/reclaim.h"
#include "daemon/stats.h"
#include "daemon/worker.h"
#include "lib/address.h"

#include <netinet/in.h>
#include <sys/types.h>

struct client;
struct config_handler;
struct handler;
struct listener;
struct peer_facts;
struct certificate_name;
struct session;
struct stage;
struct tls;
struct tls_facts;
struct transport;

/* Why a connection ended, in the words of protocol.md 6.12. */
#define REASON_CLIENT_CLOSED   "Client Closed"
#define REASON_READ_ERROR      "Read Error"
#define REASON_WRITE_ERROR     "Write Error"
#define REASON_SLOW_PENDING    "Slow Consumer (Pending Bytes)"
#define REASON_SLOW_DEADLINE   "Slow Consumer (Write Deadline)"
#define REASON_SHUTDOWN        "Server Shutdown"
#define REASON_STALE           "Stale Connection"
#define REASON_PARSE_ERROR     "Parse Error"
#define REASON_VIOLATION       "Protocol Violation"
#define REASON_CONTROL_LINE    "Maximum Control Line Exceeded"
#define REASON_MAX_PAYLOAD     "Maximum Message Payload Exceeded"
#define REASON_MAX_CONNECTIONS "Maximum Connections Exceeded"
#define REASON_AUTHENTICATION  "Authentication Failure"
#define REASON_AUTH_TIMEOUT    "Authentication Timeout"
#define REASON_REVOKED         "Credentials Revoked"
#define REASON_CLIENT_PROTOCOL "Bad Client Protocol Version"
#define REASON_NO_RESPONDERS   "No Responders Requires Headers"
#define REASON_KICKED          "Kicked"
#define REASON_SESSION_EXPIRED "Session Expired"
#define REASON_UNREACHABLE     "Port Unreachable"
#define REASON_SERVED          "Served"
#define REASON_DENIED          "Permissions Violation"
#define REASON_TLS             "TLS Handshake Failure"
#define REASON_REFUSED         "Not Admitted"
#define REASON_IDLE            "Idle Timeout"
#define REASON_MAX_TIME        "Maximum Time Exceeded"
#define REASON_TLS_FLOOD       "TLS Record Flood"
#define REASON_NO_TARGET       "Target Unreachable"
#define REASON_TARGET_ERROR    "Target Error"
#define REASON_PROGRAM         "Program Not Started"
#define REASON_PROGRAM_LATE    "Program Timeout"

/* What the kernel says about the peer. */
struct peer {
        char ip[INET6_ADDRSTRLEN]; /* "" for Unix peers */
        uint16_t port;
        bool has_credentials; /* of a Unix peer: the next three are known (SO_PEERCRED) */
        bool has_owner;       /* of a TCP peer: the uid is known, that of the socket's owner */
        uid_t uid;
        gid_t gid;
        pid_t pid;

        /* A proxy has told of it, and whom it wanted to reach: the kernel knows the proxy only. */
        bool is_introduced;
        uint16_t local_port;
        struct in6_addr local_host; /* that of IPv4 mapped to IPv6 */
};

enum connection_state {
        CONNECTION_OPEN,
        CONNECTION_ENDING, /* output leaves, input is discarded */
        CONNECTION_CLOSED,
};

/* Why input is not taken at the moment; bits. */
enum connection_pause {
        PAUSE_FENCE = 1,    /* the handler waits for other workers */
        PAUSE_YIELD = 4,    /* others have their turn first */
        PAUSE_HELD = 2,     /* receivers have not kept up */
        PAUSE_RATE = 8,     /* its source has sent too much */
        PAUSE_LOGIN = 16,   /* who it is is being found out */
        PAUSE_OUTPUT = 32,  /* what it is sent has to leave first */
        PAUSE_ANSWERS = 64, /* what it has asked has to be answered first */
        PAUSE_TARGET = 128, /* where its input goes takes none */
};

/* How far a connection's receiver is behind. */
enum connection_congestion {
        CONGESTION_NONE,
        CONGESTION_SOME,     /* enough waits to keep it busy */
        CONGESTION_CRITICAL, /* three quarters of max_pending */
};

/* What INFO says of TLS; bits. */
enum connection_tls_offer {
        TLS_OFFER_REQUIRED = 1,
        TLS_OFFER_AVAILABLE = 2, /* and not required */
        TLS_OFFER_VERIFY = 4,
        TLS_OFFER_FIRST = 8,
};

/* Tens of thousands may be there and idle: small members stand side by side, and what only
 * sessions need is theirs. */
struct connection {
        /* Fixed from the beginning. */
        struct worker *worker;
        const struct transport *transport; /* fixed when the first input is taken: TLS or not */
        const struct handler *handler;
        struct listener *listener; /* a reference */
        uint64_t id;
        struct session *session; /* owned; of a connectionless transport, else NULL */
        uint64_t start_ns;       /* real time */
        uint64_t begun_ms;       /* the same as loop time */
        size_t max_frame;        /* the longest operation that can be sent */
        struct client *client;   /* who it is on the bus; owned by the handler; see handler.h */
        void *state;             /* the handler's own */
        struct config_handler *settings; /* of the handler; a reference, NULL: none */
        struct peer peer;
        uint32_t slot;      /* index in the instance's registry */
        unsigned tls_offer; /* enum connection_tls_offer */

        /* For the own worker. */
        struct timer timer;
        uint32_t source; /* hash of where it comes from; see rate.h */
        enum connection_state state_of_life;
        unsigned paused;    /* enum connection_pause */
        int wanted, polled; /* what is waited for now, and what is polled for to learn of it */
        unsigned n_pins;    /* reasons not to free it yet */
        bool is_kept;       /* it is one of the worker's connections, not a stranger */
        bool is_end_of_input;
        bool is_confidential; /* set by its client: input that waits may have a secret in it */
        bool is_hung_up;      /* that was noticed while it was paused */
        bool is_finished;     /* and the handler knows */
        bool wants_writable;
        bool is_broken; /* it is read for the last time */
        bool is_polling_output;
        bool is_grace_over;
        bool is_held_briefly; /* others wait behind it */
        bool is_talking;      /* there was more input when it ended */
        bool is_owner_asked;  /* so peer.has_owner says what is to be known */
        bool is_taken;        /* its handler moves the socket's bytes itself, */
        int awaited;          /* and waits for these events */
        uint32_t held_by_slot;
        uint64_t held_by; /* id of the connection it is held for, with held_by_slot */
        uint64_t held_since_ms;
        uint64_t held_sent; /* what the receiver had taken then */
        struct rate *rate;  /* of its user beside that of its listener; borrowed, NULL: none */
        struct admission_place place; /* at its listener */
        struct list_link link;        /* worker's connections */
        union {
                struct list_link held_link;  /* worker's held publishers, */
                struct reclaim_node reclaim; /* and, when it is closed */
        };
        struct task freeing;
        const char *reason;       /* why it ends; NULL while the handler has it */
        uint64_t cgroup;          /* id of that of the owner's socket; 0: not known */
        struct peer_facts *facts; /* owned; NULL: not asked for */
        struct block *kept;       /* incomplete input, NULL if none; a reference */
        size_t n_kept;
        size_t n_needed;           /* length of all of it; 0: unknown */
        struct block *input_block; /* while the handler runs: what the input lies in */
        uv_poll_t poll;
        uint64_t protocol_due_ms; /* loop time; 0: none */
        uint64_t write_due_ms;
        uint64_t end_due_ms;
        uint64_t idle_due_ms; /* when it is looked whether it was used meanwhile */
        uint64_t time_due_ms; /* when it has been there for long enough */
        uint64_t rate_due_ms;
        uint64_t end_limit_ms;                /* when delivery is no longer waited for */
        size_t n_discarded;                   /* bytes of input, while it ends */
        uint64_t last_input_ms;               /* loop time */
        struct counter in_messages, in_bytes; /* written by the handler; any thread reads */

        /* For all, with the lock. */
        pthread_mutex_t lock; /* a leaf but for the own worker's mailbox */
        int fd;               /* -1 when closed */
        bool is_waiting;      /* the own worker sends when the socket is writable */
        bool is_shut;         /* the peer was told that nothing more comes */
        bool needs_attention; /* `attention` is on its way to the own worker */
        struct tls *tls; /* owned; NULL: none. Set and taken away by the own worker; see tls.h */
        struct outbox pending;
        const char *doom; /* why it must be closed, or NULL */
        struct task attention;
        _Atomic uint64_t n_sent; /* bytes the socket has taken; any thread reads */
        uint64_t out_messages, out_bytes;
        uint64_t delivered_ms; /* loop time of the last of these messages */

        /* For all, without it. */
        _Atomic uint64_t sent_ms;      /* loop time of the last of them */
        _Atomic uint64_t max_pending;  /* bytes that may wait for it; 0: as for everybody */
        _Atomic int congestion;        /* enum connection_congestion */
        _Atomic bool is_output_closed; /* nothing more can be staged */
        _Atomic bool is_laggard;       /* nobody waits for it any more, until it has caught up */
};

/* Makes a connection of an accepted descriptor, in the worker that shall own it. It takes the
 * descriptor and the place (also on failure) and a reference of the listener. One that was refused
 * is told so, and closed. Returns 0 or a negative errno. */
int connection_open(struct worker *worker, struct listener *listener, int fd,
                    const struct peer *peer, const struct admission_place *place);

/* Makes a connection for a datagram session, on the socket of its endpoint. It takes the session
 * (also on failure). Returns 0 or a negative errno. */
int connection_open_session(struct worker *worker, struct listener *listener, int fd,
                            struct session *session);

/* Hands a frame up that was received elsewhere. */
void connection_take_frame(struct connection *connection, struct bytes frame);

/* What is to last begins, a subscription: a connection has to stay for that. Returns 0, or a
 * negative errno if it may not; see session_keep(). */
int connection_keep(struct connection *connection);

/* Whether an answer may be sent that has no purpose but to tell what was wrong: it may not be
 * longer than what caused it, unless the peer's address is proved. */
bool connection_may_complain(struct connection *connection, size_t length);

/* A frame of a datagram peer was malformed. */
void connection_note_malformed(struct connection *connection);

/* A datagram came that is not answered, as that would be answered. */
void connection_note_loop(struct connection *connection);

/* So many messages for it fit no frame of its transport. Any worker. */
void connection_note_too_large(struct connection *connection, size_t n_messages);

/* The cookie that a datagram peer proves its address with; false if it has none. */
bool connection_cookie(struct connection *connection, char text[COOKIE_TEXT_SIZE]);

/* Whether the peer may have this cookie; that it has it proves its address. */
bool connection_prove(struct connection *connection, struct bytes cookie);

/* Where the peer comes from, to follow the client's number in the log: " from 127.0.0.1", " of uid
 * 7", or "". Returns text. */
#define CONNECTION_ORIGIN_MAX 64
const char *connection_origin(const struct connection *connection,
                              char text[CONNECTION_ORIGIN_MAX]);

/* Whether a peer with credentials has a group, be it a supplementary one. By its own worker. */
bool connection_has_group(const struct connection *connection, gid_t gid);

/* Whether the peer's uid is known. For that of a TCP peer on this host the kernel is asked, the
 * first time. By its own worker. */
bool connection_has_uid(struct connection *connection);

/* What the kernel knows of the peer's process, of a TCP peer its unit alone; it is asked the first
 * time. Borrowed; NULL: nothing, as always of datagram peers. By its own worker. */
const struct peer_facts *connection_facts(struct connection *connection);

/* Writes the header of the PROXY protocol that tells somebody else of the connection: its peer, and
 * whom that wanted to reach. Returns its length. By its own worker. */
size_t connection_introduce(const struct connection *connection, enum proxy_version version,
                            char text[PROXY_TEXT_MAX]);

/* What TLS has come to; NULL if there is none (yet). By its own worker; valid as long as the
 * connection. */
const struct tls_facts *connection_tls(const struct connection *connection);

/* The names in the peer's certificate that may be names of users, in the order in which they are to
 * be tried (protocol.md, 7.7); 0 if there is none, or the listener does not map them. As above. */
size_t connection_certificate_names(const struct connection *connection,
                                    const struct certificate_name **namesp);

/* The limits of its listener have changed, or begin to hold: how long it may be idle, and there. By
 * its own worker. */
void connection_limit_time(struct connection *connection);

/* When a message for it was sent last, or began to wait, as loop time; 0: never. */
uint64_t connection_delivered_ms(struct connection *connection);

/* Whether the peer has gone, or has ended its input, and nothing of it waits that would be for
 * others. By its own worker. */
bool connection_is_deserted(const struct connection *connection);

/* Has connection->peer tell the address of a stranger, as it does of others; it is that of the
 * datagram at hand. */
void connection_show_peer(struct connection *connection);

/* Whether nobody is there any more who could send or read, and nothing of him waits; of TCP, as far
 * as that was told. By its own worker. */
bool connection_is_hung_up(const struct connection *connection);

/* What the peer speaks to: its address and port, or, of a Unix socket, the listener's path or
 * "@name". What is not known is "" or 0. */
struct connection_local {
        char ip[INET6_ADDRSTRLEN];
        uint16_t port;
        char path[sizeof(((struct address *)0)->path) + 1];
};

void connection_find_local(const struct connection *connection, struct connection_local *local);

/* Whether the peer's address is known to be its own. */
bool connection_is_proved(const struct connection *connection);

/* What may be sent at the moment; SIZE_MAX: anything. */
size_t connection_credit(const struct connection *connection);

/* The stage to append output to, or NULL if the connection ends or there is no memory. Any worker,
 * within a batch. */
struct stage *connection_output(struct worker *worker, struct connection *connection);

/* After an operation, or a run if the transport keeps no boundaries, was appended: flushes early
 * what has become large. Any worker. */
void connection_output_done(struct worker *worker, struct stage *stage);

/* Stages bytes. Any worker. */
void connection_write(struct worker *worker, struct connection *connection, struct bytes bytes);

/* Output was lost for want of memory: the connection is closed, since its stream has a gap. Any
 * worker. */
void connection_condemn_output(struct worker *worker, struct connection *connection);

/* Sends what is staged, or puts it behind what waits already. Any worker. */
void connection_flush(struct worker *worker, struct stage *stage);

/* The same for the first of several stages, and for those behind it that can leave with it. Returns
 * how many were flushed, at least one. Any worker. */
unsigned connections_flush(struct worker *worker, struct stage *const *stages, unsigned n_stages);

/* Ends the connection: nothing more is read; what was staged is sent, for a short time; then it is
 * closed. The first reason counts. */
void connection_end(struct connection *connection, const char *reason);

/* Closes it at once; what waits is dropped. */
void connection_close(struct connection *connection, const char *reason);

/* Stops and resumes taking input, for one reason. What has been read stays. */
void connection_pause(struct connection *connection, enum connection_pause why);
void connection_resume(struct connection *connection, enum connection_pause why);

/* Whether handler->writable is called. */
void connection_want_writable(struct connection *connection, bool is_wanted);

/* Takes no more input until all output has left. Such a handler's `writable` is
 * connection_resume_input(). */
void connection_await_output(struct connection *connection);
void connection_resume_input(struct connection *connection);

/* Gives the socket to the handler, which moves its bytes itself from now on, as long as the
 * connection is open; only for streams without TLS, of which nothing was read and to which nothing
 * was sent. It still belongs to the connection. */
void connection_take_socket(struct connection *connection);

/* Has handler->ready called for these events of libuv, of such a socket. That there is input is not
 * told while the connection is paused. */
void connection_await_socket(struct connection *connection, int events);

/* Counts bytes that the handler has moved from and to such a socket. */
void connection_count_moved(struct connection *connection, size_t n_in, size_t n_out);

/* Tells the peer of a connection, to which nothing waits to be sent, that nothing more comes; it
 * may still send. */
void connection_end_output(struct connection *connection);

/* As connection_close(), and lets the peer see that it was no orderly end, where that is possible.
 */
void connection_abort(struct connection *connection, const char *reason);

/* Counts published messages against the rate of their source. Returns how many may pass, the first
 * ones: of a datagram, whose others are dropped, fewer than there are; a stream passes, and pauses
 * until it is in order again. */
size_t connection_admit(struct connection *connection, size_t n_messages, size_t n_bytes);

/* Pauses input until `receiver` has caught up, as long as it gets on. */
void connection_hold(struct connection *connection, struct connection *receiver, bool is_brief);

/* Pauses input until other connections of the worker have had their turn; of a datagram the rest is
 * dropped. */
void connection_yield(struct connection *connection, struct bytes *input);

/* Looks whether held connections may go on. By the worker, in each iteration. */
void connection_check_held(struct worker *worker);

/* The timer of a connection is due. By its worker. */
void connection_on_timer(struct timer *timer);

/* Has handler->deadline called in ms milliseconds; 0: not at all. */
void connection_set_deadline(struct connection *connection, uint64_t ms);

/* Keeps the memory, though not the connection, until it is unpinned. */
void connection_pin(struct connection *connection);
void connection_unpin(struct connection *connection);

/* Bytes that wait. Any thread that may hold the pointer. */
size_t connection_pending(struct connection *connection);
