/* Sessions. See session.h. */
#include "daemon/session.h"

#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/stage.h"
#include "lib/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* How much an unproved peer is sent for each byte that came from it (RFC 9000, section 8.1), and
 * for each datagram: the headers of many short ones are more than what is in them. */
#define AMPLIFICATION_MAX 3

/* --- addresses ---------------------------------------------------------------------------- */

struct in6_addr session_map_address(struct in_addr address) {
        struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

        memcpy(&mapped.s6_addr[12], &address, sizeof(address));
        return mapped;
}

bool session_find_host(const union session_address *address, struct in6_addr *host) {
        if (address->any.sa_family == AF_INET6) {
                *host = address->in6.sin6_addr;
                return true;
        }
        if (address->any.sa_family != AF_INET)
                return false;
        *host = session_map_address(address->in.sin_addr);
        return true;
}

void session_format_host(const struct in6_addr *host, char text[INET6_ADDRSTRLEN]) {
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(host);

        (void)inet_ntop(is_mapped ? AF_INET : AF_INET6,
                        is_mapped ? &host->s6_addr[12] : host->s6_addr, text, INET6_ADDRSTRLEN);
}

static bool is_loopback(const struct in6_addr *host) {
        return IN6_IS_ADDR_LOOPBACK(host) ||
               (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == 127);
}

/* Peers of this machine cannot be spoofed from elsewhere. */
static bool is_local(const union session_address *peer) {
        struct in6_addr host;

        return !session_find_host(peer, &host) || is_loopback(&host);
}

static uint32_t path_hash(const struct session_path *path) {
        return (uint32_t)hash_bytes((struct bytes){(const char *)&path->peer, path->peer_length},
                                    0);
}

uint16_t session_peer_port(const struct session *session) {
        const union session_address *peer = &session->path.peer;

        switch (session->path.peer_length ? peer->any.sa_family : AF_UNIX) {
        case AF_INET:
                return ntohs(peer->in.sin_port);
        case AF_INET6:
                return ntohs(peer->in6.sin6_port);
        default:
                return 0;
        }
}

static bool is_same_path(const struct session_path *a, const struct session_path *b) {
        return a->peer_length == b->peer_length &&
               memcmp(&a->peer, &b->peer, a->peer_length) == 0 &&
               memcmp(&a->local, &b->local, sizeof(a->local)) == 0;
}

/* A peer's source: its address, of IPv6 the network, as one host has as many addresses there as it
 * likes; of a Unix peer the user. */
static uint32_t source_hash(const struct session *session) {
        const struct peer *peer = &session->connection->peer;
        struct bytes key = {(const char *)&peer->uid, sizeof(peer->uid)};
        struct in6_addr host;

        if (session_find_host(&session->path.peer, &host))
                key = (struct bytes){(const char *)&host, IN6_IS_ADDR_V4MAPPED(&host) ? 16 : 8};
        return (uint32_t)hash_bytes(key, 0);
}

static _Atomic uint32_t *source_of(const struct session *session) {
        struct listener *listener = session->connection->listener;

        return &listener->sources[session->connection->source % LISTENER_SOURCES];
}

bool session_is_answerable(const struct session *session) {
        return session->path.peer_length > 0 && session->name != SESSION_NAME_FOREIGN &&
               !session->connection->listener->is_silent;
}

/* --- the table ---------------------------------------------------------------------------- */

static struct session **bucket_of(const struct endpoint *endpoint, uint32_t hash) {
        return &endpoint->buckets[hash & (endpoint->n_buckets - 1)];
}

struct session *session_find(const struct endpoint *endpoint, const struct session_path *path) {
        uint32_t hash;
        struct session *session;

        if (endpoint->n_sessions == 0 || path->peer_length == 0)
                return NULL;
        hash = path_hash(path);
        session = *bucket_of(endpoint, hash);
        while (session && (session->hash != hash || !is_same_path(&session->path, path)))
                session = session->next;
        return session;
}

static void table_put(struct endpoint *endpoint, struct session *session) {
        struct session **bucket = bucket_of(endpoint, session->hash);

        session->next = *bucket;
        *bucket = session;
}

