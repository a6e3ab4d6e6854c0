/* Forwarding streams. See forward.h.
 *
 * Where neither side needs to be looked into, a relay moves the bytes from socket to socket
 * (relay.h).
 */
#include "daemon/forward.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/relay.h"
#include "daemon/upstream.h"
#include "lib/log.h"

#include <errno.h>
#include <stdlib.h>

/* Flows of the relay. */
enum {
        TO_TARGET,
        TO_CLIENT,
};

struct forward {
        struct connection *connection;
        struct upstream upstream;
        struct relay relay; /* once the upstream is open */
        bool is_relaying;
        bool is_orderly; /* both directions have come to their ends */
        /* It has ended its input, which is not read at the moment. */
        bool has_client_left, has_target_left;
};

static struct forward *forward_of(struct upstream *upstream) {
        return container_of(upstream, struct forward, upstream);
}

/* --- the end ------------------------------------------------------------------------------------
 */

static void end(struct forward *forward) {
        forward->is_orderly = true;
        connection_close(forward->connection, REASON_CLIENT_CLOSED);
}

/* --- relaying -----------------------------------------------------------------------------------
 */

/* Waits for what the flows can go on with; of a socket that nothing is wanted of, whether it is
 * broken. libuv tells of that together with the end of input, which stays, and so is told once. */
static void await_relay(struct forward *forward) {
        const struct relay_flow *to_target = &forward->relay.flows[TO_TARGET];
        const struct relay_flow *to_client = &forward->relay.flows[TO_CLIENT];
        int of_client = 0, of_target = 0;

        if (relay_awaits_input(to_target))
                of_client |= UV_READABLE;
        if (relay_awaits_input(to_client))
                of_target |= UV_READABLE;
        if (to_target->is_blocked)
                of_target |= UV_WRITABLE;
        if (to_client->is_blocked)
                of_client |= UV_WRITABLE;
        if (of_client == 0 && !to_target->is_ended && !forward->has_client_left)
                of_client = UV_DISCONNECT;
        if (of_target == 0 && !to_client->is_ended && !forward->has_target_left)
                of_target = UV_DISCONNECT;
        connection_await_socket(forward->connection, of_client);
        upstream_await(&forward->upstream, of_target);
}

/* Moves bytes in one direction. Returns whether that went well; if not it has ended. */
static bool move(struct forward *forward, unsigned flow) {
        struct connection *connection = forward->connection;
        ssize_t n = relay_move(&forward->relay, flow, worker_input(connection->worker));

        if (n < 0) {
                log_debug("client %llu: forward %s: %s", (unsigned long long)connection->id,
                          flow == TO_TARGET ? "to the target" : "to the client", strerror((int)-n));
                connection_abort(connection, REASON_TARGET_ERROR);
                return false;
        }
        connection_count_moved(connection, flow == TO_TARGET ? (size_t)n : 0,
                               flow == TO_CLIENT ? (size_t)n : 0);
        return true;
}

static void move_flows(struct forward *forward, bool to_target, bool to_client) {
        if ((to_target && !move(forward, TO_TARGET)) || (to_client && !move(forward, TO_CLIENT)))
                return;
        if (relay_is_over(&forward->relay))
                end(forward);
        else
                await_relay(forward);
}

/* One of the sockets is broken: what it had to give has been moved, as far as possible. */
static void give_up_relay(struct forward *forward, const char *reason) {
        if (!move(forward, TO_TARGET) || !move(forward, TO_CLIENT))
                return;
        connection_abort(forward->connection, reason);
}

static void start_relay(struct forward *forward) {
        struct connection *connection = forward->connection;

        connection_take_socket(connection);
        relay_init(&forward->relay, &connection->worker->pipes, connection->fd,
                   upstream_fd(&forward->upstream));
        forward->is_relaying = true;
        connection_resume(connection, PAUSE_TARGET);
        /* Mostly the client has said something already. */
        move_flows(forward, true, false);
}

/* --- the upstream -------------------------------------------------------------------------------
 */

static void on_opened(struct upstream *upstream) {
        struct forward *forward = forward_of(upstream);

        log_debug("client %llu: forwarded to %s", (unsigned long long)forward->connection->id,
                  upstream_target(upstream));
        start_relay(forward);
}

static void on_failed(struct upstream *upstream) {
        static struct log_limit limit = {.burst = 5, .interval_ms = 10000};
        struct connection *connection = upstream->connection;

        counter_add(&connection->worker->stats.unreachable_targets, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "listener \"%s\": no target can be reached; the last one, %s: %s",
                    connection->listener->name,
                    upstream->failed_target ? upstream->failed_target : "none",
                    strerror(-upstream->error));
        connection_end(connection, REASON_NO_TARGET);
}

static void on_ready(struct upstream *upstream, int events) {
        struct forward *forward = forward_of(upstream);

        if (events & UV_DISCONNECT)
                forward->has_target_left = true;
        if (events == 0)
                give_up_relay(forward, REASON_TARGET_ERROR);
        else
                move_flows(forward, events & UV_WRITABLE, events & UV_READABLE);
}

static const struct upstream_owner owner = {
        .opened = on_opened,
        .failed = on_failed,
        .ready = on_ready,
};

/* --- the handler --------------------------------------------------------------------------------
 */

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
        upstream_open(&forward->upstream, connection, &owner);
}

static void forward_ready(struct connection *connection, int events) {
        struct forward *forward = connection->state;

        if (events & UV_DISCONNECT)
                forward->has_client_left = true;
        if (events == 0)
                give_up_relay(forward, REASON_READ_ERROR);
        else
                move_flows(forward, events & UV_READABLE, events & UV_WRITABLE);
}

/* Not before there is an upstream, and then the socket is taken. */
static size_t forward_input(struct connection *connection, struct bytes *input) {
        input->length = 0;
        return 0;
}

static void forward_deadline(struct connection *connection) {
        struct forward *forward = connection->state;

        if (forward->upstream.phase == UPSTREAM_CLOSED)
                client_deadline_plain(connection);
        else
                upstream_deadline(&forward->upstream);
}

static void forward_changed(struct connection *connection) {
        client_changed(connection->client);
}

static void forward_closed(struct connection *connection) {
        struct forward *forward = connection->state;

        if (forward->is_relaying)
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
        .is_patient = true,
        .opened = forward_opened,
        .begun = forward_begun,
        .secured = client_secured_plain,
        .input = forward_input,
        .ready = forward_ready,
        .deadline = forward_deadline,
        .changed = forward_changed,
        .closed = forward_closed,
        .release = forward_release,
};
