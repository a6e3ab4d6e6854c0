/* Where what is for a session is sent to: to a Unix peer only if its name is its own. See
 * session.h, and peer_name.h.
 */
#include "daemon/session.h"

#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/listener.h"
#include "daemon/peer_name.h"
#include "daemon/unread.h"
#include "lib/log.h"

#include <errno.h>
#include <unistd.h>

/* Descriptors that are left for others than sessions. */
#define DESCRIPTORS_LEFT 64

static bool is_unix(const struct session_path *path) {
        return path->peer.any.sa_family == AF_UNIX;
}

static void complain(const struct endpoint *endpoint, const struct session_path *path, uid_t uid) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        char name[4 * sizeof(path->peer.un.sun_path) + 1];

        log_limited(
                &limit, LOG_LEVEL_WARNING,
                "listener \"%s\": a peer of uid %lu is not answered: its name, \"%s\", does not "
                "lead to a socket of its own here",
                endpoint->listener->name, (unsigned long)uid,
                bytes_quote(name, sizeof(name),
                            peer_name_bytes(&path->peer.un, path->peer_length)));
}

static struct bytes name_of(const struct session *session) {
        return peer_name_bytes(&session->path.peer.un, session->path.peer_length);
}

static void set_target(struct session *session, int fd) {
        session->target_fd = fd;
        if (fd >= 0) {
                session->target_length = peer_name_address(&session->target.un, fd);
                return;
        }
        session->target_length = session->path.peer_length;
        memcpy(&session->target, &session->path.peer, session->target_length);
}

static int open_name(const struct endpoint *endpoint, const struct session_path *path, uid_t uid,
                     int *fdp) {
        return peer_name_open(&path->peer.un, path->peer_length, uid, endpoint->names, fdp);
}

static void set_name(struct session *session, int fd) {
        session->name = SESSION_NAME_OWN;
        session->named_ms = uv_now(&session->endpoint->worker->loop);
        if (is_unix(&session->path))
                session->unread_key = unread_key(name_of(session), session->connection->peer.uid);
        set_target(session, fd);
}

int session_find_target(struct session *session) {
        const struct peer *peer = &session->connection->peer;
        int fd = -1, r = 0;

        if (session->name == SESSION_NAME_OWN)
                return 0;
        if (session->name == SESSION_NAME_FOREIGN)
                return -EDESTADDRREQ;
        if (is_unix(&session->path))
                r = peer->has_credentials
                            ? open_name(session->endpoint, &session->path, peer->uid, &fd)
                            : PEER_NAME_FOREIGN;
        if (r == 0)
                set_name(session, fd);
        if (r != PEER_NAME_FOREIGN)
                return r;
        session->name = SESSION_NAME_FOREIGN;
        complain(session->endpoint, &session->path, peer->uid);
        return -EDESTADDRREQ;
}

bool session_is_named(struct endpoint *endpoint, const struct session_path *path, uid_t uid) {
        int fd, r = open_name(endpoint, path, uid, &fd);

        if (r == 0 && fd >= 0)
                (void)close(fd);
        return r == 0;
}

bool session_hold_target(struct session *session) {
        if (session->target_fd >= 0 &&
            peer_name_is_firm(name_of(session), session->connection->peer.uid)) {
                (void)close(session->target_fd);
                set_target(session, -1);
        }
        return session->target_fd < sysconf(_SC_OPEN_MAX) - DESCRIPTORS_LEFT;
}

bool session_retarget(struct session *session) {
        int fd;

        if (session->target_fd < 0 ||
            open_name(session->endpoint, &session->path, session->connection->peer.uid, &fd) != 0)
                return false;
        if (peer_name_is_same(fd, session->target_fd)) {
                (void)close(fd);
                return false;
        }
        (void)close(session->target_fd);
        set_target(session, fd);
        return true;
}

/* An abstract name is not held: somebody else can have it when its socket is closed. */
static bool has_abstract_name(struct session *session) {
        struct endpoint *endpoint = session->endpoint;
        uint64_t now_ms = uv_now(&endpoint->worker->loop);
        int fd, r = 0;

        if (now_ms - session->named_ms < atomic_load(&endpoint->listener->session_timeout_ms))
                return true;
        r = open_name(endpoint, &session->path, session->connection->peer.uid, &fd);
        if (r == 0)
                session->named_ms = now_ms;
        return r != PEER_NAME_FOREIGN;
}

bool session_keeps_name(struct session *session, pid_t pid) {
        struct connection *connection = session->connection;

        if (!is_unix(&session->path))
                return true;
        if (peer_name_is_abstract(name_of(session)))
                return has_abstract_name(session);
        if (connection->peer.pid != pid) {
                /* The program may have been started again while the one before still runs. */
                connection->peer.pid = pid;
                pthread_mutex_lock(&connection->lock);
                (void)session_retarget(session);
                pthread_mutex_unlock(&connection->lock);
        }
        return true;
}

void session_drop_target(struct session *session) {
        if (session->target_fd >= 0)
                (void)close(session->target_fd);
        session->target_fd = -1;
        session->name = SESSION_NAME_UNKNOWN;
}
