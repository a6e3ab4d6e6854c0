/* Listeners. See listener.h. */
#include "daemon/listener.h"

#include "daemon/connection.h"
#include "daemon/handler_bus.h"
#include "daemon/socket_path.h"
#include "daemon/transport.h"
#include "daemon/worker.h"
#include "lib/log.h"
#include "lib/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Connections accepted in one go. */
#define ACCEPT_BURST 64
/* The most that are accepted when it ends: as many as can wait, and no flood without an end. */
#define RETIRE_MAX 65536
/* How long accepting rests when there are no descriptors. */
#define ACCEPT_RETRY_MS 100

struct listener *listener_ref(struct listener *listener) {
        atomic_fetch_add_explicit(&listener->n_references, 1, memory_order_relaxed);
        return listener;
}

bool listener_is_reachable(const struct listener *listener) {
        struct stat now;

        if (listener->family != AF_UNIX || listener->address.is_abstract || listener->is_activated)
                return true;
        return lstat(listener->address.path, &now) == 0 && now.st_dev == listener->file.st_dev &&
               now.st_ino == listener->file.st_ino;
}

/* Removes the path, if what stands there is still the socket that was bound. */
static void listener_remove_path(struct listener *listener) {
        if (listener->family == AF_UNIX && !listener->address.is_abstract &&
            !listener->keeps_path && listener_is_reachable(listener))
                (void)unlink(listener->address.path);
}

static void listener_close(struct listener *listener) {
        if (listener->fd < 0)
                return;
        listener_remove_path(listener);
        (void)close(listener->fd);
        listener->fd = -1;
}

struct listener *listener_unref(struct listener *listener) {
        if (!listener ||
            atomic_fetch_sub_explicit(&listener->n_references, 1, memory_order_acq_rel) != 1)
                return NULL;
        listener_close(listener);
        free(listener->name);
        free(listener);
        return NULL;
}

static void listener_cleanup(struct listener **listenerp) {
        listener_unref(*listenerp);
}

bool listener_wants_v6only(const struct config_listener *config) {
        /* "*" stands for a socket of each family; they must not be in each other's way. */
        return config->v6only || strcmp(config->address.host, "*") == 0;
}

static struct listener *listener_new(const struct config_listener *config, int fd) {
        struct listener *listener = calloc(1, sizeof(*listener));

        if (!listener)
                return NULL;
        atomic_init(&listener->n_references, 1);
        listener->fd = fd;
        listener->keeps_path = true;
        listener->address = config->address;
        listener->v6only = listener_wants_v6only(config);
        listener->transport = &transport_stream;
        listener->handler = &handler_bus;
        list_init(&listener->link);
        listener->name = strdup(config->name);
        return listener->name ? listener : listener_unref(listener);
}

/* Learns where the socket is bound. */
static int listener_learn(struct listener *listener) {
        struct address_socket *bound = &listener->bound;

        bound->length = sizeof(bound->socket);
        if (getsockname(listener->fd, &bound->socket.any, &bound->length) < 0)
                return -errno;
        bound->family = listener->family = bound->socket.any.sa_family;
        bound->type = SOCK_STREAM;
        if (bound->family == AF_INET)
                listener->port = ntohs(((struct sockaddr_in *)&bound->socket)->sin_port);
        if (bound->family == AF_INET6)
                listener->port = ntohs(((struct sockaddr_in6 *)&bound->socket)->sin6_port);
        address_format_socket(listener->address.scheme, &bound->socket.any, bound->length,
                              listener->text);
        return 0;
}

/* Owner and group first, while nobody may connect; then the mode. */
static int path_apply(const struct config_listener *config, char **reasonp) {
        const char *path = config->address.path;

        if ((config->owner != (uid_t)-1 || config->group != (gid_t)-1) &&
            chown(path, config->owner, config->group) < 0)
                return reason_set(reasonp, -errno, "cannot give %s to the owner or group: %s", path,
                                  strerror(errno));
        if (chmod(path, config->mode) < 0)
                return reason_set(reasonp, -errno, "cannot set the mode of %s: %s", path,
                                  strerror(errno));
        return 0;
}

