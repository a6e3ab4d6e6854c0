/* What leaves through a connection: staged by any worker, sent, or kept until the socket takes it.
 * See connection.h. */
#include "daemon/connection_parts.h"

#include "daemon/block.h"
#include "daemon/config.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/session.h"
#include "daemon/transport.h"

#include <errno.h>

/* A stage with more than this is flushed before the batch ends. */
#define STAGE_MAX (160 * 1024)
/* What is left of a stage is shared rather than copied from this length on. */
#define SHARE_MIN 2048
/* What waits for a datagram peer at most, if there is so much left for all; more is dropped. */
#define SESSION_PENDING_MAX (256 * 1024)
/* How often one is tried whose socket was full. */
#define RETRY_MS     2
#define RETRY_MAX_MS 64
/* How much may wait for a receiver until its publishers are held back. */
#define CONGESTION_MARK (1024 * 1024)

struct stage *connection_output(struct worker *worker, struct connection *connection) {
        struct stage *stage = stages_find(&worker->stages, connection->slot);

        if (atomic_load_explicit(&connection->is_output_closed, memory_order_relaxed))
                return NULL;
        if (stage)
                return stage;
        return stages_add(&worker->stages, connection, connection->slot,
                          worker == connection->worker);
}

void connection_output_done(struct worker *worker, struct stage *stage) {
        if (stage->connection->transport->keeps_boundaries && outbox_end_frame(&stage->outbox) < 0)
                connection_condemn_output(worker, stage->connection);
        else if (stage->outbox.n_bytes >= STAGE_MAX)
                connection_flush(worker, stage);
}

void connection_write(struct worker *worker, struct connection *connection, struct bytes bytes) {
        struct stage *stage = connection_output(worker, connection);

        if (!stage)
                return;
        if (outbox_append(&stage->outbox, bytes) < 0)
                connection_condemn_output(worker, connection);
        else
                connection_output_done(worker, stage);
}

void connection_note_sent(struct worker *worker, struct connection *connection, size_t n_bytes) {
        atomic_fetch_add_explicit(&connection->n_sent, n_bytes, memory_order_relaxed);
        atomic_store_explicit(&connection->sent_ms, uv_now(&worker->loop), memory_order_relaxed);
}

/* Under the lock. Sends until the outbox is empty or the socket full. */
static int connection_send(struct worker *worker, struct connection *connection,
                           struct outbox *outbox) {
        ssize_t n = outbox_is_empty(outbox) ? 0 : connection->transport->send(connection, outbox);

        if (n <= 0)
                return (int)n;
        connection_note_sent(worker, connection, (size_t)n);
        return 0;
}

/* Moves one range behind what waits already. A block is not kept for a small part of it: that is
 * copied, once for all receivers. */
static int connection_keep_range(struct worker *worker, struct connection *connection,
                                 const struct outbox *from, const struct outbox_range *range) {
        struct bytes bytes = {range->data, range->length};
        struct block *block = range->block;
        bool is_small_part = range->length < block->capacity / 4;

        if (range->length < SHARE_MIN || (is_small_part && block == from->tail))
                return outbox_append(&connection->pending, bytes);
        if (is_small_part) {
                block = worker_copy(worker, block, bytes);
                if (!block)
                        return -ENOMEM;
                bytes.data = block->data;
        }
        return outbox_append_shared(&connection->pending, block, bytes);
}

/* Moves what the socket did not take behind what waits already. */
static int connection_keep_output(struct worker *worker, struct connection *connection,
                                  const struct outbox *outbox) {
        int r = 0;

        for (unsigned i = 0; i < outbox->n_ranges && r >= 0; i++)
                r = connection_keep_range(worker, connection, outbox,
                                          &outbox->ranges[outbox->first + i]);
        return r < 0 ? r : outbox_copy_frames(&connection->pending, outbox);
}

void connection_count_pending(struct connection *connection) {
        struct session *session = connection->session;
        size_t n = connection->pending.n_bytes;

        if (!session || n == session->n_counted)
                return;
        atomic_fetch_add_explicit(&connection->listener->n_pending,
                                  (uint64_t)n - session->n_counted, memory_order_relaxed);
        session->n_counted = n;
}

