/* The life of a connection: opening, timers, polling, ending, freeing. See connection.h. */
#include "daemon/connection_parts.h"

#include "daemon/block.h"
#include "daemon/handler.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/session.h"
#include "daemon/tls.h"
#include "daemon/transport.h"
#include "lib/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* How long output may take to leave when a connection ends. */
#define END_OUTPUT_MS 2000
/* Then input is discarded, since closing while there is some resets the connection, and the peer
 * would not see what was sent last: until that has been delivered, for so long at most, */
#define END_DELIVERY_MS 1000
/* or so long when the server stops, */
#define END_DELIVERY_STOP_MS 200
/* and a little longer, for the peer to notice and to end it by itself. */
#define END_NOTICE_MS 10

/* --- timers ------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b) {
        if (a == 0 || b == 0)
                return a + b;
        return a < b ? a : b;
}

void connection_arm(struct connection *connection) {
        uint64_t due = earlier(connection->end_due_ms, connection->rate_due_ms);

        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        if (connection->session)
                due = earlier(due, connection->session->retry_due_ms);
        due = earlier(due, earlier(connection->idle_due_ms, connection->time_due_ms));
        if (connection_is_securing(connection))
                due = earlier(due, connection->tls->due_ms);
        else
                due = earlier(due, earlier(connection->protocol_due_ms, connection->write_due_ms));
        timers_set(&connection->worker->timers, &connection->timer, due);
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

/* Whether closing now would take something from the peer that it can still get. */
static bool connection_needs_time(const struct connection *connection) {
        const struct transport *transport = connection->transport;

        return !transport->is_delivered(connection->fd) ||
               (connection->is_talking && transport->has_input(connection->fd));
}

void connection_finish_end(struct connection *connection) {
        uint64_t now = connection_now(connection);

        if (connection->is_shut && now < connection->end_limit_ms &&
            connection_needs_time(connection)) {
                connection->end_due_ms = now + END_NOTICE_MS;
                connection_arm(connection);
                return;
        }
        connection_close(connection, connection->reason);
}

void connection_on_timer(struct timer *timer) {
        struct connection *connection = container_of(timer, struct connection, timer);
        uint64_t now = connection_now(connection);

        worker_enter(connection->worker);
        if (is_due(&connection->end_due_ms, now)) {
                connection_finish_end(connection);
                return;
        }
        if (connection_expire(connection))
                return;
        if (connection_is_securing(connection)) {
                /* What the handler waits for has not begun. */
                if (is_due(&connection->tls->due_ms, now))
                        connection_give_up_tls(connection);
                else
                        connection_arm(connection);
                return;
        }
        if (is_due(&connection->write_due_ms, now)) {
                connection_close(connection, REASON_SLOW_DEADLINE);
                return;
        }
        if (is_due(&connection->rate_due_ms, now)) {
                connection_resume(connection, PAUSE_RATE);
                if (connection->state_of_life == CONNECTION_CLOSED)
                        return;
        }
        if (connection->session && is_due(&connection->session->retry_due_ms, now)) {
                connection_continue_output(connection);
                if (connection->state_of_life == CONNECTION_CLOSED)
                        return;
        }
        if (is_due(&connection->protocol_due_ms, now) &&
            connection->state_of_life == CONNECTION_OPEN)
                connection->handler->deadline(connection);
        connection_arm(connection);
}

/* --- polling ------------------------------------------------------------------------------ */

static void connection_on_poll(uv_poll_t *poll, int status, int events);

/* It has none at first; of a datagram peer the endpoint polls. */
static bool connection_has_poll(const struct connection *connection) {
        return connection->poll.data != NULL;
}

/* Whether its handler moves the bytes; when it ends, nobody does. */
static bool connection_is_taken(const struct connection *connection) {
        return connection->is_taken && connection->state_of_life == CONNECTION_OPEN;
}

void connection_update_poll(struct connection *connection) {
        bool wants_input =
                connection->state_of_life == CONNECTION_ENDING || connection->paused == 0;
        int events = 0;

        if (connection->state_of_life == CONNECTION_CLOSED || !connection_has_poll(connection))
                return;
        if (wants_input && !connection->is_end_of_input)
                events |= UV_READABLE;
        if (connection->is_polling_output || connection->wants_writable)
                events |= UV_WRITABLE;
        if (connection_is_taken(connection))
                events = wants_input ? connection->awaited : connection->awaited & ~UV_READABLE;
        connection->wanted = events;
        if (connection_is_securing(connection))
                events = connection->wanted = connection_tls_events(connection);
        else if (connection->transport->events)
                events = connection->transport->events(connection, events);
        /* Who has gone need not be identified. */
        if ((connection->paused & PAUSE_LOGIN) && !connection->is_end_of_input &&
            !connection->is_hung_up)
                events |= UV_DISCONNECT;
        if (events == connection->polled)
                return;
        connection->polled = events;
        if (events == 0)
                (void)uv_poll_stop(&connection->poll);
        else
                (void)uv_poll_start(&connection->poll, events, connection_on_poll);
}

