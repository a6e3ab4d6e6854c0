/* Clients whose peers do not introduce themselves, as only those of the bus do: who they are is
 * what the kernel and TLS know of them. See client.h. */
#include "daemon/client_parts.h"

#include "daemon/handler.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <errno.h>

/* It is known who it is, or that this will not be known. */
static void begin(struct client *client) {
        struct connection *connection = client->connection;

        if (client->must_login) {
                connection_pause(connection, PAUSE_LOGIN);
                client_refuse(client);
        } else if (connection->handler->begun) {
                connection->handler->begun(connection);
        }
}

int client_open_plain(struct connection *connection) {
        struct client *client = client_new(connection);

        if (!client)
                return -ENOMEM;
        if (connection->transport->is_connectionless || !client_take_place(client))
                return 0;
        if (!connection->tls)
                begin(client);
        return 0;
}

void client_secured_plain(struct connection *connection) {
        client_identify(connection->client);
        begin(connection->client);
}

bool client_keep_plain(struct client *client) {
        return client_settle(client);
}

bool client_admits_datagram(struct client *client) {
        if (!client->must_login)
                return true;
        connection_show_peer(client->connection);
        client_refuse(client);
        return false;
}

bool client_settle_plain(struct client *client) {
        return client_settle(client);
}

void client_deadline_plain(struct connection *connection) {
        client_deadline(connection->client);
}
