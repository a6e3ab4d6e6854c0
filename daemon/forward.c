/* Forwarding: beginning and end. See forward.h and forward_parts.h. */
#include "daemon/forward.h"

#include "daemon/client.h"
#include "daemon/forward_parts.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/stage.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>

static struct forward *forward_of(struct upstream *upstream) {
        return container_of(upstream, struct forward, upstream);
}

/* --- the upstream -------------------------------------------------------------------------------
 */

/* Whether bytes can go from socket to socket as they are. */
static bool is_plain(const struct forward *forward) {
        const struct connection *connection = forward->connection;

        return connection->transport == &transport_stream && !connection->tls &&
               !upstream_is_secured(&forward->upstream);
}

static void on_opened(struct upstream *upstream) {
        struct forward *forward = forward_of(upstream);

        log_debug("client %llu: forwarded to %s", (unsigned long long)forward->connection->id,
                  upstream_target(upstream));
        if (forward->connection->session) {
                forward->way = FORWARD_DATAGRAMS;
                forward_datagram_start(forward);
        } else if (is_plain(forward)) {
                forward->way = FORWARD_RELAY;
                forward_relay_start(forward);
        } else {
                forward->way = FORWARD_CARRY;
                forward_carry_start(forward);
        }
}

static void on_failed(struct upstream *upstream) {
        static struct log_limit limit = {.burst = 5, .interval_ms = 10000};
        struct connection *connection = upstream->connection;

        counter_add(&connection->worker->stats.unreachable_targets, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "listener \"%s\": no target can be reached; the last one, %s: %s",
                    connection->listener->name,
                    upstream->failed_target ? upstream->failed_target : "none", upstream->failure);
        /* The stranger is there for others, too. */
        if (!connection->session || connection->session->is_kept)
                connection_end(connection, REASON_NO_TARGET);
}

static void on_ready(struct upstream *upstream, int events) {
        struct forward *forward = forward_of(upstream);

        if (forward->way == FORWARD_RELAY)
                forward_relay_target_ready(forward, events);
        else if (forward->way == FORWARD_DATAGRAMS)
                forward_datagram_target_ready(forward, events);
        else
                forward_carry_target_ready(forward, events);
}

static const struct upstream_owner owner = {
        .opened = on_opened,
        .failed = on_failed,
        .ready = on_ready,
};

/* --- bytes ---------------------------------------------------------------------------------------
 */

void forward_count_input(struct connection *connection, size_t n_bytes) {
        size_t is_message = connection->transport->keeps_boundaries;

        counter_add(&connection->in_messages, is_message);
        counter_add(&connection->in_bytes, n_bytes);
        counter_add(&connection->worker->stats.in_messages, is_message);
        counter_add(&connection->worker->stats.in_bytes, n_bytes);
}

void forward_deliver(struct connection *connection, struct bytes bytes) {
        struct stage *stage = connection_output(connection->worker, connection);

        if (!stage)
                return;
        if (outbox_append(&stage->outbox, bytes) < 0) {
                connection_condemn_output(connection->worker, connection);
                return;
        }
        stage->n_messages += connection->transport->keeps_boundaries;
        stage->n_payload_bytes += bytes.length;
        connection_output_done(connection->worker, stage);
}

/* --- the handler --------------------------------------------------------------------------------
 */

void forward_end(struct forward *forward) {
        forward->is_orderly = true;
        if (forward->way == FORWARD_RELAY)
                connection_close(forward->connection, REASON_CLIENT_CLOSED);
        else
                connection_end(forward->connection, REASON_CLIENT_CLOSED);
}

void forward_connect(struct forward *forward) {
        upstream_open(&forward->upstream, forward->connection, &owner);
}

static int forward_opened(struct connection *connection) {
        struct forward *forward = calloc(1, sizeof(*forward));

        if (!forward)
                return -ENOMEM;
        forward->connection = connection;
        connection->state = forward;
        return client_open_plain(connection);
}

static void forward_begun(struct connection *connection) {
        struct forward *forward = connection->state;

        connection_pause(connection, PAUSE_TARGET);
        forward_connect(forward);
}

static void forward_ready(struct connection *connection, int events) {
        forward_relay_client_ready(connection->state, events);
}

static size_t forward_input(struct connection *connection, struct bytes *input) {
        struct forward *forward = connection->state;

        if (forward->way == FORWARD_CARRY) {
                forward_carry_input(forward, input);
                return 0;
        }
        if (connection->session)
                forward_datagram_input(forward, *input);
        input->length = 0; /* also that of who is refused */
        return 0;
}

static void forward_finished(struct connection *connection, struct bytes rest) {
        struct forward *forward = connection->state;

        if (forward->way == FORWARD_CARRY)
                forward_carry_finished(forward);
        else
                connection_end(connection, REASON_CLIENT_CLOSED);
}

static void forward_writable(struct connection *connection) {
        forward_carry_writable(connection->state);
}

static void forward_deadline(struct connection *connection) {
        struct forward *forward = connection->state;

        if (forward->upstream.phase == UPSTREAM_CLOSED && !connection->session)
                client_deadline_plain(connection);
        else
                upstream_deadline(&forward->upstream);
}

static void forward_renewed(struct connection *connection) {
        client_renew(connection->client);
}

/* What is too long for us was counted. */
static void forward_oversized(struct connection *connection) {
        if (!connection->session)
                connection_abort(connection, REASON_READ_ERROR);
}

static void forward_changed(struct connection *connection) {
        client_changed(connection->client);
}

static void forward_closed(struct connection *connection) {
        struct forward *forward = connection->state;

        if (forward->way == FORWARD_RELAY)
                relay_deinit(&forward->relay);
        upstream_close(&forward->upstream, !forward->is_orderly);
        client_close(connection->client);
}

static void forward_release(struct connection *connection) {
        connection->client = client_free(connection->client);
        free(connection->state);
        connection->state = NULL;
}

const struct handler handler_forward = {
        .name = "forward",
        .may_go_round = true,
        .is_patient = true,
        .opened = forward_opened,
        .begun = forward_begun,
        .secured = client_secured_plain,
        .input = forward_input,
        .finished = forward_finished,
        .ready = forward_ready,
        .writable = forward_writable,
        .renewed = forward_renewed,
        .oversized = forward_oversized,
        .deadline = forward_deadline,
        .changed = forward_changed,
        .closed = forward_closed,
        .release = forward_release,
};