/* Whether the handler waits for the socket, and nothing else does. */
static bool connection_may_write(struct connection *connection) {
        return connection->wants_writable && connection->state_of_life == CONNECTION_OPEN &&
               connection_pending(connection) == 0;
}

/* The peer has ended its input, or more, while it was being found out who it is. */
static void connection_hung_up(struct connection *connection) {
        connection->is_hung_up = true;
        if (connection->state_of_life == CONNECTION_OPEN && connection_is_deserted(connection))
                connection_close(connection, REASON_CLIENT_CLOSED);
        else
                connection_update_poll(connection);
}

void connection_take_socket(struct connection *connection) {
        connection->is_taken = true;
        connection->awaited = 0;
        connection_update_poll(connection);
}

void connection_await_socket(struct connection *connection, int events) {
        connection->awaited = events;
        connection_update_poll(connection);
}

static void connection_on_taken_ready(struct connection *connection, int events) {
        if ((events & UV_READABLE) && connection_is_in_debt(connection))
                events &= ~UV_READABLE;
        if (events != 0)
                connection->handler->ready(connection, events);
}

static void connection_on_poll(uv_poll_t *poll, int status, int events) {
        struct connection *connection = poll->data;

        worker_enter(connection->worker);
        if (status < 0) {
                connection->polled = 0;
                if (connection_is_securing(connection))
                        connection_close(connection, REASON_TLS);
                else if (connection_is_taken(connection))
                        connection->handler->ready(connection, 0);
                else
                        connection_read_last(connection, REASON_READ_ERROR);
                return;
        }
        if (connection_is_securing(connection)) {
                connection_continue_tls(connection, events);
                return;
        }
        if (connection_is_taken(connection)) {
                connection_on_taken_ready(connection, events);
                return;
        }
        if (events & UV_DISCONNECT) {
                connection_hung_up(connection);
                if (connection->state_of_life == CONNECTION_CLOSED)
                        return;
        }
        if ((connection->polled & ~UV_DISCONNECT) != connection->wanted)
                events = connection->wanted;
        if ((events & UV_WRITABLE) && connection->is_polling_output)
                connection_continue_output(connection);
        else if ((events & UV_WRITABLE) && connection_may_write(connection))
                connection->handler->writable(connection);
        if (events & UV_READABLE)
                connection_take_input(connection);
}

/* --- the end ------------------------------------------------------------------------------ */

