/* The gateway whose peers ask. See gateway.h.
 *
 * Each frame is a request, and its first answer goes back, in the order of the questions. What
 * comes to nothing is answered by an error, -ERR 'text', in the framing's form. So many questions
 * may wait for answers; then the peer is not read until half of them are answered. One that ends
 * its input gets the answers that it waits for.
 */
#include "daemon/block.h"
#include "daemon/config.h"
#include "daemon/gateway.h"
#include "daemon/gateway_parts.h"
#include "daemon/handler.h"
#include "daemon/headers.h"
#include "daemon/inbox.h"
#include "daemon/listener.h"
#include "daemon/questions.h"
#include "daemon/session.h"
#include "daemon/stage.h"
#include "daemon/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How long a datagram peer without a question is left alone: what was sent to it has left by then.
 */
#define FORGET_MS 100
/* How much of an error of a service is told. */
#define SERVICE_ERROR_MAX 256

#define ERROR_UNHEARD   "No Responders"
#define ERROR_TIMEOUT   "Timeout"
#define ERROR_ANSWER    "Answer Too Large"
#define ERROR_BUSY      "Too Many Questions"
#define ERROR_NO_MEMORY "Out of Memory"

struct asker {
        struct gateway gateway; /* first */
        struct bus *bus;        /* that the inbox is on; borrowed, NULL: there is none as yet */
        struct inbox *inbox;    /* borrowed */
        struct questions questions;
        struct question *asking; /* while it is published: what is complained of is its answer */
        const char *ending;      /* nothing more is read, and when all is answered it ends: why */
        bool is_timed;           /* the deadline is that of a question */
};

static struct asker *asker_of(const struct connection *connection) {
        return container_of(gateway_of(connection), struct asker, gateway);
}

/* --- answers -------------------------------------------------------------------------------- */

/* Answers a question by an error. Without memory the answer is empty. */
static void refuse(struct asker *asker, struct question *question, const char *text) {
        char line[GATEWAY_ERROR_MAX];
        struct bytes bytes = gateway_error(line, text);
        struct block *block = block_new(bytes.length);

        if (block)
                bytes_copy(block->data, bytes);
        question->is_refused = true;
        questions_answer(&asker->questions, question, block,
                         (struct bytes){block ? block->data : "", block ? bytes.length : 0});
        block_unref(block);
}

/* The inbox does not know of it any more. */
static void await_no_more(struct connection *connection, struct question *question) {
        if (question->inbox)
                atomic_fetch_sub_explicit(&connection->listener->n_awaited, 1,
                                          memory_order_relaxed);
        question->inbox = NULL;
}

static void forget(struct connection *connection, struct question *question) {
        if (question->inbox)
                inbox_forget(question->inbox, question->subject);
        await_no_more(connection, question);
}

static bool fits(const struct connection *connection, struct bytes answer) {
        return framing_length(gateway_of(connection)->framer.framing, answer) <=
               connection->max_frame;
}

static void tell(struct connection *connection, const struct question *question) {
        char line[GATEWAY_ERROR_MAX];

        if (question->is_refused) {
                gateway_append_error(connection, question->has_cr, question->answer);
        } else if (!fits(connection, question->answer)) {
                gateway_lose(connection, LOSS_TOO_LARGE);
                connection_note_too_large(connection, 1);
                gateway_append_error(connection, question->has_cr,
                                     gateway_error(line, ERROR_ANSWER));
        } else {
                gateway_append(connection, question->has_cr, question->block, question->answer);
        }
}

/* Nothing is asked at the moment. */
static void rest(struct connection *connection) {
        struct asker *asker = asker_of(connection);

        if (asker->ending) {
                connection_end(connection, asker->ending);
        } else if (connection->session) {
                asker->is_timed = false;
                connection_set_deadline(connection, FORGET_MS);
        }
}

