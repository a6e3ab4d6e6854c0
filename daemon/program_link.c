/* Links between programs and connections. See program_link.h. */
#include "daemon/program_link.h"

#include "daemon/block.h"
#include "daemon/connection.h"
#include "daemon/transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void link_on_poll(uv_poll_t *poll, int status, int events);

static void wait_for(struct program_link *link, int events) {
        if (events == link->events)
                return;
        link->events = events;
        if (events == 0)
                (void)uv_poll_stop(&link->poll);
        else
                (void)uv_poll_start(&link->poll, events, link_on_poll);
}

/* --- to the program --------------------------------------------------------------------------- */

/* Returns how much it took. */
static size_t offer(struct program_link *link, struct bytes bytes) {
        ssize_t n = send(link->fd, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
                return (size_t)n;
        link->takes_no_input = errno != EAGAIN && errno != EINTR;
        return link->takes_no_input ? bytes.length : 0;
}

void program_link_input(struct program_link *link, struct bytes *input) {
        size_t n = link->takes_no_input || link->fd < 0 ? input->length : offer(link, *input);

        input->data += n;
        input->length -= n;
        if (input->length == 0)
                return;
        link->is_full = true;
        connection_pause(link->connection, PAUSE_TARGET);
        wait_for(link, link->events | UV_WRITABLE);
}

void program_link_finished(struct program_link *link) {
        if (link->fd >= 0)
                (void)shutdown(link->fd, SHUT_WR);
}

/* --- from the program ------------------------------------------------------------------------- */

static void end_output(struct program_link *link) {
        struct connection *connection = link->connection;

        link->is_output_ended = true;
        connection_want_writable(connection, false);
        wait_for(link, link->events & ~UV_READABLE);
        if (link->is_program_over)
                link->drained(link);
        else
                connection_end_output(connection);
}

/* The connection has to take what came before more is read. */
static void pass_on(struct program_link *link, struct bytes bytes) {
        struct connection *connection = link->connection;

        connection_write(connection->worker, connection, bytes);
        counter_add(&connection->worker->stats.out_bytes, bytes.length);
        wait_for(link, link->events & ~UV_READABLE);
        connection_want_writable(connection, true);
}

/* Of records their whole length is to be told, which has no meaning elsewhere. */
static int flags_of(const struct program_link *link) {
        return link->connection->transport->keeps_boundaries ? MSG_DONTWAIT | MSG_TRUNC
                                                             : MSG_DONTWAIT;
}

static bool is_too_long(const struct program_link *link, size_t length, size_t capacity) {
        return length > capacity || (link->connection->transport->keeps_boundaries &&
                                     length > link->connection->max_frame);
}

/* Reads what the program says, when nothing of it waits. */
static void read_output(struct program_link *link) {
        struct block *block = worker_input(link->connection->worker);
        ssize_t n;

        if (link->is_output_ended || link->fd < 0)
                return;
        n = block ? recv(link->fd, block->data, block->capacity, flags_of(link)) : -1;
        if (n > 0 && is_too_long(link, (size_t)n, block->capacity)) {
                link->cut(link);
        } else if (n > 0) {
                pass_on(link, (struct bytes){block->data, (size_t)n});
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR) && !link->is_program_over) {
                connection_want_writable(link->connection, false);
                wait_for(link, link->events | UV_READABLE);
        } else {
                end_output(link);
        }
}

void program_link_writable(struct program_link *link) {
        read_output(link);
}

static void link_on_poll(uv_poll_t *poll, int status, int events) {
        struct program_link *link = poll->data;

        worker_enter(link->connection->worker);
        if (link->is_full && (status < 0 || events & UV_WRITABLE)) {
                link->is_full = false;
                wait_for(link, link->events & ~UV_WRITABLE);
                connection_resume(link->connection, PAUSE_TARGET);
        }
        if (link->fd >= 0 && (status < 0 || events & UV_READABLE))
                read_output(link);
}

/* --- beginning and end ------------------------------------------------------------------------ */

int program_link_open(struct program_link *link, struct connection *connection) {
        int type = connection->transport->keeps_boundaries ? SOCK_SEQPACKET : SOCK_STREAM;
        int ends[2];

        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return -errno;
        if (uv_poll_init(&connection->worker->loop, &link->poll, ends[0]) < 0) {
                (void)close(ends[0]);
                (void)close(ends[1]);
                return -ENOMEM;
        }
        link->connection = connection;
        link->fd = ends[0];
        link->end = ends[1];
        link->poll.data = link;
        return 0;
}

static void close_end(struct program_link *link) {
        if (link->end >= 0)
                (void)close(link->end);
        link->end = -1;
}

void program_link_begin(struct program_link *link) {
        close_end(link);
        wait_for(link, UV_READABLE);
}

void program_link_finish(struct program_link *link) {
        link->is_program_over = true;
        if (link->is_output_ended)
                link->drained(link);
        else if (link->events & UV_READABLE)
                read_output(link);
}

static void link_on_closed(uv_handle_t *handle) {
        struct program_link *link = handle->data;

        worker_enter(link->connection->worker);
        link->freed(link);
}

void program_link_close(struct program_link *link) {
        if (link->is_closing)
                return;
        link->is_closing = true;
        (void)uv_poll_stop(&link->poll);
        (void)close(link->fd);
        link->fd = -1;
        close_end(link);
        uv_close((uv_handle_t *)&link->poll, link_on_closed);
}
