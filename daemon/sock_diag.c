/* Asking the kernel about sockets. See sock_diag.h. */
#include "daemon/sock_diag.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
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
                            .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID},
        };

        return send(fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Without the end of a path. */
static size_t name_length(const char *name, size_t length) {
        return length > 0 && name[0] != '\0' ? strnlen(name, length) : length;
}

static void unix_read(struct sock_diag_unix *socket, const struct rtattr *attribute) {
        const void *data = RTA_DATA(attribute);
        size_t length = RTA_PAYLOAD(attribute);

        if (attribute->rta_type == UNIX_DIAG_NAME)
                socket->name = (struct bytes){data, name_length(data, length)};
        else if (attribute->rta_type == UNIX_DIAG_RQLEN && length >= sizeof(struct unix_diag_rqlen))
                socket->has_unread = ((const struct unix_diag_rqlen *)data)->udiag_rqueue > 0;
        else if (attribute->rta_type == UNIX_DIAG_UID && length >= sizeof(socket->uid))
                memcpy(&socket->uid, data, sizeof(socket->uid));
}

static void unix_tell(const struct nlmsghdr *header, sock_diag_unix_fn *tell, void *context) {
        const struct unix_diag_msg *message = NLMSG_DATA(header);
        const struct rtattr *attribute = (const struct rtattr *)(message + 1);
        /* Signed, as what aligns the next one may be missing behind the last. */
        int length = (int)header->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*message));
        struct sock_diag_unix socket = {.uid = (uid_t)-1};

        if (length < 0 || message->udiag_type != SOCK_DGRAM)
                return;
        socket.inode = message->udiag_ino;
        for (; RTA_OK(attribute, length); attribute = RTA_NEXT(attribute, length))
                unix_read(&socket, attribute);
        if (socket.name.length > 0)
                tell(context, &socket);
}

/* Whether a message lies in the bytes that are left. */
static bool is_whole(const struct nlmsghdr *header, int length) {
        return length >= (int)sizeof(*header) && header->nlmsg_len >= sizeof(*header) &&
               header->nlmsg_len <= (size_t)length;
}

/* Takes one datagram of the answer. Returns 1 if there is more, 0 at the end, or -errno. */
static int unix_take(int fd, sock_diag_unix_fn *tell, void *context) {
        _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
        const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)answer;
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        int length = (int)n; /* the last one may lack what aligns the next: it is below 0 then */

        if (n < 0)
                return errno == EINTR ? 1 : -errno;
        for (; is_whole(header, length); header = NLMSG_NEXT(header, length)) {
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
