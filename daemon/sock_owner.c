/* Asking the kernel who made a socket. See sock_owner.h. */
#include "daemon/sock_owner.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the kernel's answer about one socket. */
#define ANSWER_MAX 4096

/* --- the two ends ----------------------------------------------------------------------------- */

static struct in6_addr map_address(const void *in) {
        struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

        memcpy(&mapped.s6_addr[12], in, 4);
        return mapped;
}

static bool read_end(const struct sockaddr_storage *name, struct in6_addr *address,
                     in_port_t *port) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)name;
        const struct sockaddr_in *in = (const struct sockaddr_in *)name;

        if (name->ss_family == AF_INET) {
                *address = map_address(&in->sin_addr);
                *port = in->sin_port;
        } else if (name->ss_family == AF_INET6) {
                *address = in6->sin6_addr;
                *port = in6->sin6_port;
        }
        return name->ss_family == AF_INET || name->ss_family == AF_INET6;
}

/* The ends as the peer sees them. Returns 0 or -ENOENT; also of a connection that has ended. */
static int ends_of_peer(int fd, struct sock_ends *ends) {
        struct sockaddr_storage peer = {.ss_family = AF_UNSPEC}, local = {.ss_family = AF_UNSPEC};
        socklen_t peer_length = sizeof(peer), local_length = sizeof(local);

        if (getpeername(fd, (struct sockaddr *)&peer, &peer_length) < 0 ||
            getsockname(fd, (struct sockaddr *)&local, &local_length) < 0 ||
            !read_end(&peer, &ends->own, &ends->own_port) ||
            !read_end(&local, &ends->other, &ends->other_port))
                return -ENOENT;
        return 0;
}

/* Whether the peer can be of this host: what comes from a loopback address is, as the kernel takes
 * none from elsewhere. */
static bool is_of_this_host(const struct sock_ends *ends) {
        const struct in6_addr *own = &ends->own;

        if (IN6_IS_ADDR_V4MAPPED(own) && own->s6_addr[12] == IN_LOOPBACKNET)
                return true;
        return IN6_IS_ADDR_LOOPBACK(own) || IN6_ARE_ADDR_EQUAL(own, &ends->other);
}

/* --- the question ----------------------------------------------------------------------------- */

static int ask(int fd, const struct sock_ends *ends) {
        bool is_four = IN6_IS_ADDR_V4MAPPED(&ends->own);
        size_t skipped = is_four ? 12 : 0, length = sizeof(ends->own) - skipped;
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 request;
        } message = {
                .header = {.nlmsg_len = sizeof(message),
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST},
                .request = {.sdiag_family = is_four ? AF_INET : AF_INET6,
                            .sdiag_protocol = IPPROTO_TCP,
                            .idiag_states = UINT32_MAX,
                            .id = {.idiag_sport = ends->own_port,
                                   .idiag_dport = ends->other_port,
                                   .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
        };

        memcpy(message.request.id.idiag_src, &ends->own.s6_addr[skipped], length);
        memcpy(message.request.id.idiag_dst, &ends->other.s6_addr[skipped], length);
        return send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* --- the answer ------------------------------------------------------------------------------- */

static struct in6_addr answered_address(const struct inet_diag_msg *socket, const void *address) {
        struct in6_addr whole;

        if (socket->idiag_family == AF_INET)
                return map_address(address);
        memcpy(&whole, address, sizeof(whole));
        return whole;
}

/* For want of a connection the kernel tells of a socket that listens on the port. */
static bool is_asked_for(const struct inet_diag_msg *socket, const struct sock_ends *ends) {
        struct in6_addr own = answered_address(socket, socket->id.idiag_src);
        struct in6_addr other = answered_address(socket, socket->id.idiag_dst);

        return socket->id.idiag_sport == ends->own_port &&
               socket->id.idiag_dport == ends->other_port && IN6_ARE_ADDR_EQUAL(&own, &ends->own) &&
               IN6_ARE_ADDR_EQUAL(&other, &ends->other);
}

/* Whether the socket has a connection, and somebody has the socket: of one that was closed, without
 * an inode, older kernels say that it is root's. One that is about to connect may be that of the
 * port's next user. */
static bool is_owned(const struct inet_diag_msg *socket) {
        switch (socket->idiag_state) {
        case TCP_ESTABLISHED:
        case TCP_FIN_WAIT1:
        case TCP_FIN_WAIT2:
        case TCP_CLOSE_WAIT:
                return socket->idiag_inode != 0;
        default:
                return false;
        }
}

static uint64_t cgroup_of(const struct nlmsghdr *header, const struct inet_diag_msg *socket) {
        const struct rtattr *attribute = (const struct rtattr *)(socket + 1);
        /* Signed, as what aligns the next one may be missing behind the last. */
        int length = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*socket));
        uint64_t id = 0;

        for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length))
                if (attribute->rta_type == INET_DIAG_CGROUP_ID &&
                    RTA_PAYLOAD(attribute) == sizeof(id))
                        memcpy(&id, RTA_DATA(attribute), sizeof(id)); /* it may not be aligned */
        return id;
}

int sock_owner_read(struct bytes answer, const struct sock_ends *ends, struct sock_owner *owner) {
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer.data;
        const struct inet_diag_msg *socket;

        if (!NLMSG_OK(header, answer.length))
                return -EPROTO;
        if (header->nlmsg_type == NLMSG_ERROR &&
            header->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr))) {
                int error = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;

                return error < 0 ? error : -EPROTO;
        }
        socket = NLMSG_DATA(header);
        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            header->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)))
                return -EPROTO;
        if (!is_asked_for(socket, ends) || !is_owned(socket))
                return -ENOENT;
        owner->uid = socket->idiag_uid;
        owner->cgroup = cgroup_of(header, socket);
        return 0;
}

/* The kernel has answered when it has taken the question. */
static int take_answer(int fd, const struct sock_ends *ends, struct sock_owner *owner) {
        _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
        struct sockaddr_nl sender = {.nl_family = AF_NETLINK};
        socklen_t length = sizeof(sender);
        ssize_t n = recvfrom(fd, answer, sizeof(answer), MSG_DONTWAIT, (struct sockaddr *)&sender,
                             &length);

        if (n < 0)
                return -errno;
        if (sender.nl_pid != 0)
                return -EPROTO; /* not from the kernel */
        return sock_owner_read((struct bytes){answer, (size_t)n}, ends, owner);
}

static int find_owner(const struct sock_ends *ends, struct sock_owner *owner) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        int r;

        if (fd < 0)
                return -errno;
        r = ask(fd, ends);
        if (r == 0)
                r = take_answer(fd, ends, owner);
        (void)close(fd);
        return r;
}

int sock_owner_of_peer(int fd, struct sock_owner *owner) {
        struct sock_ends ends;
        int r = ends_of_peer(fd, &ends);

        if (r == 0 && !is_of_this_host(&ends))
                r = -ENOENT;
        if (r == 0)
                r = find_owner(&ends, owner);
        /* While this end is connected no other connection has these addresses and ports, and what
         * was found is the peer's. */
        return r == 0 ? ends_of_peer(fd, &ends) : r;
}