static int bind_path(struct listener *listener, const struct config_listener *config,
                     const struct address_socket *socket, char **reasonp) {
        const char *path = config->address.path;
        int r = socket_path_clear(socket, reasonp);

        if (r < 0)
                return r;
        /* Linux gives the path the mode that the descriptor has: nobody may connect as yet. */
        if (fchmod(listener->fd, 0) < 0)
                return reason_set(reasonp, -errno, "cannot set the mode of a socket: %s",
                                  strerror(errno));
        if (bind(listener->fd, &socket->socket.any, socket->length) < 0)
                return reason_set(reasonp, -errno, "cannot bind to %s: %s%s", path, strerror(errno),
                                  errno == ENOENT ? " (its directory does not exist)" : "");
        listener->keeps_path = false;
        if (lstat(path, &listener->file) < 0)
                return reason_set(reasonp, -errno, "%s: %s", path, strerror(errno));
        return path_apply(config, reasonp);
}

static void set_port(struct address_socket *socket, uint16_t port) {
        if (socket->family == AF_INET)
                ((struct sockaddr_in *)&socket->socket)->sin_port = htons(port);
        else if (socket->family == AF_INET6)
                ((struct sockaddr_in6 *)&socket->socket)->sin6_port = htons(port);
}

static int set_option(int fd, int level, int option, int value) {
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Options of Internet sockets. Accepted connections inherit them. */
static int apply_internet(int fd, const struct config_listener *config) {
        int r = set_option(fd, IPPROTO_TCP, TCP_NODELAY, config->nodelay);

        return r < 0 ? r : set_option(fd, SOL_SOCKET, SO_KEEPALIVE, config->keepalive);
}

static bool is_ipv6_loopback(const struct address_socket *socket) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&socket->socket;

        return socket->family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int bind_internet(struct listener *listener, const struct config_listener *config,
                         const struct address_socket *socket, uint16_t sibling_port,
                         char **reasonp) {
        char text[ADDRESS_TEXT_MAX];
        struct address_socket sibling = *socket;
        int r = set_option(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);

        if (r == 0 && socket->family == AF_INET6)
                r = set_option(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, listener->v6only);
        if (r == 0)
                r = apply_internet(listener->fd, config);
        if (r < 0)
                return reason_set(reasonp, r, "cannot set an option of a socket: %s", strerror(-r));
        set_port(&sibling, sibling_port);
        if (config->address.port == 0 && sibling_port != 0 &&
            bind(listener->fd, &sibling.socket.any, sibling.length) == 0)
                return 0;
        if (bind(listener->fd, &socket->socket.any, socket->length) == 0)
                return 0;
        r = -errno;
        /* Switched off, IPv6 leaves its sockets behind, but no address for them. */
        if (r == -EADDRNOTAVAIL && is_ipv6_loopback(socket))
                return reason_set(reasonp, LISTENER_NO_IPV6,
                                  "this machine has no IPv6 loopback address");
        address_format_socket(config->address.scheme, &socket->socket.any, socket->length, text);
        return reason_set(reasonp, r, "cannot bind to %s: %s%s", text, strerror(-r),
                          r == -EADDRINUSE ? " (another process uses it)"
                          : r == -EACCES   ? " (ports below 1024 need CAP_NET_BIND_SERVICE)"
                                           : "");
}

static int bind_abstract(struct listener *listener, const struct config_listener *config,
                         const struct address_socket *socket, char **reasonp) {
        if (bind(listener->fd, &socket->socket.any, socket->length) == 0)
                return 0;
        return reason_set(reasonp, -errno, "cannot bind to unix:@%s: %s%s", config->address.path,
                          strerror(errno), errno == EADDRINUSE ? " (another process uses it)" : "");
}

static int start_listening(struct listener *listener, const struct config_listener *config,
                           char **reasonp) {
        if (listen(listener->fd, config->backlog) < 0)
                return reason_set(reasonp, -errno, "cannot listen: %s", strerror(errno));
        return 0;
}

/* No other daemon may look at a path from when it is found free until somebody listens there. */
static int listen_at_path(struct listener *listener, const struct config_listener *config,
                          const struct address_socket *socket, char **reasonp) {
        int lock = socket_path_lock(config->address.path);
        int r = bind_path(listener, config, socket, reasonp);

        if (r == 0)
                r = start_listening(listener, config, reasonp);
        if (r < 0)
                listener_close(listener); /* and removes the path, if it came to that */
        if (lock >= 0)
                (void)close(lock);
        return r;
}

static int listen_at(struct listener *listener, const struct config_listener *config,
                     const struct address_socket *socket, uint16_t sibling_port, char **reasonp) {
        int r;

        if (listener->family == AF_UNIX && !config->address.is_abstract)
                return listen_at_path(listener, config, socket, reasonp);
        if (listener->family == AF_UNIX)
                r = bind_abstract(listener, config, socket, reasonp);
        else
                r = bind_internet(listener, config, socket, sibling_port, reasonp);
        return r == 0 ? start_listening(listener, config, reasonp) : r;
}

/* Makes the socket, as yet for nothing. */
static int open_socket(struct listener **listenerp, const struct config_listener *config,
                       const struct address_socket *address, char **reasonp) {
        int fd = socket(address->family, address->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0 && errno == EAFNOSUPPORT && address->family == AF_INET6)
                return reason_set(reasonp, LISTENER_NO_IPV6, "this machine has no IPv6");
        if (fd < 0)
                return reason_set(reasonp, -errno, "cannot make a socket: %s", strerror(errno));
        *listenerp = listener_new(config, fd);
        if (!*listenerp) {
                (void)close(fd);
                return -ENOMEM;
        }
        (*listenerp)->family = address->family;
        return 0;
}

int listener_bind(struct listener **listenerp, const struct config_listener *config,
                  const struct address_socket *socket, uint16_t sibling_port, char **reasonp) {
        __attribute__((cleanup(listener_cleanup))) struct listener *listener = NULL;
        int r = open_socket(&listener, config, socket, reasonp);

        if (r == 0)
                r = listen_at(listener, config, socket, sibling_port, reasonp);
        if (r == 0)
                r = listener_learn(listener);
        if (r != 0)
                return r;
        *listenerp = listener;
        listener = NULL;
        return 0;
}

/* Two sockets can listen on one port only if both allow it. This is for a moment, as processes of
 * the same user could join them; those that ask for it even can afterwards, since the kernel
 * remembers that the port was shared. */
void listener_share(struct listener *listener, bool shares) {
        (void)set_option(listener->fd, SOL_SOCKET, SO_REUSEPORT, shares);
}

int listener_bind_beside(struct listener **listenerp, const struct config_listener *config,
                         const struct address_socket *socket, char **reasonp) {
        __attribute__((cleanup(listener_cleanup))) struct listener *listener = NULL;
        int r = open_socket(&listener, config, socket, reasonp);

        if (r == 0) {
                listener_share(listener, true);
                r = bind_internet(listener, config, socket, 0, reasonp);
        }
        if (r == 0)
                r = listener_learn(listener);
        if (r != 0)
                return r;
        *listenerp = listener;
        listener = NULL;
        return 0;
}

int listener_listen(struct listener *listener, const struct config_listener *config,
                    char **reasonp) {
        int r = start_listening(listener, config, reasonp);

        listener_share(listener, false);
        return r;
}

static int get_option(int fd, int option) {
        int value = -1;
        socklen_t length = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -errno : value;
}

int listener_adopt(struct listener **listenerp, const struct config_listener *config, int fd,
                   char **reasonp) {
        __attribute__((cleanup(listener_cleanup))) struct listener *listener =
                listener_new(config, fd);
        bool is_unix = address_is_unix(&config->address);
        int r;

        if (!listener) {
                (void)close(fd);
                return -ENOMEM;
        }
        listener->is_activated = true;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return reason_set(reasonp, -errno, "the inherited descriptor %d is not usable: %s",
                                  fd, strerror(errno));
        if (get_option(fd, SO_TYPE) != SOCK_STREAM || get_option(fd, SO_ACCEPTCONN) != 1)
                return reason_set(reasonp, -EINVAL,
                                  "the inherited descriptor %d is not a listening stream socket",
                                  fd);
        r = listener_learn(listener);
        if (r < 0 || !(is_unix ? listener->family == AF_UNIX
                               : listener->family == AF_INET || listener->family == AF_INET6))
                return reason_set(
                        reasonp, -EINVAL,
                        "the inherited descriptor %d is of another family than the listener's "
                        "address",
                        fd);
        if (!is_unix)
                (void)apply_internet(fd, config);
        *listenerp = listener;
        listener = NULL;
        return 0;
}

int listener_take_over(struct listener **listenerp, const struct config_listener *config,
                       struct listener *other, char **reasonp) {
        __attribute__((cleanup(listener_cleanup))) struct listener *listener = NULL;
        int fd = fcntl(other->fd, F_DUPFD_CLOEXEC, 3), r;

        if (fd < 0)
                return reason_set(reasonp, -errno, "cannot duplicate a socket: %s",
                                  strerror(errno));
        listener = listener_new(config, fd);
        if (!listener) {
                (void)close(fd);
                return -ENOMEM;
        }
        listener->is_activated = other->is_activated;
        listener->file = other->file;
        listener->taken_from = other;
        r = listener_learn(listener);
        if (r < 0)
                return r;
        *listenerp = listener;
        listener = NULL;
        return 0;
}

void listener_inherit(struct listener *listener) {
        struct listener *other = listener->taken_from;

        listener->keeps_path = other->keeps_path;
        other->keeps_path = true;
        listener->taken_from = NULL;
}

int listener_apply(struct listener *listener, const struct config_listener *config,
                   char **reasonp) {
        int r = 0;

        if (listener->is_activated)
                return 0; /* the service manager decides */
        if (listener->family == AF_UNIX) {
                if (!listener->address.is_abstract)
                        r = path_apply(config, reasonp);
        } else {
                r = apply_internet(listener->fd, config);
                if (r < 0)
                        return reason_set(reasonp, r, "cannot set an option of a socket: %s",
                                          strerror(-r));
        }
        if (r == 0 && listen(listener->fd, config->backlog) < 0)
                return reason_set(reasonp, -errno, "cannot listen: %s", strerror(errno));
        return r;
}

/* --- accepting, in the worker's thread ------------------------------------------------------ */

/* A descriptor on its way to the worker that shall own it. */
struct arrival {
        struct task task;
        struct worker *worker;
        struct listener *listener; /* a reference */
        int fd;
        struct peer peer;
};

/* Opens a connection in its worker's thread. */
static void listener_open(struct listener *listener, struct worker *worker, int fd,
                          const struct peer *peer) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        int r = connection_open(worker, listener, fd, peer);

        if (r < 0)
                log_limited(&limit, LOG_LEVEL_WARNING, "listener \"%s\": a connection is lost: %s",
                            listener->name, strerror(-r));
}

