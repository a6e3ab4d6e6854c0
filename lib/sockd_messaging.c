/* Messages out and in: publish, subscribe, next, request, flush, process.
 *
 * What goes out is text appended to the output. What comes in is taken from one of two positions
 * of the input buffer, which sockd_private.h draws.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

/* What stands in the line of a publish or a subscription beside its words. */
#define LINE_REST 64
/* How often a request is sent where datagrams are lost, and a PING. */
#define N_REQUESTS 3
#define N_PINGS    8
#define PING_MS    250  /* for the first one; each of the others takes twice as long */
#define REQUEST_MS 1000 /* the same, for who waits for ever */

/* A line under construction: in the output buffer itself, or elsewhere. */
struct line {
        char *bytes;
        size_t n;
};

static void line_put(struct line *line, const char *bytes, size_t n) {
        memcpy(line->bytes + line->n, bytes, n);
        line->n += n;
}

static void line_put_number(struct line *line, uint64_t number) {
        char digits[20];
        size_t i = sizeof(digits);

        do {
                digits[--i] = (char)('0' + number % 10);
                number /= 10;
        } while (number > 0);
        line_put(line, digits + i, sizeof(digits) - i);
}

/* Begins a line in the output, of an operation of at most n bytes. */
static int line_begin(struct sockd *sockd, struct line *line, enum sockd_kind kind, size_t n) {
        int result = sockd_output_begin(sockd, kind, n);

        line->bytes = sockd->output + sockd->n_output;
        line->n = 0;
        return result;
}

static void line_end(struct sockd *sockd, struct line *line) {
        line_put(line, "\r\n", 2);
        sockd->n_output += line->n;
}

/* What may stand in a line as one word: anything else would end it and begin another. */
static bool is_word(const char *bytes, size_t n) {
        if (n == 0 || n > SOCKD_SUBJECT_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f)
                        return false;
        return true;
}

/* Cuts the answer that the last request returned out of the input. Each call that reads begins so.
 */
static void forget_answer(struct sockd *sockd) {
        if (sockd->n_answered == 0)
                return;
        sockd_scan_drop(sockd, sockd->n_answered);
        sockd->n_answered = 0;
}

static size_t publish_length(const struct sockd_message *message) {
        return message->n_subject + message->n_reply + message->n_headers + message->n_payload +
               LINE_REST;
}

static int put_publish(struct sockd *sockd, const struct sockd_message *message) {
        struct line line;
        bool has_headers = message->n_headers > 0;
        int result;

        result = line_begin(sockd, &line,
                            has_headers ? SOCKD_KIND_PUBLISH_HEADERS : SOCKD_KIND_PUBLISH,
                            publish_length(message));
        if (result)
                return result;
        line_put(&line, has_headers ? "HPUB " : "PUB ", has_headers ? 5 : 4);
        line_put(&line, message->subject, message->n_subject);
        line_put(&line, " ", 1);
        if (message->reply) {
                line_put(&line, message->reply, message->n_reply);
                line_put(&line, " ", 1);
        }
        if (has_headers) {
                line_put_number(&line, message->n_headers);
                line_put(&line, " ", 1);
        }
        line_put_number(&line, message->n_headers + message->n_payload);
        line_end(sockd, &line);

        if (has_headers)
                result = sockd_output_append(sockd, message->headers, message->n_headers);
        if (result == 0)
                result = sockd_output_append(sockd, message->payload, message->n_payload);
        if (result == 0)
                result = sockd_output_append(sockd, "\r\n", 2);
        return result;
}

/* Whether a message may be sent, whatever the connection says to it. */
static int check_message(struct sockd *sockd, const struct sockd_message *message) {
        if (!is_word(message->subject, message->n_subject) ||
            (message->reply && !is_word(message->reply, message->n_reply))) {
                snprintf(sockd->error, sizeof(sockd->error), "invalid subject");
                return -EINVAL;
        }
        if (message->n_headers > sockd->max_payload ||
            message->n_payload > sockd->max_payload - message->n_headers)
                return sockd_fail(sockd, SOCKD_TOO_LARGE,
                                  "%zu bytes are more than the server takes, %zu",
                                  message->n_headers + message->n_payload, sockd->max_payload);
        return 0;
}

int sockd_publish_message(struct sockd *sockd, const struct sockd_message *message) {
        int result;

        if (sockd->failure)
                return sockd->failure;
        result = check_message(sockd, message);
        if (result == 0)
                result = put_publish(sockd, message);
        if (result == 0 && sockd->n_output >= sockd->transport->full)
                result = sockd_output_send(sockd);
        return result;
}

