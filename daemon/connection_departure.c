/* What leaves for several peers of one listener that has no connections: one system call for all of
 * them. See connection.h.
 *
 * A request and its reply are a datagram each, to a peer each, and by itself each costs a third
 * more to send. So those that stand next to each other in a batch, and have one frame each, depart
 * together; anybody else by himself, as ever. The order is the same.
 */
#include "daemon/connection_parts.h"

#include "daemon/session.h"
#include "daemon/transport.h"

/* Whether a stage may depart with the first. It keeps its lock then. */
static bool connection_join(const struct stage *first, const struct stage *stage) {
        struct connection *connection = stage->connection;

        if (connection->listener != first->connection->listener ||
            outbox_count_frames(&stage->outbox) != 1)
                return false;
        /* Nobody waits for a lock while he has another. */
        if (pthread_mutex_trylock(&connection->lock) != 0)
                return false;
        if (connection->fd >= 0 && !connection->doom && !connection->is_shut &&
            outbox_is_empty(&connection->pending) && connection->session->is_kept &&
            !session_needs_proof(connection->session))
                return true;
        pthread_mutex_unlock(&connection->lock);
        return false;
}

/* Under the lock. Counts what has left. */
static void connection_departed(struct worker *worker, const struct stage *stage) {
        struct connection *connection = stage->connection;

        connection_count_output(worker, stage);
        connection->out_messages += stage->n_messages;
        connection->out_bytes += stage->n_payload_bytes;
        connection_note_sent(worker, connection, stage->outbox.n_bytes);
        session_sent(connection->session, 1);
}

/* Sends those of the first stages that can leave together. Returns how many have left. */
static unsigned connections_depart(struct worker *worker, struct stage *const *stages,
                                   unsigned n_stages) {
        unsigned n = 0;
        int n_sent = 0;

        while (n < n_stages && n < SEND_EACH_MAX && connection_join(stages[0], stages[n]))
                n++;
        if (n > 1)
                n_sent = stages[0]->connection->transport->send_each(stages, n);
        for (unsigned i = 0; i < n; i++) {
                if ((int)i < n_sent)
                        connection_departed(worker, stages[i]);
                pthread_mutex_unlock(&stages[i]->connection->lock);
        }
        return n_sent > 0 ? (unsigned)n_sent : 0;
}

unsigned connections_flush(struct worker *worker, struct stage *const *stages, unsigned n_stages) {
        unsigned n = 0;

        if (n_stages > 1 && stages[0]->connection->transport->send_each)
                n = connections_depart(worker, stages, n_stages);
        for (unsigned i = 0; i < n; i++)
                stages_remove(&worker->stages, stages[i], stages[i]->connection->slot);
        if (n > 0)
                return n;
        /* By itself, as nobody can go with it; or something is wrong with it, which shows again. */
        connection_flush(worker, stages[0]);
        return 1;
}