/* Tells the answers whose turn it is. */
static void tell_ready(struct connection *connection) {
        struct questions *questions = &asker_of(connection)->questions;
        const struct question *question;

        while ((question = questions_ready(questions))) {
                tell(connection, question);
                questions_remove_first(questions);
        }
        if (questions->n == 0)
                rest(connection);
}

static unsigned max_in_flight(const struct connection *connection) {
        return gateway_of(connection)->settings->max_in_flight;
}

static bool is_full(const struct connection *connection) {
        return asker_of(connection)->questions.n >= max_in_flight(connection);
}

/* The same, and goes on reading when there are few enough. */
static void settle_up(struct connection *connection) {
        const struct asker *asker = asker_of(connection);

        tell_ready(connection);
        if (connection->state_of_life == CONNECTION_OPEN && !asker->ending &&
            asker->questions.n <= max_in_flight(connection) / 2)
                connection_resume(connection, PAUSE_ANSWERS);
}

/* --- what comes as an answer ---------------------------------------------------------------- */

/* What an answer says that is none, NULL if it is one: that nobody answers, or that a service could
 * not. */
static const char *error_of(const struct inbox_answer *answer, char text[SERVICE_ERROR_MAX]) {
        struct bytes error = headers_find(answer->headers, "Nats-Service-Error");
        struct bytes code = headers_find(answer->headers, "Nats-Service-Error-Code");
        char quoted[SERVICE_ERROR_MAX - 32], number[24];

        if (answer->payload.length == 0 && headers_status(answer->headers) == 503)
                return ERROR_UNHEARD;
        if (error.length == 0 && code.length == 0)
                return NULL;
        snprintf(text, SERVICE_ERROR_MAX, "%s%s%s", bytes_quote(number, sizeof(number), code),
                 code.length > 0 && error.length > 0 ? " " : "",
                 bytes_quote(quoted, sizeof(quoted), error));
        return text;
}

/* How many bytes may wait for a question before them. */
static size_t max_waiting(const struct connection *connection) {
        uint64_t own = atomic_load_explicit(&connection->max_pending, memory_order_relaxed);
        uint64_t max = connection->worker->config->server.max_pending;

        return own > 0 && own < max ? own : max;
}

static void take_answer(struct connection *connection, const struct inbox_answer *answer) {
        struct asker *asker = asker_of(connection);
        char text[SERVICE_ERROR_MAX];
        struct question *question;
        const char *error;

        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        question = questions_find(&asker->questions, answer->number);
        if (!question)
                return;
        await_no_more(connection, question);
        error = error_of(answer, text);
        if (error) {
                if (error != text)
                        gateway_lose(connection, LOSS_NO_RESPONDERS);
                refuse(asker, question, error);
        } else if (asker->questions.n_bytes + answer->block->capacity > max_waiting(connection)) {
                gateway_lose(connection, LOSS_TOO_LARGE);
                refuse(asker, question, ERROR_ANSWER);
        } else {
                questions_answer(&asker->questions, question, answer->block, answer->payload);
        }
        settle_up(connection);
}

/* --- asking --------------------------------------------------------------------------------- */

/* The inbox on the bus of the client, which may be another one since a reload. */
static struct inbox *inbox_of(struct connection *connection) {
        struct asker *asker = asker_of(connection);
        struct bus *bus = connection->client->bus;

        if (asker->bus != bus && inbox_obtain(&asker->inbox, bus, connection->worker) < 0)
                return NULL;
        asker->bus = bus;
        return asker->inbox;
}