int sockd_publish(struct sockd *sockd, const char *subject, const void *payload, size_t n_payload) {
        return sockd_publish_message(sockd, &(struct sockd_message){
                                                    .subject = subject,
                                                    .n_subject = strlen(subject),
                                                    .payload = payload,
                                                    .n_payload = n_payload,
                                            });
}

int sockd_send(struct sockd *sockd) {
        return sockd_output_send(sockd);
}

int sockd_put_unsubscribe(struct sockd *sockd, uint64_t subscription, uint64_t maximum) {
        struct line line;
        int result;

        result = line_begin(sockd, &line, SOCKD_KIND_CONTROL, LINE_REST);
        if (result)
                return result;
        line_put(&line, "UNSUB ", 6);
        line_put_number(&line, subscription);
        if (maximum > 0) {
                line_put(&line, " ", 1);
                line_put_number(&line, maximum);
        }
        line_end(sockd, &line);
        return 0;
}

int sockd_put_subscribe(struct sockd *sockd, const char *subject, size_t n_subject,
                        const char *queue, uint64_t subscription) {
        struct line line;
        int result;

        result = line_begin(sockd, &line, SOCKD_KIND_SUBSCRIBE,
                            n_subject + (queue ? strlen(queue) : 0) + LINE_REST);
        if (result)
                return result;
        line_put(&line, "SUB ", 4);
        line_put(&line, subject, n_subject);
        line_put(&line, " ", 1);
        if (queue) {
                line_put(&line, queue, strlen(queue));
                line_put(&line, " ", 1);
        }
        line_put_number(&line, subscription);
        line_end(sockd, &line);
        return 0;
}

int sockd_put_ping(struct sockd *sockd) {
        int result = sockd_output_begin(sockd, SOCKD_KIND_CONTROL, SOCKD_PING_LENGTH);

        return result ? result : sockd_output_append(sockd, "PING\r\n", SOCKD_PING_LENGTH);
}

int sockd_unsubscribe(struct sockd *sockd, uint64_t subscription, uint64_t maximum) {
        int result;

        if (sockd->failure)
                return sockd->failure;
        result = sockd_put_unsubscribe(sockd, subscription, maximum);
        if (result == 0 && sockd->transport->is_connectionless)
                sockd_session_set_maximum(sockd, subscription, maximum);
        return result;
}

int sockd_subscribe(struct sockd *sockd, const char *subject, const char *queue, uint64_t maximum,
                    uint64_t *subscriptionp) {
        size_t n_subject = strlen(subject);
        uint64_t subscription;
        int result;

        if (sockd->failure)
                return sockd->failure;
        if (!is_word(subject, n_subject) || (queue && !is_word(queue, strlen(queue)))) {
                snprintf(sockd->error, sizeof(sockd->error), "invalid subject or queue");
                return -EINVAL;
        }
        subscription = ++sockd->n_subscriptions;
        result = sockd_put_subscribe(sockd, subject, n_subject, queue, subscription);
        if (result == 0 && sockd->transport->is_connectionless)
                result = sockd_session_add(sockd, subject, queue, subscription);
        if (result == 0 && maximum > 0)
                result = sockd_unsubscribe(sockd, subscription, maximum);
        if (result == 0 && subscriptionp)
                *subscriptionp = subscription;
        return result;
}

static int malformed(struct sockd *sockd) {
        return sockd_fail(sockd, SOCKD_VIOLATION, "the server does not speak the NATS protocol");
}

int sockd_next(struct sockd *sockd, struct sockd_message *message, int timeout_ms) {
        struct sockd_operation operation;
        int64_t deadline_ms = -1;
        int result;

        forget_answer(sockd);
        for (;;) {
                result = sockd_operation_parse(sockd->input + sockd->start,
                                               sockd->end - sockd->start, &operation);
                if (result == SOCKD_OPERATION_INCOMPLETE) {
                        if (deadline_ms < 0)
                                deadline_ms = sockd_deadline(timeout_ms);
                        result = sockd_input_receive(sockd, operation.length, deadline_ms);
                        if (result && !sockd_session_bears(sockd, result))
                                return result;
                        continue;
                }
                if (result == SOCKD_OPERATION_MALFORMED)
                        return malformed(sockd);
                sockd->start += operation.length;
                if (sockd->scan < sockd->start)
                        sockd->scan = sockd->start;
                if (operation.type != SOCKD_OPERATION_MESSAGE) {
                        result = sockd_handle(sockd, &operation);
                        if (result)
                                return result;
                } else if (sockd->inbox == 0 || operation.message.subscription != sockd->inbox) {
                        *message = operation.message;
                        return 0;
                }
        }
}

