/* What the kernel says of a peer when it is asked. See connection.h. */
#include "daemon/connection.h"

#include "daemon/block.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/session.h"
#include "daemon/sock_owner.h"
#include "daemon/transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Supplementary groups that are asked for at first. */
#define GROUPS_FIRST 32

/* Whether the process had the group as a supplementary one when it connected (SO_PEERGROUPS in
 * socket(7)). */
static bool has_supplementary_group(int fd, gid_t gid) {
        socklen_t length = GROUPS_FIRST * sizeof(gid_t);
        gid_t *groups = malloc(length), *larger;
        bool has = false;
        int r = -1;

        while (groups && (r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length)) < 0 &&
               errno == ERANGE) {
                larger = realloc(groups, length);
                if (!larger)
                        break;
                groups = larger;
        }
        for (size_t i = 0; r == 0 && i < length / sizeof(gid_t); i++)
                has |= groups[i] == gid;
        free(groups);
        return has;
}

const char *connection_origin(const struct connection *connection,
                              char text[CONNECTION_ORIGIN_MAX]) {
        const struct peer *peer = &connection->peer;

        text[0] = '\0';
        if (peer->ip[0])
                snprintf(text, CONNECTION_ORIGIN_MAX, " from %s", peer->ip);
        else if (peer->has_credentials)
                snprintf(text, CONNECTION_ORIGIN_MAX, " of uid %u", (unsigned)peer->uid);
        return text;
}

bool connection_has_group(const struct connection *connection, gid_t gid) {
        /* Of a datagram peer the kernel tells no others. */
        return connection->peer.gid == gid ||
               (!connection->session && has_supplementary_group(connection->fd, gid));
}

bool connection_has_uid(struct connection *connection) {
        struct peer *peer = &connection->peer;
        struct sock_owner owner;

        /* A datagram's port may be somebody else's by now. */
        if (peer->has_credentials || connection->is_owner_asked || connection->session)
                return peer->has_credentials || peer->has_owner;
        connection->is_owner_asked = true;
        if (sock_owner_of_peer(connection->fd, &owner) < 0)
                return false;
        peer->has_owner = true;
        peer->uid = owner.uid;
        connection->cgroup = owner.cgroup;
        return true;
}

const struct peer_facts *connection_facts(struct connection *connection) {
        const struct peer *peer = &connection->peer;

        /* Whoever sent a datagram may be gone, and his pid another's. */
        if (connection->facts || connection->session || !connection_has_uid(connection))
                return connection->facts;
        connection->facts = peer->has_credentials
                                    ? peer_facts_of_socket(connection->fd, peer->pid, peer->uid)
                                    : peer_facts_of_cgroup(connection->cgroup);
        return connection->facts;
}

void connection_show_peer(struct connection *connection) {
        if (connection->session && !connection->is_kept)
                session_show_peer(connection->session);
}

/* An address as it was shown; AF_UNSPEC if it is none of the Internet. */
static union proxy_address address_of(const char *ip, uint16_t port) {
        union proxy_address address = {.any.sa_family = AF_UNSPEC};

        if (inet_pton(AF_INET, ip, &address.in.sin_addr) == 1) {
                address.in.sin_family = AF_INET;
                address.in.sin_port = htons(port);
        } else if (inet_pton(AF_INET6, ip, &address.in6.sin6_addr) == 1) {
                address.in6.sin6_family = AF_INET6;
                address.in6.sin6_port = htons(port);
        }
        return address;
}

/* The local address of the socket; an IPv4 one of an IPv6 socket is one of IPv4. */
static union proxy_address local_address(int fd) {
        union proxy_address address = {.any.sa_family = AF_UNSPEC}, mapped;
        socklen_t length = sizeof(address);

        if (getsockname(fd, &address.any, &length) < 0)
                return (union proxy_address){.any.sa_family = AF_UNSPEC};
        if (address.any.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&address.in6.sin6_addr))
                return address;
        mapped.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = address.in6.sin6_port};
        memcpy(&mapped.in.sin_addr, &address.in6.sin6_addr.s6_addr[12], sizeof(mapped.in.sin_addr));
        return mapped;
}

/* Whom an introduced peer wanted to reach; AF_UNSPEC if that is not told. */
static union proxy_address wanted_address(const struct peer *peer) {
        char ip[INET6_ADDRSTRLEN] = "";

