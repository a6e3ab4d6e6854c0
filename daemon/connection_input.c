/* What arrives on a connection: read, handed to the handler, and kept while it is incomplete or
 * paused. See connection.h. */
#include "daemon/connection_parts.h"

#include "daemon/block.h"
#include "daemon/handler.h"
#include "daemon/transport.h"
#include "lib/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* An incomplete operation longer than this is read straight into a block of its own. */
#define DIRECT_MIN (32 * 1024)
/* How much is read beyond its end: the line of the next operation. */
#define DIRECT_AHEAD (4 * 1024)
/* How much of the input of an ending connection is discarded: whoever sends more than that, though
 * nothing was under way, has not looked at what it got. */
#define DISCARD_MAX (64 * 1024)
/* What is left free behind it, for the handler. */
#define DIRECT_ROOM 2
/* How often a connection is read in a row when its transport has more than was received. */
#define TAKE_MAX 8
/* How often a broken socket is read for what is left in it. */
#define LAST_READS 64

/* Keeps what is incomplete. */
static int connection_keep_input(struct connection *connection, struct bytes rest, size_t needed) {
        struct block *block;

        if (rest.length == 0)
                return 0;
        block = block_new(needed > rest.length && needed > DIRECT_MIN ? needed + DIRECT_ROOM
                                                                      : rest.length);
        if (!block)
                return -ENOMEM;
        bytes_copy(block->data, rest);
        connection->kept = block;
        connection->n_kept = rest.length;
        connection->n_needed = needed;
        return 0;
}

/* What remains of the input has been kept, or does not count. Nobody else refers to it, as somebody
 * may to what the handler has taken. */
static void connection_wipe(const struct connection *connection, struct bytes rest) {
        if (connection->is_confidential)
                explicit_bzero((void *)(uintptr_t)rest.data, rest.length);
}

void connection_forget_input(struct connection *connection) {
        struct block *kept = connection->kept;

        if (kept)
                connection_wipe(connection, (struct bytes){kept->data, connection->n_kept});
        connection->kept = block_unref(kept);
        connection->n_kept = 0;
}

/* Hands input to the handler, and keeps what remains. */
static void connection_process(struct connection *connection, struct bytes input) {
        size_t needed = 0;

        if (connection->state_of_life == CONNECTION_OPEN && connection->paused == 0)
                needed = connection->handler->input(connection, &input);
        if (connection->state_of_life == CONNECTION_OPEN &&
            connection_keep_input(connection, input, needed) < 0) {
                log_warning("client %llu: no memory for its input",
                            (unsigned long long)connection->id);
                connection_close(connection, REASON_READ_ERROR);
        }
        connection_wipe(connection, input);
}

/* Reads the rest of a long operation straight behind its beginning. Returns what receive
 * returned. */
static ssize_t connection_read_direct(struct connection *connection, struct block *ahead) {
        struct block *kept = connection->kept;
        size_t missing = connection->n_needed - connection->n_kept;
        struct iovec iov[2] = {{kept->data + connection->n_kept, missing},
                               {ahead->data, DIRECT_AHEAD}};
        ssize_t n = connection->transport->receive(connection, iov, 2);

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
        connection_forget_input(connection);
        return n;
}

static ssize_t connection_read_buffered(struct connection *connection, struct block *block) {
        size_t n_kept = connection_unkeep(connection, block);
        struct iovec iov = {block->data + n_kept, block->capacity - n_kept};
        ssize_t n = connection->transport->receive(connection, &iov, 1);
        struct bytes kept = {block->data, n_kept};

        connection->input_block = block;
        if (n > 0) {
                connection_process(connection, (struct bytes){block->data, n_kept + (size_t)n});
                return n;
        }
        if (connection_keep_input(connection, kept, 0) < 0)
                n = -ENOMEM;
        connection_wipe(connection, kept);
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
        worker_turn_over(connection->worker, n > 0 ? (size_t)n : 0);
        return n;
}