/* Returns NULL, or what the peer is told: it cannot be awaited. */
static const char *await_answer(struct connection *connection, struct question *question,
                                uint64_t number) {
        _Atomic uint64_t *n_awaited = &connection->listener->n_awaited;
        const struct inbox_asker asker = {
                .connection = connection,
                .number = number,
                .n_share = atomic_load_explicit(n_awaited, memory_order_relaxed),
                .take = take_answer};
        struct inbox *inbox = inbox_of(connection);
        int r = inbox ? inbox_await(inbox, &asker, question->subject) : -ENOMEM;

        if (r == INBOX_FULL) {
                gateway_lose(connection, LOSS_BUSY);
                return ERROR_BUSY;
        }
        if (r < 0) {
                gateway_lose(connection, LOSS_NO_MEMORY);
                return ERROR_NO_MEMORY;
        }
        atomic_fetch_add_explicit(n_awaited, 1, memory_order_relaxed);
        question->inbox = inbox;
        return NULL;
}

static void request_complain(struct connection *connection, const char *text) {
        struct asker *asker = asker_of(connection);

        if (!asker->asking)
                gateway_complain(connection, text);
        else if (!asker->asking->is_answered)
                refuse(asker, asker->asking, text);
}

static void publish(struct connection *connection, const struct frame *frame,
                    struct question *question) {
        struct asker *asker = asker_of(connection);
        enum client_outcome outcome;

        asker->asking = question;
        outcome = gateway_publish(connection, frame,
                                  (struct bytes){question->subject, INBOX_SUBJECT_LENGTH});
        asker->asking = NULL;
        if (outcome == CLIENT_PUBLISHED)
                return;
        forget(connection, question);
        if (outcome == CLIENT_DROPPED && connection->session) {
                questions_remove_last(&asker->questions);
        } else if (outcome == CLIENT_DROPPED) {
                refuse(asker, question, ERROR_NO_MEMORY);
        } else if (outcome == CLIENT_UNHEARD) {
                gateway_lose(connection, LOSS_NO_RESPONDERS);
                refuse(asker, question, ERROR_UNHEARD);
        }
}

static void start_clock(struct connection *connection) {
        struct asker *asker = asker_of(connection);

        if (asker->is_timed || asker->questions.n == 0)
                return;
        asker->is_timed = true;
        connection_set_deadline(connection, asker->gateway.settings->timeout_ms);
}

/* After one more question: what can be answered is, and there are not too many. */
static void asked(struct connection *connection) {
        tell_ready(connection);
        if (connection->state_of_life != CONNECTION_OPEN)
                return;
        start_clock(connection);
        if (is_full(connection) && !connection->session)
                connection_pause(connection, PAUSE_ANSWERS);
}

static struct question *add_question(struct connection *connection, bool has_cr,
                                     uint64_t *numberp) {
        struct asker *asker = asker_of(connection);
        struct question *question = questions_add(&asker->questions, numberp);

        if (!question) {
                gateway_lose(connection, LOSS_NO_MEMORY);
                /* The answers of a stream would be those of other questions. */
                if (!connection->session)
                        connection_end(connection, REASON_READ_ERROR);
                return NULL;
        }
        question->has_cr = has_cr;
        question->due_ms = uv_now(&connection->worker->loop) + asker->gateway.settings->timeout_ms;
        return question;
}

/* Whether a datagram peer, which cannot be held back, may ask one more. */
static bool may_ask(struct connection *connection) {
        if (session_is_loop(connection->session)) {
                connection_note_loop(connection);
                return false;
        }
        if (is_full(connection)) {
                gateway_lose(connection, LOSS_BUSY);
                request_complain(connection, ERROR_BUSY);
                return false;
        }
        return client_settle_plain(connection->client);
}

static void ask(struct connection *connection, const struct frame *frame) {
        struct question *question;
        const char *why_not;
        uint64_t number;

        if (connection->session && !may_ask(connection))
                return;
        question = add_question(connection, frame->has_cr, &number);
        if (!question)
                return;
        why_not = await_answer(connection, question, number);
        if (why_not)
                refuse(asker_of(connection), question, why_not);
        else
                publish(connection, frame, question);
        asked(connection);
}