        if (peer->ip[0])
                session_format_host(&peer->local_host, ip);
        return address_of(ip, peer->local_port);
}

size_t connection_introduce(const struct connection *connection, enum proxy_version version,
                            char text[PROXY_TEXT_MAX]) {
        const struct peer *peer = &connection->peer;
        struct proxy_header header = {.source = address_of(peer->ip, peer->port)};
        socklen_t length = sizeof(header.source);

        if (peer->is_introduced)
                header.destination = wanted_address(peer);
        else
                header.destination = local_address(connection->fd);
        if (!peer->is_introduced && header.destination.any.sa_family == AF_UNIX)
                (void)getpeername(connection->fd, &header.source.any, &length);
        if (header.source.any.sa_family != header.destination.any.sa_family)
                header.source.any.sa_family = header.destination.any.sa_family = AF_UNSPEC;
        return proxy_header_write(&header, version, text);
}

/* Whether something that was read is yet to be done, for others than the peer. */
static bool has_work(const struct connection *connection) {
        const struct handler *handler = connection->handler;

        if (connection->input_block)
                return true; /* of which is not known what remains */
        return connection->kept &&
               !(handler->is_void &&
                 handler->is_void((struct bytes){connection->kept->data, connection->n_kept}));
}

bool connection_is_deserted(const struct connection *connection) {
        struct pollfd pollfd = {.fd = connection->fd};
        char byte;
        ssize_t n;

        if (connection->fd < 0 || connection->session)
                return false;
        if (poll(&pollfd, 1, 0) == 1 && (pollfd.revents & (POLLHUP | POLLERR)))
                return true;
        if (has_work(connection))
                return false;
        n = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

bool connection_is_hung_up(const struct connection *connection) {
        struct pollfd pollfd = {.fd = connection->fd, .events = 0};

        return connection->fd >= 0 && !connection->session && poll(&pollfd, 1, 0) > 0 &&
               !connection->transport->has_input(connection->fd);
}

static void write_ip(struct connection_local *local, const struct in6_addr *ip) {
        bool is_mapped = IN6_IS_ADDR_V4MAPPED(ip);

        (void)inet_ntop(is_mapped ? AF_INET : AF_INET6, is_mapped ? &ip->s6_addr[12] : ip->s6_addr,
                        local->ip, sizeof(local->ip));
}

/* Of a connected socket the kernel says it. */
static void find_local_of_socket(const struct connection *connection,
                                 struct connection_local *local) {
        struct sockaddr_storage name;
        const struct sockaddr_in *in = (const struct sockaddr_in *)&name;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&name;
        socklen_t length = sizeof(name);
        struct in6_addr ip;

        if (getsockname(connection->fd, (struct sockaddr *)&name, &length) < 0)
                return;
        ip = name.ss_family == AF_INET ? session_map_address(in->sin_addr) : in6->sin6_addr;
        local->port = ntohs(name.ss_family == AF_INET ? in->sin_port : in6->sin6_port);
        write_ip(local, &ip);
}

/* Of a datagram it is known if the socket is on several addresses. */
static void find_local_of_session(const struct connection *connection,
                                  struct connection_local *local) {
        const struct address_socket *bound = &connection->listener->bound;
        const struct sockaddr_in *in = (const struct sockaddr_in *)&bound->socket.storage;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&bound->socket.storage;
        struct in6_addr ip = connection->session->path.local;

        if (IN6_IS_ADDR_UNSPECIFIED(&ip) && bound->family == AF_INET)
                ip = session_map_address(in->sin_addr);
        else if (IN6_IS_ADDR_UNSPECIFIED(&ip) && bound->family == AF_INET6)
                ip = in6->sin6_addr;
        if (!IN6_IS_ADDR_UNSPECIFIED(&ip))
                write_ip(local, &ip);
}

void connection_find_local(const struct connection *connection, struct connection_local *local) {
        const struct listener *listener = connection->listener;
        const struct session *session = connection->session;

        *local = (struct connection_local){.port = listener->port};
        if (listener->family == AF_UNIX)
                snprintf(local->path, sizeof(local->path), "%s%s",
                         listener->address.is_abstract ? "@" : "", listener->address.path);
        else if (!session)
                find_local_of_socket(connection, local);
        else
                find_local_of_session(connection, local);
}