static int table_grow(struct endpoint *endpoint) {
        size_t n = endpoint->n_buckets ? endpoint->n_buckets * 2 : 16;
        struct session **old = endpoint->buckets;

        if (endpoint->n_sessions < endpoint->n_buckets)
                return 0;
        endpoint->buckets = calloc(n, sizeof(*endpoint->buckets));
        if (!endpoint->buckets) {
                endpoint->buckets = old;
                return -ENOMEM;
        }
        endpoint->n_buckets = n;
        LIST_FOREACH_SAFE (link, &endpoint->sessions)
                table_put(endpoint, container_of(link, struct session, link));
        free(old);
        return 0;
}

static void table_remove(struct endpoint *endpoint, struct session *session) {
        struct session **link = bucket_of(endpoint, session->hash);

        while (*link != session)
                link = &(*link)->next;
        *link = session->next;
}

/* --- life --------------------------------------------------------------------------------- */

static struct session *session_new(struct endpoint *endpoint) {
        struct session *session = calloc(1, sizeof(*session));

        if (!session)
                return NULL;
        session->endpoint = endpoint;
        session->target_fd = -1;
        list_init(&session->link);
        if (connection_open_session(endpoint->worker, endpoint->listener, endpoint->fd, session) <
            0)
                return NULL;
        return session;
}

struct session *session_stranger(struct endpoint *endpoint, const struct session_path *path) {
        if (!endpoint->stranger)
                endpoint->stranger = session_new(endpoint);
        if (!endpoint->stranger)
                return NULL;
        session_drop_target(endpoint->stranger);
        endpoint->stranger->path = *path;
        endpoint->stranger->counters = (struct datagram_counters){.n_sent = 0};
        atomic_store_explicit(&endpoint->stranger->is_proved, is_local(&path->peer),
                              memory_order_relaxed);
        atomic_store_explicit(&endpoint->stranger->credit, 0, memory_order_relaxed);
        atomic_store_explicit(&endpoint->stranger->credit_frames, 0, memory_order_relaxed);
        return endpoint->stranger;
}

void session_credit(struct session *session, size_t n_bytes) {
        struct listener *listener = session->connection->listener;

        atomic_fetch_add_explicit(&listener->datagrams.n_received, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&session->counters.n_received, 1, memory_order_relaxed);
        session->n_input = n_bytes;
        if (!session_needs_proof(session))
                return;
        atomic_fetch_add_explicit(&session->credit, (int64_t)(AMPLIFICATION_MAX * n_bytes),
                                  memory_order_relaxed);
        atomic_fetch_add_explicit(&session->credit_frames, AMPLIFICATION_MAX, memory_order_relaxed);
}

bool session_admit_datagram(struct session *session, size_t n_bytes) {
        struct connection *connection = session->connection;
        struct rate *rate = &connection->listener->rate;

        session->is_charged = true;
        if (!rate_is_limited(rate))
                return true;
        if (!session->is_kept)
                connection->source = source_hash(session);
        if (rate_admit(rate, connection->source, n_bytes, uv_hrtime()))
                return true;
        session_drop(session, DROP_RATE);
        return false;
}

size_t session_admit(struct session *session, size_t n_messages) {
        struct connection *connection = session->connection;
        size_t n_charged = session->is_charged ? 1 : 0;

        session->is_charged = false;
        if (n_messages > n_charged)
                n_charged += rate_admit_messages(&connection->listener->rate, connection->source,
                                                 n_messages - n_charged, uv_hrtime());
        if (n_charged == 0)
                session_drop(session, DROP_RATE);
        return n_charged;
}

bool session_goes_round(const struct session *session) {
        static const uint16_t ports[] = {7, 13, 17, 19, 37};
        uint16_t port = session_peer_port(session);

        for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
                if (port == ports[i])
                        return true;
        return port != 0 && session->path.hops == 1;
}

bool session_is_loop(const struct session *session) {
        uint16_t port = session_peer_port(session);

        return (port != 0 && port == session->connection->listener->port) ||
               session_goes_round(session);
}

void session_renew(struct session *session, int hops) {
        pthread_mutex_t *lock = &session->connection->lock;

        if (hops != session->path.hops) {
                pthread_mutex_lock(lock);
                session->path.hops = hops;
                pthread_mutex_unlock(lock);
        }
        session->connection->last_input_ms = uv_now(&session->endpoint->worker->loop);
        list_unlink(&session->link);
        list_append(&session->endpoint->sessions, &session->link);
}

