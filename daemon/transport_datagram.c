/* The transport of unconnected sockets: UDP, and Unix datagram. See transport.h.
 *
 * What comes is handed out by the endpoint; here is how it goes back, through the endpoint's
 * socket, from the address that was spoken to.
 */
#include "daemon/transport.h"

#include "daemon/connection.h"
#include "daemon/endpoint.h"
#include "daemon/outbox.h"
#include "daemon/segments.h"
#include "daemon/session.h"
#include "daemon/stage.h"
#include "daemon/unread.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/udp.h>

/* Ranges and frames in one system call. */
#define SEND_RANGES 128
#define SEND_FRAMES 64
/* How often an error that belongs to somebody else is passed over. */
#define SEND_TRIES 64
/* What the kernel has of the buffer beside a Unix datagram's bytes; more than UDP's is not sent, as
 * not everybody would read it. */
#define UNIX_OVERHEAD 32
/* Peers whose address is not proved get no more of the send buffer than this part. */
#define UNPROVED_PART 4

union source {
        struct cmsghdr align;
        char data[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)) +
                  CMSG_SPACE(sizeof(uint16_t))];
};

/* Appends to control data of `length` bytes. Returns the new length. */
static size_t control_append(union source *source, size_t length, int level, int type,
                             const void *data, size_t n) {
        struct cmsghdr *cmsg = (struct cmsghdr *)(void *)(source->data + length);

        memset(cmsg, 0, CMSG_SPACE(n));
        cmsg->cmsg_level = level;
        cmsg->cmsg_type = type;
        cmsg->cmsg_len = CMSG_LEN(n);
        memcpy(CMSG_DATA(cmsg), data, n);
        return length + CMSG_SPACE(n);
}

/* Has a message leave from the address that was spoken to. Returns the length of the control data.
 */
static size_t write_local(union source *source, const struct session_path *path) {
        struct in_pktinfo in = {.ipi_ifindex = 0};
        struct in6_pktinfo in6 = {.ipi6_addr = path->local, .ipi6_ifindex = path->local_index};

        if (IN6_IS_ADDR_UNSPECIFIED(&path->local))
                return 0;
        if (path->peer.any.sa_family == AF_INET6)
                return control_append(source, 0, IPPROTO_IPV6, IPV6_PKTINFO, &in6, sizeof(in6));
        memcpy(&in.ipi_spec_dst, &path->local.s6_addr[12], sizeof(in.ipi_spec_dst));
        return control_append(source, 0, IPPROTO_IP, IP_PKTINFO, &in, sizeof(in));
}