static void arrival_open(struct task *task) {
        struct arrival *arrival = container_of(task, struct arrival, task);

        listener_open(arrival->listener, arrival->worker, arrival->fd, &arrival->peer);
        listener_unref(arrival->listener);
        free(arrival);
}

static void peer_learn(struct peer *peer, int fd, const struct sockaddr_storage *address) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
        struct ucred credentials;
        socklen_t size = sizeof(credentials);

        if (address->ss_family == AF_INET) {
                (void)inet_ntop(AF_INET, &in->sin_addr, peer->ip, sizeof(peer->ip));
                peer->port = ntohs(in->sin_port);
        } else if (address->ss_family == AF_INET6) {
                bool is_mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

                (void)inet_ntop(is_mapped ? AF_INET : AF_INET6,
                                is_mapped ? &in6->sin6_addr.s6_addr[12] : in6->sin6_addr.s6_addr,
                                peer->ip, sizeof(peer->ip));
                peer->port = ntohs(in6->sin6_port);
        } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
                peer->has_credentials = true;
                peer->uid = credentials.uid;
                peer->gid = credentials.gid;
                peer->pid = credentials.pid;
        }
}

static void listener_dispatch(struct listener *listener, int fd, const struct peer *peer) {
        struct worker *worker = workers_choose(listener->worker->workers, listener->worker);
        struct arrival *arrival;

        if (worker == listener->worker) {
                listener_open(listener, worker, fd, peer);
                return;
        }
        arrival = calloc(1, sizeof(*arrival));
        if (arrival) {
                *arrival = (struct arrival){.task.run = arrival_open,
                                            .worker = worker,
                                            .listener = listener_ref(listener),
                                            .fd = fd,
                                            .peer = *peer};
                if (mailbox_post(&worker->mailbox, &arrival->task) == 0)
                        return;
                listener_unref(listener);
                free(arrival);
        }
        (void)close(fd);
}

