/* PING and PONG, in both directions. See client.h. */
#include "daemon/client_parts.h"

#include "daemon/config.h"
#include "daemon/transport.h"
#include "lib/log.h"
#include "lib/writer.h"

#include <stdlib.h>

/* The first PING of ours, which measures the round trip, after CONNECT. */
#define FIRST_PING_MS 2000
/* A round trip older than this is measured again. */
#define RTT_MAX_AGE_NS (UINT64_C(3600) * 1000000000)

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void client_pong(struct client *client) {
        client_write(client, WRITER_PONG);
        if (!client->has_ponged) {
                client->has_ponged = true;
                client_refresh_info(client);
        }
}

/* A PONG that waits. */
struct waiting_pong {
        struct fence fence;
        struct client *client;
};

static void client_on_fence(struct fence *fence) {
        struct waiting_pong *pong = container_of(fence, struct waiting_pong, fence);
        struct client *client = pong->client;
        struct connection *connection = client->connection;

        free(pong);
        client_pong(client);
        connection_resume(connection, PAUSE_FENCE);
        connection_unpin(connection);
}

/* Whether messages of a subscription that has ended may be under way. */
static bool client_must_wait(const struct client *client) {
        return client->needs_fence && client->worker->workers->count > 1 &&
               !client->connection->transport->is_connectionless;
}

void client_ping(struct client *client) {
        struct waiting_pong *pong = NULL;

        if (client_must_wait(client))
                pong = calloc(1, sizeof(*pong));
        if (!pong) {
                client_pong(client);
                return;
        }
        client->needs_fence = false;
        pong->client = client;
        pong->fence.done = client_on_fence;
        connection_pin(client->connection);
        connection_pause(client->connection, PAUSE_FENCE);
        worker_fence(client->worker, &pong->fence);
}

void client_ponged(struct client *client) {
        client->n_pings_out = 0;
        if (client->ping_sent_ns == 0)
                return;
        client->rtt_ns = now_ns() - client->ping_sent_ns;
        client->ping_sent_ns = 0;
}

/* Whether the client has shown that it lives, so that a PING can be left out. */
static bool client_is_active(const struct client *client) {
        uint64_t idle_ms = uv_now(&client->worker->loop) - client->connection->last_input_ms;

        return client->has_measured && now_ns() - client->rtt_measured_ns < RTT_MAX_AGE_NS &&
               idle_ms < client->worker->config->server.ping_interval_ms;
}

uint64_t client_first_ping_ms(const struct client *client) {
        uint64_t interval = client->worker->config->server.ping_interval_ms;

        return interval < FIRST_PING_MS ? interval : FIRST_PING_MS;
}

/* A datagram peer that has no subscription any more is gone when it has had its messages; it may
 * subscribe again meanwhile. */
static void client_forget(struct client *client) {
        if (client->subscriptions.count > 0)
                return;
        if (connection_pending(client->connection) > 0)
                connection_set_deadline(client->connection, CLIENT_FORGET_MS);
        else
                connection_end(client->connection, REASON_CLIENT_CLOSED);
}

/* Before it is known who it is. */
static void client_login_deadline(struct client *client) {
        if (client->is_refused)
                client_fail(client, ERROR_AUTHORIZATION, REASON_AUTHENTICATION);
        else if (client->is_waiting)
                client_turn_comes(client);
        else if (client->is_logging_in)
                connection_set_deadline(client->connection,
                                        client->worker->config->server.auth_timeout_ms);
        else
                client_fail(client, ERROR_AUTH_TIMEOUT, REASON_AUTH_TIMEOUT);
}

void client_deadline(struct client *client) {
        const struct config_server *server = &client->worker->config->server;
        uint64_t age_ms = (real_time_ns() - client->connection->start_ns) / 1000000;
        uint64_t first_ms = client_first_ping_ms(client);

        if (client->connection->transport->is_connectionless) {
                client_forget(client);
                return;
        }
        if (client->must_login || client->is_refused || client->is_logging_in) {
                client_login_deadline(client);
                return;
        }
        /* Libraries expect nothing else before their first PONG (protocol.md 1.1). */
        if (!client->has_ponged && age_ms < first_ms) {
                connection_set_deadline(client->connection, first_ms - age_ms);
                return;
        }
        connection_set_deadline(client->connection, server->ping_interval_ms);
        /* What is not read cannot answer. */
        if (client_is_active(client) || client->connection->paused != 0)
                return;
        if (client->n_pings_out + 1 > server->ping_max) {
                counter_add(&client->worker->stats.stale_connections, 1);
                log_info("client %llu: stale: %u PINGs were not answered", client_id(client),
                         client->n_pings_out);
                client_fail(client, ERROR_STALE_CONNECTION, REASON_STALE);
                return;
        }
        client->n_pings_out++;
        client->has_measured = true;
        client->ping_sent_ns = client->rtt_measured_ns = now_ns();
        client_write(client, WRITER_PING);
}
