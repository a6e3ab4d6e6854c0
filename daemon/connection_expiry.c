/* How long a connection may be idle, and there at all, as its listener has it. See connection.h.
 *
 * What uses a connection leaves a time behind; a timer that is due looks at that, and goes on if
 * there was something. So nothing is set anew for each byte.
 */
#include "daemon/connection_parts.h"

#include "daemon/handler.h"
#include "daemon/listener.h"
#include "lib/log.h"
#include "lib/protocol.h"

#include <stdio.h>

uint64_t connection_delivered_ms(struct connection *connection) {
        uint64_t delivered_ms;

        pthread_mutex_lock(&connection->lock);
        delivered_ms = connection->delivered_ms;
        pthread_mutex_unlock(&connection->lock);
        return delivered_ms;
}

static uint64_t later(uint64_t a, uint64_t b) {
        return a > b ? a : b;
}

/* When it was used last. What is under way is use, whatever it will be; so is what we do not take
 * yet, unless it is for the peer, or a target, to take something first. */
static uint64_t connection_used_ms(struct connection *connection) {
        uint64_t sent_ms = atomic_load_explicit(&connection->sent_ms, memory_order_relaxed);
        uint64_t bytes_ms = later(connection->last_input_ms, sent_ms);

        if (connection->paused & ~(unsigned)(PAUSE_OUTPUT | PAUSE_TARGET))
                return connection_now(connection);
        if (!connection->handler->used_ms || connection->kept || connection_pending(connection) > 0)
                return bytes_ms;
        return later(connection->begun_ms, connection->handler->used_ms(connection));
}

void connection_limit_time(struct connection *connection) {
        const struct admission *admission = &connection->listener->admission;
        uint64_t idle_ms = atomic_load(&admission->idle_timeout_ms);
        uint64_t max_ms = atomic_load(&admission->max_time_ms);

        /* Sessions have a timeout of their own. Whoever was there before may be idle already. */
        if (idle_ms > 0 && !connection->session)
                connection->idle_due_ms = connection->begun_ms + idle_ms;
        connection->time_due_ms = max_ms > 0 ? connection->begun_ms + max_ms : 0;
        connection_arm(connection);
}

static void log_expiry(const struct connection *connection) {
        static struct log_limit limit = {.burst = 20, .interval_ms = 10000};
        const struct peer *peer = &connection->peer;

        log_limited(&limit, LOG_LEVEL_INFO, "client %llu%s%s on listener \"%s\" ended: %s",
                    (unsigned long long)connection->id, peer->ip[0] ? " from " : "", peer->ip,
                    connection->listener->name, connection->reason);
}

static void connection_end_expired(struct connection *connection, enum time_limit why,
                                   const char *reason) {
        const struct handler *handler = connection->handler;

        /* NATS libraries connect again upon this, as upon an end without a word; any other error is
         * the last one for them. */
        if (why == TIME_LIMIT_IDLE && handler->complain && !connection_is_securing(connection))
                handler->complain(connection, ERROR_STALE_CONNECTION);
        connection_end(connection, reason);
        admission_count_expired(&connection->listener->admission, why);
        log_expiry(connection);
}

/* Whether it has been idle for too long; if not, when it will be. */
static bool connection_is_idle(struct connection *connection) {
        uint64_t now = connection_now(connection);
        uint64_t idle_ms = atomic_load(&connection->listener->admission.idle_timeout_ms);

        if (connection->idle_due_ms == 0 || connection->idle_due_ms > now)
                return false;
        connection->idle_due_ms = idle_ms > 0 ? connection_used_ms(connection) + idle_ms : 0;
        return idle_ms > 0 && connection->idle_due_ms <= now;
}

bool connection_expire(struct connection *connection) {
        uint64_t now = connection_now(connection);

        if (connection->state_of_life != CONNECTION_OPEN)
                return false;
        if (connection->time_due_ms != 0 && connection->time_due_ms <= now)
                connection_end_expired(connection, TIME_LIMIT_TOTAL, REASON_MAX_TIME);
        else if (connection_is_idle(connection))
                connection_end_expired(connection, TIME_LIMIT_IDLE, REASON_IDLE);
        else
                return false;
        return true;
}
