/* Relaying bytes from socket to socket. See forward_parts.h and relay.h. */
#include "daemon/forward_parts.h"

#include "lib/log.h"

#include <string.h>

/* Flows of the relay. */
enum {
        TO_TARGET,
        TO_CLIENT,
};

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

static void move_last(struct forward *forward);

/* Moves bytes in one direction. Returns how many; negative: it has ended, or goes on with the last
 * words of the target alone. */
static ssize_t move(struct forward *forward, unsigned flow) {
        struct connection *connection = forward->connection;
        ssize_t n = relay_move(&forward->relay, flow, worker_input(connection->worker));

        if (n == -EPIPE && flow == TO_TARGET && !forward->relay.flows[TO_CLIENT].is_ended) {
                move_last(forward);
                return n;
        }
        if (n < 0) {
                log_debug("client %llu: forward %s: %s", (unsigned long long)connection->id,
                          flow == TO_TARGET ? "to the target" : "to the client", strerror((int)-n));
                connection_abort(connection, REASON_TARGET_ERROR);
                return n;
        }
        connection_count_moved(connection, flow == TO_TARGET ? (size_t)n : 0,
                               flow == TO_CLIENT ? (size_t)n : 0);
        return n;
}

static void move_flows(struct forward *forward, bool to_target, bool to_client) {
        if ((to_target && move(forward, TO_TARGET) < 0) ||
            (to_client && move(forward, TO_CLIENT) < 0))
                return;
        if (relay_is_over(&forward->relay))
                forward_end(forward);
        else
                await_relay(forward);
}

/* The target is broken: what is left in its socket goes to the client, as he takes it. Then reading
 * tells how it has ended. */
static void move_last(struct forward *forward) {
        const struct relay_flow *flow = &forward->relay.flows[TO_CLIENT];
        ssize_t n;

        forward->is_target_broken = true;
        upstream_await(&forward->upstream, 0);
        n = move(forward, TO_CLIENT);
        if (n < 0)
                return;
        if (flow->is_finished || (n == 0 && !flow->is_blocked))
                connection_abort(forward->connection, REASON_TARGET_ERROR);
        else
                connection_await_socket(forward->connection, UV_WRITABLE);
}

/* The client is broken: what he had to give has been moved, as far as possible. Nobody waits for
 * the target to take the rest. */
static void give_up_relay(struct forward *forward) {
        if (forward->is_target_broken ||
            (move(forward, TO_TARGET) >= 0 && move(forward, TO_CLIENT) >= 0))
                connection_abort(forward->connection, REASON_READ_ERROR);
}

void forward_relay_start(struct forward *forward) {
        struct connection *connection = forward->connection;

        connection_take_socket(connection);
        relay_init(&forward->relay, &connection->worker->pipes, connection->fd,
                   upstream_fd(&forward->upstream));
        connection_resume(connection, PAUSE_TARGET);
        /* Mostly the client has said something already. */
        move_flows(forward, true, false);
}

void forward_relay_client_ready(struct forward *forward, int events) {
        if (events & UV_DISCONNECT)
                forward->has_client_left = true;
        if (events == 0)
                give_up_relay(forward);
        else if (forward->is_target_broken)
                move_last(forward);
        else
                move_flows(forward, events & UV_READABLE, events & UV_WRITABLE);
}

void forward_relay_target_ready(struct forward *forward, int events) {
        if (events & UV_DISCONNECT)
                forward->has_target_left = true;
        if (events == 0)
                move_last(forward);
        else
                move_flows(forward, events & UV_WRITABLE, events & UV_READABLE);
}
