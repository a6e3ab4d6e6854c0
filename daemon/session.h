/* A session: a datagram peer, known by its address, and by the local address that it speaks to.
 *
 * It is what a connection has instead of a socket of its own. The first datagram of an unknown peer
 * is handled by a session that is in no table, the stranger; what has to last, a subscription,
 * makes it stay (session_keep()). Then it lives until its peer has been silent for
 * session_timeout, its listener ends, or the network says that nobody is there.
 *
 * Belongs to the worker of its endpoint. What others do is to send through its connection, under
 * the connection's lock; they touch what is atomic, and what is fixed once the session stays.
 */
#pragma once

#include "daemon/cookie.h"
#include "lib/bytes.h"
#include "lib/list.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct connection;
struct endpoint;

/* An address of a peer. */
union session_address {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
};

/* Where a datagram came from and went to. */
struct session_path {
        union session_address peer;
        socklen_t peer_length; /* 0: it has none, and cannot be answered */
        struct in6_addr local; /* an IPv4 address is mapped; all zero: that of the socket */
        unsigned local_index;  /* of the interface, for link-local addresses; 0: any */
        int hops; /* how many the last datagram had left, where answers have one less; 0: any */
};

/* Why a datagram, or a part of one, came to nothing. */
enum drop {
        DROP_BROADCAST,     /* in: it went to all, or to a group that is not joined */
        DROP_MALFORMED,     /* in: unknown, wrong or incomplete operations */
        DROP_TOO_LARGE,     /* in: it did not fit; out: a message did not */
        DROP_AMPLIFICATION, /* out: more than three times what came from an unproved peer */
        DROP_SESSION,       /* in: SUB when no more sessions may be */
        DROP_RATE,          /* in: more than the listener's rate allows */
        DROP_CONGESTION,    /* out: the peer, or the network, does not take it */
        DROP_KERNEL,        /* in: the socket's receive buffer was full */
        DROP_ADDRESS,       /* in: the listener does not admit it */
        DROP_TIME,          /* in: the listener is closed at this time of day */
        DROP_CPS,           /* in: SUB when too many sessions began in this second */
        DROP_UNANSWERABLE,  /* out: the peer has no address, or the listener answers nobody; in:
                               SUB of such a peer */
        DROP_LOOP,          /* in: an answer would be answered, for ever */
        DROP_BUSY,          /* in: as many wait to be served as may */
        DROP_TARGET,        /* in: what it was to be forwarded to is not there */
        DROP_EMPTY,         /* out: it has no bytes, and so is none of what is sent */
        N_DROPS,
};

/* The word for it: "malformed". */
const char *drop_name(enum drop why);

/* What became of datagrams, of a listener or of a session. Any thread. */
struct datagram_counters {
        _Atomic uint64_t n_received, n_sent;
        _Atomic uint64_t n_dropped[N_DROPS];
};

/* Whether the name of a Unix peer is its own; see peer_name.h. */
enum session_name {
        SESSION_NAME_UNKNOWN, /* nobody has had to know */
        SESSION_NAME_OWN,     /* and of Internet peers */
        SESSION_NAME_FOREIGN, /* it cannot be answered */
};

struct session {
        struct endpoint *endpoint;
        struct connection *connection;
        struct session_path path;
        enum session_name name;
        uint64_t named_ms; /* loop time when that was found out */

        /* Where it is sent to. Once it is kept, under the connection's lock. */
        union session_address target;
        socklen_t target_length;
        int target_fd;       /* the socket that stands at its path; else -1 */
        uint64_t unread_key; /* see unread.h */

        uint32_t hash;         /* of the peer's address */
        struct session *next;  /* in the endpoint's table */
        struct list_link link; /* the endpoint's sessions, the one silent for longest first */
        bool is_kept;          /* in the table */
        bool is_charged;       /* a message of the datagram at hand is paid for */
        bool is_unsegmented; /* the way to it does not cut messages; under the connection's lock */
        size_t n_input;      /* length of the datagram at hand */
        unsigned retry_ms;   /* how long a socket that tells nothing was left alone last */
        uint64_t retry_due_ms;  /* loop time at which it is tried again; 0: it is not */
        size_t n_counted;       /* bytes that wait, as the listener counts them; under that lock */
        _Atomic bool is_proved; /* its address is its own */
        _Atomic int64_t credit, credit_frames; /* what it may be sent while it is not proved */
        struct datagram_counters counters;     /* while it is kept */
};

/* An IPv4 address in the form that IPv6 has for it. */
struct in6_addr session_map_address(struct in_addr address);