/* Has a message live a hop shorter than what it answers; appends likewise. */
static size_t write_hops(union source *source, size_t length, const struct session_path *path) {
        int hops = path->hops - 1;

        if (hops <= 0)
                return length;
        if (path->peer.any.sa_family == AF_INET6 &&
            !IN6_IS_ADDR_V4MAPPED(&path->peer.in6.sin6_addr))
                return control_append(source, length, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops,
                                      sizeof(hops));
        return control_append(source, length, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
}

static size_t source_write(union source *source, const struct session_path *path) {
        return write_hops(source, write_local(source, path), path);
}

/* Says where a message is to be cut, if it is; appends likewise. */
static size_t write_cut(union source *source, size_t length, const struct segments *segments) {
        uint16_t each = (uint16_t)segments->length;

        return segments->n_frames > 1 ? control_append(source, length, IPPROTO_UDP, UDP_SEGMENT,
                                                       &each, sizeof(each))
                                      : length;
}

/* Drops the first frame. */
static void drop_frame(struct connection *connection, struct outbox *outbox, enum drop why) {
        session_drop(connection->session, why);
        outbox_consume_frames(outbox, 1);
}

/* Whether a peer that is remembered has closed its socket. */
static bool is_gone(const struct session *session, int error) {
        return session->is_kept && session->path.peer.any.sa_family == AF_UNIX &&
               (error == -ECONNREFUSED || error == -ENOENT || error == -ECONNRESET);
}

/* A frame was not sent. Returns 0 to go on, or the error if it is the end of the peer; that the
 * program has been started again is looked for once. */
static int take_error(struct connection *connection, struct outbox *outbox, int error,
                      bool *has_lookedp) {
        struct session *session = connection->session;

        if (!is_gone(session, error)) {
                drop_frame(connection, outbox,
                           error == -EMSGSIZE ? DROP_TOO_LARGE : DROP_CONGESTION);
                return 0;
        }
        if (*has_lookedp || !session_retarget(session))
                return error;
        *has_lookedp = true;
        return 0;
}

/* Where a message goes, and from where. */
static void address(struct mmsghdr *message, struct session *session, union source *source,
                    size_t source_length) {
        message->msg_hdr.msg_name = &session->target;
        message->msg_hdr.msg_namelen = session->target_length;
        message->msg_hdr.msg_control = source_length ? source : NULL;
        message->msg_hdr.msg_controllen = source_length;
}

/* Who is sent a message. */
static struct session *message_session(const struct mmsghdr *message) {
        return container_of(message->msg_hdr.msg_name, struct session, target);
}

/* How many of the first messages may leave, so that those who do not read leave room for others. */
static unsigned admit_messages(struct unread *unread, const struct mmsghdr *messages,
                               unsigned n_messages) {
        unsigned n = 0;

        while (n < n_messages) {
                const struct session *session = message_session(&messages[n]);

                if (!unread_admit(unread, session->unread_key, session->connection->peer.uid,
                                  segments_message_length(&messages[n])))
                        break;
                n++;
        }
        return n;
}

static void withdraw_messages(struct unread *unread, const struct mmsghdr *messages,
                              unsigned n_messages) {
        for (unsigned i = 0; i < n_messages; i++) {
                const struct session *session = message_session(&messages[i]);

                unread_withdraw(unread, session->unread_key, segments_message_length(&messages[i]));
        }
}

static int send_to_unix(const struct connection *connection, struct mmsghdr *messages,
                        unsigned n_messages) {
        struct unread *unread = connection->session->endpoint->unread;
        unsigned n_admitted = admit_messages(unread, messages, n_messages);
        int n;

        if (n_admitted == 0)
                return -EAGAIN;
        n = sendmmsg(connection->fd, messages, n_admitted, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
                n = -errno;
        if (n < (int)n_admitted)
                withdraw_messages(unread, &messages[n > 0 ? n : 0],
                                  n_admitted - (unsigned)(n > 0 ? n : 0));
        return n;
}

/* Sends messages of one socket. Returns how many, or -errno. */
static int send_messages(const struct connection *connection, struct mmsghdr *messages,
                         unsigned n_messages) {
        int n = 0;

        if (connection->session->path.peer.any.sa_family == AF_UNIX)
                return send_to_unix(connection, messages, n_messages);
        /* An error that the network reported for another peer is told to whoever sends next. */
        for (unsigned i = 0; i < SEND_TRIES; i++) {
                n = sendmmsg(connection->fd, messages, n_messages, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n >= 0 || errno == EAGAIN)
                        break;
        }
        return n < 0 ? -errno : n;
}

/* Sends the first frames, one message each. Returns how many, or -errno. */
static int send_singly(struct connection *connection, struct mmsghdr *messages, unsigned n_frames) {
        struct session *session = connection->session;
        union source source;
        size_t source_length = source_write(&source, &session->path);

        for (unsigned i = 0; i < n_frames; i++)
                address(&messages[i], session, &source, source_length);
        return send_messages(connection, messages, n_frames);
}

/* The same with those of one length together. */
static int send_segments(struct connection *connection, struct mmsghdr *messages,
                         unsigned n_frames) {
        struct session *session = connection->session;
        struct segments segments[SEND_FRAMES];
        union source sources[SEND_FRAMES];
        unsigned n_messages = segments_join(messages, n_frames, segments);
        int n, n_sent = 0;

        for (unsigned i = 0; i < n_messages; i++) {
                size_t length = source_write(&sources[i], &session->path);

                address(&messages[i], session, &sources[i],
                        write_cut(&sources[i], length, &segments[i]));
        }
        n = send_messages(connection, messages, n_messages);
        for (int i = 0; i < n; i++)
                n_sent += (int)segments[i].n_frames;
        if (segments[0].n_frames > 1 && segments_are_refused(n)) {
                session->is_unsegmented = true;
                return 0;
        }
        return n < 0 ? n : n_sent;
}

/* Sends the first frames. Returns how many, or -errno; 0: it is to be tried again. */
static int send_frames(struct connection *connection, struct mmsghdr *messages, unsigned n_frames) {
        const struct session *session = connection->session;

        if (n_frames == 1 || session->is_unsegmented || session->path.peer.any.sa_family == AF_UNIX)
                return send_singly(connection, messages, n_frames);
        return send_segments(connection, messages, n_frames);
}

/* Through the socket of the first, as those of all workers have the same address. An error of the
 * network is told to the one that hears the peer, whichever it was sent through. */
static int datagram_send_each(struct stage *const *stages, unsigned n) {
        struct mmsghdr messages[SEND_EACH_MAX];
        struct iovec iov[SEND_EACH_MAX * OUTBOX_FRAME_RANGES];
        union source sources[SEND_EACH_MAX];

        for (unsigned i = 0; i < n; i++) {
                struct session *session = stages[i]->connection->session;

                (void)outbox_peek_frames(&stages[i]->outbox, &messages[i], 1,
                                         &iov[i * OUTBOX_FRAME_RANGES], OUTBOX_FRAME_RANGES);
                address(&messages[i], session, &sources[i],
                        source_write(&sources[i], &session->path));
        }
        return send_messages(stages[0]->connection, messages, n);
}

/* Whether the socket's buffer has room for peers that may be forged. What is sent to hosts that are
 * not there lies in it for seconds, until that is known. */
static bool has_room_for_unproved(int fd) {
        uint32_t memory[SK_MEMINFO_VARS];
        socklen_t length = sizeof(memory);

        return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &length) < 0 ||
               length < sizeof(memory) ||
               memory[SK_MEMINFO_WMEM_ALLOC] <= memory[SK_MEMINFO_SNDBUF] / UNPROVED_PART;
}

/* Why a frame may not be sent; N_DROPS if it may. */
static enum drop refusal(struct connection *connection, size_t length) {
        struct session *session = connection->session;
        int r = session_is_answerable(session) ? session_find_target(session) : -EDESTADDRREQ;

        if (r < 0)
                return r == -EDESTADDRREQ ? DROP_UNANSWERABLE : DROP_CONGESTION;
        if (!session_has_credit(session, length))
                return DROP_AMPLIFICATION;
        return session_needs_proof(session) && !has_room_for_unproved(connection->fd)
                       ? DROP_CONGESTION
                       : N_DROPS;
}

static ssize_t datagram_send(struct connection *connection, struct outbox *outbox) {
        struct session *session = connection->session;
        size_t before = outbox->n_bytes;
        bool has_looked = false;

        while (!outbox_is_empty(outbox)) {
                struct mmsghdr messages[SEND_FRAMES];
                struct iovec iov[SEND_RANGES];
                /* Strangers, and those whose credit is counted, get one frame at a time. */
                unsigned max = session->is_kept && !session_needs_proof(session) ? SEND_FRAMES : 1;
                unsigned n_frames = outbox_peek_frames(outbox, messages, max, iov, SEND_RANGES);
                enum drop why = N_DROPS;
                size_t length;
                int n;

                if (n_frames == 0)
                        break;
                length = outbox_frame_length(outbox);
                if (max == 1)
                        why = refusal(connection, length);
                if (why != N_DROPS) {
                        drop_frame(connection, outbox, why);
                        continue;
                }
                n = send_frames(connection, messages, n_frames);
                /* A stranger is gone with the next datagram: what he does not take now is lost. */
                if (n == -EAGAIN && session->is_kept)
                        break;
                if (n < 0)
                        n = take_error(connection, outbox, n, &has_looked);
                if (n < 0)
                        return n;
                session_sent(session, (uint64_t)n);
                if (max == 1 && n == 1)
                        session_pay(session, length);
                outbox_consume_frames(outbox, (unsigned)n);
        }
        return (ssize_t)(before - outbox->n_bytes);
}

static size_t datagram_max_frame(int fd) {
        int size = 0;
        socklen_t length = sizeof(size);

        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0 || size <= UNIX_OVERHEAD)
                return 0;
        return size - UNIX_OVERHEAD < DATAGRAM_PAYLOAD_MAX ? (size_t)(size - UNIX_OVERHEAD)
                                                           : DATAGRAM_PAYLOAD_MAX;
}

static ssize_t datagram_receive(struct connection *connection, struct iovec *iov, size_t n_iov) {
        return -EAGAIN; /* the endpoint does */
}

static void datagram_end_output(struct connection *connection) {
}

static bool datagram_is_delivered(int fd) {
        return true;
}

static bool datagram_has_input(int fd) {
        return false;
}

const struct transport transport_datagram = {
        .name = "datagram",
        .keeps_boundaries = true,
        .is_connectionless = true,
        .max_frame = datagram_max_frame,
        .receive = datagram_receive,
        .send = datagram_send,
        .send_each = datagram_send_each,
        .end_output = datagram_end_output,
        .is_delivered = datagram_is_delivered,
        .has_input = datagram_has_input,
};
