/* Holding publishers back, and having them give way. See connection.h. */
#include "daemon/connection_parts.h"

#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/transport.h"
#include "lib/log.h"

/* A publisher is held only for a receiver that gets on: it has to take so much in each such time.
 */
#define HOLD_MS       100
#define HOLD_PROGRESS (64 * 1024)
/* The longest that it is held when others would get its messages at once. */
#define HOLD_BRIEF_MS 10

void connection_hold(struct connection *connection, struct connection *receiver, bool is_brief) {
        if (connection->state_of_life != CONNECTION_OPEN || connection->is_broken ||
            connection->transport->is_connectionless ||
            (connection->paused & (PAUSE_HELD | PAUSE_YIELD)))
                return;
        connection->held_by = receiver->id;
        connection->held_by_slot = receiver->slot;
        connection->is_held_briefly = is_brief;
        connection->held_since_ms = connection_now(connection);
        connection->held_sent = atomic_load_explicit(&receiver->n_sent, memory_order_relaxed);
        list_append(&connection->worker->held, &connection->held_link);
        counter_add(&connection->worker->stats.held_publishers, 1);
        connection_pause(connection, PAUSE_HELD);
        worker_watch_held(connection->worker);
}

/* Whether the receiver takes enough that it is worth waiting for. */
static bool receiver_gets_on(struct connection *connection, struct connection *receiver) {
        uint64_t now = connection_now(connection);
        uint64_t n_sent = atomic_load_explicit(&receiver->n_sent, memory_order_relaxed);
        uint64_t sent_ms = atomic_load_explicit(&receiver->sent_ms, memory_order_relaxed);

        if (now > sent_ms && now - sent_ms >= HOLD_MS)
                return false;
        if (now - connection->held_since_ms < HOLD_MS)
                return true;
        if (n_sent - connection->held_sent < HOLD_PROGRESS)
                return false;
        connection->held_since_ms = now;
        connection->held_sent = n_sent;
        return true;
}

/* Whether the held connection has to wait on. */
static bool connection_must_wait(struct connection *connection) {
        struct connection *receiver =
                instance_find(connection->worker->instance, connection->held_by_slot);

        if (!receiver || receiver->id != connection->held_by ||
            atomic_load_explicit(&receiver->congestion, memory_order_relaxed) == CONGESTION_NONE ||
            atomic_load_explicit(&receiver->is_output_closed, memory_order_relaxed))
                return false;
        if (connection->is_held_briefly &&
            connection_now(connection) - connection->held_since_ms >= HOLD_BRIEF_MS)
                return false;
        if (receiver_gets_on(connection, receiver))
                return true;
        log_debug("client %llu does not keep up; publishers no longer wait for it",
                  (unsigned long long)receiver->id);
        atomic_store_explicit(&receiver->is_laggard, true, memory_order_relaxed);
        return false;
}

/* Lets a stream wait until its source is in order again. */
static void connection_wait(struct connection *connection, uint64_t wait_ns) {
        uint64_t due_ms = connection_now(connection) + wait_ns / 1000000 + 1;

        if (wait_ns == 0)
                return;
        if (due_ms > connection->rate_due_ms)
                connection->rate_due_ms = due_ms;
        connection_pause(connection, PAUSE_RATE);
        connection_arm(connection);
}

static void connection_charge(struct connection *connection, struct rate *rate, uint32_t source,
                              size_t n_messages, size_t n_bytes) {
        connection_wait(connection, rate_charge(rate, source, n_messages, n_bytes, uv_hrtime()));
}

bool connection_is_in_debt(struct connection *connection) {
        struct rate *rate = &connection->listener->rate;
        uint64_t wait_ns;

        if (!rate_is_limited(rate) && !connection->rate)
                return false;
        wait_ns = rate_debt_ns(rate, connection->source, uv_hrtime());
        if (wait_ns == 0 && connection->rate)
                wait_ns = rate_debt_ns(connection->rate, 0, uv_hrtime());
        connection_wait(connection, wait_ns);
        return wait_ns > 0;
}

/* By the rate of its user, which is one source. */
static size_t connection_admit_user(struct connection *connection, size_t n_messages,
                                    size_t n_bytes) {
        size_t n_admitted = n_messages;

        if (connection->session) {
                n_admitted = 0;
                while (n_admitted < n_messages &&
                       rate_admit(connection->rate, 0, n_bytes / n_messages, uv_hrtime()))
                        n_admitted++;
                if (n_admitted == 0)
                        session_drop(connection->session, DROP_RATE);
        } else {
                connection_charge(connection, connection->rate, 0, n_messages, n_bytes);
        }
        return n_admitted;
}

size_t connection_admit(struct connection *connection, size_t n_messages, size_t n_bytes) {
        struct rate *rate = &connection->listener->rate;

        if (connection->rate && rate_is_limited(connection->rate))
                n_messages = connection_admit_user(connection, n_messages, n_bytes);
        if (n_messages == 0 || !rate_is_limited(rate))
                return n_messages;
        if (connection->session)
                return session_admit(connection->session, n_messages);
        connection_charge(connection, rate, connection->source, n_messages, n_bytes);
        return n_messages;
}

void connection_yield(struct connection *connection, struct bytes *input) {
        /* Its worker cannot stop in the middle of a datagram, of which there are more. */
        if (connection->session && input->length > 0) {
                session_drop(connection->session, DROP_RATE);
                input->length = 0;
        }
        if (connection->session)
                return;
        if (connection->state_of_life != CONNECTION_OPEN || (connection->paused & PAUSE_HELD))
                return;
        connection_pause(connection, PAUSE_YIELD);
        list_append(&connection->worker->held, &connection->held_link);
        worker_watch_held(connection->worker);
}

/* Those that have to wait on go back to the list, as do those that are held again. */
void connection_check_held(struct worker *worker) {
        struct list_link held;

        list_init(&held);
        list_move(&held, &worker->held);
        while (!list_is_empty(&held)) {
                struct connection *connection =
                        container_of(held.next, struct connection, held_link);

                list_unlink(&connection->held_link);
                if (connection->paused & PAUSE_YIELD) {
                        connection_resume(connection, PAUSE_YIELD);
                } else if (connection_must_wait(connection)) {
                        list_append(&worker->held, &connection->held_link);
                } else {
                        connection_resume(connection, PAUSE_HELD);
                }
        }
        worker_watch_held(worker);
}