void sockd_scan_keep(struct sockd *sockd, const struct sockd_operation *operation) {
        sockd->scan += operation->length;
}

void sockd_scan_drop(struct sockd *sockd, size_t length) {
        if (sockd->scan == sockd->start) {
                sockd->start += length;
                sockd->scan = sockd->start;
                return;
        }
        memmove(sockd->input + sockd->scan, sockd->input + sockd->scan + length,
                sockd->end - sockd->scan - length);
        sockd->end -= length;
}

int sockd_scan(struct sockd *sockd, struct sockd_operation *operation, int64_t deadline_ms) {
        int result;

        for (;;) {
                result = sockd_operation_parse(sockd->input + sockd->scan, sockd->end - sockd->scan,
                                               operation);
                if (result != SOCKD_OPERATION_INCOMPLETE)
                        break;
                result = sockd_input_receive(sockd, operation->length, deadline_ms);
                if (result)
                        return result;
        }
        if (result == SOCKD_OPERATION_MALFORMED)
                return malformed(sockd);
        if (operation->type == SOCKD_OPERATION_MESSAGE)
                return 0;
        result = sockd_handle(sockd, operation);
        sockd_scan_drop(sockd, operation->length);
        return result;
}

static bool is_inbox(const struct sockd *sockd, const struct sockd_operation *operation) {
        return sockd->inbox != 0 && operation->message.subscription == sockd->inbox;
}

/* Leaves a message for sockd_next(), unless it is an answer for which nobody waits any more. */
static void set_aside(struct sockd *sockd, const struct sockd_operation *operation) {
        if (operation->type != SOCKD_OPERATION_MESSAGE)
                return;
        if (is_inbox(sockd, operation))
                sockd_scan_drop(sockd, operation->length);
        else
                sockd_scan_keep(sockd, operation);
}

int sockd_process(struct sockd *sockd) {
        struct sockd_operation operation;
        int result;

        forget_answer(sockd);
        if (sockd->failure)
                return sockd->failure;
        do {
                result = sockd_scan(sockd, &operation, sockd_deadline(0));
                if (result == 0)
                        set_aside(sockd, &operation);
        } while (result == 0 || sockd_session_bears(sockd, result));
        return result == SOCKD_TIMEOUT ? 0 : result;
}

/* Waits until so many PONGs have come; not when it is known that one will not. */
static int await_pong(struct sockd *sockd, uint64_t n_pongs, int64_t deadline_ms) {
        struct sockd_operation operation;
        int result;

        while (sockd->n_pongs < n_pongs) {
                result = sockd_scan(sockd, &operation, deadline_ms);
                if (result)
                        return result;
                set_aside(sockd, &operation);
                if (sockd->session.is_cookie_refused)
                        return SOCKD_TIMEOUT;
        }
        return 0;
}

/* What a datagram holds is answered with it: the subscriptions are in effect when the PONG comes.
 */
static int flush_session(struct sockd *sockd, int64_t deadline_ms) {
        int result = 0;

        for (unsigned i = 0; i < N_PINGS; i++) {
                int64_t limit_ms = sockd_try_deadline(i, N_PINGS, PING_MS, deadline_ms);

                result = sockd_session_put(sockd);
                if (result == 0)
                        result = sockd_put_ping(sockd);
                if (result == 0)
                        result = await_pong(sockd, sockd->n_pongs + 1, limit_ms);
                if (result != SOCKD_TIMEOUT || sockd_now() >= deadline_ms)
                        return result;
        }
        return result;
}

int sockd_flush(struct sockd *sockd, int timeout_ms) {
        int64_t deadline_ms = sockd_deadline(timeout_ms);
        int result;

        forget_answer(sockd);
        if (sockd->failure)
                return sockd->failure;
        if (sockd->transport->is_connectionless)
                return flush_session(sockd, deadline_ms);
        result = sockd_put_ping(sockd);
        if (result)
                return result;
        /* The login's PONG was the first one. */
        return await_pong(sockd, ++sockd->n_pings + 1, deadline_ms);
}

