/* TLS between accepting and the first input: who speaks it, and the handshake. See connection.h.
 *
 *      INFO, unless TLS comes first    in plain, as the handler opens
 *      the first byte                  tells TLS from what is none: that is admitted, or closed
 *      the handshake                   in steps, each computed by a thread of libuv's pool, as a
 *                                      signature takes as long as a thousand messages; those of one
 *                                      source in turn, so that its many are in nobody else's way
 *      handler->secured                and from then on as any other connection
 *
 * Until the first byte has come a connection costs no more than any other. Afterwards it has
 * OpenSSL's state, which is large; so of those that wait for their peers only so many are kept.
 * When there are more, one of the source that has most has to go, the one that has waited longest:
 * whoever opens many is in his own way, and not in that of others who are slow.
 */
#include "daemon/connection_parts.h"

#include "daemon/block.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/tls.h"
#include "daemon/tls_context.h"
#include "daemon/transport.h"
#include "lib/hash.h"
#include "lib/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

/* What begins each record of a handshake. */
#define HANDSHAKE_BYTE 0x16
#define RECORD_HEADER  5
/* Read at once: no honest client sends more without an answer. */
#define READ_MAX TLS_RECORD_MAX
/* What OpenSSL has of a connection, at most of the time. */
#define TLS_MEMORY (48 * 1024)
/* Handshakes of a worker that wait for their peers. */
#define HANDSHAKES_MAX 1024
/* Of an IPv6 address: its network, in which one host has as many addresses as it likes. */
#define NETWORK_BYTES 8

bool connection_is_securing(const struct connection *connection) {
        const struct tls *tls = connection->tls;

        return tls && connection->state_of_life == CONNECTION_OPEN &&
               (tls->phase == TLS_AWAITED || tls->phase == TLS_HANDSHAKE);
}

const struct tls_facts *connection_tls(const struct connection *connection) {
        const struct tls *tls = connection->tls;

        return tls && tls->phase == TLS_ESTABLISHED ? &tls->facts : NULL;
}

size_t connection_certificate_names(const struct connection *connection,
                                    const struct certificate_name **namesp) {
        const struct tls_facts *facts = connection_tls(connection);

        *namesp = NULL;
        if (!facts || !facts->certificate || !connection->tls->context->maps)
                return 0;
        *namesp = facts->certificate->names;
        return facts->certificate->n_names;
}

/* --- beginning and end --------------------------------------------------------------------- */

static void set_phase(struct connection *connection, enum tls_phase phase) {
        pthread_mutex_lock(&connection->lock);
        connection->tls->phase = phase;
        if (phase == TLS_ESTABLISHED)
                connection->tls->fd = connection->fd;
        if (phase == TLS_FAILED)
                outbox_deinit(&connection->pending);
        pthread_mutex_unlock(&connection->lock);
}

static unsigned offer_of(const struct tls_context *context) {
        return (context->is_required ? TLS_OFFER_REQUIRED : TLS_OFFER_AVAILABLE) |
               (context->verifies ? TLS_OFFER_VERIFY : 0u) |
               (context->is_first ? TLS_OFFER_FIRST : 0u);
}

static unsigned source_of(const struct connection *connection) {
        uint32_t source = connection->source;
        struct in6_addr address;

        if (inet_pton(AF_INET6, connection->peer.ip, &address) == 1)
                source = (uint32_t)hash_bytes((struct bytes){(char *)&address, NETWORK_BYTES}, 0);
        return source % WORKER_HANDSHAKE_SOURCES;
}

int connection_prepare_tls(struct connection *connection) {
        struct tls_context *context = listener_tls(connection->listener);

        if (!context)
                return 0;
        connection->tls_offer = offer_of(context);
        connection->tls = tls_new(context, connection);
        if (!connection->tls) {
                tls_context_unref(context);
                return -ENOMEM;
        }
        connection->tls->source = source_of(connection);
        if (context->is_first)
                connection->transport = &transport_tls;
        return 0;
}

void connection_begin_tls(struct connection *connection) {
        struct tls *tls = connection->tls;

        if (!tls)
                return;
        if (connection->state_of_life != CONNECTION_OPEN) {
                /* It was refused; who has had no INFO cannot be told why. */
                if (tls->context->is_first)
                        connection_close(connection, connection->reason);
                return;
        }
        /* What has not left by now would leave within TLS. */
        if (!tls->context->is_first && connection_pending(connection) > 0) {
                connection_close(connection, REASON_WRITE_ERROR);
                return;
        }
        if (tls->context->is_required)
                connection->transport = &transport_tls;
        set_phase(connection, TLS_AWAITED);
        tls->due_ms = connection_now(connection) + tls->context->timeout_ms;
        connection_arm(connection);
}

