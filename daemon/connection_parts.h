/* What the parts of a connection need of each other: connection.c (its life), connection_input.c,
 * connection_output.c, connection_departure.c, connection_expiry.c and connection_tls.c. All of it
 * is for the connection's own worker.
 */
#pragma once

#include "daemon/connection.h"

static inline uint64_t connection_now(const struct connection *connection) {
        return uv_now(&connection->worker->loop);
}

/* Sets the timer to the earliest of what is due. */
void connection_arm(struct connection *connection);

/* Polls for what the connection waits for. */
void connection_update_poll(struct connection *connection);

/* The socket is readable. */
void connection_take_input(struct connection *connection);

/* Frees what was kept of the input. */
void connection_forget_input(struct connection *connection);

/* The socket is broken or its output is: takes what is left in it, and closes. */
void connection_read_last(struct connection *connection, const char *reason);

/* The socket is writable again, or shall be watched for that. */
void connection_continue_output(struct connection *connection);

/* Under the lock. Something has left. Any worker. */
void connection_note_sent(struct worker *worker, struct connection *connection, size_t n_bytes);

/* Under the lock. What waits has changed: counts it, if it is for a datagram peer, with what waits
 * for the others of the listener. Any worker. */
void connection_count_pending(struct connection *connection);

/* Counts what is flushed as the worker's. Any worker. */
void connection_count_output(struct worker *worker, const struct stage *stage);

/* Ends it if it was idle for too long, or is there for too long. Returns whether it has ended. */
bool connection_expire(struct connection *connection);

/* TLS, where the listener has it: before the handler knows of the connection, and once it has said
 * what comes first. Returns 0 or a negative errno. */
int connection_prepare_tls(struct connection *connection);
void connection_begin_tls(struct connection *connection);

/* Whether it is not decided yet what the peer speaks, or the handshake is under way: the handler
 * gets nothing, and what it says waits. */
bool connection_is_securing(const struct connection *connection);

/* Meanwhile: what to poll for, what was polled, and that there is no more time. */
int connection_tls_events(const struct connection *connection);
void connection_continue_tls(struct connection *connection, int events);
void connection_give_up_tls(struct connection *connection);

/* The peer sends records of TLS without data, and nothing else. */
void connection_end_flood(struct connection *connection);

/* The connection is closed. */
void connection_abandon_tls(struct connection *connection);

/* It is time for an ending connection to be closed, unless what was sent is still under way. */
void connection_finish_end(struct connection *connection);

/* Goes one step further in ending: output has left, or input has ended. */
void connection_advance_end(struct connection *connection);

/* Whether its source has sent too much, over other connections perhaps. Then it waits until that is
 * in order again. */
bool connection_is_in_debt(struct connection *connection);
