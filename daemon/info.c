/* INFO. See info.h. */
#include "daemon/info.h"

#include "daemon/client_parts.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/transport.h"
#include "lib/protocol.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
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
static uint64_t max_payload(const struct client *client) {
        const struct connection *connection = client->connection;
        const struct config_server *server = &connection->worker->config->server;
        size_t max_frame = connection->max_frame < WORKER_INPUT_SIZE ? connection->max_frame
                                                                     : WORKER_INPUT_SIZE;
        uint64_t max = client_limit(client->max_payload, server->max_payload);

        if (!connection->transport->keeps_boundaries || max + server->max_control_line <= max_frame)
                return max;
        return max_frame -
               (max_frame < server->max_control_line ? max_frame : server->max_control_line);
}

/* A string in JSON, which the caller frees; NULL if there is no memory. */
static char *quote(const char *text) {
        json_t *string = json_string(text);
        char *quoted = json_dumps(string, JSON_ENCODE_ANY);

        json_decref(string);
        return quoted;
}

/* A text in memory of just its size, which the caller frees; NULL if there is none. The buffers
 * that asprintf() tries first would leave a hole in the heap behind each client, for good. */
__attribute__((format(printf, 1, 2))) static char *print(const char *format, ...) {
        va_list arguments, again;
        char *text;
        int n;

        va_start(arguments, format);
        va_copy(again, arguments);
        n = vsnprintf(NULL, 0, format, arguments);
        text = n < 0 ? NULL : malloc((size_t)n + 1);
        if (text)
                (void)vsnprintf(text, (size_t)n + 1, format, again);
        va_end(again);
        va_end(arguments);
        return text;
}

/* Members that not all clients are told. */
struct options {
        char text[256];
        size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct options *options, const char *format,
                                                      ...) {
        size_t room = sizeof(options->text) - options->length;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(options->text + options->length, room, format, arguments);
        va_end(arguments);
        if (n > 0 && (size_t)n < room)
                options->length += (size_t)n;
        options->text[options->length] = '\0';
}

static void add_cookie(struct options *options, struct client *client) {
        char cookie[COOKIE_TEXT_SIZE];

        if (connection_cookie(client->connection, cookie))
                add(options, ",\"cookie\":\"%s\"", cookie);
}

static void add_tls(struct options *options, unsigned offer) {
        if (offer & TLS_OFFER_REQUIRED)
                add(options, ",\"tls_required\":true");
        if (offer & TLS_OFFER_AVAILABLE)
                add(options, ",\"tls_available\":true");
        if (offer & TLS_OFFER_VERIFY)
                add(options, ",\"tls_verify\":true");
}

static void add_options(struct options *options, struct client *client) {
        const struct connection *connection = client->connection;

        if (connection->peer.ip[0])
                add(options, ",\"client_ip\":\"%s\"", connection->peer.ip);
        /* How soon a silent peer is forgotten, so that it can be heard of before. */
        if (connection->transport->is_connectionless)
                add(options, ",\"session_timeout\":%" PRIu64,
                    atomic_load(&connection->listener->session_timeout_ms));
        if (client->must_login)
                add(options, ",\"auth_required\":true");
        add_tls(options, connection->tls_offer);
        if (client_claimed(client)->nonce[0])
                add(options, ",\"nonce\":\"%s\"", client_claimed(client)->nonce);
        if (client->is_leaving || atomic_load(&client->worker->instance->is_lame_duck))
                add(options, ",\"ldm\":true");
        add_cookie(options, client);
}

/* Written here, since every connection begins with it, and most of it is the same. */
static char *line_of(struct client *client, const char *name, const char *host) {
        const struct connection *connection = client->connection;
        struct options options = {.length = 0};

        add_options(&options, client);
        return print("INFO {\"server_id\":\"%s\",\"server_name\":%s,"
                     "\"version\":\"" PROTOCOL_SERVER_VERSION
                     "\",\"sockd_version\":\"" PACKAGE_VERSION "\",\"go\":\"none\",\"proto\":1,"
                     "\"host\":%s,\"port\":%u,\"headers\":true,\"max_payload\":%" PRIu64
                     ",\"client_id\":%" PRIu64 "%s} \r\n",
                     client->worker->instance->id, name, host, connection->listener->port,
                     max_payload(client), connection->id, options.text);
}

/* What a datagram peer needs to prove its address, where there is no room for more. */
static char *short_line(struct client *client) {
        struct options options = {.length = 0};

        add_cookie(&options, client);
        return print("INFO {\"max_payload\":%" PRIu64 "%s} \r\n", max_payload(client),
                     options.text);
}

char *info_line(struct client *client) {
        char *name = quote(client->worker->instance->name);
        char *host = quote(listener_host(client->connection->listener));
        char *line = name && host ? line_of(client, name, host) : NULL;

        free(name);
        free(host);
        if (!line || strlen(line) <= connection_credit(client->connection))
                return line;
        free(line);
        return short_line(client);
}