/* The host of an Internet address, that of IPv4 in this form; false for Unix. */
bool session_find_host(const union session_address *address, struct in6_addr *host);

/* Writes such a host as people do. */
void session_format_host(const struct in6_addr *host, char text[INET6_ADDRSTRLEN]);

/* Fills in the address of an Internet peer as people are shown it. */
void session_show_peer(struct session *session);

/* The port of a peer; 0: it has none. */
uint16_t session_peer_port(const struct session *session);

/* The kept session of a peer, or NULL. */
struct session *session_find(const struct endpoint *endpoint, const struct session_path *path);

/* A session for a datagram of an unknown peer, until session_done(). NULL if there is no memory. */
struct session *session_stranger(struct endpoint *endpoint, const struct session_path *path);

/* A datagram came: counts what the peer may be sent for it; keeps a session alive, whose peer has
 * sent another one, with so many hops left. */
void session_credit(struct session *session, size_t n_bytes);
void session_renew(struct session *session, int hops);

/* Whether the datagram at hand goes round: it comes from the port of a small service, or at the end
 * of its hops. */
bool session_goes_round(const struct session *session);

/* Whether it comes from who would answer an answer of ours, for ever: the same, or from the port of
 * the listener. */
bool session_is_loop(const struct session *session);

/* Whether the rate of its source allows a datagram; and how many of the messages that are published
 * in it, the first of which is the datagram's own. */
bool session_admit_datagram(struct session *session, size_t n_bytes);
size_t session_admit(struct session *session, size_t n_messages);

/* The datagram has been dealt with: what it brought a stranger is sent. */
void session_done(struct session *session);

/* Whether its peer has an address that may be its own, and the listener sends anything at all. */
bool session_is_answerable(const struct session *session);

/* Finds out whether the name of its peer is its own, and where that leads. Returns 0, -EAGAIN if
 * that cannot be known now, -EDESTADDRREQ if it is not, or another negative errno. */
int session_find_target(struct session *session);

/* Whether the name of a Unix peer that may have no session is its own, as far as can be known. */
bool session_is_named(struct endpoint *endpoint, const struct session_path *path, uid_t uid);

/* The session is to stay, with what it is sent to. Returns whether descriptors are left for others
 * then. */
bool session_hold_target(struct session *session);

/* What it was sent to may be gone. Returns whether another socket of the same user stands at its
 * path now; that is what it is sent to from now on. Under the connection's lock. */
bool session_retarget(struct session *session);

/* A process of the session's user has sent something under its name. Returns whether the name is
 * still its own. */
bool session_keeps_name(struct session *session, pid_t pid);

/* Forgets what session_find_target() has found. Nobody sends any more. */
void session_drop_target(struct session *session);

/* Makes a stranger stay. Returns 0, -EAGAIN if there are as many sessions as may be, in all or from
 * its source, -ESHUTDOWN in lame duck mode, -EDESTADDRREQ if it cannot be answered, or -ENOMEM.
 */
int session_keep(struct session *session);

/* Its connection is closed: nobody finds it any more. */
void session_detach(struct session *session);

/* Its connection is freed. */
void session_free(struct session *session);

/* Ends the session of a peer, with a local address as in struct session_path, if there is one. */
void session_end_peer(struct endpoint *endpoint, const struct sockaddr *peer, socklen_t length,
                      const struct in6_addr *local);

/* Ends the sessions of peers that have been silent for too long; all. */
void sessions_expire(struct endpoint *endpoint);
void sessions_end(struct endpoint *endpoint);

/* Whether what the peer is sent is limited by what came from it. Any thread. */
bool session_needs_proof(const struct session *session);

/* Writes a cookie for the peer. Returns 0 or a negative errno. */
int session_cookie(const struct session *session, char text[COOKIE_TEXT_SIZE]);

/* Proves the peer's address by a cookie, from now on. Returns whether it was one. */
bool session_prove(struct session *session, struct bytes cookie);

/* Whether the peer may be sent a datagram: three bytes for each that came from it, and three
 * datagrams for each. Then what was sent is paid for. Under the connection's lock. */
bool session_has_credit(const struct session *session, size_t n_bytes);
void session_pay(struct session *session, size_t n_bytes);

/* Whether an error may be sent: all those of a datagram are not longer than it is. */
bool session_may_complain(struct session *session, size_t n_bytes);

/* Counts datagrams that were sent; something that came to nothing. Any thread. */
void session_sent(struct session *session, uint64_t n);
void session_drop(struct session *session, enum drop why);
