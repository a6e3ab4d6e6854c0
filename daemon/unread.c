/* Shares of a send buffer. See unread.h. */
#include "daemon/unread.h"

#include "daemon/sock_diag.h"
#include "lib/hash.h"
#include "lib/log.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <uv.h>

/* What a datagram takes of the buffer, beside its bytes: the kernel has a head, and a tail that
 * lies behind the bytes in memory that is rounded up to a power of two; what does not fit in there
 * lies in pages. */
#define COST_HEAD   256
#define COST_TAIL   320
#define COST_LINEAR 16384
#define COST_PAGE   4096
/* No datagram counts as less than this part of the buffer. */
#define PARTS_MAX 512
/* Peers in the table: all that can have such a part, and as many for users who have nothing yet. */
#define PEERS_MAX (2 * PARTS_MAX)
/* How often the kernel is asked at most. */
#define ASK_NS   2000000
#define ASK_PART 20

struct unread_peer {
        uid_t uid;
        size_t n_bytes; /* of the buffer, at most; not 0 */
        bool is_behind; /* it had something unread when the kernel was asked last */
};

struct unread {
        pthread_mutex_t lock;
        int fd;
        size_t size;
        size_t n_bytes;  /* that lie in the buffer, at most */
        size_t n_behind; /* of them, what those who were behind then had */
        uint64_t ask_ns; /* when the kernel may be asked again */
        size_t n_peers;
        uint64_t keys[PEERS_MAX];
        struct unread_peer peers[PEERS_MAX];
};

struct unread *unread_new(int fd) {
        struct unread *unread = calloc(1, sizeof(*unread));

        if (!unread)
                return NULL;
        if (pthread_mutex_init(&unread->lock, NULL) != 0) {
                free(unread);
                return NULL;
        }
        unread->fd = fd;
        unread_resize(unread);
        return unread;
}

void unread_free(struct unread *unread) {
        if (!unread)
                return;
        (void)pthread_mutex_destroy(&unread->lock);
        free(unread);
}

void unread_resize(struct unread *unread) {
        int size = 0;
        socklen_t length = sizeof(size);

        (void)getsockopt(unread->fd, SOL_SOCKET, SO_SNDBUF, &size, &length);
        pthread_mutex_lock(&unread->lock);
        unread->size = (size_t)size;
        pthread_mutex_unlock(&unread->lock);
}

static size_t cost_of(const struct unread *unread, size_t length) {
        size_t kept = length + COST_TAIL, cost = 512, min = unread->size / PARTS_MAX + 1;

        while (cost < kept && cost < COST_LINEAR)
                cost *= 2;
        if (kept > COST_LINEAR)
                cost += (kept - COST_LINEAR + COST_PAGE - 1) / COST_PAGE * COST_PAGE;
        cost += COST_HEAD;
        return cost > min ? cost : min;
}

/* --- who has what --------------------------------------------------------------------------- */

uint64_t unread_key(struct bytes name, uid_t uid) {
        return hash_bytes(name, uid);
}

static struct unread_peer *find(struct unread *unread, uint64_t key) {
        for (size_t i = 0; i < unread->n_peers; i++)
                if (unread->keys[i] == key)
                        return &unread->peers[i];
        return NULL;
}

static struct unread_peer *add(struct unread *unread, uint64_t key, uid_t uid) {
        struct unread_peer *peer = &unread->peers[unread->n_peers];

        unread->keys[unread->n_peers++] = key;
        *peer = (struct unread_peer){.uid = uid};
        return peer;
}

static void drop(struct unread *unread, struct unread_peer *peer) {
        size_t last = --unread->n_peers;

        unread->keys[peer - unread->peers] = unread->keys[last];
        *peer = unread->peers[last];
}

/* --- what has been read --------------------------------------------------------------------- */

static size_t buffer_used(const struct unread *unread) {
        int n = 0;

        return ioctl(unread->fd, SIOCOUTQ, &n) < 0 || n < 0 ? SIZE_MAX : (size_t)n;
}

static void lower(size_t *n, size_t max) {
        if (*n > max)
                *n = max;
}

/* Nobody has more than what is in the buffer; nor more than what was not in it when only those who
 * were behind had something there. They may have read since: if it becomes full, that is not relied
 * on. */
static void look_at_buffer(struct unread *unread) {
        size_t n = buffer_used(unread), of_others;

        lower(&unread->n_bytes, n);
        lower(&unread->n_behind, n);
        of_others = n <= unread->size / 4 * 3 ? n - unread->n_behind : n;
        for (size_t i = unread->n_peers; i-- > 0;) {
                struct unread_peer *peer = &unread->peers[i];

                lower(&peer->n_bytes, peer->is_behind ? n : of_others);
                if (peer->n_bytes == 0)
                        drop(unread, peer);
        }
}

