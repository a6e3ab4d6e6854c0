/* Forwarding datagrams. See forward_parts.h.
 *
 * Each peer that can be answered gets a session, and the session a socket of its own towards a
 * target, by which the answers find the way back. Those who cannot be answered share one, that of
 * the stranger, of which nothing is read.
 */
#include "daemon/forward_parts.h"

#include "daemon/block.h"
#include "daemon/client.h"
#include "daemon/session.h"

#include <errno.h>
#include <string.h>

/* Answers that are read before others have their turn. */
#define READ_MAX 32

static bool is_open(const struct forward *forward) {
        return forward->connection->state_of_life == CONNECTION_OPEN;
}

static bool has_upstream(const struct forward *forward) {
        return forward->upstream.phase == UPSTREAM_OPEN;
}

/* --- to the target -------------------------------------------------------------------------------
 */

/* Makes a session of who can be answered. Returns whether his datagrams may go on. */
static bool keep(struct forward *forward) {
        struct connection *connection = forward->connection;
        bool is_one_way =
                !connection->session->is_kept && !session_is_answerable(connection->session);

        if (!is_one_way && !client_keep_plain(connection->client))
                return false;
        /* What others have sent through it is nobody's business. */
        if (forward->is_one_way && !is_one_way)
                upstream_close(&forward->upstream, false);
        forward->is_one_way = is_one_way;
        return is_open(forward);
}

/* Has an upstream, at once or, if a name has to be looked up first, a little later. Returns whether
 * there is one. */
static bool connect_upstream(struct forward *forward) {
        if (forward->upstream.phase == UPSTREAM_CLOSED)
                forward_connect(forward);
        return is_open(forward) && has_upstream(forward);
}

/* The target is not there (any more), and what was sent to it last is lost; the next datagram goes
 * to the one that is next. */
static void leave_target(struct forward *forward, int error) {
        upstream_note_failure(&forward->upstream, strerror(-error));
        upstream_close(&forward->upstream, false);
        counter_add(&forward->connection->worker->stats.unreachable_targets, 1);
        session_drop(forward->connection->session, DROP_TARGET);
}

static bool is_gone(ssize_t error) {
        return error == -ECONNREFUSED || error == -ECONNRESET || error == -ENOTCONN ||
               error == -EPIPE || error == -EHOSTUNREACH || error == -ENETUNREACH;
}

/* Sends a datagram; if the target turns out to be gone, to the next one. */
static ssize_t send_once_or_twice(struct forward *forward, struct bytes frame) {
        ssize_t n = upstream_send(&forward->upstream, frame);

        if (!is_gone(n))
                return n;
        leave_target(forward, (int)n);
        return connect_upstream(forward) ? upstream_send(&forward->upstream, frame) : n;
}

static enum drop drop_of(const struct forward *forward, ssize_t error) {
        if (error == -EMSGSIZE)
                return DROP_TOO_LARGE;
        return is_gone(error) || forward->upstream.phase == UPSTREAM_CLOSED ? DROP_TARGET
                                                                            : DROP_CONGESTION;
}

void forward_datagram_input(struct forward *forward, struct bytes frame) {
        struct connection *connection = forward->connection;
        ssize_t n = -EAGAIN;

        /* The target may be one that answers everything. */
        if (session_goes_round(connection->session)) {
                connection_note_loop(connection);
                return;
        }
        if (!client_admits_datagram(connection->client) ||
            connection_admit(connection, 1, frame.length) == 0 || !keep(forward))
                return;
        if (connect_upstream(forward))
                n = send_once_or_twice(forward, frame);
        if (n >= 0)
                forward_count_input(connection, frame.length);
        else
                session_drop(connection->session, drop_of(forward, n));
}

/* --- back ----------------------------------------------------------------------------------------
 */

/* Takes one answer. Returns whether there may be more. */
static bool take_answer(struct forward *forward, struct block *block) {
        struct connection *connection = forward->connection;
        ssize_t n = upstream_receive(&forward->upstream, block->data, block->capacity);

        if (n == -EAGAIN)
                return false;
        if (n < 0 && n != -EMSGSIZE) {
                leave_target(forward, (int)n);
                return false;
        }
        upstream_note_answer(&forward->upstream);
        if (n == -EMSGSIZE || (size_t)n > connection->max_frame)
                connection_note_too_large(connection, 1);
        else if (n == 0)
                session_drop(connection->session, DROP_EMPTY);
        else
                forward_deliver(connection, (struct bytes){block->data, (size_t)n});
        return true;
}

void forward_datagram_target_ready(struct forward *forward, int events) {
        struct block *block = worker_input(forward->connection->worker);

        for (unsigned i = 0; block && i < READ_MAX && take_answer(forward, block); i++)
                ;
        /* Polling has ended with the error that was just read. */
        if (events == 0 && has_upstream(forward))
                upstream_await(&forward->upstream, UV_READABLE);
}

void forward_datagram_start(struct forward *forward) {
        if (!forward->is_one_way)
                upstream_await(&forward->upstream, UV_READABLE);
}
