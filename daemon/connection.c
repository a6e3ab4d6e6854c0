/* One peer on one transport. See connection.h. */
#include "daemon/connection.h"

#include "daemon/block.h"
#include "daemon/config.h"
#include "daemon/handler.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* An incomplete operation longer than this is read straight into a block of its own. */
#define DIRECT_MIN (32 * 1024)
/* How much is read beyond its end: the line of the next operation. */
#define DIRECT_AHEAD (4 * 1024)
/* A stage with more than this is flushed before the batch ends. */
#define STAGE_MAX (64 * 1024)
/* What is left of a stage is shared rather than copied from this length on. */
#define SHARE_MIN 2048
/* Ranges in one system call. */
#define SEND_RANGES 64
/* How much may wait for a receiver until its publishers are held back. */
#define CONGESTION_MARK (1024 * 1024)
/* A publisher is held only for a receiver that gets on: it has to take so much in each such time.
 */
#define HOLD_MS 100
/* The longest that it is held when others would get its messages at once. */
#define HOLD_BRIEF_MS 10
#define HOLD_PROGRESS (64 * 1024)
/* How long output may take to leave when a connection ends, and how long input is then discarded,
 * so that the peer sees what was sent last rather than a reset. */
#define END_OUTPUT_MS 2000
#define END_INPUT_MS  1000
/* The same when the server stops. */
#define END_INPUT_STOP_MS 200
/* How often a broken socket is read for what is left in it. */
#define LAST_READS 64

static void connection_process(struct connection *connection, struct bytes input);
static void connection_advance_end(struct connection *connection);

static uint64_t connection_now(const struct connection *connection) {
        return uv_now(&connection->worker->loop);
}

/* --- timers ------------------------------------------------------------------------------- */

static void connection_on_timer(uv_timer_t *timer);

static uint64_t earlier(uint64_t a, uint64_t b) {
        if (a == 0 || b == 0)
                return a + b;
        return a < b ? a : b;
}

static void connection_arm(struct connection *connection) {
        uint64_t now = connection_now(connection);
        uint64_t due = earlier(earlier(connection->protocol_due_ms, connection->write_due_ms),
                               connection->end_due_ms);

        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        if (due == 0)
                (void)uv_timer_stop(&connection->timer);
        else
                (void)uv_timer_start(&connection->timer, connection_on_timer,
                                     due > now ? due - now : 0, 0);
}

void connection_set_deadline(struct connection *connection, uint64_t ms) {
        connection->protocol_due_ms = ms ? connection_now(connection) + ms : 0;
        connection_arm(connection);
}

static bool is_due(uint64_t *due, uint64_t now) {
        if (*due == 0 || *due > now)
                return false;
        *due = 0;
        return true;
}

static void connection_on_timer(uv_timer_t *timer) {
        struct connection *connection = timer->data;
        uint64_t now = connection_now(connection);

        worker_enter(connection->worker);
        if (is_due(&connection->end_due_ms, now)) {
                connection_close(connection, REASON_CLIENT_CLOSED);
                return;
        }
        if (is_due(&connection->write_due_ms, now)) {
                connection_close(connection, REASON_SLOW_DEADLINE);
                return;
        }
        if (is_due(&connection->protocol_due_ms, now) &&
            connection->state_of_life == CONNECTION_OPEN)
                connection->handler->deadline(connection);
        connection_arm(connection);
}

/* --- polling ------------------------------------------------------------------------------ */

static void connection_on_poll(uv_poll_t *poll, int status, int events);

/* Polls for what the connection waits for. */
static void connection_update_poll(struct connection *connection) {
        bool wants_input =
                connection->state_of_life == CONNECTION_ENDING || connection->paused == 0;
        int events = 0;

        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        if (wants_input && !connection->is_end_of_input)
                events |= UV_READABLE;
        if (connection->is_polling_output)
                events |= UV_WRITABLE;
        if (events == connection->polled)
                return;
        connection->polled = events;
        if (events == 0)
                (void)uv_poll_stop(&connection->poll);
        else
                (void)uv_poll_start(&connection->poll, events, connection_on_poll);
}

/* --- output ------------------------------------------------------------------------------- */

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
        if (stage->outbox.n_bytes >= STAGE_MAX)
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

