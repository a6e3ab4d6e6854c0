/*
 * Raw clients know no protocol. What was sent can be followed into the server: for Unix sockets the
 * sender is charged for what the receiver has not read (SIOCOUTQ); for TCP the server's end of the
 * connection is a socket on this machine too, and sock_diag tells what it received and has not
 * read.
 */
#include "client.h"

#include "client_tls.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct client *client_new(const char *name) {
        struct client *client = calloc(1, sizeof(*client));

        if (!client || !(client->name = strdup(name)))
                err(1, "client");
        client->fd = -1;
        client->is_reading = true;
        return client;
}

struct client *client_free(struct client *client) {
        if (!client)
                return NULL;
        client_tls_free(client);
        if (client->fd >= 0)
                close(client->fd);
        json_decref(client->info);
        bytes_deinit(&client->input);
        bytes_deinit(&client->frames);
        free(client->name);
        free(client);
        return NULL;
}

static int connect_unix(int fd, int type, const char *path) {
        struct sockaddr_un name = { .sun_family = AF_UNIX };

        /* With a name that the kernel chooses, to be answered at. */
        if (type == SOCK_DGRAM &&
            bind(fd, (struct sockaddr *)&name, sizeof(name.sun_family)) < 0)
                return -1;
        memccpy(name.sun_path, path, '\0', sizeof(name.sun_path) - 1);
        return connect(fd, (struct sockaddr *)&name, sizeof(name));
}

