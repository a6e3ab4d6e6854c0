/* What happens with what arrives on a listener: the way up from the transports.
 *
 * A handler does not know which socket family it runs on. All functions are called by the
 * connection's own worker.
 */
#pragma once

#include "lib/bytes.h"

struct connection;

struct handler {
        const char *name;

        /* A connection was accepted. Sets connection->state. Returns 0, or a negative errno, after
         * which the connection is closed without another call. */
        int (*opened)(struct connection *connection);

        /* The TLS handshake is over: what connection_tls() tells is known. Input comes afterwards.
         * Not called where there is no TLS. */
        void (*secured)(struct connection *connection);

        /* Bytes arrived. Takes what it can off the beginning of *input; what remains is presented
         * again with more bytes behind it. Returns how long the whole of what is incomplete will
         * be, counted from the beginning of what remains, 0 if that is not known. If the transport
         * keeps boundaries, nothing remains unless the connection is paused. */
        size_t (*input)(struct connection *connection, struct bytes *input);

        /* Another peer speaks on this connection from now on; nothing of what the one before said
         * counts any more. Only for transports that are connectionless. */
        void (*renewed)(struct connection *connection);

        /* A frame came that was longer than what is taken at once; it is lost. */
        void (*oversized)(struct connection *connection);

        /* The time set with connection_set_deadline() has come. */
        void (*deadline)(struct connection *connection);

        /* The configuration or the server's state changed. */
        void (*changed)(struct connection *connection);

        /* The connection ends: no more calls, except release. Others may still be delivering to
         * it. */
        void (*closed)(struct connection *connection);

        /* Nobody delivers any more: frees connection->state. */
        void (*release)(struct connection *connection);
};
