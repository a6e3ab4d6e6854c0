/* What happens with what arrives on a listener: the way up from the transports.
 *
 * A handler does not know which socket family it runs on. All functions are called by the
 * connection's own worker.
 */
#pragma once

#include "daemon/config_handler.h"
#include "lib/bytes.h"

#include <stdbool.h>

struct connection;
struct listener;

struct handler {
        const char *name;

        /* Its peers are NATS clients, who introduce themselves. */
        bool speaks_nats;

        /* It may answer each datagram, whatever it holds: answers have one hop less than that. */
        bool may_go_round;

        /* Who does not read what it is sent is waited for, as long as it lives: no more comes to
         * wait for it meanwhile. */
        bool is_patient;

        /* Somebody waits to be accepted. Returns whether the handler sees to that: it has borrowed
         * the listening socket (listener_lend()). NULL: sockd accepts. By the accepting worker. */
        bool (*arrived)(struct listener *listener);

        /* A connection was accepted. Sets connection->client, which every connection has, and
         * connection->state, if the handler has one. Returns 0, or a negative errno, after which
         * the connection is closed; the only call then is release, if it has a client. */
        int (*opened)(struct connection *connection);

        /* It is known who the peer is, and that it may stay: for handlers whose peers say nothing
         * of that; see client_open_plain(). Not called for connectionless transports. NULL: nothing
         * begins by itself. */
        void (*begun)(struct connection *connection);

        /* The TLS handshake is over: what connection_tls() tells is known. Input comes afterwards.
         * Not called where there is no TLS. */
        void (*secured)(struct connection *connection);

        /* Bytes arrived. Takes what it can off the beginning of *input; what remains is presented
         * again with more bytes behind it. Returns how long the whole of what is incomplete will
         * be, counted from the beginning of what remains, 0 if that is not known. If the transport
         * keeps boundaries, nothing remains unless the connection is paused. */
        size_t (*input)(struct connection *connection, struct bytes *input);

        /* Whether input that waits comes to nothing if its peer has gone. NULL: it never does. */
        bool (*is_void)(struct bytes input);

        /* The peer has ended its input. It still takes output. rest: what was incomplete. NULL: the
         * connection ends then. */
        void (*finished)(struct connection *connection, struct bytes rest);

        /* The socket that the handler has taken over (connection_take_socket()) is ready for some
         * of what it waits for: events of libuv; 0: the socket is broken, and what is left in it
         * can be taken. NULL: it takes none. */
        void (*ready)(struct connection *connection, int events);

        /* All output has left, and the socket takes more; called as long as
         * connection_want_writable() says so. NULL: the handler never does. */
        void (*writable)(struct connection *connection);

        /* Something that the peer does is refused, or comes to nothing: says so in the words of the
         * handler's protocol. NULL: it has none. */
        void (*complain)(struct connection *connection, const char *text);
#define HANDLER_COMPLAINT_MAX 1023

        /* Another peer speaks on this connection from now on; nothing of what the one before said
         * counts any more. Only for transports that are connectionless. */
        void (*renewed)(struct connection *connection);

        /* A frame came that was longer than what is taken at once; it is lost. */
        void (*oversized)(struct connection *connection);

        /* The time set with connection_set_deadline() has come. */
        void (*deadline)(struct connection *connection);

        /* Loop time of its last use; what waits or is incomplete is use anyway. NULL: of the last
         * byte in either direction. */
        uint64_t (*used_ms)(struct connection *connection);

        /* The configuration or the server's state changed. */
        void (*changed)(struct connection *connection);

        /* The connection ends: no more calls, except release. Others may still be delivering to
         * it. */
        void (*closed)(struct connection *connection);

        /* Nobody delivers any more: frees connection->client and connection->state. */
        void (*release)(struct connection *connection);
};

/* The handler of that kind; see handlers.c. */
const struct handler *handler_of(enum handler_kind kind);