/* How much may wait. */
static uint64_t connection_max_pending(const struct worker *worker,
                                       const struct connection *connection) {
        uint64_t max = worker->config->server.max_pending;
        uint64_t own = atomic_load_explicit(&connection->max_pending, memory_order_relaxed);

        return own > 0 && own < max ? own : max;
}

/* Under the lock. Whether what is staged may wait. Of datagram peers none has more waiting than is
 * left for all of its listener, so that there is always something left for one more. */
static bool connection_may_wait(const struct worker *worker, const struct connection *connection,
                                const struct stage *stage) {
        size_t n = connection->pending.n_bytes + stage->outbox.n_bytes;

        if (!connection->transport->is_connectionless)
                return true;
        return n <= SESSION_PENDING_MAX && n <= connection_max_pending(worker, connection) &&
               n + atomic_load_explicit(&connection->listener->n_pending, memory_order_relaxed) <=
                       worker->config->server.max_pending;
}

static void connection_drop_stage(struct connection *connection, const struct stage *stage) {
        for (unsigned i = 0; i < outbox_count_frames(&stage->outbox); i++)
                session_drop(connection->session, DROP_CONGESTION);
}

/* Under the lock. Has the own worker look at the connection. */
static void connection_call_attention(struct worker *worker, struct connection *connection) {
        if (connection->needs_attention)
                return;
        connection->needs_attention = true;
        if (worker == connection->worker)
                worker_defer(worker, &connection->attention);
        else
                (void)mailbox_post(&connection->worker->mailbox, &connection->attention);
}

/* Under the lock. The connection is to be closed by its own worker, for this reason. */
static void connection_condemn(struct worker *worker, struct connection *connection,
                               const char *reason) {
        if (!connection->doom)
                connection->doom = reason;
        atomic_store_explicit(&connection->is_output_closed, true, memory_order_relaxed);
        outbox_deinit(&connection->pending);
        connection_count_pending(connection);
        connection_call_attention(worker, connection);
}

void connection_condemn_output(struct worker *worker, struct connection *connection) {
        pthread_mutex_lock(&connection->lock);
        connection_condemn(worker, connection, REASON_SLOW_PENDING);
        pthread_mutex_unlock(&connection->lock);
}

/* Under the lock. */
static void connection_judge_congestion(struct connection *connection, uint64_t max_pending) {
        size_t n = connection->pending.n_bytes;
        size_t mark = max_pending / 4 < CONGESTION_MARK ? max_pending / 4 : CONGESTION_MARK;
        int before = atomic_load_explicit(&connection->congestion, memory_order_relaxed);
        int now = before;

        if (n > max_pending / 4 * 3)
                now = CONGESTION_CRITICAL;
        else if (n > mark)
                now = CONGESTION_SOME;
        else if (n < mark / 2)
                now = CONGESTION_NONE;
        if (now != before)
                atomic_store_explicit(&connection->congestion, now, memory_order_relaxed);
        if (n == 0 && atomic_load_explicit(&connection->is_laggard, memory_order_relaxed))
                atomic_store_explicit(&connection->is_laggard, false, memory_order_relaxed);
}

/* Under the lock. */
static void connection_flush_locked(struct worker *worker, struct connection *connection,
                                    struct stage *stage) {
        uint64_t max_pending = connection_max_pending(worker, connection);
        int r = 0;

        if (!outbox_is_empty(&connection->pending) &&
            !connection_may_wait(worker, connection, stage)) {
                connection_drop_stage(connection, stage);
                return;
        }
        if (stage->n_messages > 0)
                connection->delivered_ms = uv_now(&worker->loop);
        connection->out_messages += stage->n_messages;
        connection->out_bytes += stage->n_payload_bytes;
        if (outbox_is_empty(&connection->pending))
                r = connection_send(worker, connection, &stage->outbox);
        if (r < 0) {
                connection_condemn(worker, connection, REASON_WRITE_ERROR);
                return;
        }
        if (outbox_is_empty(&stage->outbox))
                return;
        if (!connection_may_wait(worker, connection, stage)) {
                connection_drop_stage(connection, stage);
                return;
        }
        r = connection_keep_output(worker, connection, &stage->outbox);
        connection_count_pending(connection);
        if (r < 0 || connection->pending.n_bytes > max_pending) {
                connection_condemn(worker, connection, REASON_SLOW_PENDING);
                return;
        }
        connection_judge_congestion(connection, max_pending);
        if (!connection->is_waiting) {
                connection->is_waiting = true;
                connection_call_attention(worker, connection);
        }
}

