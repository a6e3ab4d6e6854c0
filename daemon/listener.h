/* A listener: one bound socket, and the handler for what arrives there.
 *
 * The server's thread binds or adopts the socket, so that every failure is known before anything
 * starts; a worker's loop then accepts on it and hands each connection to the worker that has the
 * fewest. A listener is shared by its connections and freed with the last reference.
 */
#pragma once

#include "daemon/admission.h"
#include "daemon/config.h"
#include "daemon/gateway_losses.h"
#include "daemon/mailbox.h"
#include "daemon/program_counts.h"
#include "daemon/rate.h"
#include "daemon/session.h"
#include "daemon/turnstile.h"
#include "lib/address.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <uv.h>

struct bus;
struct tls_context;
struct transport;
struct worker;

/* Somebody else accepts on a listener for the time being. */
struct listener_loan {
        /* The listener ends, and so does this: it is not given back any more. */
        void (*recalled)(struct listener_loan *loan);

        /* The configuration may have changed. May give it back. */
        void (*changed)(struct listener_loan *loan);
};

struct listener {
        _Atomic unsigned n_references;

        /* Fixed from the beginning. */
        char *name;                  /* owned */
        struct address address;      /* as configured */
        char text[ADDRESS_TEXT_MAX]; /* as bound: with the port that the kernel chose */
        const struct transport *transport;
        int family; /* AF_UNIX, AF_INET, AF_INET6 */
        bool v6only;
        bool is_silent;                  /* it only receives: it is of multicast groups */
        struct address_socket requested; /* what it was bound to; not if it was inherited */
        struct address_socket bound;     /* the same, with the port that the kernel chose */
        bool is_activated;               /* the service manager opened it */
        uint16_t port;                   /* as bound; 0: none */
        struct stat file;                /* Unix path: what was bound */

        /* For the server's thread, once no worker has it. */
        int fd;                      /* -1 when closed */
        bool keeps_path;             /* the path is not ours to remove (any more) */
        struct listener *taken_from; /* until the plan is carried out; borrowed */

        /* For the accepting worker. */
        struct worker *worker; /* NULL: not started */
        struct list_link link; /* worker's listeners */
        uv_poll_t poll;
        uv_timer_t retry; /* accepting rests until descriptors are free */
        unsigned n_handles;
        struct task task;
        struct listener_loan *loan;     /* borrowed; NULL: we accept */
        struct program_repeats repeats; /* of those that borrowed it */

        /* For all. */
        _Atomic uint64_t n_connections; /* and sessions */
        _Atomic uint64_t n_total;
        struct rate rate;              /* of each source */
        struct admission admission;    /* who may begin, and stay */
        _Atomic bool admits_anonymous; /* who proves nothing */
        _Atomic bool identifies;       /* messages tell who sent them */
        _Atomic bool accepts_proxy;    /* a proxy tells who is there; see introduction.h */
        _Atomic int handler_kind;      /* of new connections: enum handler_kind */
        _Atomic(struct bus *) bus;     /* of whom no user fits; borrowed, NULL: the default one */
        pthread_mutex_t lock;          /* a leaf */
        struct tls_context *tls; /* of new connections; a reference, NULL: none. With the lock */
        struct config_handler *settings; /* the same of the handler; NULL: the bus */
        struct gateway_losses losses;
        _Atomic uint64_t n_awaited; /* questions of its peers that wait for answers */
        struct turnstile turnstile; /* for handlers that serve a few peers at a time */
        struct program_counts programs;

        /* Likewise, of datagrams. */
        struct datagram_counters datagrams;
        _Atomic uint64_t n_pending; /* bytes that wait for all peers */
        struct cookie_jar cookies;
        _Atomic uint64_t session_timeout_ms, cookie_lifetime_ms;
        _Atomic uint64_t max_sessions, max_sessions_per_source;
        _Atomic uint64_t receive_buffer, send_buffer; /* as configured; 0: the system's */
        _Atomic uint32_t *sources; /* owned; sessions by the hash of their source */
};

/* How many sources are told apart when their sessions are counted. */
#define LISTENER_SOURCES 4096

/* An outcome of listener_bind(): the address is one of IPv6, which this machine does not have. */
enum {
        LISTENER_NO_IPV6 = 1,
};

/* Binds and listens. sibling_port: the port that another address of the same configured name got
 * from the kernel, to be tried first, or 0. Unless it succeeds *reasonp is a text for people, owned
 * by the caller (free(3)). Returns 0, LISTENER_NO_IPV6 or a negative errno. */
