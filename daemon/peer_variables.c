/* What a program is told of a peer. See peer_variables.h. */
#include "daemon/peer_variables.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/listener.h"

#include <stdarg.h>
#include <stdio.h>

struct writer {
        char *to;
        size_t n;
};

/* One that has no room is left out, so that none is cut. */
__attribute__((format(printf, 2, 3))) static void add(struct writer *writer, const char *format,
                                                      ...) {
        size_t room = PEER_VARIABLES_ROOM_MAX - writer->n;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(writer->to + writer->n, room, format, arguments);
        va_end(arguments);
        if (n >= 0 && (size_t)n < room)
                writer->n += (size_t)n + 1;
}

size_t peer_variables_write(struct connection *connection, char to[PEER_VARIABLES_ROOM_MAX]) {
        const struct client *client = connection->client;
        const struct peer *peer = &connection->peer;
        struct writer writer = {.to = to};

        add(&writer, "SOCKD_CLIENT=%llu", (unsigned long long)connection->id);
        add(&writer, "SOCKD_LISTENER=%s", connection->listener->name);
        if (client->user)
                add(&writer, "SOCKD_PEER_USER=%s", client->user);
        if (peer->ip[0]) {
                add(&writer, "SOCKD_PEER_ADDRESS=%s", peer->ip);
                add(&writer, "SOCKD_PEER_PORT=%u", peer->port);
        }
        if (connection_has_uid(connection))
                add(&writer, "SOCKD_PEER_UID=%lu", (unsigned long)peer->uid);
        if (peer->has_credentials) {
                add(&writer, "SOCKD_PEER_GID=%lu", (unsigned long)peer->gid);
                add(&writer, "SOCKD_PEER_PID=%ld", (long)peer->pid);
        }
        return writer.n;
}