static void listener_on_poll(uv_poll_t *poll, int status, int events);

static void listener_on_retry(uv_timer_t *timer) {
        struct listener *listener = timer->data;

        (void)uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
}

/* Accepting failed for want of descriptors or memory: it rests, rather than turn in a circle. */
static void listener_rest(struct listener *listener, int error) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};

        counter_add(&listener->worker->stats.accept_errors, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "listener \"%s\": cannot accept: %s; existing clients are not affected",
                    listener->name, strerror(error));
        (void)uv_poll_stop(&listener->poll);
        (void)uv_timer_start(&listener->retry, listener_on_retry, ACCEPT_RETRY_MS, 0);
}

/* Whether an error is of the one connection that could not be accepted (accept(2)). */
static bool is_of_one_connection(int error) {
        switch (error) {
        case ECONNABORTED:
        case EINTR:
        case EPERM:
        case EPROTO:
        case ENOPROTOOPT:
        case ENETDOWN:
        case ENETUNREACH:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ENONET:
        case EOPNOTSUPP:
                return true;
        default:
                return false;
        }
}

/* Accepts one. Returns whether there may be more. */
static bool listener_accept(struct listener *listener) {
        struct sockaddr_storage address = {.ss_family = AF_UNIX};
        socklen_t length = sizeof(address);
        int fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        struct peer peer = {.port = 0};

        if (fd < 0) {
                int error = errno;

                if (error != EAGAIN && !is_of_one_connection(error))
                        listener_rest(listener, error);
                return is_of_one_connection(error);
        }
        peer_learn(&peer, fd, &address);
        listener_dispatch(listener, fd, &peer);
        return true;
}

