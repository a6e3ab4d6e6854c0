/* INFO. See info.h. */
#include "daemon/info.h"

#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/transport.h"
#include "lib/protocol.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The host part of a listener's address; Unix sockets have none. */
static const char *listener_host(const struct listener *listener) {
        if (listener->family == AF_UNIX)
                return "localhost";
        if (strcmp(listener->address.host, "*") == 0)
                return listener->family == AF_INET ? "0.0.0.0" : "::";
        return listener->address.host;
}

/* What can be published, and comes through: a frame holds the line as well. */
static uint64_t max_payload(const struct connection *connection) {
        const struct config_server *server = &connection->worker->config->server;
        size_t max_frame = connection->max_frame < WORKER_INPUT_SIZE ? connection->max_frame
                                                                     : WORKER_INPUT_SIZE;

        if (!connection->transport->keeps_boundaries ||
            server->max_payload + server->max_control_line <= max_frame)
                return server->max_payload;
        return max_frame -
               (max_frame < server->max_control_line ? max_frame : server->max_control_line);
}

static json_t *info_object(struct client *client) {
        const struct connection *connection = client->connection;
        struct instance *instance = client->worker->instance;
        json_t *info = json_pack(
                "{s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:b, s:I, s:I}", "server_id",
                instance->id, "server_name", instance->name, "version", PROTOCOL_SERVER_VERSION,
                "sockd_version", PACKAGE_VERSION, "go", "none", "proto", 1, "host",
                listener_host(connection->listener), "port", (int)connection->listener->port,
                "headers", 1, "max_payload", (json_int_t)max_payload(connection), "client_id",
                (json_int_t)connection->id);

        if (info && connection->peer.ip[0])
                json_object_set_new(info, "client_ip", json_string(connection->peer.ip));
        /* How soon a silent peer is forgotten, so that it can be heard of before. */
        if (info && connection->transport->is_connectionless)
                json_object_set_new(info, "session_timeout",
                                    json_integer((json_int_t)atomic_load(
                                            &connection->listener->session_timeout_ms)));
        if (info && (client->is_leaving || atomic_load(&instance->is_lame_duck)))
                json_object_set_new(info, "ldm", json_true());
        return info;
}

/* What a datagram peer needs to prove its address, where there is no room for more. */
static json_t *info_short(struct client *client) {
        return json_pack("{s:I}", "max_payload", (json_int_t)max_payload(client->connection));
}

/* Makes the line, and frees the object. */
static char *line_of(json_t *info, struct client *client) {
        char cookie[COOKIE_TEXT_SIZE], *json, *line = NULL;

        if (info && connection_cookie(client->connection, cookie))
                json_object_set_new(info, "cookie", json_string(cookie));
        json = info ? json_dumps(info, JSON_COMPACT) : NULL;
        if (json && asprintf(&line, "INFO %s \r\n", json) < 0)
                line = NULL;
        free(json);
        json_decref(info);
        return line;
}

char *info_line(struct client *client) {
        char *line = line_of(info_object(client), client);

        if (!line || strlen(line) <= connection_credit(client->connection))
                return line;
        free(line);
        return line_of(info_short(client), client);
}
