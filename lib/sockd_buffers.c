/* The two buffers of a handle, and how their bytes get to the socket and from it.
 *
 * The output leaves before anything is waited for: what the peer has not been told, it cannot
 * answer. Where a record holds whole operations, one begins with sockd_output_begin(), which sends
 * first what would make its record too long; and a record that is received stands whole in the
 * input.
 */
#include "lib/sockd_private.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_LEAST ((size_t)16 << 10)

/* A datagram did not get there, or the network says so of an earlier one. What it means is up to
 * the caller: the daemon may be back in a moment. */
static int lose(struct sockd *sockd, int error) {
        if (sockd->lost_ms == 0)
                sockd->lost_ms = sockd_now();
        snprintf(sockd->error, sizeof(sockd->error), "the server cannot be reached: %s",
                 strerror(error));
        return -error;
}

/* What an error of send(2) means. Returns 0 if it is worth another try. */
static int take_send_error(struct sockd *sockd, int error, size_t n) {
        int result;

        if (error == EINTR)
                return 0;
        if (error == EAGAIN || error == EWOULDBLOCK) {
                result = sockd_wait(sockd->descriptor, sockd_tls_send_events(sockd),
                                    sockd_deadline(SOCKD_SEND_MS));
                return result ? sockd_fail(sockd, result < 0 ? result : -ETIMEDOUT,
                                           "the server takes no more data")
                              : 0;
        }
        if (error == EMSGSIZE && sockd->transport->keeps_boundaries)
                return sockd_fail(sockd, SOCKD_TOO_LARGE,
                                  "%zu bytes are more than this socket sends at once", n);
        if (sockd->transport->is_connectionless)
                return lose(sockd, error);
        if (error == EPIPE || error == ECONNRESET) {
                sockd->is_deaf = true;
                return SOCKD_CLOSED;
        }
        return sockd_fail(sockd, -error, "sending: %s", strerror(error));
}