int listener_bind(struct listener **listenerp, const struct config_listener *config,
                  const struct address_socket *socket, uint16_t sibling_port, char **reasonp);

/* Lets a listener of TCP share its port, or ends that. */
void listener_share(struct listener *listener, bool shares);

/* As listener_bind(), beside listeners that share their port for the moment. It shares its own, and
 * does not listen yet. */
int listener_bind_beside(struct listener **listenerp, const struct config_listener *config,
                         const struct address_socket *socket, char **reasonp);

/* Begins to listen, and does not share its port any more. Returns 0 or a negative errno with
 * *reasonp. */
int listener_listen(struct listener *listener, const struct config_listener *config,
                    char **reasonp);

/* Whether an IPv6 socket of a listener is for IPv6 only. */
bool listener_wants_v6only(const struct config_listener *config);

/* Takes a listening socket that the service manager opened (also on failure). As above. */
int listener_adopt(struct listener **listenerp, const struct config_listener *config, int fd,
                   char **reasonp);

/* A new listener for the same socket as `other`, under the name of `config`. The path, if there is
 * one, stays with the other until listener_inherit(). */
int listener_take_over(struct listener **listenerp, const struct config_listener *config,
                       struct listener *other, char **reasonp);

/* Completes listener_take_over(): the other one may be stopped now. The server's thread. */
void listener_inherit(struct listener *listener);

/* Whether its Unix path still leads to it; true for other families. */
bool listener_is_reachable(const struct listener *listener);

/* Applies what can be changed on a bound socket: mode, owner, group, backlog, options. Returns 0 or
 * a negative errno with *reasonp. The server's thread. */
int listener_apply(struct listener *listener, const struct config_listener *config, char **reasonp);

/* The TLS of new connections: a reference, or NULL. Any thread. */
struct tls_context *listener_tls(struct listener *listener);

/* The handler of new connections and its settings: a reference, or NULL: the bus. Any thread. */
struct config_handler *listener_settings(struct listener *listener);

struct listener *listener_ref(struct listener *listener);
/* Closes the socket with the last reference. NULL is allowed. Returns NULL. */
struct listener *listener_unref(struct listener *listener);

/* One more socket on the port of a UDP listener; the kernel shares out peers between them. Returns
 * it or a negative errno. The server's thread. */
int listener_sibling(const struct listener *listener);

/* Sizes the buffers of a socket of the listener as configured. Any thread. */
void listener_set_buffers(const struct listener *listener, int fd);

/* Has a socket of the listener tell how many hops datagrams had left, if the handler wants that.
 * Any thread. */
void listener_apply_hops(const struct listener *listener, int fd);

/* Has a worker accept; all workers receive datagrams of UDP. The server's thread. */
void listener_start(struct listener *listener, struct worker *worker);

/* Ends accepting: the worker closes the socket and removes its path. The server's thread. */
void listener_stop(struct listener *listener);

/* The same, once it has accepted those who are waiting already, and believe to be connected. */
void listener_retire(struct listener *listener);

/* Closes the socket, if it is open, and removes its path if that is still its own. In the thread
 * that has it. */
void listener_close(struct listener *listener);

/* In the accepting worker: stops to accept, until the socket is given back, unless the loan is
 * recalled before; then it begins again in pause_ms, or is closed in lame duck mode. */
void listener_lend(struct listener *listener, struct listener_loan *loan);
void listener_give_back(struct listener *listener, uint64_t pause_ms);

/* In the accepting worker: the configuration was read again. It is looked at once again who waits,
 * if the listener rests. */
void listener_changed(struct listener *listener);

/* Whether somebody waits to be accepted. Any thread that may use the socket. */
bool listener_is_awaited(const struct listener *listener);

/* In the accepting worker: as listener_stop(), at once. */
void listener_stop_here(struct listener *listener);

static inline void listener_connected(struct listener *listener) {
        atomic_fetch_add_explicit(&listener->n_connections, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&listener->n_total, 1, memory_order_relaxed);
}

static inline void listener_dropped(struct listener *listener, enum drop why, uint64_t n) {
        atomic_fetch_add_explicit(&listener->datagrams.n_dropped[why], n, memory_order_relaxed);
}

static inline void listener_disconnected(struct listener *listener) {
        atomic_fetch_sub_explicit(&listener->n_connections, 1, memory_order_relaxed);
}