/* --- those that wait for their peers ------------------------------------------------------- */

/* How many of its source there are. */
static uint16_t *count_of_source(const struct tls *tls) {
        return &tls->connection->worker->handshake_sources[tls->source];
}

/* The one that has to go; there are some. */
static struct connection *find_dispensable(const struct worker *worker) {
        struct tls *tls = NULL;
        uint16_t most = 0;

        for (unsigned i = 0; i < WORKER_HANDSHAKE_SOURCES; i++)
                most = worker->handshake_sources[i] > most ? worker->handshake_sources[i] : most;
        LIST_FOREACH (link, &worker->handshakes) {
                tls = container_of(link, struct tls, link);
                if (*count_of_source(tls) == most)
                        break;
        }
        return tls->connection;
}

/* The peer is to speak next. */
static void wait_for_peer(struct connection *connection) {
        static struct log_limit limit = {.burst = 1, .interval_ms = 10000};
        struct worker *worker = connection->worker;
        struct tls *tls = connection->tls;

        if (!list_is_empty(&tls->link))
                return;
        list_append(&worker->handshakes, &tls->link);
        ++*count_of_source(tls);
        if (++worker->n_handshakes <= HANDSHAKES_MAX)
                return;
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "more than %u TLS handshakes wait for their peers; those of the source that "
                    "has most are given up, the oldest first",
                    HANDSHAKES_MAX);
        connection_close(find_dispensable(worker), REASON_TLS);
}

/* It waits for its peer no more. */
static void stop_waiting(struct connection *connection) {
        struct tls *tls = connection->tls;

        if (list_is_empty(&tls->link))
                return;
        list_unlink(&tls->link);
        --*count_of_source(tls);
        connection->worker->n_handshakes--;
}

void connection_abandon_tls(struct connection *connection) {
        struct tls *tls = connection->tls;

        if (!tls)
                return;
        stop_waiting(connection);
        if (tls->phase > TLS_AWAITED)
                worker_turn_over(connection->worker, TLS_MEMORY);
        if (tls->phase == TLS_HANDSHAKE)
                counter_add(&connection->worker->stats.failed_handshakes, 1);
}

/* --- who speaks no TLS --------------------------------------------------------------------- */

static void admit_plain(struct connection *connection) {
        log_debug("client %llu: no TLS", (unsigned long long)connection->id);
        pthread_mutex_lock(&connection->lock);
        connection->tls = tls_free(connection->tls);
        pthread_mutex_unlock(&connection->lock);
        connection_update_poll(connection);
        connection_arm(connection);
}

/* A line on what became of TLS, at the level that nobody has who did not ask for it: whoever can
 * connect can cause it. */
static void tell(const struct connection *connection, const char *what) {
        char origin[CONNECTION_ORIGIN_MAX];

        log_debug("client %llu%s: TLS: %s", (unsigned long long)connection->id,
                  connection_origin(connection, origin), what);
}

void connection_give_up_tls(struct connection *connection) {
        const struct tls *tls = connection->tls;

        if (tls->phase == TLS_AWAITED && !tls->context->is_required) {
                admit_plain(connection);
                return;
        }
        tell(connection, "there was no handshake in time");
        connection_close(connection, REASON_TLS);
}

/* Looks at the first byte of the peer. */
static void judge_first_byte(struct connection *connection) {
        unsigned char byte;
        ssize_t n = recv(connection->fd, &byte, 1, MSG_PEEK);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n == 1 && byte == HANDSHAKE_BYTE) {
                connection->transport = &transport_tls;
                set_phase(connection, TLS_HANDSHAKE);
        } else if (!connection->tls->context->is_required) {
                admit_plain(connection);
                connection_take_input(connection);
        } else if (n == 1) {
                tell(connection, "what it says is none");
                counter_add(&connection->worker->stats.failed_handshakes, 1);
                connection_close(connection, REASON_TLS);
        } else {
                connection_close(connection, n == 0 ? REASON_CLIENT_CLOSED : REASON_READ_ERROR);
        }
}

/* --- steps --------------------------------------------------------------------------------- */

static void compute(struct job *job) {
        tls_take_step(container_of(job, struct tls, job));
}

/* A step whose turn comes when the connection has ended is not computed any more. */
static bool is_step_wanted(struct job *job) {
        return connection_is_securing(container_of(job, struct tls, job)->connection);
}

static void on_computed(struct job *job);

