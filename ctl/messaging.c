/* pub, sub and request: libsockd with a command line.
 *
 * What is published is the argument, or all of standard input, which is read before there is a
 * connection: it may take hours, and a client that answers no PINGs meanwhile is closed. What is
 * received goes to standard output, one message after the other, flushed each.
 */
#include "ctl/messaging.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/message_print.h"
#include "ctl/session.h"
#include "ctl/wait.h"

#define FLUSH_MS   10000
#define REQUEST_MS 2000
#define INPUT_MAX  ((size_t)64 << 20) /* the largest max_payload there is */

/* Reads standard input to its end, unless that is more than any server takes. */
static int read_input(struct context *context, char **bytesp, size_t *np) {
        size_t size = 65536, n = 0;
        char *bytes = malloc(size);

        while (bytes && n <= INPUT_MAX) {
                ssize_t n_read;

                if (n == size) {
                        char *larger = realloc(bytes, size * 2);

                        if (!larger)
                                break;
                        bytes = larger;
                        size *= 2;
                }
                n_read = read(STDIN_FILENO, bytes + n, size - n);
                if (n_read == 0) {
                        *bytesp = bytes;
                        *np = n;
                        return EXIT_DONE;
                }
                if (n_read < 0 && errno != EINTR) {
                        free(bytes);
                        return context_fail(context, EXIT_FAILED, "standard input: %s",
                                            strerror(errno));
                }
                n += n_read > 0 ? (size_t)n_read : 0;
        }
        free(bytes);
        if (n > INPUT_MAX)
                return context_fail(context, EXIT_FAILED,
                                    "standard input is larger than any message, 64M");
        return context_fail(context, EXIT_FAILED, "out of memory");
}

/* The payload that the command line means; *ownp is to be freed. */
static int get_payload(struct context *context, const char **bytesp, size_t *np, char **ownp) {
        const char *text = context_argument(context, 1);
        int code;

        *ownp = NULL;
        *bytesp = text ? text : "";
        *np = strlen(*bytesp);
        if (text ? strcmp(text, "-") != 0 : isatty(STDIN_FILENO))
                return EXIT_DONE;
        context_tell(context, "reading standard input");
        code = read_input(context, ownp, np);
        *bytesp = *ownp;
        return code;
}

static int publish_all(struct context *context, const struct sockd_message *message,
                       uint64_t count) {
        int result = 0;

        for (uint64_t i = 0; result == 0 && i < count; i++)
                result = sockd_publish_message(context->connection, message);
        if (result == 0)
                result = sockd_flush(context->connection, context_timeout(context, FLUSH_MS));
        return result;
}

int messaging_pub(struct context *context) {
        const struct options *options = context->options;
        uint64_t count = options_number(options->count, 1);
        struct sockd_message message = {
                .subject = context_argument(context, 0),
                .n_subject = strlen(context_argument(context, 0)),
                .reply = options->reply,
                .n_reply = options->reply ? strlen(options->reply) : 0,
                .headers = options->n_headers ? options->headers : NULL,
                .n_headers = options->n_headers,
        };
        const char *payload;
        char *own;
        int result, code;

        if (count == 0)
                return context_fail(context, EXIT_USAGE, "--count \"0\": at least 1 was expected");
        code = get_payload(context, &payload, &message.n_payload, &own);
        if (code)
                return code;
        message.payload = payload;
        code = session_open(context);
        result = code ? 0 : publish_all(context, &message, count);
        free(own);
        if (code)
                return code;
        if (result)
                return session_fail(context, result, message.subject);
        context_tell(context, "published %" PRIu64 " to %s", count, message.subject);
        if (options->json)
                return context_print_json(context,
                                          json_pack("{s:I}", "published", (json_int_t)count));
        return EXIT_DONE;
}

/* Prints until there is nothing more to wait for. Returns an exit code. */
static int print_messages(struct context *context, struct wait *wait) {
        uint64_t count = wait->count, n = 0;
        struct sockd_message message;
        int result, code;
        bool is_gone;

        while (count == 0 || n < count) {
                result = wait_next(wait, context, &message);
                if (result == WAIT_INTERRUPTED || result == WAIT_READER_GONE)
                        return EXIT_DONE;
                if (result == SOCKD_TIMEOUT && n > 0 && count == 0)
                        return EXIT_DONE;
                if (result == SOCKD_TIMEOUT && n > 0)
                        return context_fail(context, EXIT_TIMEOUT,
                                            "only %" PRIu64 " of %" PRIu64 " messages came in time",
                                            n, count);
                if (result == SOCKD_TIMEOUT)
                        return context_fail(context, EXIT_TIMEOUT, "no message came in time");
                if (result)
                        return session_fail(context, result, context_argument(context, 0));
                code = message_print(context, &message, &is_gone);
                if (code || is_gone)
                        return code;
                n++;
        }
        return EXIT_DONE;
}

int messaging_sub(struct context *context) {
        struct wait wait;
        int code = wait_subscribe(&wait, context);

        if (code)
                return code;
        code = print_messages(context, &wait);
        wait_deinit(&wait);
        return code;
}

/* A service says that it failed in headers (protocol.md, section 10); the payload is printed all
 * the same. */
static int judge_answer(struct context *context, const struct sockd_message *answer) {
        size_t n_code, n_text = 0;
        const char *code = sockd_header_find(answer, "Nats-Service-Error-Code", &n_code);
        const char *text = sockd_header_find(answer, "Nats-Service-Error", &n_text);

        if (!code && !text)
                return EXIT_DONE;
        if (context->options->json)
                return EXIT_FAILED;
        return context_fail(context, EXIT_FAILED, "the service failed: %.*s%s%.*s",
                            (int)(code ? n_code : 0), code ? code : "", code && text ? " " : "",
                            (int)(text ? n_text : 0), text ? text : "");
}

int messaging_request(struct context *context) {
        const struct options *options = context->options;
        const char *subject = context_argument(context, 0), *payload;
        struct sockd_message answer;
        size_t n_payload;
        char *own;
        bool is_gone;
        int result = 0, code = get_payload(context, &payload, &n_payload, &own);

        if (code)
                return code;
        code = session_open(context);
        if (code == EXIT_DONE)
                result = sockd_request(context->connection, subject, options->headers,
                                       options->n_headers, payload, n_payload, &answer,
                                       context_timeout(context, REQUEST_MS));
        free(own);
        if (code)
                return code;
        if (result)
                return session_fail(context, result, subject);
        code = message_print(context, &answer, &is_gone);
        return code ? code : judge_answer(context, &answer);
}