void session_done(struct session *session) {
        struct worker *worker = session->endpoint->worker;
        struct stage *stage = stages_find(&worker->stages, session->connection->slot);

        if (session->is_kept)
                return;
        /* The next datagram is of somebody else. What this one has published leaves before its
         * answer does. */
        if (stage) {
                stages_put_last(&worker->stages, stage);
                worker_flush(worker);
        }
        session_drop_target(session);
}

/* Whose address may be forged gets none of the second half of what there is. */
static uint64_t share_of(const struct session *session, uint64_t max) {
        return session_needs_proof(session) ? (max + 1) / 2 : max;
}

/* Takes one of the places of the listener, and of the peer's source. */
static bool session_take_place(struct session *session) {
        struct listener *listener = session->connection->listener;
        _Atomic uint32_t *source = source_of(session);

        uint64_t max = share_of(session, atomic_load(&listener->max_sessions));
        uint64_t max_of_source = share_of(session, atomic_load(&listener->max_sessions_per_source));

        if (atomic_fetch_add(&listener->n_connections, 1) >= max) {
                atomic_fetch_sub(&listener->n_connections, 1);
                return false;
        }
        if (atomic_fetch_add(source, 1) >= max_of_source) {
                atomic_fetch_sub(source, 1);
                atomic_fetch_sub(&listener->n_connections, 1);
                return false;
        }
        return true;
}

static void session_give_place(const struct session *session) {
        atomic_fetch_sub(source_of(session), 1);
        listener_disconnected(session->connection->listener);
}

/* Whether there is a place for it, and not too many begin. */
static bool session_enter(struct session *session) {
        struct listener *listener = session->connection->listener;

        if (!session_take_place(session)) {
                session_drop(session, DROP_SESSION);
                return false;
        }
        if (!admission_keeps_pace(&listener->admission, uv_now(&session->endpoint->worker->loop))) {
                session_give_place(session);
                session_drop(session, DROP_CPS);
                return false;
        }
        atomic_fetch_add_explicit(&listener->n_total, 1, memory_order_relaxed);
        return true;
}

void session_show_peer(struct session *session) {
        struct peer *peer = &session->connection->peer;
        struct in6_addr host;

        if (!session_find_host(&session->path.peer, &host))
                return;
        session_format_host(&host, peer->ip);
        peer->port = session_peer_port(session);
}

int session_keep(struct session *session) {
        struct endpoint *endpoint = session->endpoint;
        int r;

        if (session->is_kept)
                return 0;
        r = session_is_answerable(session) ? session_find_target(session) : -EDESTADDRREQ;
        if (r < 0) {
                session_drop(session, r == -EDESTADDRREQ ? DROP_UNANSWERABLE : DROP_CONGESTION);
                return r;
        }
        if (atomic_load(&endpoint->worker->instance->is_lame_duck))
                return -ESHUTDOWN;
        if (table_grow(endpoint) < 0)
                return -ENOMEM;
        session->connection->source = source_hash(session);
        if (!session_hold_target(session)) {
                session_drop(session, DROP_SESSION);
                return -EAGAIN;
        }
        if (!session_enter(session))
                return -EAGAIN;
        session_show_peer(session);
        session->is_kept = true;
        session->hash = path_hash(&session->path);
        table_put(endpoint, session);
        list_append(&endpoint->sessions, &session->link);
        endpoint->n_sessions++;
        endpoint->stranger = NULL;
        return 0;
}

void session_detach(struct session *session) {
        struct endpoint *endpoint = session->endpoint;

        if (endpoint->stranger == session)
                endpoint->stranger = NULL;
        session_drop_target(session);
        if (!session->is_kept)
                return;
        session->is_kept = false;
        list_unlink(&session->link);
        table_remove(endpoint, session);
        endpoint->n_sessions--;
        session_give_place(session);
}

void session_free(struct session *session) {
        free(session);
}

void sessions_expire(struct endpoint *endpoint) {
        uint64_t now = uv_now(&endpoint->worker->loop);
        uint64_t timeout_ms = atomic_load(&endpoint->listener->session_timeout_ms);

        LIST_FOREACH_SAFE (link, &endpoint->sessions) {
                struct session *session = container_of(link, struct session, link);

                if (now - session->connection->last_input_ms < timeout_ms)
                        return;
                connection_close(session->connection, REASON_SESSION_EXPIRED);
        }
}