/* Under the lock. Sends until the outbox is empty or the socket full. */
static int connection_send(struct worker *worker, struct connection *connection,
                           struct outbox *outbox) {
        while (!outbox_is_empty(outbox)) {
                struct iovec iov[SEND_RANGES];
                size_t n_iov = outbox_peek(outbox, iov, SEND_RANGES), n_offered = 0;
                ssize_t n;

                for (size_t i = 0; i < n_iov; i++)
                        n_offered += iov[i].iov_len;
                n = connection->transport->send(connection->fd, iov, n_iov);
                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return (int)n;
                outbox_consume(outbox, (size_t)n);
                atomic_fetch_add_explicit(&connection->n_sent, (uint64_t)n, memory_order_relaxed);
                atomic_store_explicit(&connection->sent_ms, uv_now(&worker->loop),
                                      memory_order_relaxed);
                /* The socket is full; asking it again would only tell so. */
                if ((size_t)n < n_offered)
                        return 0;
        }
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
        return r;
}

static void connection_on_attention(struct task *task);

/* Under the lock. Has the own worker look at the connection. */
static void connection_call_attention(struct worker *worker, struct connection *connection) {
        if (connection->needs_attention)
                return;
        connection->needs_attention = true;
        connection->attention.run = connection_on_attention;
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
        uint64_t max_pending = worker->config->server.max_pending;
        int r = 0;

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
        r = connection_keep_output(worker, connection, &stage->outbox);
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

void connection_flush(struct worker *worker, struct stage *stage) {
        struct connection *connection = stage->connection;

        counter_add(&worker->stats.out_messages, stage->n_messages);
        counter_add(&worker->stats.out_bytes, stage->n_payload_bytes);
        pthread_mutex_lock(&connection->lock);
        if (connection->fd >= 0 && !connection->doom && !connection->is_shut)
                connection_flush_locked(worker, connection, stage);
        pthread_mutex_unlock(&connection->lock);
        stages_remove(&worker->stages, stage, connection->slot);
}

/* The socket is writable again, or shall be watched for that. */
static void connection_continue_output(struct connection *connection) {
        struct worker *worker = connection->worker;
        bool is_empty;
        uint64_t before = atomic_load_explicit(&connection->n_sent, memory_order_relaxed);
        int r;

        pthread_mutex_lock(&connection->lock);
        r = connection_send(worker, connection, &connection->pending);
        if (r < 0)
                connection_condemn(worker, connection, REASON_WRITE_ERROR);
        is_empty = outbox_is_empty(&connection->pending);
        connection->is_waiting = !is_empty;
        if (is_empty)
                outbox_deinit(&connection->pending);
        connection_judge_congestion(connection, worker->config->server.max_pending);
        pthread_mutex_unlock(&connection->lock);

        connection->is_polling_output = !is_empty;
        if (is_empty)
                connection->write_due_ms = 0;
        else if (connection->write_due_ms == 0 ||
                 atomic_load_explicit(&connection->n_sent, memory_order_relaxed) != before)
                connection->write_due_ms =
                        connection_now(connection) + worker->config->server.write_deadline_ms;
        connection_update_poll(connection);
        connection_arm(connection);
        if (is_empty && connection->state_of_life == CONNECTION_ENDING)
                connection_advance_end(connection);
}

size_t connection_pending(struct connection *connection) {
        size_t n;

        pthread_mutex_lock(&connection->lock);
        n = connection->pending.n_bytes;
        pthread_mutex_unlock(&connection->lock);
        return n;
}

/* --- input -------------------------------------------------------------------------------- */

/* Keeps what is incomplete. */
static int connection_keep_input(struct connection *connection, struct bytes rest, size_t needed) {
        struct block *block;

        if (rest.length == 0)
                return 0;
        block = block_new(needed > rest.length && needed > DIRECT_MIN ? needed : rest.length);
        if (!block)
                return -ENOMEM;
        bytes_copy(block->data, rest);
        connection->kept = block;
        connection->n_kept = rest.length;
        connection->n_needed = needed;
        return 0;
}

/* Hands input to the handler, and keeps what remains. */
static void connection_process(struct connection *connection, struct bytes input) {
        size_t needed = 0;

        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        if (connection->paused == 0)
                needed = connection->handler->input(connection, &input);
        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        if (connection_keep_input(connection, input, needed) < 0) {
                log_warning("client %llu: no memory for its input",
                            (unsigned long long)connection->id);
                connection_close(connection, REASON_READ_ERROR);
        }
}

/* Reads the rest of a long operation straight behind its beginning. Returns what receive
 * returned. */
static ssize_t connection_read_direct(struct connection *connection, struct block *ahead) {
        struct block *kept = connection->kept;
        size_t missing = connection->n_needed - connection->n_kept;
        struct iovec iov[2] = {{kept->data + connection->n_kept, missing},
                               {ahead->data, DIRECT_AHEAD}};
        ssize_t n = connection->transport->receive(connection->fd, iov, 2);

        if (n <= 0)
                return n;
        if ((size_t)n < missing) {
                connection->n_kept += (size_t)n;
                return n;
        }
        connection->kept = NULL;
        connection->input_block = kept;
        connection_process(connection, (struct bytes){kept->data, connection->n_needed});
        block_unref(kept);
        connection->input_block = ahead;
        if ((size_t)n > missing)
                connection_process(connection, (struct bytes){ahead->data, (size_t)n - missing});
        return n;
}

/* Puts what was kept in front of the block. Returns its length. */
static size_t connection_unkeep(struct connection *connection, struct block *block) {
        size_t n = connection->n_kept;

        if (!connection->kept)
                return 0;
        assert(n <= block->capacity);
        memcpy(block->data, connection->kept->data, n);
        connection->kept = block_unref(connection->kept);
        connection->n_kept = 0;
        return n;
}

static ssize_t connection_read_buffered(struct connection *connection, struct block *block) {
        size_t n_kept = connection_unkeep(connection, block);
        struct iovec iov = {block->data + n_kept, block->capacity - n_kept};
        ssize_t n = connection->transport->receive(connection->fd, &iov, 1);

        connection->input_block = block;
        if (n > 0)
                connection_process(connection, (struct bytes){block->data, n_kept + (size_t)n});
        else if (connection_keep_input(connection, (struct bytes){block->data, n_kept}, 0) < 0)
                return -ENOMEM;
        return n;
}

/* Reads once. Returns how many bytes, 0 at the peer's end, or -errno. */
static ssize_t connection_read(struct connection *connection) {
        struct block *block = worker_input(connection->worker);
        ssize_t n;

        if (!block)
                return -ENOMEM;
        connection->last_input_ms = connection_now(connection);
        if (connection->kept && connection->n_needed > DIRECT_MIN &&
            connection->kept->capacity >= connection->n_needed)
                n = connection_read_direct(connection, block);
        else
                n = connection_read_buffered(connection, block);
        connection->input_block = NULL;
        return n;
}

/* Reads and drops what an ending connection still gets. */
static void connection_discard(struct connection *connection) {
        struct block *block = worker_input(connection->worker);
        struct iovec iov = {block ? block->data : NULL, block ? block->capacity : 0};
        ssize_t n = block ? connection->transport->receive(connection->fd, &iov, 1) : -ENOMEM;

        if (n > 0 || n == -EAGAIN)
                return;
        connection->is_end_of_input = true;
        connection_update_poll(connection);
        connection_advance_end(connection);
}

/* What a read returned that gave no bytes. */
static void connection_input_ended(struct connection *connection, ssize_t n) {
        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        connection->is_end_of_input = true;
        connection_update_poll(connection);
        /* What was read before still waits; it will come here again. */
        if (connection->paused != 0)
                return;
        if (n == 0)
                connection_end(connection, REASON_CLIENT_CLOSED);
        else
                connection_close(connection, REASON_READ_ERROR);
}

/* The socket is broken or its output is: takes what is left in it, and closes. */
static void connection_read_last(struct connection *connection, const char *reason) {
        ssize_t n = 1;

        connection->is_broken = true;
        connection_resume(connection, PAUSE_HELD);
        connection_resume(connection, PAUSE_YIELD);
        for (unsigned i = 0; i < LAST_READS && n > 0; i++) {
                if (connection->state_of_life != CONNECTION_OPEN || connection->paused != 0)
                        break;
                n = connection_read(connection);
        }
        connection_close(connection, n == 0 ? REASON_CLIENT_CLOSED : reason);
}

static void connection_on_poll(uv_poll_t *poll, int status, int events) {
        struct connection *connection = poll->data;
        ssize_t n;

        worker_enter(connection->worker);
        if (status < 0) {
                connection->polled = 0;
                connection_read_last(connection, REASON_READ_ERROR);
                return;
        }
        if ((events & UV_WRITABLE) && connection->is_polling_output)
                connection_continue_output(connection);
        if (!(events & UV_READABLE) || connection->is_end_of_input)
                return;
        if (connection->state_of_life == CONNECTION_ENDING) {
                connection_discard(connection);
                return;
        }
        if (connection->state_of_life != CONNECTION_OPEN || connection->paused != 0)
                return;
        n = connection_read(connection);
        if (n <= 0 && n != -EAGAIN)
                connection_input_ended(connection, n);
}

void connection_pause(struct connection *connection, enum connection_pause why) {
        connection->paused |= why;
        connection_update_poll(connection);
}

void connection_resume(struct connection *connection, enum connection_pause why) {
        struct block *block;

        if (!(connection->paused & why))
                return;
        connection->paused &= ~(unsigned)why;
        if (connection->paused != 0 || connection->state_of_life != CONNECTION_OPEN)
                return;
        block = connection->kept && connection->n_needed == 0 ? worker_input(connection->worker)
                                                              : NULL;
        if (block) {
                size_t n = connection_unkeep(connection, block);

                connection->input_block = block;
                connection_process(connection, (struct bytes){block->data, n});
                connection->input_block = NULL;
        }
        if (connection->is_end_of_input && connection->paused == 0)
                connection_input_ended(connection, 0);
        connection_update_poll(connection);
}

/* --- holding publishers back ---------------------------------------------------------------- */

void connection_hold(struct connection *connection, struct connection *receiver, bool is_brief) {
        if (connection->state_of_life != CONNECTION_OPEN || connection->is_broken ||
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

void connection_yield(struct connection *connection) {
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

/* --- the end ------------------------------------------------------------------------------ */

static void connection_free(struct connection *connection) {
        struct worker *worker = connection->worker;

        list_unlink(&connection->link);
        if (connection->handler->release && connection->state)
                connection->handler->release(connection);
        outbox_deinit(&connection->pending);
        block_unref(connection->kept);
        pthread_mutex_destroy(&connection->lock);
        instance_give_slot(worker->instance, connection->slot);
        listener_unref(connection->listener);
        free(connection);
        worker_connection_freed(worker);
}

static void connection_free_if_unused(struct connection *connection) {
        if (connection->is_grace_over && connection->n_pins == 0)
                connection_free(connection);
}

static void connection_on_grace_over(struct task *task) {
        struct connection *connection = container_of(task, struct connection, freeing);

        connection->is_grace_over = true;
        connection_free_if_unused(connection);
}

/* In a thread of liburcu. The mailbox keeps order: what others posted about this connection, while
 * they could still find it, comes before. */
static void connection_grace_over(struct reclaim_node *node) {
        struct connection *connection = container_of(node, struct connection, reclaim);

        connection->freeing.run = connection_on_grace_over;
        (void)mailbox_post(&connection->worker->mailbox, &connection->freeing);
}

static void connection_on_handle_closed(uv_handle_t *handle) {
        struct connection *connection = handle->data;

        if (--connection->n_handles > 0)
                return;
        worker_enter(connection->worker);
        reclaim_later(&connection->worker->reclaim, &connection->reclaim, connection_grace_over);
}

void connection_pin(struct connection *connection) {
        connection->n_pins++;
}

void connection_unpin(struct connection *connection) {
        connection->n_pins--;
        connection_free_if_unused(connection);
}

/* Tells the handler, once. */
static void connection_leave_handler(struct connection *connection, const char *reason) {
        if (connection->reason)
                return;
        connection->reason = reason;
        atomic_store_explicit(&connection->is_output_closed, true, memory_order_relaxed);
        connection->protocol_due_ms = 0;
        list_unlink(&connection->held_link);
        if (connection->state)
                connection->handler->closed(connection);
}

void connection_close(struct connection *connection, const char *reason) {
        struct worker *worker = connection->worker;

        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        connection_leave_handler(connection, reason);
        connection->state_of_life = CONNECTION_CLOSED;
        uv_close((uv_handle_t *)&connection->poll, connection_on_handle_closed);
        uv_close((uv_handle_t *)&connection->timer, connection_on_handle_closed);
        pthread_mutex_lock(&connection->lock);
        (void)close(connection->fd);
        connection->fd = -1;
        outbox_deinit(&connection->pending);
        pthread_mutex_unlock(&connection->lock);
        instance_hide_slot(worker->instance, connection->slot);
        atomic_fetch_sub_explicit(&worker->n_connections, 1, memory_order_relaxed);
        listener_disconnected(connection->listener);
}

/* Tells the peer that nothing more comes, unless something still waits for it. Nothing is sent
 * afterwards, whatever others have staged. Returns whether it was told. */
static bool connection_end_output(struct connection *connection) {
        pthread_mutex_lock(&connection->lock);
        connection->is_shut = outbox_is_empty(&connection->pending);
        if (connection->is_shut)
                connection->transport->end_output(connection->fd);
        pthread_mutex_unlock(&connection->lock);
        return connection->is_shut;
}

/* Goes one step further in ending: output has left, or input has ended. */
static void connection_advance_end(struct connection *connection) {
        uint64_t now = connection_now(connection);

        if (connection->state_of_life != CONNECTION_ENDING)
                return;
        if (!connection_end_output(connection)) {
                if (connection->end_due_ms == 0)
                        connection->end_due_ms = now + END_OUTPUT_MS;
        } else if (connection->is_end_of_input) {
                connection_close(connection, connection->reason);
                return;
        } else {
                connection->end_due_ms =
                        now + (strcmp(connection->reason, REASON_SHUTDOWN) == 0 ? END_INPUT_STOP_MS
                                                                                : END_INPUT_MS);
        }
        connection_arm(connection);
}

static void connection_on_ending(struct task *task) {
        struct connection *connection = container_of(task, struct connection, freeing);

        connection_unpin(connection);
        connection_advance_end(connection);
}

void connection_end(struct connection *connection, const char *reason) {
        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        connection->state_of_life = CONNECTION_ENDING;
        connection_leave_handler(connection, reason);
        connection->kept = block_unref(connection->kept);
        connection_update_poll(connection);
        /* After what is staged has been flushed. The task is free until the memory is freed. */
        connection_pin(connection);
        connection->freeing.run = connection_on_ending;
        worker_defer(connection->worker, &connection->freeing);
}

static void connection_on_attention(struct task *task) {
        struct connection *connection = container_of(task, struct connection, attention);
        const char *doom;
        bool is_waiting;

        pthread_mutex_lock(&connection->lock);
        connection->needs_attention = false;
        doom = connection->doom;
        is_waiting = connection->is_waiting;
        pthread_mutex_unlock(&connection->lock);
        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        if (doom && strcmp(doom, REASON_WRITE_ERROR) == 0)
                connection_read_last(connection, doom);
        else if (doom)
                connection_close(connection, doom);
        else if (is_waiting && !connection->is_polling_output)
                connection_continue_output(connection);
}

/* --- the beginning ------------------------------------------------------------------------ */

static struct connection *connection_new(struct worker *worker, struct listener *listener, int fd,
                                         const struct peer *peer) {
        struct connection *connection = calloc(1, sizeof(*connection));

        if (!connection)
                return NULL;
        pthread_mutex_init(&connection->lock, NULL);
        list_init(&connection->link);
        list_init(&connection->held_link);
        list_init(&connection->attention.link);
        list_init(&connection->freeing.link);
        connection->worker = worker;
        connection->transport = listener->transport;
        connection->handler = listener->handler;
        connection->fd = fd;
        connection->peer = *peer;
        return connection;
}

/* Makes the libuv handles; from then on the connection has to be closed, not just freed. */
static int connection_init_handles(struct connection *connection) {
        int r = uv_poll_init(&connection->worker->loop, &connection->poll, connection->fd);

        if (r < 0)
                return r;
        (void)uv_timer_init(&connection->worker->loop, &connection->timer);
        connection->poll.data = connection;
        connection->timer.data = connection;
        connection->n_handles = 2;
        return 0;
}

static int connection_register(struct connection *connection) {
        struct instance *instance = connection->worker->instance;
        int r = instance_take_slot(instance, connection, &connection->slot);

        if (r < 0)
                return r;
        r = connection_init_handles(connection);
        if (r < 0) {
                instance_hide_slot(instance, connection->slot);
                instance_give_slot(instance, connection->slot);
        }
        return r;
}

int connection_open(struct worker *worker, struct listener *listener, int fd,
                    const struct peer *peer) {
        struct connection *connection = connection_new(worker, listener, fd, peer);
        struct timespec now;
        int r = connection ? 0 : -ENOMEM;

        if (connection && worker->is_stopping)
                r = -ESHUTDOWN; /* it came after the others were closed */
        if (r >= 0) {
                connection->id = atomic_fetch_add_explicit(&worker->instance->last_id, 1,
                                                           memory_order_relaxed) +
                                 1;
                r = connection_register(connection);
        }
        if (r < 0) {
                (void)close(fd);
                free(connection);
                return r;
        }
        clock_gettime(CLOCK_REALTIME, &now);
        connection->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        connection->listener = listener_ref(listener);
        connection->last_input_ms = connection_now(connection);
        listener_connected(listener);
        list_append(&worker->connections, &connection->link);
        atomic_fetch_add_explicit(&worker->n_connections, 1, memory_order_relaxed);
        r = connection->handler->opened(connection);
        if (r < 0)
                connection_close(connection, REASON_READ_ERROR);
        else
                connection_update_poll(connection);
        return 0;
}