/* Reads and drops what an ending connection still gets. */
static void connection_discard(struct connection *connection) {
        struct block *block = worker_input(connection->worker);
        struct iovec iov = {block ? block->data : NULL, block ? block->capacity : 0};
        ssize_t n = block ? connection->transport->receive(connection, &iov, 1) : -ENOMEM;

        if (n > 0) {
                connection->n_discarded += (size_t)n;
                if (connection->n_discarded >= DISCARD_MAX && connection->is_shut &&
                    !connection->is_talking)
                        connection_finish_end(connection);
        } else if (n != -EAGAIN && n != -EMSGSIZE) {
                connection->is_end_of_input = true;
                connection_advance_end(connection);
        }
}

/* Tells the handler, once, that nothing more comes. */
static void connection_finish_input(struct connection *connection) {
        struct block *rest = connection->kept;

        if (connection->is_finished)
                return;
        connection->is_finished = true;
        connection->kept = NULL;
        connection->handler->finished(connection, (struct bytes){rest ? rest->data : NULL,
                                                                 rest ? connection->n_kept : 0});
        block_unref(rest);
        connection_update_poll(connection);
}

/* What a read returned that gave no bytes. */
static void connection_input_ended(struct connection *connection, ssize_t n) {
        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        connection->is_end_of_input = true;
        if (connection->paused != 0) {
                /* What was read before still waits; it will come here again. */
                connection_update_poll(connection);
                return;
        }
        if (n == -EDQUOT)
                connection_end_flood(connection);
        else if (n < 0)
                connection_close(connection, REASON_READ_ERROR);
        else if (connection->handler->finished)
                connection_finish_input(connection);
        else
                connection_end(connection, REASON_CLIENT_CLOSED);
}

void connection_read_last(struct connection *connection, const char *reason) {
        ssize_t n = 1;

        connection->is_broken = true;
        connection_resume(connection, PAUSE_HELD);
        connection_resume(connection, PAUSE_YIELD);
        for (unsigned i = 0; i < LAST_READS && (n > 0 || n == -EMSGSIZE); i++) {
                if (connection->state_of_life != CONNECTION_OPEN || connection->paused != 0)
                        break;
                n = connection_read(connection);
        }
        connection_close(connection, n == 0 ? REASON_CLIENT_CLOSED : reason);
}

/* Whether something is there that polling does not tell of, and may be taken. */
static bool connection_has_buffered(const struct connection *connection) {
        return connection->state_of_life == CONNECTION_OPEN && connection->paused == 0 &&
               !connection->is_end_of_input && connection->transport->has_buffered &&
               connection->transport->has_buffered(connection);
}

/* Reads once, and deals with what came. */
static void connection_take_once(struct connection *connection) {
        ssize_t n = connection_read(connection);

        if (n == -EMSGSIZE)
                connection->handler->oversized(connection);
        else if (n <= 0 && n != -EAGAIN)
                connection_input_ended(connection, n);
}

void connection_take_input(struct connection *connection) {
        if (connection->is_end_of_input)
                return;
        if (connection->state_of_life == CONNECTION_ENDING) {
                connection_discard(connection);
                return;
        }
        if (connection->state_of_life != CONNECTION_OPEN || connection->paused != 0 ||
            connection_is_in_debt(connection))
                return;
        connection_take_once(connection);
        for (unsigned i = 1; i < TAKE_MAX && connection_has_buffered(connection); i++)
                connection_take_once(connection);
        if (connection_has_buffered(connection))
                connection_yield(connection, NULL);
        if (connection->transport->events)
                connection_update_poll(connection);
}

void connection_take_frame(struct connection *connection, struct bytes frame) {
        connection->last_input_ms = connection_now(connection);
        connection_process(connection, frame);
        worker_turn_over(connection->worker, frame.length);
}

void connection_pause(struct connection *connection, enum connection_pause why) {
        connection->paused |= why;
        connection_update_poll(connection);
}

void connection_want_writable(struct connection *connection, bool is_wanted) {
        connection->wants_writable = is_wanted;
        connection_update_poll(connection);
}

void connection_await_output(struct connection *connection) {
        connection_pause(connection, PAUSE_OUTPUT);
        connection_want_writable(connection, true);
}

void connection_resume_input(struct connection *connection) {
        connection_want_writable(connection, false);
        connection_resume(connection, PAUSE_OUTPUT);
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
        if (connection_has_buffered(connection))
                connection_take_input(connection);
        connection_update_poll(connection);
}
