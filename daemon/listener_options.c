/* Options of a listener's socket: buffers, what datagrams tell of themselves, multicast groups. See
 * listener_parts.h.
 */
#include "daemon/listener_parts.h"

#include "daemon/handler.h"
#include "daemon/transport.h"
#include "lib/log.h"
#include "lib/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* What all peers of a datagram socket share, if nothing else is configured. */
#define SHARED_SEND_BUFFER (2 << 20)

int listener_set_option(int fd, int level, int option, int value) {
        return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

int listener_get_option(int fd, int option) {
        int value = -1;
        socklen_t length = sizeof(value);

        return getsockopt(fd, SOL_SOCKET, option, &value, &length) < 0 ? -errno : value;
}

/* --- buffers -------------------------------------------------------------------------------- */

static int buffer_value(uint64_t size) {
        return (int)(size < INT_MAX / 2 ? size : INT_MAX / 2);
}

/* The size of one buffer of a socket. Whoever may exceeds the limit of the system. */
static void set_buffer(int fd, int option, int forced, uint64_t size) {
        if (size > 0 && listener_set_option(fd, SOL_SOCKET, forced, buffer_value(size)) < 0)
                (void)listener_set_option(fd, SOL_SOCKET, option, buffer_value(size));
}

void listener_set_buffers(const struct listener *listener, int fd) {
        uint64_t send_buffer = atomic_load(&listener->send_buffer);

        if (send_buffer == 0 && listener->transport->is_connectionless)
                send_buffer = SHARED_SEND_BUFFER;
        set_buffer(fd, SO_RCVBUF, SO_RCVBUFFORCE, atomic_load(&listener->receive_buffer));
        set_buffer(fd, SO_SNDBUF, SO_SNDBUFFORCE, send_buffer);
}

/* That it is less than configured is worth a warning. The kernel doubles it. */
static void warn_of_buffer(const struct listener *listener, int option, uint64_t size) {
        int value = listener_get_option(listener->fd, option) / 2;

        if (size > 0 && value < buffer_value(size))
                log_warning("listener \"%s\": %s is cut to %d bytes by the system's limit, "
                            "net.core.%s",
                            listener->name, option == SO_RCVBUF ? "receive_buffer" : "send_buffer",
                            value, option == SO_RCVBUF ? "rmem_max" : "wmem_max");
}

void listener_apply_buffers(const struct listener *listener) {
        listener_set_buffers(listener, listener->fd);
        warn_of_buffer(listener, SO_RCVBUF, atomic_load(&listener->receive_buffer));
        warn_of_buffer(listener, SO_SNDBUF, atomic_load(&listener->send_buffer));
}

/* --- families ------------------------------------------------------------------------------- */

static bool is_wildcard(const struct address_socket *socket) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&socket->socket;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&socket->socket;

        return socket->family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr)
                                          : in->sin_addr.s_addr == htonl(INADDR_ANY);
}

int listener_apply_internet(int fd, const struct config_listener *config) {
        int r;

        if (address_is_datagram(&config->address))
                return 0;
        r = listener_set_option(fd, IPPROTO_TCP, TCP_NODELAY, config->nodelay);

        return r < 0 ? r : listener_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, config->keepalive);
}

void listener_apply_hops(const struct listener *listener, int fd) {
        int wants = handler_of(atomic_load(&listener->handler_kind))->may_go_round;

        if (listener->family == AF_UNIX)
                return;
        (void)listener_set_option(fd, IPPROTO_IP, IP_RECVTTL, wants);
        if (listener->family == AF_INET6)
                (void)listener_set_option(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, wants);
}

int listener_apply_datagram(const struct listener *listener) {
        int fd = listener->fd, r;

        if (listener->family == AF_UNIX)
                return listener_set_option(fd, SOL_SOCKET, SO_PASSCRED, 1);
        (void)listener_set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
        if (listener->family == AF_INET6)
                (void)listener_set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
        listener_apply_hops(listener, fd);
        if (!is_wildcard(&listener->bound))
                return 0;
        /* Of IPv4, an IPv6 socket too. */
        r = listener_set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
        return r == 0 && listener->family == AF_INET6
                       ? listener_set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                       : r;
}

/* --- multicast ------------------------------------------------------------------------------ */

/* Whether a group is for this socket. Of the two that "*" stands for, each joins what is its own.
 */
static bool can_join(const struct listener *listener, const char *group) {
        if (strcmp(listener->address.host, "*") != 0)
                return true;
        return (strchr(group, ':') != NULL) == (listener->family == AF_INET6);
}

/* Joins one multicast group. */
static int join_group(int fd, const char *group, unsigned interface) {
        struct ipv6_mreq in6 = {.ipv6mr_interface = interface};
        struct ip_mreqn in = {.imr_ifindex = (int)interface};
        int r;

        if (inet_pton(AF_INET, group, &in.imr_multiaddr) == 1)
                r = setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &in, sizeof(in));
        else if (inet_pton(AF_INET6, group, &in6.ipv6mr_multiaddr) == 1)
                r = setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &in6, sizeof(in6));
        else
                return -EINVAL;
        return r < 0 ? -errno : 0;
}

int listener_join_groups(const struct listener *listener, const struct config_listener *config,
                         char **reasonp) {
        unsigned interface = config->interface ? if_nametoindex(config->interface) : 0;

        if (!listener->is_silent)
                return 0;
        if (config->interface && interface == 0)
                return reason_set(reasonp, -ENODEV, "there is no network interface \"%s\"",
                                  config->interface);
        /* Only these, not those that other processes join. */
        (void)listener_set_option(listener->fd, IPPROTO_IP, IP_MULTICAST_ALL, 0);
        if (listener->family == AF_INET6)
                (void)listener_set_option(listener->fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
        for (char **group = config->join; *group; group++) {
                int r = can_join(listener, *group) ? join_group(listener->fd, *group, interface)
                                                   : 0;

                if (r < 0)
                        return reason_set(reasonp, r, "cannot join the multicast group %s%s%s: %s",
                                          *group, config->interface ? " on " : "",
                                          config->interface ? config->interface : "", strerror(-r));
        }
        return 0;
}
