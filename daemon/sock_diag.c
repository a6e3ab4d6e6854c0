/* Asking the kernel about sockets. See sock_diag.h. */
#include "daemon/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than the kernel puts into one datagram of an answer. */
#define ANSWER_MAX 32768

/* Asks for all Unix datagram sockets: connected ones, and others. */
static int unix_ask(int fd) {
        struct {
                struct nlmsghdr header;
                struct unix_diag_req request;
        } message = {
                .header = {.nlmsg_len = sizeof(message),
                           .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                           .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
                .request = {.sdiag_family = AF_UNIX,
                            .udiag_states = 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE,
                            .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN},
        };

        return send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void unix_tell(const struct nlmsghdr *header, sock_diag_unix_fn *tell, void *context) {
        const struct unix_diag_msg *socket = NLMSG_DATA(header);
        const struct rtattr *attribute = (const struct rtattr *)(socket + 1);
        size_t length = header->nlmsg_len - NLMSG_LENGTH(sizeof(*socket));
        struct bytes name = {NULL, 0};
        bool has_unread = false;

        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*socket)) || socket->udiag_type != SOCK_DGRAM)
                return;
        for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length)) {
                if (attribute->rta_type == UNIX_DIAG_NAME)
                        name = (struct bytes){RTA_DATA(attribute), RTA_PAYLOAD(attribute)};
                else if (attribute->rta_type == UNIX_DIAG_RQLEN)
                        has_unread = ((const struct unix_diag_rqlen *)RTA_DATA(attribute))
                                             ->udiag_rqueue > 0;
        }
        if (name.length > 0)
                tell(context, name, has_unread);
}

/* Takes one datagram of the answer. Returns 1 if there is more, 0 at the end, or -errno. */
static int unix_take(int fd, sock_diag_unix_fn *tell, void *context) {
        _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        size_t length = n > 0 ? (size_t)n : 0;

        if (n < 0)
                return errno == EINTR ? 1 : -errno;
        for (; NLMSG_OK(header, length); header = NLMSG_NEXT(header, length)) {
                if (header->nlmsg_type == NLMSG_DONE)
                        return 0;
                if (header->nlmsg_type == NLMSG_ERROR)
                        return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
                unix_tell(header, tell, context);
        }
        return n > 0 ? 1 : -EPROTO;
}

int sock_diag_unix_datagrams(sock_diag_unix_fn *tell, void *context) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        int r;

        if (fd < 0)
                return -errno;
        r = unix_ask(fd);
        while (r >= 0 && (r = unix_take(fd, tell, context)) > 0)
                ;
        (void)close(fd);
        return r;
}