/* Each send is to be a segment of its own. */
static int connect_internet(int fd, int type, unsigned port) {
        struct sockaddr_in name = {
                .sin_family = AF_INET,
                .sin_port = htons((uint16_t)port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int on = 1;

        if (type == SOCK_STREAM && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
                return -1;
        return connect(fd, (struct sockaddr *)&name, sizeof(name));
}

int client_connect(struct client *client, const struct server_address *address) {
        const struct server_transport_kind *kind = &server_transport_kinds[address->transport];
        int fd = socket(kind->family, kind->type | SOCK_CLOEXEC, 0);
        int error;

        if (fd < 0)
                return -errno;
        error = kind->family == AF_UNIX ? connect_unix(fd, kind->type, address->path)
                                        : connect_internet(fd, kind->type, address->port);
        error = error < 0 ? -errno : 0;
        client->fd = fd;
        if (error == 0 && address->transport == TRANSPORT_TLS)
                error = client_tls_begin(client);
        if (error == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                error = -errno;
        if (error == 0)
                return 0;
        close(fd);
        client->fd = -1;
        return error;
}

ssize_t client_send(struct client *client, const char *data, size_t n_bytes) {
        ssize_t length = client->tls ? client_tls_send(client, data, n_bytes)
                                     : send(client->fd, data, n_bytes, MSG_NOSIGNAL);

        if (length < 0)
                return -errno;
        if (!client->tls)
                client->n_sent += (uint64_t)length;
        return length;
}

void client_receive(struct client *client) {
        static char chunk[1UL << 20];
        ssize_t length = client->tls ? client_tls_receive(client, chunk, sizeof(chunk))
                                     : recv(client->fd, chunk, sizeof(chunk), 0);

        if (length > 0) {
                size_t frame = (size_t)length;

                bytes_append(&client->input, chunk, frame);
                bytes_append(&client->frames, (char *)&frame, sizeof(frame));
                return;
        }
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        client->has_ended = true;
        client->end_error = length < 0 ? errno : 0;
}

const char *client_input(const struct client *client) {
        return bytes_text(&client->input) + client->input_start;
}

size_t client_n_input(const struct client *client) {
        return client->input.length - client->input_start;
}

size_t client_frame(const struct client *client) {
        size_t frame = 0;

        if (client->frames.length > 0)
                memcpy(&frame, client->frames.data, sizeof(frame));
        return frame;
}

/* Takes n_bytes off the first frames. */
static void frames_consume(struct client *client, size_t n_bytes) {
        while (n_bytes > 0 && client->frames.length > 0) {
                size_t frame = client_frame(client);
                size_t n = frame < n_bytes ? frame : n_bytes;

                frame -= n;
                n_bytes -= n;
                memcpy(client->frames.data, &frame, sizeof(frame));
                if (frame == 0)
                        bytes_remove(&client->frames, 0, sizeof(frame));
        }
}

/* Moves what is left to the front only when it is the smaller half, so that it costs little. */
void client_consume(struct client *client, size_t n_bytes) {
        frames_consume(client, n_bytes);
        client->input_start += n_bytes;
        if (client->input_start <= client->input.length / 2)
                return;
        bytes_remove(&client->input, 0, client->input_start);
        client->input_start = 0;
}

void client_cut_input(struct client *client, size_t offset, size_t n_bytes) {
        bytes_remove(&client->input, client->input_start + offset, n_bytes);
        if (offset == 0)
                frames_consume(client, n_bytes);
}

/* Names the server's end of a TCP connection: our peer's address first, then our own. */
static bool peer_socket_name(int fd, struct inet_diag_sockid *id) {
        struct sockaddr_in peer, self;
        socklen_t length = sizeof(peer);

        if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0)
                return false;
        length = sizeof(self);
        if (getsockname(fd, (struct sockaddr *)&self, &length) < 0)
                return false;
        *id = (struct inet_diag_sockid){
                .idiag_sport = peer.sin_port,
                .idiag_dport = self.sin_port,
                .idiag_src = { peer.sin_addr.s_addr },
                .idiag_dst = { self.sin_addr.s_addr },
                .idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
        };
        return true;
}

/* How much a socket has received in all, from the attributes behind its diagnosis. */
static uint64_t diagnosis_bytes_received(const struct inet_diag_msg *diagnosis, size_t n_bytes) {
        const struct rtattr *attribute = (const struct rtattr *)(diagnosis + 1);
        struct tcp_info info = {};

        for (; RTA_OK(attribute, n_bytes); attribute = RTA_NEXT(attribute, n_bytes)) {
                size_t length = RTA_PAYLOAD(attribute);

                if (attribute->rta_type != INET_DIAG_INFO)
                        continue;
                memcpy(&info, RTA_DATA(attribute), length < sizeof(info) ? length : sizeof(info));
                return info.tcpi_bytes_received;
        }
        return UINT64_MAX;
}

/* Asks the kernel about one socket; the answer is in buffer. False if there is none. */
static bool diagnosis_request(const struct inet_diag_sockid *id, char *buffer, size_t capacity,
                              size_t *n_bytesp) {
        struct {
                struct nlmsghdr header;
                struct inet_diag_req_v2 body;
        } request = {
                .header = { .nlmsg_len = sizeof(request),
                            .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                            .nlmsg_flags = NLM_F_REQUEST },
                .body = { .sdiag_family = AF_INET,
                          .sdiag_protocol = IPPROTO_TCP,
                          .idiag_ext = 1 << (INET_DIAG_INFO - 1),
                          .idiag_states = ~0U,
                          .id = *id },
        };
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        ssize_t length = -1;

        if (fd < 0)
                return false;
        if (send(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request))
                length = recv(fd, buffer, capacity, 0);
        close(fd);
        *n_bytesp = length < 0 ? 0 : (size_t)length;
        return length > 0;
}

static bool tcp_is_read_by_peer(const struct client *client) {
        _Alignas(struct nlmsghdr) char buffer[4096];
        const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
        const struct inet_diag_msg *diagnosis;
        struct inet_diag_sockid id;
        size_t n_bytes;

        if (!peer_socket_name(client->fd, &id) ||
            !diagnosis_request(&id, buffer, sizeof(buffer), &n_bytes))
                return true;
        if (!NLMSG_OK(header, n_bytes) || header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
            header->nlmsg_len < NLMSG_LENGTH(sizeof(*diagnosis)))
                return true;
        diagnosis = NLMSG_DATA(header);
        return diagnosis->idiag_rqueue == 0 &&
               diagnosis_bytes_received(diagnosis,
                                        header->nlmsg_len - NLMSG_LENGTH(sizeof(*diagnosis))) >=
                       client->n_sent;
}

bool client_is_read_by_peer(const struct client *client) {
        int domain = AF_UNSPEC, type = SOCK_STREAM, n_unread = 0;
        socklen_t length = sizeof(domain);

        if (client->fd < 0 || client->has_ended)
                return true;
        if (getsockopt(client->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0)
                return true;
        if (getsockopt(client->fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type == SOCK_DGRAM)
                return true;
        if (domain == AF_UNIX)
                return ioctl(client->fd, SIOCOUTQ, &n_unread) < 0 || n_unread == 0;
        return tcp_is_read_by_peer(client);
}