void session_end_peer(struct endpoint *endpoint, const struct sockaddr *peer, socklen_t length,
                      const struct in6_addr *local) {
        struct session_path path = {.peer_length = length, .local = *local};
        struct session *session;

        if (length > sizeof(path.peer))
                return;
        memcpy(&path.peer, peer, length);
        session = session_find(endpoint, &path);
        if (session)
                connection_close(session->connection, REASON_UNREACHABLE);
}

void sessions_end(struct endpoint *endpoint) {
        LIST_FOREACH_SAFE (link, &endpoint->sessions)
                connection_close(container_of(link, struct session, link)->connection,
                                 REASON_SHUTDOWN);
        if (endpoint->stranger)
                connection_close(endpoint->stranger->connection, REASON_SHUTDOWN);
}

/* --- proof -------------------------------------------------------------------------------- */

bool session_needs_proof(const struct session *session) {
        return !atomic_load_explicit(&session->is_proved, memory_order_relaxed);
}

int session_cookie(const struct session *session, char text[COOKIE_TEXT_SIZE]) {
        const struct worker *worker = session->endpoint->worker;

        if (session->path.peer.any.sa_family == AF_UNIX)
                return -EAFNOSUPPORT;
        return cookie_make(&session->endpoint->listener->cookies, &session->path.peer.any,
                           uv_now(&worker->loop),
                           atomic_load(&session->endpoint->listener->cookie_lifetime_ms), text);
}

bool session_prove(struct session *session, struct bytes cookie) {
        const struct worker *worker = session->endpoint->worker;

        if (session->path.peer.any.sa_family == AF_UNIX)
                return true;
        if (!cookie_is_valid(&session->endpoint->listener->cookies, &session->path.peer.any,
                             uv_now(&worker->loop),
                             atomic_load(&session->endpoint->listener->cookie_lifetime_ms), cookie))
                return false;
        atomic_store_explicit(&session->is_proved, true, memory_order_relaxed);
        return true;
}

bool session_has_credit(const struct session *session, size_t n_bytes) {
        return !session_needs_proof(session) ||
               (atomic_load_explicit(&session->credit, memory_order_relaxed) >= (int64_t)n_bytes &&
                atomic_load_explicit(&session->credit_frames, memory_order_relaxed) > 0);
}

void session_pay(struct session *session, size_t n_bytes) {
        if (!session_needs_proof(session))
                return;
        atomic_fetch_sub_explicit(&session->credit, (int64_t)n_bytes, memory_order_relaxed);
        atomic_fetch_sub_explicit(&session->credit_frames, 1, memory_order_relaxed);
}

bool session_may_complain(struct session *session, size_t n_bytes) {
        if (!session_is_answerable(session))
                return false;
        if (!session_needs_proof(session))
                return true;
        if (n_bytes > session->n_input) {
                session_drop(session, DROP_AMPLIFICATION);
                return false;
        }
        session->n_input -= n_bytes;
        return true;
}

void session_drop(struct session *session, enum drop why) {
        listener_dropped(session->connection->listener, why, 1);
        atomic_fetch_add_explicit(&session->counters.n_dropped[why], 1, memory_order_relaxed);
}

void session_sent(struct session *session, uint64_t n) {
        struct listener *listener = session->connection->listener;

        atomic_fetch_add_explicit(&listener->datagrams.n_sent, n, memory_order_relaxed);
        atomic_fetch_add_explicit(&session->counters.n_sent, n, memory_order_relaxed);
}

const char *drop_name(enum drop why) {
        static const char *const names[N_DROPS] = {
                [DROP_BROADCAST] = "broadcast",
                [DROP_MALFORMED] = "malformed",
                [DROP_TOO_LARGE] = "too_large",
                [DROP_AMPLIFICATION] = "amplification",
                [DROP_SESSION] = "session",
                [DROP_RATE] = "rate",
                [DROP_CONGESTION] = "congestion",
                [DROP_KERNEL] = "kernel",
                [DROP_ADDRESS] = "address",
                [DROP_TIME] = "time",
                [DROP_CPS] = "cps",
                [DROP_UNANSWERABLE] = "unanswerable",
                [DROP_LOOP] = "loop",
                [DROP_BUSY] = "busy",
                [DROP_TARGET] = "target",
                [DROP_EMPTY] = "empty",
        };

        return names[why];
}