/* Has the next step computed. */
static void take_step(struct connection *connection) {
        struct tls *tls = connection->tls;

        stop_waiting(connection);
        tls->job = (struct job){.run = compute, .done = on_computed, .is_wanted = is_step_wanted};
        tls->is_working = true;
        connection_pin(connection);
        job_begin(&tls->job, connection->worker, &connection->worker->quick_jobs,
                  connection->source);
}

static void finish(struct connection *connection) {
        stop_waiting(connection);
        set_phase(connection, TLS_ESTABLISHED);
        log_debug("client %llu: TLS %s, %s%s", (unsigned long long)connection->id,
                  connection->tls->facts.version, connection->tls->facts.cipher,
                  connection->tls->facts.is_resumed ? ", resumed" : "");
        if (connection->handler->secured)
                connection->handler->secured(connection);
        /* What has waited for this, in both directions. */
        if (connection->state_of_life == CONNECTION_OPEN)
                connection_continue_output(connection);
        if (connection->state_of_life == CONNECTION_OPEN)
                connection_take_input(connection);
        connection_update_poll(connection);
        connection_arm(connection);
}

static void fail(struct connection *connection) {
        counter_add(&connection->worker->stats.failed_handshakes, 1);
        tell(connection, connection->tls->failure);
        /* The alert, if there is one, is to arrive. */
        set_phase(connection, TLS_FAILED);
        connection_end(connection, REASON_TLS);
}

/* A step was computed: does what follows from it. */
static void apply_step(struct connection *connection) {
        struct tls *tls = connection->tls;
        int r = tls_send_queue(tls, connection->fd);

        if (r < 0 && r != -EAGAIN) {
                connection_close(connection, REASON_TLS);
                return;
        }
        if (tls->step == TLS_STEP_FAILED)
                fail(connection);
        else if (tls->step == TLS_STEP_DONE && r == 0)
                finish(connection);
        else
                wait_for_peer(connection);
}

static void on_computed(struct job *job) {
        struct tls *tls = container_of(job, struct tls, job);
        struct connection *connection = tls->connection;

        tls->is_working = false;
        if (connection_is_securing(connection)) {
                if (job->is_dropped)
                        connection_close(connection, REASON_TLS);
                else
                        apply_step(connection);
                connection_update_poll(connection);
        }
        connection_unpin(connection);
}

void connection_end_flood(struct connection *connection) {
        static struct log_limit limit = {.burst = 20, .interval_ms = 10000};
        char origin[CONNECTION_ORIGIN_MAX];

        counter_add(&connection->worker->stats.tls_floods, 1);
        log_limited(&limit, LOG_LEVEL_WARNING,
                    "client %llu%s: closed: more than %u records of TLS without data",
                    (unsigned long long)connection->id, connection_origin(connection, origin),
                    TLS_EMPTY_MAX);
        connection_close(connection, REASON_TLS_FLOOD);
}

/* Whether the peer's first word is there, before which OpenSSL is not bothered: half of one costs
 * no more than its bytes. */
static bool has_begun(const struct tls *tls) {
        const unsigned char *bytes = (const unsigned char *)tls->in.bytes + tls->in.start;
        size_t length = tls_queue_length(&tls->in);

        return tls->ssl || length > READ_MAX ||
               (length >= RECORD_HEADER &&
                length - RECORD_HEADER >= (size_t)(bytes[3] << 8 | bytes[4]));
}

/* Reads what the peer says, for the next step. */
static void read_more(struct connection *connection) {
        struct block *block = worker_input(connection->worker);
        ssize_t n;

        if (!block) {
                connection_close(connection, REASON_READ_ERROR);
                return;
        }
        n = recv(connection->fd, block->data, READ_MAX, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || tls_queue_append(&connection->tls->in, block->data, (size_t)n) < 0)
                connection_close(connection, n == 0 ? REASON_CLIENT_CLOSED : REASON_TLS);
        else if (has_begun(connection->tls))
                take_step(connection);
        else
                wait_for_peer(connection);
}

int connection_tls_events(const struct connection *connection) {
        const struct tls *tls = connection->tls;

        if (tls->is_working)
                return 0;
        return tls_queue_length(&tls->out) > 0 ? UV_WRITABLE : UV_READABLE;
}

void connection_continue_tls(struct connection *connection, int events) {
        struct tls *tls = connection->tls;

        if (tls->is_working)
                return;
        if (tls->phase == TLS_AWAITED)
                judge_first_byte(connection);
        if (!connection_is_securing(connection) || connection->tls->phase != TLS_HANDSHAKE)
                return;
        if (tls_queue_length(&tls->out) > 0)
                apply_step(connection);
        else
                read_more(connection);
        connection_update_poll(connection);
}
