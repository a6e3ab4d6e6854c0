/* Carrying bytes through memory. See forward_parts.h.
 *
 * From the client comes what the connection reads; it stops reading as long as the upstream takes
 * nothing. From the target is read when nothing waits for the client any more. So each direction
 * has what one read brings in memory, and no more.
 */
#include "daemon/forward_parts.h"

#include "daemon/block.h"
#include "daemon/client.h"
#include "daemon/config.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <errno.h>
#include <string.h>

/* How often a broken socket is read for what is left in it. */
#define LAST_READS 64

static bool is_open(const struct forward *forward) {
        return forward->connection->state_of_life == CONNECTION_OPEN;
}

static void await(struct forward *forward, int events) {
        forward->awaited |= events;
        upstream_await(&forward->upstream, forward->awaited);
}

static void await_no_more(struct forward *forward, int events) {
        forward->awaited &= ~events;
        upstream_await(&forward->upstream, forward->awaited);
}

/* The upstream is broken. */
static void give_up(struct forward *forward, int error) {
        log_debug("client %llu: forward: %s", (unsigned long long)forward->connection->id,
                  strerror(-error));
        connection_abort(forward->connection, REASON_TARGET_ERROR);
}

static void end_if_over(struct forward *forward) {
        if (forward->is_target_told && forward->is_client_told)
                forward_end(forward);
}

/* --- to the target -------------------------------------------------------------------------------
 */

void forward_carry_input(struct forward *forward, struct bytes *input) {
        struct connection *connection = forward->connection;

        while (input->length > 0) {
                ssize_t n = upstream_send(&forward->upstream, *input);

                if (n == -EAGAIN) {
                        connection_pause(connection, PAUSE_TARGET);
                        await(forward, UV_WRITABLE);
                        return;
                }
                if (n < 0) {
                        give_up(forward, (int)n);
                        return;
                }
                forward_count_input(connection, (size_t)n);
                (void)connection_admit(connection, 1, (size_t)n);
                input->data += n;
                input->length -= (size_t)n;
        }
}

/* The target is told once it takes something, so that it gets the words for that. */
void forward_carry_finished(struct forward *forward) {
        forward->is_client_ended = true;
        await(forward, UV_WRITABLE);
}

static void go_on_sending(struct forward *forward) {
        await_no_more(forward, UV_WRITABLE);
        if (!forward->is_client_ended) {
                connection_resume(forward->connection, PAUSE_TARGET);
        } else if (!forward->is_target_told) {
                upstream_end_output(&forward->upstream);
                forward->is_target_told = true;
                end_if_over(forward);
        }
}

/* --- to the client -------------------------------------------------------------------------------
 */

/* How much may be read at once: what may wait for the client. */
static size_t limit_of(const struct connection *connection, const struct block *block) {
        uint64_t max = connection->worker->config->server.max_pending;
        uint64_t own = atomic_load_explicit(&connection->max_pending, memory_order_relaxed);

        if (own > 0 && own < max)
                max = own;
        return block->capacity < max || connection->transport->keeps_boundaries ? block->capacity
                                                                                : (size_t)max;
}

/* Goes on when what is under way has left. */
static void rest(struct forward *forward) {
        await_no_more(forward, UV_READABLE);
        connection_want_writable(forward->connection, true);
}

/* Reads once from the target. Returns whether something came. */
static bool pull(struct forward *forward) {
        struct connection *connection = forward->connection;
        struct block *block = worker_input(connection->worker);
        ssize_t n = -ENOMEM;

        if (connection_pending(connection) > 0) {
                rest(forward);
                return false;
        }
        if (block)
                n = upstream_receive(&forward->upstream, block->data, limit_of(connection, block));
        if (n == -EAGAIN)
                return false;
        if (n < 0 || (size_t)n > connection->max_frame) {
                give_up(forward, n < 0 ? (int)n : -EMSGSIZE);
                return false;
        }
        if (n > 0)
                forward_deliver(connection, (struct bytes){block->data, (size_t)n});
        forward->is_target_ended = n == 0;
        if (n == 0 || upstream_has_buffered(&forward->upstream))
                rest(forward);
        return n > 0;
}

void forward_carry_writable(struct forward *forward) {
        connection_want_writable(forward->connection, false);
        if (forward->is_target_ended) {
                connection_end_output(forward->connection);
                forward->is_client_told = true;
                end_if_over(forward);
                return;
        }
        await(forward, UV_READABLE);
        (void)pull(forward);
}

/* --- both ----------------------------------------------------------------------------------------
 */

/* The target's socket is broken: the client gets what is left in it. */
static void pull_last(struct forward *forward) {
        forward->awaited = 0;
        for (unsigned i = 0; i < LAST_READS && !forward->is_target_ended && pull(forward); i++)
                worker_flush(forward->connection->worker);
        if (is_open(forward) && !(forward->is_target_ended && forward->is_target_told))
                give_up(forward, -ECONNRESET);
}

void forward_carry_target_ready(struct forward *forward, int events) {
        if (events == 0) {
                pull_last(forward);
                return;
        }
        if (events & UV_WRITABLE)
                go_on_sending(forward);
        if (is_open(forward) && (events & UV_READABLE))
                (void)pull(forward);
}

void forward_carry_start(struct forward *forward) {
        await(forward, UV_READABLE);
        connection_resume(forward->connection, PAUSE_TARGET);
        /* What came with the end of the handshake. */
        if (is_open(forward) && upstream_has_buffered(&forward->upstream))
                (void)pull(forward);
}
