/* TLS towards a target. See upstream_parts.h and tls.h.
 *
 * As that of a listener (connection_tls.c): the handshake in steps, each computed by a thread of
 * libuv's pool; afterwards OpenSSL reads and writes the socket. Only the connection's worker does
 * so, and so there is no lock.
 */
#include "daemon/upstream_parts.h"

#include "daemon/block.h"
#include "daemon/config_handler.h"
#include "daemon/connection.h"
#include "daemon/tls.h"
#include "daemon/tls_context.h"

#include <errno.h>
#include <string.h>

/* --- the handshake -------------------------------------------------------------------------------
 */

static struct upstream_socket *socket_of(struct job *job) {
        return container_of(job, struct upstream_socket, job);
}

static void compute(struct job *job) {
        tls_take_step(socket_of(job)->tls);
}

static bool is_step_wanted(struct job *job) {
        return socket_of(job)->upstream != NULL;
}

static void on_computed(struct job *job);

static void take_step(struct upstream_socket *socket) {
        struct connection *connection = socket->connection;

        upstream_await(socket->upstream, 0);
        socket->job =
                (struct job){.run = compute, .done = on_computed, .is_wanted = is_step_wanted};
        socket->is_working = true;
        socket->n_uses++;
        connection_pin(connection);
        /* In turn with those towards other targets of the same source. */
        job_begin(&socket->job, connection->worker, &connection->worker->quick_jobs,
                  connection->source * 31 + 1);
}

static void finish(struct upstream_socket *socket) {
        socket->tls->phase = TLS_ESTABLISHED;
        socket->tls->fd = socket->fd;
        upstream_on_secured(socket->upstream, NULL);
}

/* A step was computed: does what follows from it. */
static void apply_step(struct upstream_socket *socket) {
        struct tls *tls = socket->tls;
        int r = tls_send_queue(tls, socket->fd);

        if (tls->step == TLS_STEP_FAILED)
                upstream_on_secured(socket->upstream, tls->failure);
        else if (r < 0 && r != -EAGAIN)
                upstream_on_secured(socket->upstream, "it ended the TLS handshake");
        else if (r == -EAGAIN)
                upstream_await(socket->upstream, UV_WRITABLE);
        else if (tls->step == TLS_STEP_DONE)
                finish(socket);
        else
                upstream_await(socket->upstream, UV_READABLE);
}

static void on_computed(struct job *job) {
        struct upstream_socket *socket = socket_of(job);
        struct connection *connection = socket->connection;

        socket->is_working = false;
        if (socket->upstream && job->is_dropped)
                upstream_on_secured(socket->upstream, "there is no memory for TLS");
        else if (socket->upstream)
                apply_step(socket);
        upstream_socket_release(socket);
        connection_unpin(connection);
}

static void read_more(struct upstream_socket *socket) {
        struct block *block = worker_input(socket->connection->worker);
        ssize_t n = block ? recv(socket->fd, block->data, TLS_RECORD_MAX, 0) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || tls_queue_append(&socket->tls->in, block->data, (size_t)n) < 0)
                upstream_on_secured(socket->upstream, "it ended the TLS handshake");
        else
                take_step(socket);
}

int upstream_secure(struct upstream *upstream) {
        struct tls_context *context = tls_context_ref(upstream->connection->settings->forward.tls);
        const struct targets *targets = upstream->connection->settings->forward.targets;
        struct upstream_socket *socket = upstream->socket;

        socket->tls = tls_new(context, upstream->connection);
        if (!socket->tls) {
                tls_context_unref(context);
                return -ENOMEM;
        }
        socket->tls->host =
                context->name ? context->name
                              : targets->all[upstream->turn.order[upstream->n_turned]].address.host;
        take_step(socket);
        return 0;
}

void upstream_continue_securing(struct upstream *upstream, int events) {
        struct upstream_socket *socket = upstream->socket;

        if (socket->is_working)
                return;
        if (tls_queue_length(&socket->tls->out) > 0)
                apply_step(socket);
        else
                read_more(socket);
}

/* --- afterwards ----------------------------------------------------------------------------------
 */

/* Reads until there is no room, or nothing more. */
ssize_t upstream_tls_receive(struct upstream_socket *socket, char *bytes, size_t n_bytes) {
        struct tls *tls = socket->tls;
        size_t n_read = 0;
        ssize_t n;

        while (n_read < n_bytes) {
                n = tls_read(tls, bytes + n_read, n_bytes - n_read);
                if (n <= 0)
                        return n_read > 0 ? (ssize_t)n_read : n;
                n_read += (size_t)n;
                /* Asking the socket again would mostly only tell that it has nothing. */
                if (tls->is_drained)
                        break;
        }
        return (ssize_t)n_read;
}

bool upstream_tls_has_buffered(const struct upstream_socket *socket) {
        return !socket->tls->is_drained;
}

ssize_t upstream_tls_send(struct upstream_socket *socket, struct bytes bytes) {
        return tls_write(socket->tls, bytes.data, bytes.length);
}

void upstream_tls_end_output(struct upstream_socket *socket) {
        tls_end_output(socket->tls);
}

int upstream_tls_events(const struct upstream_socket *socket, int wanted) {
        return tls_events(socket->tls, wanted);
}