static uint64_t now_ns(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int sockd_ping(struct sockd *sockd, int timeout_ms, uint64_t *round_trip_nsp) {
        uint64_t start_ns;
        int result;

        result = sockd_send(sockd);
        if (result)
                return result;
        start_ns = now_ns();
        result = sockd_flush(sockd, timeout_ms);
        *round_trip_nsp = now_ns() - start_ns;
        return result;
}

/* One subscription takes the answers to all requests; each has a last token of its own. */
static int open_inbox(struct sockd *sockd) {
        uint64_t random[2];
        char subject[sizeof(sockd->inbox_prefix) + 1];

        if (sockd->inbox)
                return 0;
        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return sockd_fail(sockd, -errno, "random numbers: %s", strerror(errno));
        sockd->n_inbox_prefix = (size_t)snprintf(sockd->inbox_prefix, sizeof(sockd->inbox_prefix),
                                                 "_INBOX.%016" PRIx64 "%08" PRIx32 ".", random[0],
                                                 (uint32_t)random[1]);
        snprintf(subject, sizeof(subject), "%s*", sockd->inbox_prefix);
        if (!sockd->transport->is_connectionless)
                return sockd_subscribe(sockd, subject, NULL, 0, &sockd->inbox);
        sockd->inbox = ++sockd->n_subscriptions;
        return sockd_session_add(sockd, subject, NULL, sockd->inbox);
}

/* A datagram with a request holds all that it needs to be answered. */
static int put_inbox(struct sockd *sockd, size_t n_request) {
        char subject[sizeof(sockd->inbox_prefix) + 1];
        int n, result;

        if (!sockd->transport->is_connectionless)
                return 0;
        n = snprintf(subject, sizeof(subject), "%s*", sockd->inbox_prefix);
        sockd->session.is_cookie_refused = false;
        result = sockd_output_begin(sockd, SOCKD_KIND_SUBSCRIBE, (size_t)n + LINE_REST + n_request);
        return result ? result : sockd_put_subscribe(sockd, subject, (size_t)n, NULL, sockd->inbox);
}

static bool is_answer(const struct sockd_operation *operation,
                      const struct sockd_message *request) {
        return operation->message.n_subject == request->n_reply &&
               memcmp(operation->message.subject, request->reply, request->n_reply) == 0;
}

/* Waits for the answer; not when it is known that none will come. */
static int await_answer(struct sockd *sockd, const struct sockd_message *request,
                        struct sockd_message *answer, int64_t deadline_ms) {
        struct sockd_operation operation;
        int result;

        for (;;) {
                result = sockd_scan(sockd, &operation, deadline_ms);
                if (result)
                        return result;
                if (operation.type != SOCKD_OPERATION_MESSAGE) {
                        if (sockd->session.is_cookie_refused)
                                return SOCKD_TIMEOUT;
                } else if (is_inbox(sockd, &operation) && is_answer(&operation, request)) {
                        sockd->n_answered = operation.length;
                        *answer = operation.message;
                        return 0;
                } else {
                        set_aside(sockd, &operation);
                }
        }
}

/* Sends a request, where datagrams are lost several times, and waits for the first answer. */
static int ask(struct sockd *sockd, const struct sockd_message *request,
               struct sockd_message *answer, int timeout_ms) {
        int64_t deadline_ms = sockd_deadline(timeout_ms);
        int64_t first_ms = timeout_ms < 0 ? REQUEST_MS : timeout_ms / ((1 << N_REQUESTS) - 1);
        unsigned n_tries = sockd->transport->is_lossy ? N_REQUESTS : 1;
        int result = 0;

        for (unsigned i = 0; i < n_tries; i++) {
                int64_t limit_ms = sockd_try_deadline(i, n_tries, first_ms, deadline_ms);

                result = put_inbox(sockd, publish_length(request));
                if (result == 0)
                        result = sockd_publish_message(sockd, request);
                if (result == 0)
                        result = await_answer(sockd, request, answer, limit_ms);
                if (result != SOCKD_TIMEOUT || sockd_now() >= deadline_ms)
                        return result;
        }
        return result;
}

int sockd_request(struct sockd *sockd, const char *subject, const char *headers, size_t n_headers,
                  const void *payload, size_t n_payload, struct sockd_message *answer,
                  int timeout_ms) {
        char bytes[sizeof(sockd->inbox_prefix) + 20];
        struct line reply = {.bytes = bytes};
        struct sockd_message request = {
                .subject = subject,
                .n_subject = strlen(subject),
                .headers = headers,
                .n_headers = n_headers,
                .payload = payload,
                .n_payload = n_payload,
        };
        int result;

        forget_answer(sockd);
        if (sockd->failure)
                return sockd->failure;
        result = check_message(sockd, &request);
        if (result == 0)
                result = open_inbox(sockd);
        if (result)
                return result;
        line_put(&reply, sockd->inbox_prefix, sockd->n_inbox_prefix);
        line_put_number(&reply, ++sockd->n_requests);
        request.reply = reply.bytes;
        request.n_reply = reply.n;
        result = ask(sockd, &request, answer, timeout_ms);
        if (result == 0 && answer->status == 503 && answer->n_payload == 0)
                return sockd_fail(sockd, SOCKD_NO_RESPONDERS, "nobody answers on \"%s\"", subject);
        return result;
}