/* What came is no frame. That is told in its turn. */
static void refuse_frame(struct connection *connection, const char *text) {
        struct question *question;
        uint64_t number;

        if (connection->session) {
                request_complain(connection, text);
                return;
        }
        question = add_question(connection, false, &number);
        if (!question)
                return;
        refuse(asker_of(connection), question, text);
        asked(connection);
}

/* Nothing more is asked: it ends when all is answered. */
static void end_asking(struct connection *connection, const char *reason) {
        struct asker *asker = asker_of(connection);

        if (connection->state_of_life != CONNECTION_OPEN || asker->ending)
                return;
        asker->ending = reason;
        if (asker->questions.n == 0)
                connection_end(connection, reason);
        else
                connection_pause(connection, PAUSE_ANSWERS);
}

/* --- the handler ---------------------------------------------------------------------------- */

static const struct gateway_kind kind = {
        .take = ask,
        .refuse = refuse_frame,
        .end = end_asking,
};

static int request_opened(struct connection *connection) {
        struct asker *asker = calloc(1, sizeof(*asker));
        int r = asker ? gateway_open(connection, &asker->gateway, &kind) : -ENOMEM;

        if (r < 0)
                free(asker);
        return r;
}

static void request_begun(struct connection *connection) {
        if (gateway_find_subject(connection) < 0)
                connection_end(connection, REASON_READ_ERROR);
}

static size_t request_input(struct connection *connection, struct bytes *input) {
        /* Who does not read is not read either. */
        if (!connection->session && connection_pending(connection) > 0) {
                connection_await_output(connection);
                return 0;
        }
        return gateway_take(connection, input);
}

/* Gives up what has not been answered in time. They are due in their order. */
static void request_deadline(struct connection *connection) {
        struct asker *asker = asker_of(connection);
        uint64_t now = uv_now(&connection->worker->loop), due_ms = 0;

        if (asker->questions.n == 0) {
                asker->is_timed = false;
                if (connection->session || connection->client->must_login)
                        client_deadline_plain(connection);
                return;
        }
        for (unsigned i = 0; i < asker->questions.n && due_ms == 0; i++) {
                struct question *question = questions_at(&asker->questions, i);

                if (question->is_answered)
                        continue;
                if (question->due_ms > now) {
                        due_ms = question->due_ms;
                        continue;
                }
                forget(connection, question);
                gateway_lose(connection, LOSS_TIMEOUT);
                refuse(asker, question, ERROR_TIMEOUT);
        }
        asker->is_timed = due_ms > 0;
        if (due_ms > 0)
                connection_set_deadline(connection, due_ms - now);
        settle_up(connection);
}

/* A question that waits is use. */
static uint64_t request_used_ms(struct connection *connection) {
        uint64_t sent_ms = atomic_load_explicit(&connection->sent_ms, memory_order_relaxed);

        if (asker_of(connection)->questions.n > 0)
                return uv_now(&connection->worker->loop);
        return sent_ms > connection->last_input_ms ? sent_ms : connection->last_input_ms;
}

static void request_closed(struct connection *connection) {
        struct asker *asker = asker_of(connection);

        for (unsigned i = 0; i < asker->questions.n; i++)
                forget(connection, questions_at(&asker->questions, i));
        gateway_closed(connection);
}

static void request_release(struct connection *connection) {
        struct asker *asker = asker_of(connection);

        questions_deinit(&asker->questions);
        gateway_deinit(connection);
        free(asker);
}

const struct handler handler_request = {
        .name = "request",
        .may_go_round = true,
        .opened = request_opened,
        .begun = request_begun,
        .secured = client_secured_plain,
        .input = request_input,
        .finished = gateway_finish,
        .writable = connection_resume_input,
        .complain = request_complain,
        .renewed = gateway_renewed,
        .oversized = gateway_oversized,
        .deadline = request_deadline,
        .used_ms = request_used_ms,
        .changed = gateway_changed,
        .closed = request_closed,
        .release = request_release,
};