static void connection_free(struct connection *connection) {
        struct worker *worker = connection->worker;

        list_unlink(&connection->link);
        if (connection->client)
                connection->handler->release(connection);
        tls_free(connection->tls);
        outbox_deinit(&connection->pending);
        connection_forget_input(connection);
        pthread_mutex_destroy(&connection->lock);
        instance_give_slot(worker->instance, connection->slot);
        listener_unref(connection->listener);
        config_handler_unref(connection->settings);
        session_free(connection->session);
        peer_facts_free(connection->facts);
        free(connection);
        worker_turn_over(worker, sizeof(*connection));
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

/* Its own worker is done with it. */
static void connection_retire(struct connection *connection) {
        worker_enter(connection->worker);
        reclaim_later(&connection->worker->reclaim, &connection->reclaim, connection_grace_over);
}

static void connection_on_poll_closed(uv_handle_t *poll) {
        connection_retire(poll->data);
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
        connection->protocol_due_ms = connection->idle_due_ms = connection->time_due_ms = 0;
        connection->wants_writable = false;
        list_unlink(&connection->held_link);
        connection_forget_input(connection);
        if (connection->client)
                connection->handler->closed(connection);
}

/* It does not count any more. */
static void connection_leave_listener(struct connection *connection) {
        struct listener *listener = connection->listener;

        if (connection->session) {
                session_detach(connection->session);
                return;
        }
        if (connection->place.refusal == REFUSAL_NONE)
                listener_disconnected(listener);
        admission_leave(&listener->admission, &connection->place);
}

void connection_close(struct connection *connection, const char *reason) {
        struct worker *worker = connection->worker;

        if (connection->state_of_life == CONNECTION_CLOSED)
                return;
        connection_leave_handler(connection, reason);
        connection->state_of_life = CONNECTION_CLOSED;
        connection_abandon_tls(connection);
        timers_remove(&worker->timers, &connection->timer);
        if (connection_has_poll(connection))
                uv_close((uv_handle_t *)&connection->poll, connection_on_poll_closed);
        else
                connection_retire(connection);
        pthread_mutex_lock(&connection->lock);
        if (!connection->session)
                (void)close(connection->fd);
        connection->fd = -1;
        outbox_deinit(&connection->pending);
        connection_count_pending(connection);
        pthread_mutex_unlock(&connection->lock);
        instance_hide_slot(worker->instance, connection->slot);
        if (connection->is_kept)
                atomic_fetch_sub_explicit(&worker->n_connections, 1, memory_order_relaxed);
        connection_leave_listener(connection);
}

/* Ends output, unless something still waits: nothing is sent afterwards, whatever others have
 * staged. Returns whether it has ended. */
static bool connection_shut(struct connection *connection) {
        pthread_mutex_lock(&connection->lock);
        connection->is_shut = outbox_is_empty(&connection->pending);
        pthread_mutex_unlock(&connection->lock);
        return connection->is_shut;
}

void connection_end_output(struct connection *connection) {
        atomic_store_explicit(&connection->is_output_closed, true, memory_order_relaxed);
        if (connection_shut(connection))
                connection->transport->end_output(connection);
}

void connection_abort(struct connection *connection, const char *reason) {
        const struct linger none = {.l_onoff = 1, .l_linger = 0};

        if (connection->fd >= 0 && !connection->session)
                (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
        connection_close(connection, reason);
}

void connection_advance_end(struct connection *connection) {
        uint64_t now = connection_now(connection);

        if (connection->state_of_life != CONNECTION_ENDING)
                return;
        if (!connection_shut(connection)) {
                if (connection->end_due_ms == 0)
                        connection->end_due_ms = now + END_OUTPUT_MS;
        } else if (connection->is_end_of_input || connection->transport->is_connectionless) {
                /* That nothing was cut off is something that TLS says. */
                if (connection->tls)
                        connection->transport->end_output(connection);
                connection_close(connection, connection->reason);
                return;
        } else if (connection->end_limit_ms == 0) {
                bool is_stop = strcmp(connection->reason, REASON_SHUTDOWN) == 0;

                connection->transport->end_output(connection);
                connection->end_limit_ms = now + (is_stop ? END_DELIVERY_STOP_MS : END_DELIVERY_MS);
                connection->end_due_ms = now + END_NOTICE_MS;
        }
        connection_update_poll(connection);
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
        if (connection_is_securing(connection)) {
                /* There is no way to say anything. */
                connection_close(connection, reason);
                return;
        }
        connection->state_of_life = CONNECTION_ENDING;
        connection_leave_handler(connection, reason);
        /* Before the peer can have seen why it ends. */
        connection->is_talking =
                !connection->is_end_of_input && connection->transport->has_input(connection->fd);
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
        if (doom && strcmp(doom, REASON_WRITE_ERROR) == 0 && !connection->session)
                connection_read_last(connection, doom);
        else if (doom)
                connection_close(connection, doom);
        else if (is_waiting && !connection->is_polling_output)
                connection_continue_output(connection);
}

/* --- the beginning ------------------------------------------------------------------------ */

/* A user, or an address. */
static uint32_t source_of(const struct peer *peer) {
        struct bytes key = bytes_from_string(peer->ip);

        if (peer->has_credentials)
                key = (struct bytes){(const char *)&peer->uid, sizeof(peer->uid)};
        return (uint32_t)hash_bytes(key, 0);
}

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
        connection->listener = listener; /* a reference from connection_begin() on */
        connection->transport = listener->transport;
        connection->fd = fd;
        connection->max_frame =
                connection->transport->max_frame ? connection->transport->max_frame(fd) : SIZE_MAX;
        connection->attention.run = connection_on_attention;
        connection->peer = *peer;
        connection->source = source_of(peer);
        connection->is_owner_asked = peer->is_introduced;
        return connection;
}

/* Gives it a number, and the time at which it begins. */
static void connection_draw_id(struct connection *connection) {
        struct instance *instance = connection->worker->instance;
        struct timespec now;

        connection->id = atomic_fetch_add_explicit(&instance->last_id, 1, memory_order_relaxed) + 1;
        clock_gettime(CLOCK_REALTIME, &now);
        connection->start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        connection->begun_ms = connection_now(connection);
}

/* Gives a new connection its number and places. Returns 0 or a negative errno. */
static int connection_begin(struct connection *connection) {
        struct worker *worker = connection->worker;
        int r;

        if (worker->is_stopping)
                return -ESHUTDOWN; /* it came after the others were closed */
        connection_draw_id(connection);
        r = timers_add(&worker->timers);
        if (r < 0)
                return r;
        r = instance_take_slot(worker->instance, connection, &connection->slot);
        if (r < 0) {
                timers_remove(&worker->timers, &connection->timer);
                return r;
        }
        listener_ref(connection->listener);
        connection->settings = listener_settings(connection->listener);
        connection->handler =
                handler_of(connection->settings ? connection->settings->kind : HANDLER_BUS);
        connection->last_input_ms = connection_now(connection);
        return 0;
}

/* Makes it one of the worker's connections. */
static void connection_settle(struct connection *connection) {
        struct worker *worker = connection->worker;

        connection->is_kept = true;
        list_unlink(&connection->link);
        list_append(&worker->connections, &connection->link);
        atomic_fetch_add_explicit(&worker->n_connections, 1, memory_order_relaxed);
}

/* Sends what the handler says first. */
static void connection_greet(struct connection *connection) {
        struct worker *worker = connection->worker;
        struct stage *stage = stages_find(&worker->stages, connection->slot);

        if (stage)
                connection_flush(worker, stage);
}

static int connection_init_poll(struct connection *connection) {
        int r = -ESHUTDOWN; /* the handler has closed it */

        if (connection->state_of_life != CONNECTION_CLOSED)
                r = uv_poll_init(&connection->worker->loop, &connection->poll, connection->fd);
        if (r < 0)
                return r;
        connection->poll.data = connection;
        return 0;
}

/* What is not to be opened gives back what it was given. */
static int connection_reject(struct listener *listener, int fd, const struct admission_place *place,
                             int error) {
        struct admission_place taken = *place;

        admission_leave(&listener->admission, &taken);
        (void)close(fd);
        return error;
}

int connection_open(struct worker *worker, struct listener *listener, int fd,
                    const struct peer *peer, const struct admission_place *place) {
        struct connection *connection = connection_new(worker, listener, fd, peer);
        int r = connection ? connection_begin(connection) : -ENOMEM;

        if (r < 0) {
                free(connection);
                return connection_reject(listener, fd, place, r);
        }
        connection->place = *place;
        if (place->refusal == REFUSAL_NONE)
                listener_connected(listener);
        connection_settle(connection);
        connection_limit_time(connection);
        r = connection_prepare_tls(connection);
        if (r == 0)
                r = connection->handler->opened(connection);
        if (r == 0) {
                /* The peer waits for it, and need not wait for the preparation of its answer. */
                connection_greet(connection);
                r = connection_init_poll(connection);
        }
        if (r < 0)
                connection_close(connection, REASON_READ_ERROR);
        else
                connection_begin_tls(connection);
        if (r == 0)
                connection_update_poll(connection);
        return 0;
}

int connection_open_session(struct worker *worker, struct listener *listener, int fd,
                            struct session *session) {
        const struct peer peer = {.port = 0};
        struct connection *connection = connection_new(worker, listener, fd, &peer);
        int r = -ENOMEM;

        if (connection) {
                connection->session = session;
                session->connection = connection;
                r = connection_begin(connection);
        }
        if (r < 0) {
                session_free(session);
                free(connection);
                return r;
        }
        list_append(&worker->strangers, &connection->link);
        r = connection->handler->opened(connection);
        if (r < 0)
                connection_close(connection, REASON_READ_ERROR);
        return r;
}

int connection_keep(struct connection *connection) {
        int r;

        if (connection->is_kept)
                return 0;
        r = session_keep(connection->session);
        if (r < 0)
                return r;
        /* What came before was of others. */
        connection_draw_id(connection);
        connection->in_messages = connection->in_bytes = (struct counter){0};
        connection->out_messages = connection->out_bytes = 0;
        connection_settle(connection);
        connection_limit_time(connection);
        return 0;
}

bool connection_may_complain(struct connection *connection, size_t length) {
        return !connection->session || session_may_complain(connection->session, length);
}

void connection_note_malformed(struct connection *connection) {
        if (connection->session)
                session_drop(connection->session, DROP_MALFORMED);
}

void connection_note_loop(struct connection *connection) {
        if (connection->session)
                session_drop(connection->session, DROP_LOOP);
}

void connection_note_too_large(struct connection *connection, size_t n_messages) {
        for (size_t i = 0; connection->session && i < n_messages; i++)
                session_drop(connection->session, DROP_TOO_LARGE);
}

bool connection_cookie(struct connection *connection, char text[COOKIE_TEXT_SIZE]) {
        return connection->session && session_cookie(connection->session, text) == 0;
}

bool connection_prove(struct connection *connection, struct bytes cookie) {
        return !connection->session || session_prove(connection->session, cookie);
}

bool connection_is_proved(const struct connection *connection) {
        return !connection->session || !session_needs_proof(connection->session);
}

size_t connection_credit(const struct connection *connection) {
        if (connection_is_proved(connection))
                return SIZE_MAX;
        return (size_t)atomic_load_explicit(&connection->session->credit, memory_order_relaxed);
}