static ssize_t send_some(struct sockd *sockd, const char *bytes, size_t n) {
        return sockd->tls ? sockd_tls_send(sockd, bytes, n)
                          : send(sockd->descriptor, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Returns SOCKD_CLOSED, and sets is_deaf, when the peer takes nothing more; what it has said until
 * then can still be received. */
static int send_bytes(struct sockd *sockd, const char *bytes, size_t n) {
        bool may_reopen = true;
        int result = sockd->failure;

        if (result == 0 && sockd->is_deaf)
                return SOCKD_CLOSED;
        while (n > 0 && result == 0) {
                ssize_t n_sent = send_some(sockd, bytes, n);

                if (n_sent >= 0) {
                        bytes += n_sent;
                        n -= (size_t)n_sent;
                } else if (may_reopen && (errno == ECONNREFUSED || errno == ENOTCONN) &&
                           sockd_socket_reopen(sockd) == 0) {
                        may_reopen = false;
                } else {
                        result = take_send_error(sockd, errno, n);
                }
        }
        return result;
}

static int send_output(struct sockd *sockd) {
        size_t n = sockd->n_output;

        sockd->n_output = sockd->n_reserved = 0;
        sockd->connect_level = SOCKD_CONNECT_NONE;
        return send_bytes(sockd, sockd->output, n);
}

/* For a sender that was told SOCKD_CLOSED: looks for the reason in what the peer said before. */
static int explain(struct sockd *sockd, int result) {
        struct sockd_operation operation;

        if (result != SOCKD_CLOSED || sockd->failure)
                return result;
        while ((result = sockd_scan(sockd, &operation, 0)) == 0)
                if (operation.type == SOCKD_OPERATION_MESSAGE)
                        sockd_scan_keep(sockd, &operation);
        if (result != SOCKD_DENIED && result != SOCKD_REFUSED)
                return sockd_fail(sockd, SOCKD_CLOSED, "the server closed the connection");
        sockd->failure = SOCKD_CLOSED;
        return result;
}

int sockd_output_send(struct sockd *sockd) {
        return explain(sockd, send_output(sockd));
}

static int grow_output(struct sockd *sockd, size_t size) {
        char *output;

        if (size <= sockd->output_size)
                return 0;
        output = realloc(sockd->output, size);
        if (!output)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        sockd->output = output;
        sockd->output_size = size;
        return 0;
}

/* Whether what is buffered has to leave before n bytes are added. A publish stays away from what a
 * bad cookie would take down with it. */
static bool must_send_first(const struct sockd *sockd, enum sockd_kind kind, size_t n) {
        if (sockd->n_output == 0 || sockd->n_output + n <= sockd->n_reserved)
                return false;
        return sockd->n_output + n > sockd->transport->full ||
               (sockd->connect_level == SOCKD_CONNECT_COOKIE &&
                (kind == SOCKD_KIND_PUBLISH || kind == SOCKD_KIND_PUBLISH_HEADERS));
}

static int begin_record(struct sockd *sockd, enum sockd_kind kind, size_t n) {
        size_t n_connect = sockd_session_connect_length(sockd, kind);
        int result = 0;

        if (must_send_first(sockd, kind, n_connect + n)) {
                result = sockd_output_send(sockd);
                n_connect = sockd_session_connect_length(sockd, kind);
        }
        if (result)
                return result;
        if (sockd->n_output + n_connect + n > sockd->transport->max)
                return sockd_fail(sockd, SOCKD_TOO_LARGE,
                                  "%zu bytes, with all that belongs to them, are more than one "
                                  "datagram holds, %zu",
                                  n_connect + n, sockd->transport->max);
        result = grow_output(sockd, sockd->n_output + n_connect + n);
        if (result)
                return result;
        if (sockd->n_reserved < sockd->n_output + n_connect + n)
                sockd->n_reserved = sockd->n_output + n_connect + n;
        return n_connect ? sockd_session_put_connect(sockd, kind) : 0;
}

int sockd_output_begin(struct sockd *sockd, enum sockd_kind kind, size_t n) {
        if (sockd->transport->keeps_boundaries)
                return begin_record(sockd, kind, n);
        return sockd->output_size - sockd->n_output < SOCKD_LINE_ROOM ? sockd_output_send(sockd)
                                                                      : 0;
}

int sockd_output_append(struct sockd *sockd, const void *bytes, size_t n) {
        int result;

        if (n > sockd->output_size - sockd->n_output) {
                result = sockd_output_send(sockd);
                if (result)
                        return result;
                if (n > SOCKD_OUTPUT_FULL)
                        return explain(sockd, send_bytes(sockd, bytes, n));
        }
        if (n > 0)
                memcpy(sockd->output + sockd->n_output, bytes, n);
        sockd->n_output += n;
        return 0;
}

/* Moves what is there to the front of the buffer. */
static void make_compact(struct sockd *sockd) {
        if (sockd->start == 0)
                return;
        memmove(sockd->input, sockd->input + sockd->start, sockd->end - sockd->start);
        sockd->scan -= sockd->start;
        sockd->end -= sockd->start;
        sockd->start = 0;
}

/* Room for a read of n_least bytes. The buffer doubles as bytes arrive, however large the peer says
 * that an operation will be. */
static int make_room(struct sockd *sockd, size_t n_least) {
        size_t size = sockd->input_size;
        char *input;

        if (sockd->start == sockd->end)
                sockd->start = sockd->scan = sockd->end = 0;
        if (size - sockd->end >= n_least)
                return 0;
        make_compact(sockd);
        while (size - sockd->end < n_least)
                size *= 2;
        if (size == sockd->input_size)
                return 0;
        if (sockd->input_size >= SOCKD_INPUT_MAX + sockd->max_payload + READ_LEAST) {
                snprintf(sockd->error, sizeof(sockd->error), "too many messages wait to be read");
                return -ENOBUFS;
        }
        input = realloc(sockd->input, size);
        if (!input)
                return sockd_fail(sockd, -ENOMEM, "out of memory");
        sockd->input = input;
        sockd->input_size = size;
        return 0;
}

/* Whether input is there without asking the kernel twice: a read that did not fill its room left
 * nothing behind, so the next one waits first; after one that did, it reads at once. Of records
 * there may be more after each. */
static int wait_for_input(struct sockd *sockd, int64_t deadline_ms) {
        int64_t limit_ms = sockd->transport->is_connectionless
                                   ? sockd_session_limit(sockd, deadline_ms)
                                   : deadline_ms;
        int result;

        if (!sockd->is_drained)
                return 0;
        result = sockd_wait(sockd->descriptor, sockd_tls_receive_events(sockd), limit_ms);
        if (result < 0)
                return sockd_fail(sockd, result, "waiting: %s", strerror(-result));
        return result == SOCKD_TIMEOUT && limit_ms < deadline_ms ? 0 : result;
}

/* What an error of recv(2) means. Returns 0 if it is worth another try. */
static int take_receive_error(struct sockd *sockd, int error) {
        sockd->is_drained = true;
        if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)
                return 0;
        if (sockd->transport->is_connectionless)
                return lose(sockd, error);
        if (sockd->tls && error == EPROTO)
                return sockd->failure;
        if (error == ECONNRESET)
                return sockd_fail(sockd, SOCKD_CLOSED, "the server closed the connection");
        return sockd_fail(sockd, -error, "receiving: %s", strerror(error));
}

/* Reads once. *np: how much, 0 if that is worth another try. */
static int receive_some(struct sockd *sockd, size_t *np) {
        bool keeps_boundaries = sockd->transport->keeps_boundaries;
        ssize_t n = keeps_boundaries
                            ? recv(sockd->descriptor, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT)
                            : (ssize_t)READ_LEAST;
        size_t n_room;
        int result;

        *np = 0;
        if (n < 0)
                return take_receive_error(sockd, errno);
        result = make_room(sockd, n > 0 ? (size_t)n : 1);
        if (result)
                return result;
        n_room = sockd->input_size - sockd->end;
        if (sockd->tls) {
                n = sockd_tls_receive(sockd, sockd->input + sockd->end, n_room, &sockd->is_drained);
        } else {
                n = recv(sockd->descriptor, sockd->input + sockd->end, n_room, MSG_DONTWAIT);
                sockd->is_drained = !keeps_boundaries && (size_t)n < n_room;
        }
        if (n < 0)
                return take_receive_error(sockd, errno);
        if (n == 0 && !sockd->transport->is_connectionless)
                return sockd_fail(sockd, SOCKD_CLOSED, "the server closed the connection");
        if (sockd->transport->is_connectionless)
                n = (ssize_t)sockd_session_take(sockd, sockd->input + sockd->end, (size_t)n);
        *np = (size_t)n;
        return 0;
}

int sockd_input_receive(struct sockd *sockd, size_t n_wanted, int64_t deadline_ms) {
        size_t n = 0;
        int result;

        result = send_output(sockd);
        if (result && !sockd->is_deaf)
                return result;
        if (n_wanted > SOCKD_INPUT_MAX + sockd->max_payload)
                return sockd_fail(sockd, SOCKD_VIOLATION,
                                  "the server sends a message larger than its own limit");
        do {
                result = sockd->transport->is_connectionless ? sockd_session_renew(sockd) : 0;
                if (result == 0)
                        result = wait_for_input(sockd, deadline_ms);
                if (result == 0)
                        result = receive_some(sockd, &n);
        } while (result == 0 && n == 0);
        sockd->end += n;
        return result;
}
