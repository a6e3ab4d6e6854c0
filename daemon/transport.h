/* How bytes move: what a socket family does differently, as a table of functions.
 *
 * Everything above works on any transport. All descriptors are non-blocking, and nothing here ever
 * waits.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct connection;
struct outbox;
struct stage;

#define SEND_EACH_MAX 16

struct transport {
        const char *name;

        /* An input is a frame: it holds whole operations, and what is wrong with it ends with it.
         * Each operation leaves in a frame of its own. */
        bool keeps_boundaries;

        /* Its sockets have no connections: peers come and go with what they send. Nothing is sent
         * to them that they did not ask for, and they cannot be held back. */
        bool is_connectionless;

        /* The longest frame that can be sent. NULL: frames have no limit. */
        size_t (*max_frame)(int fd);

        /* Reads into the ranges. Returns how many bytes; 0 is the peer's end; -EAGAIN: there is
         * nothing; -EMSGSIZE: a frame was longer than the ranges, and is lost; or another -errno.
         * In the connection's own worker. */
        ssize_t (*receive)(struct connection *connection, struct iovec *iov, size_t n_iov);

        /* Sends what waits in the outbox, until it is empty or the socket full. Returns how many
         * bytes left, or -errno. Under the connection's lock. */
        ssize_t (*send)(struct connection *connection, struct outbox *outbox);

        /* Sends the first frame of each stage, all of connections of one listener, in one go; at
         * most SEND_EACH_MAX. Returns how many, from the first on, or -errno of the first. Under
         * the locks of all. NULL: each connection has a socket of its own. */
        int (*send_each)(struct stage *const *stages, unsigned n);

        /* Tells the peer that nothing more comes. In the connection's own worker. */
        void (*end_output)(struct connection *connection);

        /* Whether closing loses nothing of what was sent: the peer, or its system, has it. */
        bool (*is_delivered)(int fd);

        /* Whether there is something to receive. */
        bool (*has_input)(int fd);

        /* Whether something was taken from the socket that has not been received: polling does not
         * tell of it. In the connection's own worker. NULL: never. */
        bool (*has_buffered)(const struct connection *connection);

        /* What to poll for in order to receive (UV_READABLE) or send (UV_WRITABLE) as wanted; when
         * it is not the same, whatever comes serves all that is wanted. In the connection's own
         * worker. NULL: as wanted. */
        int (*events)(const struct connection *connection, int wanted);
};

/* Connected byte streams: TCP, Unix stream. */
extern const struct transport transport_stream;

/* The same within TLS. Nothing leaves until the handshake is over. */
extern const struct transport transport_tls;

/* Unconnected sockets: UDP, Unix datagram. A connection is a session there; see session.h. */
extern const struct transport transport_datagram;

/* Connected sockets that keep the boundaries of what is sent: Unix seqpacket. */
extern const struct transport transport_record;