static void listener_on_poll(uv_poll_t *poll, int status, int events) {
        struct listener *listener = poll->data;

        worker_enter(listener->worker);
        if (status < 0) {
                listener_rest(listener, -status);
                return;
        }
        for (unsigned i = 0; i < ACCEPT_BURST && listener_accept(listener); i++)
                ;
}

static void listener_start_here(struct task *task) {
        struct listener *listener = container_of(task, struct listener, task);
        struct worker *worker = listener->worker;

        if (worker->is_stopping || uv_poll_init(&worker->loop, &listener->poll, listener->fd) < 0) {
                log_error("listener \"%s\": cannot be polled", listener->name);
                listener_unref(listener);
                return;
        }
        (void)uv_timer_init(&worker->loop, &listener->retry);
        listener->n_handles = 2;
        listener->poll.data = listener;
        listener->retry.data = listener;
        list_append(&worker->listeners, &listener->link);
        (void)uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
}

void listener_start(struct listener *listener, struct worker *worker) {
        listener->worker = worker;
        listener->task.run = listener_start_here;
        if (mailbox_post(&worker->mailbox, &listener_ref(listener)->task) < 0)
                listener_unref(listener);
}

static void listener_on_handle_closed(uv_handle_t *handle) {
        struct listener *listener = handle->data;

        if (--listener->n_handles == 0)
                listener_unref(listener);
}

void listener_stop_here(struct listener *listener) {
        if (list_is_empty(&listener->link))
                return;
        list_unlink(&listener->link);
        uv_close((uv_handle_t *)&listener->poll, listener_on_handle_closed);
        uv_close((uv_handle_t *)&listener->retry, listener_on_handle_closed);
        listener_close(listener);
}

/* A wish to stop, on its way to the accepting worker. */
struct listener_stop {
        struct task task;
        struct listener *listener; /* a reference */
        bool accepts;              /* those who are waiting */
};

static void accept_waiting(struct listener *listener) {
        if (listener->worker->is_stopping || list_is_empty(&listener->link))
                return;
        for (unsigned i = 0; i < RETIRE_MAX && listener_accept(listener); i++)
                ;
}

static void listener_on_stop(struct task *task) {
        struct listener_stop *stop = container_of(task, struct listener_stop, task);
        struct listener *listener = stop->listener;

        if (stop->accepts)
                accept_waiting(listener);
        listener_stop_here(listener);
        listener_unref(listener);
        free(stop);
}

static void post_stop(struct listener *listener, bool accepts) {
        struct listener_stop *stop = calloc(1, sizeof(*stop));

        if (!stop)
                return;
        stop->listener = listener_ref(listener);
        stop->accepts = accepts;
        stop->task.run = listener_on_stop;
        if (listener->worker && mailbox_post(&listener->worker->mailbox, &stop->task) == 0)
                return;
        listener_unref(listener);
        free(stop);
}

void listener_stop(struct listener *listener) {
        post_stop(listener, false);
}

/* Has the kernel ignore who begins to connect from now on. Whoever does so tries again after a
 * second and then reaches the listener that follows, if there is one; what the closing finds would
 * be reset. */
static void ignore_newcomers(const struct listener *listener) {
        /* The filter sees the TCP header: 13 is the offset of the flags, 2 is SYN, 16 is ACK. */
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 2),
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 16, 1, 0),
                BPF_STMT(BPF_RET | BPF_K, 0),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        };
        struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

        if (listener->family != AF_UNIX)
                (void)setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                                 sizeof(program));
}

void listener_retire(struct listener *listener) {
        ignore_newcomers(listener);
        post_stop(listener, true);
}