void connection_count_output(struct worker *worker, const struct stage *stage) {
        counter_add(&worker->stats.out_messages, stage->n_messages);
        counter_add(&worker->stats.out_bytes, stage->n_payload_bytes);
        worker_turn_over(worker, stage->outbox.n_bytes);
}

void connection_flush(struct worker *worker, struct stage *stage) {
        struct connection *connection = stage->connection;

        connection_count_output(worker, stage);
        pthread_mutex_lock(&connection->lock);
        if (connection->fd >= 0 && !connection->doom && !connection->is_shut)
                connection_flush_locked(worker, connection, stage);
        pthread_mutex_unlock(&connection->lock);
        stages_remove(&worker->stages, stage, connection->slot);
}

/* Tries again in a while, which grows as long as nothing leaves. */
static void connection_retry_later(struct connection *connection, bool has_sent) {
        struct session *session = connection->session;
        unsigned ms = has_sent || session->retry_ms == 0 ? RETRY_MS : session->retry_ms * 2;

        session->retry_ms = ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
        session->retry_due_ms = connection_now(connection) + session->retry_ms;
}

void connection_continue_output(struct connection *connection) {
        struct worker *worker = connection->worker;
        bool is_empty;
        uint64_t before = atomic_load_explicit(&connection->n_sent, memory_order_relaxed), n_sent;
        int r;

        if (connection_is_securing(connection))
                return; /* it goes on by itself then */
        pthread_mutex_lock(&connection->lock);
        r = connection_send(worker, connection, &connection->pending);
        if (r < 0)
                connection_condemn(worker, connection, REASON_WRITE_ERROR);
        is_empty = outbox_is_empty(&connection->pending);
        connection->is_waiting = !is_empty;
        if (is_empty)
                outbox_deinit(&connection->pending);
        connection_count_pending(connection);
        connection_judge_congestion(connection, connection_max_pending(worker, connection));
        pthread_mutex_unlock(&connection->lock);

        n_sent = atomic_load_explicit(&connection->n_sent, memory_order_relaxed);
        connection->is_polling_output = !is_empty;
        if (is_empty || connection->handler->is_patient)
                connection->write_due_ms = 0;
        else if (connection->write_due_ms == 0 || n_sent != before)
                connection->write_due_ms =
                        connection_now(connection) + worker->config->server.write_deadline_ms;
        if (!is_empty && connection->session)
                connection_retry_later(connection, n_sent != before);
        connection_update_poll(connection);
        connection_arm(connection);
        if (is_empty && connection->state_of_life == CONNECTION_ENDING)
                connection_advance_end(connection);
}

void connection_count_moved(struct connection *connection, size_t n_in, size_t n_out) {
        struct worker *worker = connection->worker;

        if (n_in > 0) {
                connection->last_input_ms = connection_now(connection);
                counter_add(&connection->in_bytes, n_in);
                counter_add(&worker->stats.in_bytes, n_in);
                (void)connection_admit(connection, 1, n_in);
        }
        if (n_out > 0) {
                pthread_mutex_lock(&connection->lock);
                connection->out_bytes += n_out;
                connection_note_sent(worker, connection, n_out);
                pthread_mutex_unlock(&connection->lock);
                counter_add(&worker->stats.out_bytes, n_out);
        }
}

size_t connection_pending(struct connection *connection) {
        size_t n;

        pthread_mutex_lock(&connection->lock);
        n = connection->pending.n_bytes;
        pthread_mutex_unlock(&connection->lock);
        return n;
}