static void note_socket(void *context, const struct sock_diag_unix *socket) {
        struct unread_peer *peer;

        if (!socket->has_unread)
                return;
        peer = find(context, unread_key(socket->name, socket->uid));
        if (peer)
                peer->is_behind = true;
}

/* Forgets those who have read all, and of whom nothing is told. */
static void forget_readers(struct unread *unread) {
        size_t n_bytes = 0;

        for (size_t i = unread->n_peers; i-- > 0;) {
                struct unread_peer *peer = &unread->peers[i];

                if (peer->is_behind)
                        n_bytes += peer->n_bytes;
                else
                        drop(unread, peer);
        }
        lower(&unread->n_bytes, n_bytes);
        unread->n_behind = buffer_used(unread);
        lower(&unread->n_behind, n_bytes);
}

/* Asks whose queues are empty, unless that was just done. */
static void ask(struct unread *unread) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 600000};
        uint64_t begin_ns = uv_hrtime(), pause_ns;
        int r;

        if (begin_ns < unread->ask_ns)
                return;
        for (size_t i = 0; i < unread->n_peers; i++)
                unread->peers[i].is_behind = false;
        r = sock_diag_unix_datagrams(note_socket, unread);
        if (r < 0) {
                log_limited(&limit, LOG_LEVEL_WARNING,
                            "the kernel does not tell who has read what he was sent: %s; a peer of "
                            "unix+dgram that does not read can hold up others",
                            strerror(-r));
                unread->n_peers = unread->n_bytes = unread->n_behind = 0;
        } else {
                forget_readers(unread);
        }
        pause_ns = (uv_hrtime() - begin_ns) * ASK_PART;
        unread->ask_ns = begin_ns + (pause_ns > ASK_NS ? pause_ns : ASK_NS);
}

/* --- shares --------------------------------------------------------------------------------- */

static size_t rest(size_t size, size_t used) {
        return size > used ? size - used : 0;
}

/* Whether a peer of a user may have so much more. */
static bool is_within(const struct unread *unread, const struct unread_peer *peer, uid_t uid,
                      size_t cost) {
        size_t of_peer = peer ? peer->n_bytes : 0, of_user = 0, max;

        if (unread->n_bytes + cost <= unread->size / 4)
                return true;
        for (size_t i = 0; i < unread->n_peers; i++)
                if (unread->peers[i].uid == uid)
                        of_user += unread->peers[i].n_bytes;
        if (of_user == 0)
                return true;
        max = rest(unread->size, rest(unread->n_bytes, of_user)) / 4 * 3;
        if (of_user + cost > max)
                return false;
        return of_peer == 0 || of_peer + cost <= rest(max, of_user - of_peer) / 2;
}

/* Whether the peer may have so much more, which it has then. */
static bool charge(struct unread *unread, uint64_t key, uid_t uid, size_t cost) {
        struct unread_peer *peer = find(unread, key);

        if ((!peer && unread->n_peers == PEERS_MAX) || !is_within(unread, peer, uid, cost))
                return false;
        if (!peer)
                peer = add(unread, key, uid);
        peer->n_bytes += cost;
        unread->n_bytes += cost;
        return true;
}

bool unread_admit(struct unread *unread, uint64_t key, uid_t uid, size_t length) {
        bool is_admitted;
        size_t cost;

        pthread_mutex_lock(&unread->lock);
        cost = cost_of(unread, length);
        is_admitted = charge(unread, key, uid, cost);
        if (!is_admitted) {
                look_at_buffer(unread);
                is_admitted = charge(unread, key, uid, cost);
        }
        if (!is_admitted) {
                ask(unread);
                is_admitted = charge(unread, key, uid, cost);
        }
        pthread_mutex_unlock(&unread->lock);
        return is_admitted;
}

void unread_withdraw(struct unread *unread, uint64_t key, size_t length) {
        struct unread_peer *peer;

        pthread_mutex_lock(&unread->lock);
        peer = find(unread, key);
        if (peer) {
                size_t cost = cost_of(unread, length);

                unread->n_bytes -= cost < unread->n_bytes ? cost : unread->n_bytes;
                if (cost < peer->n_bytes)
                        peer->n_bytes -= cost;
                else
                        drop(unread, peer);
        }
        pthread_mutex_unlock(&unread->lock);
}
