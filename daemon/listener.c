/* Binding, and what becomes of a bound socket. See listener.h and listener_parts.h. */
#include "daemon/listener_parts.h"

#include "daemon/endpoint.h"
#include "daemon/socket_path.h"
#include "daemon/tls_context.h"
#include "daemon/transport.h"
#include "lib/log.h"
#include "lib/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

void listener_close(struct listener *listener) {
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
        rate_deinit(&listener->rate);
        admission_deinit(&listener->admission);
        cookie_jar_deinit(&listener->cookies);
        tls_context_unref(listener->tls);
        config_handler_unref(listener->settings);
        turnstile_deinit(&listener->turnstile);
        pthread_mutex_destroy(&listener->lock);
        free(listener->sources);
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

static const struct transport *transport_of(enum address_scheme scheme) {
        switch (scheme) {
        case ADDRESS_UDP:
        case ADDRESS_UNIX_DGRAM:
                return &transport_datagram;
        case ADDRESS_UNIX_SEQPACKET:
                return &transport_record;
        default:
                return &transport_stream;
        }
}

/* For who connects from now on. */
static void listener_set_tls(struct listener *listener, struct tls_context *context) {
        struct tls_context *before;

        pthread_mutex_lock(&listener->lock);
        before = listener->tls;
        listener->tls = tls_context_ref(context);
        pthread_mutex_unlock(&listener->lock);
        tls_context_unref(before);
}

struct tls_context *listener_tls(struct listener *listener) {
        struct tls_context *context;

        pthread_mutex_lock(&listener->lock);
        context = tls_context_ref(listener->tls);
        pthread_mutex_unlock(&listener->lock);
        return context;
}

/* Likewise. */
static void listener_set_settings(struct listener *listener, struct config_handler *settings) {
        struct config_handler *before;

        pthread_mutex_lock(&listener->lock);
        before = listener->settings;
        listener->settings = config_handler_ref(settings);
        pthread_mutex_unlock(&listener->lock);
        if (settings && settings->kind == HANDLER_EXEC)
                turnstile_set_max(&listener->turnstile, settings->exec.concurrency);
        atomic_store(&listener->handler_kind, settings ? settings->kind : HANDLER_BUS);
        config_handler_unref(before);
}

struct config_handler *listener_settings(struct listener *listener) {
        struct config_handler *settings;

        pthread_mutex_lock(&listener->lock);
        settings = config_handler_ref(listener->settings);
        pthread_mutex_unlock(&listener->lock);
        return settings;
}

static void listener_set_limits(struct listener *listener, const struct config_listener *config) {
        const struct config_rate *rate = &config->rate;

        if (rate_set(&listener->rate, rate->messages, rate->bytes, rate->burst) < 0)
                log_error("listener \"%s\": no memory to limit the rate", listener->name);
        admission_set(&listener->admission, &config->admission);
        atomic_store(&listener->admits_anonymous, config->anonymous);
        atomic_store(&listener->identifies, config->identify);
        atomic_store(&listener->accepts_proxy, config->accept_proxy);
        atomic_store(&listener->session_timeout_ms, config->session_timeout_ms);
        atomic_store(&listener->cookie_lifetime_ms, config->cookie_lifetime_ms);
        atomic_store(&listener->max_sessions, config->max_sessions);
        atomic_store(&listener->max_sessions_per_source, config->max_sessions_per_source);
        atomic_store(&listener->receive_buffer, config->receive_buffer);
        atomic_store(&listener->send_buffer, config->send_buffer);
        listener_set_tls(listener, config->tls.context);
        listener_set_settings(listener, config->handler.made);
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
        listener->transport = transport_of(config->address.scheme);
        admission_init(&listener->admission);
        cookie_jar_init(&listener->cookies);
        turnstile_init(&listener->turnstile);
        pthread_mutex_init(&listener->lock, NULL);
        listener->is_silent = config->join && config->join[0];
        list_init(&listener->link);
        listener->name = strdup(config->name);
        if (listener->transport->is_connectionless)
                listener->sources = calloc(LISTENER_SOURCES, sizeof(*listener->sources));
        listener_set_limits(listener, config);
        if (!listener->name || (listener->transport->is_connectionless && !listener->sources))
                return listener_unref(listener);
        return listener;
}

/* Owner and group first, while nobody may connect; then the mode. Those that the configuration
 * leaves open are what they were when the path was made. */
static int path_apply(const struct listener *listener, const struct config_listener *config,
                      char **reasonp) {
        const char *path = config->address.path;
        uid_t owner = config->owner == (uid_t)-1 ? listener->file.st_uid : config->owner;
        gid_t group = config->group == (gid_t)-1 ? listener->file.st_gid : config->group;
        struct stat now;

        if (lstat(path, &now) < 0)
                return reason_set(reasonp, -errno, "%s: %s", path, strerror(errno));
        if ((now.st_uid != owner || now.st_gid != group) && lchown(path, owner, group) < 0)
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
        return path_apply(listener, config, reasonp);
}

static void set_port(struct address_socket *socket, uint16_t port) {
        if (socket->family == AF_INET)
                ((struct sockaddr_in *)&socket->socket)->sin_port = htons(port);
        else if (socket->family == AF_INET6)
                ((struct sockaddr_in6 *)&socket->socket)->sin6_port = htons(port);
}

/* Learns where the socket is bound. */
static int listener_learn(struct listener *listener) {
        struct address_socket *bound = &listener->bound;

        bound->length = sizeof(bound->socket);
        if (getsockname(listener->fd, &bound->socket.any, &bound->length) < 0)
                return -errno;
        bound->family = listener->family = bound->socket.any.sa_family;
        bound->type = listener_get_option(listener->fd, SO_TYPE);
        if (bound->family == AF_INET)
                listener->port = ntohs(((struct sockaddr_in *)&bound->socket)->sin_port);
        if (bound->family == AF_INET6)
                listener->port = ntohs(((struct sockaddr_in6 *)&bound->socket)->sin6_port);
        address_format_socket(listener->address.scheme, &bound->socket.any, bound->length,
                              listener->text);
        return listener->transport->is_connectionless ? listener_apply_datagram(listener) : 0;
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
        bool is_datagram = address_is_datagram(&config->address);
        int r = listener_set_option(listener->fd, SOL_SOCKET, SO_REUSEADDR,
                                    !is_datagram || listener->is_silent);

        if (r == 0 && socket->family == AF_INET6)
                r = listener_set_option(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, listener->v6only);
        if (r == 0)
                r = listener_apply_internet(listener->fd, config);
        if (r < 0)
                return reason_set(reasonp, r, "cannot set an option of a socket: %s", strerror(-r));
        set_port(&sibling, sibling_port);
        if (config->address.port == 0 && sibling_port != 0 &&
            bind(listener->fd, &sibling.socket.any, sibling.length) == 0)
                return listener_join_groups(listener, config, reasonp);
        if (bind(listener->fd, &socket->socket.any, socket->length) == 0)
                return listener_join_groups(listener, config, reasonp);
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
        if (listener->transport->is_connectionless)
                return 0;
        if (listen(listener->fd, config->backlog) < 0)
                return reason_set(reasonp, -errno, "cannot listen: %s", strerror(errno));
        return 0;
}

/* No other daemon may look at a path from when it is found free until somebody listens there. */
static int listen_at_path(struct listener *listener, const struct config_listener *config,
                          const struct address_socket *socket, char **reasonp) {
        int lock, r;

        socket_path_make_directory(config->address.path);
        lock = socket_path_lock(config->address.path);
        r = bind_path(listener, config, socket, reasonp);
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
        if (address->family == AF_UNIX && address->type == SOCK_DGRAM)
                (void)listener_set_option(fd, SOL_SOCKET, SO_PASSCRED, 1);
        listener_apply_buffers(*listenerp);
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
        if (listener->transport->is_connectionless && !shares)
                return; /* its own sockets share the port */
        (void)listener_set_option(listener->fd, SOL_SOCKET, SO_REUSEPORT, shares);
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

int listener_adopt(struct listener **listenerp, const struct config_listener *config, int fd,
                   char **reasonp) {
        __attribute__((cleanup(listener_cleanup))) struct listener *listener =
                listener_new(config, fd);
        bool is_unix = address_is_unix(&config->address);
        bool is_datagram = address_is_datagram(&config->address);
        int type = is_datagram                                        ? SOCK_DGRAM
                   : config->address.scheme == ADDRESS_UNIX_SEQPACKET ? SOCK_SEQPACKET
                                                                      : SOCK_STREAM;
        int r;

        if (!listener) {
                (void)close(fd);
                return -ENOMEM;
        }
        listener->is_activated = true;
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return reason_set(reasonp, -errno, "the inherited descriptor %d is not usable: %s",
                                  fd, strerror(errno));
        if (listener_get_option(fd, SO_TYPE) != type ||
            listener_get_option(fd, SO_ACCEPTCONN) != !is_datagram)
                return reason_set(reasonp, -EINVAL,
                                  "the inherited descriptor %d is not a %s socket", fd,
                                  is_datagram           ? "datagram"
                                  : type == SOCK_STREAM ? "listening stream"
                                                        : "listening seqpacket");
        r = listener_learn(listener);
        if (r < 0 || !(is_unix ? listener->family == AF_UNIX
                               : listener->family == AF_INET || listener->family == AF_INET6))
                return reason_set(
                        reasonp, -EINVAL,
                        "the inherited descriptor %d is of another family than the listener's "
                        "address",
                        fd);
        if (!is_unix)
                (void)listener_apply_internet(fd, config);
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

        listener_set_limits(listener, config);
        if (listener->is_activated)
                return 0; /* the service manager decides */
        listener_apply_buffers(listener);
        if (listener->family == AF_UNIX) {
                if (!listener->address.is_abstract)
                        r = path_apply(listener, config, reasonp);
        } else {
                r = listener_apply_internet(listener->fd, config);
                if (r < 0)
                        return reason_set(reasonp, r, "cannot set an option of a socket: %s",
                                          strerror(-r));
        }
        return r == 0 ? start_listening(listener, config, reasonp) : r;
}

int listener_sibling(const struct listener *listener) {
        int fd = socket(listener->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct listener sibling = {.fd = fd, .family = listener->family, .bound = listener->bound};
        int r;

        if (fd < 0)
                return -errno;
        listener_set_buffers(listener, fd);
        r = listener_set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0 && listener->family == AF_INET6)
                r = listener_set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, listener->v6only);
        if (r == 0)
                r = listener_apply_datagram(&sibling);
        /* The first one was bound alone, so that a port that is taken shows. */
        if (r == 0)
                r = listener_set_option(listener->fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (r == 0 && bind(fd, &listener->bound.socket.any, listener->bound.length) < 0)
                r = -errno;
        if (r == 0)
                return fd;
        (void)close(fd);
        return r;
}
