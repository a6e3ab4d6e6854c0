/* TLS around a byte stream. See transport.h and tls.h.
 *
 * A record costs a system call and some work, so small ranges of an outbox are gathered to one.
 * What the socket does not take of a record waits in tls->out, and what it was made of in the outbox
 * until it has left; as the outbox only grows at its end meanwhile, the next try begins with the
 * same bytes.
 */
#include "daemon/transport.h"

#include "daemon/connection.h"
#include "daemon/outbox.h"
#include "daemon/tls.h"

#include <errno.h>
#include <string.h>

/* Records that are read at a time: of small ones, of which each costs as much as a large message,
 * others would have to wait for a whole block. */
#define RECORDS_MAX 128
/* Ranges that are gathered to one record. */
#define GATHER_RANGES 64

/* Reads until the ranges are full, or there is nothing more, or it were many records. Under the
 * lock. */
static ssize_t read_ranges(struct tls *tls, const struct iovec *iov, size_t n_iov) {
        uint64_t n_records = tls->n_records;
        ssize_t n = 0, n_read = 0;

        for (size_t i = 0; i < n_iov; i++) {
                for (size_t used = 0; used < iov[i].iov_len; used += (size_t)n) {
                        n = tls_read(tls, (char *)iov[i].iov_base + used, iov[i].iov_len - used);
                        if (n <= 0)
                                return n_read > 0 ? n_read : n;
                        n_read += n;
                        /* Asking the socket again would mostly only tell that it has nothing. */
                        if (tls->is_drained || tls->n_records - n_records >= RECORDS_MAX)
                                return n_read;
                }
        }
        return n_read;
}

static ssize_t tls_receive(struct connection *connection, struct iovec *iov, size_t n_iov) {
        ssize_t n;

        /* What an ending connection still gets is dropped, whatever it means. */
        if (connection->state_of_life != CONNECTION_OPEN)
                return transport_stream.receive(connection, iov, n_iov);
        pthread_mutex_lock(&connection->lock);
        n = read_ranges(connection->tls, iov, n_iov);
        pthread_mutex_unlock(&connection->lock);
        return n;
}

/* Copies the beginning of the outbox, up to a record. */
static struct bytes gather(const struct iovec *iov, size_t n_iov, char record[TLS_RECORD_MAX]) {
        size_t length = 0;

        for (size_t i = 0; i < n_iov && length < TLS_RECORD_MAX; i++) {
                size_t n = iov[i].iov_len, room = TLS_RECORD_MAX - length;

                if (n > room)
                        n = room;
                memcpy(record + length, iov[i].iov_base, n);
                length += n;
        }
        return (struct bytes){record, length};
}

static ssize_t tls_send(struct connection *connection, struct outbox *outbox) {
        struct tls *tls = connection->tls;
        ssize_t n_sent = 0;

        /* Until then it waits. */
        if (tls->phase != TLS_ESTABLISHED)
                return 0;
        while (!outbox_is_empty(outbox)) {
                struct iovec iov[GATHER_RANGES];
                size_t n_iov = outbox_peek(outbox, iov, GATHER_RANGES);
                struct bytes bytes = {iov[0].iov_base, iov[0].iov_len};
                char record[TLS_RECORD_MAX];
                ssize_t n;

                if (bytes.length < TLS_RECORD_MAX && n_iov > 1)
                        bytes = gather(iov, n_iov, record);
                n = tls_write(tls, bytes.data, bytes.length);
                if (n == -EAGAIN)
                        break;
                if (n < 0)
                        return n;
                outbox_consume(outbox, (size_t)n);
                n_sent += n;
        }
        return n_sent;
}

static void tls_end(struct connection *connection) {
        pthread_mutex_lock(&connection->lock);
        if (connection->tls->phase == TLS_ESTABLISHED)
                tls_end_output(connection->tls);
        pthread_mutex_unlock(&connection->lock);
        transport_stream.end_output(connection);
}

static bool tls_is_delivered(int fd) {
        return transport_stream.is_delivered(fd);
}

static bool tls_has_input(int fd) {
        return transport_stream.has_input(fd);
}

static bool tls_has_buffered(const struct connection *connection) {
        return connection->tls->phase == TLS_ESTABLISHED && !connection->tls->is_drained;
}

static int tls_poll_events(const struct connection *connection, int wanted) {
        return tls_events(connection->tls, wanted);
}

const struct transport transport_tls = {
        .name = "tls",
        .receive = tls_receive,
        .send = tls_send,
        .end_output = tls_end,
        .is_delivered = tls_is_delivered,
        .has_input = tls_has_input,
        .has_buffered = tls_has_buffered,
        .events = tls_poll_events,
};
