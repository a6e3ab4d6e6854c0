/* reply: each message becomes the standard input of a program, whose standard output is the answer.
 *
 * One at a time, in the order of arrival; more of them in parallel are more sockctl in one queue
 * group. The program learns the subject from $SOCKD_SUBJECT: nothing of a message is ever put on a
 * command line, and no shell takes part.
 */
#include "ctl/reply.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/process.h"
#include "ctl/session.h"
#include "ctl/wait.h"
#include "lib/text.h"

#define FLUSH_MS 10000
#define IDLE_MS  20000

/* A message must outlive the reading that goes on while the program runs. */
struct request {
        char *bytes; /* own: reply, then payload */
        size_t n_reply, n_payload;
};

static int request_init(struct request *request, const struct sockd_message *message) {
        request->n_reply = message->n_reply;
        request->n_payload = message->n_payload;
        request->bytes = malloc(message->n_reply + message->n_payload + 1);
        if (!request->bytes)
                return -ENOMEM;
        if (message->n_reply > 0)
                memcpy(request->bytes, message->reply, message->n_reply);
        if (message->n_payload > 0)
                memcpy(request->bytes + message->n_reply, message->payload, message->n_payload);
        return 0;
}

/* Answers the server's PINGs while a program takes its time. */
static void keep_alive(void *data) {
        struct context *context = data;

        sockd_flush(context->connection, FLUSH_MS);
}

/* The environment with SOCKD_SUBJECT=subject in it. *ownp holds the strings; both are freed by the
 * caller. */
static char **make_environment(const struct sockd_message *message, char **ownp) {
        size_t n = 0, n_kept = 0;
        char **environment;

        while (environ[n])
                n++;
        environment = calloc(n + 2, sizeof(*environment));
        if (!environment)
                return NULL;
        if (asprintf(ownp, "SOCKD_SUBJECT=%.*s", (int)message->n_subject, message->subject) < 0) {
                free(environment);
                return NULL;
        }
        for (size_t i = 0; i < n; i++)
                if (strncmp(environ[i], "SOCKD_SUBJECT=", 14) != 0)
                        environment[n_kept++] = environ[i];
        environment[n_kept] = *ownp;
        return environment;
}

static int run_program(struct context *context, const struct request *request,
                       const struct sockd_message *message, struct process_output *output) {
        const struct process_idle idle = {keep_alive, context, IDLE_MS};
        char **argv = context->options->arguments + 1;
        char *subject = NULL;
        char **environment = make_environment(message, &subject);
        int result = -ENOMEM;

        if (environment)
                result = process_run(argv, environment, request->bytes + request->n_reply,
                                     request->n_payload, sockd_max_payload(context->connection),
                                     false, &idle, output);
        free(environment);
        free(subject);
        return result;
}

/* What went wrong, as the headers of the answer; nothing if all went well. */
static size_t make_error(const struct context *context, int result,
                         const struct process_output *output, char *block, size_t size) {
        const char *program = context->options->arguments[1];
        char text[512];
        size_t n = 0;

        if (result < 0)
                snprintf(text, sizeof(text), "%.200s: %s", program, strerror(-result));
        else if (output->is_cut)
                snprintf(text, sizeof(text), "%.200s: the answer is too large", program);
        else if (output->status > 128)
                snprintf(text, sizeof(text), "%.200s: ended by signal %d", program,
                         output->status - 128);
        else if (output->status > 0)
                snprintf(text, sizeof(text), "%.200s: exit status %d", program, output->status);
        else
                return 0;
        text_make_printable(text, strlen(text));
        sockd_header_add(block, size, &n, "Nats-Service-Error", text);
        sockd_header_add(block, size, &n, "Nats-Service-Error-Code", "500");
        return n;
}

static int publish_answer(struct context *context, const struct request *request, int result,
                          const struct process_output *output) {
        char block[1024];
        struct sockd_message answer = {
                .subject = request->bytes,
                .n_subject = request->n_reply,
                .headers = block,
                .n_headers = make_error(context, result, output, block, sizeof(block)),
                .payload = output->bytes,
                .n_payload = output->is_cut ? 0 : output->n,
        };

        if (answer.n_headers > 0)
                context_tell(context, "the program failed");
        if (request->n_reply == 0)
                return 0;
        if (answer.n_headers + answer.n_payload > sockd_max_payload(context->connection))
                answer.n_payload = 0;
        result = sockd_publish_message(context->connection, &answer);
        return result ? result : sockd_send(context->connection);
}

static int answer_with_program(struct context *context, const struct sockd_message *message) {
        struct process_output output = {0};
        struct request request;
        int result = request_init(&request, message);

        if (result < 0)
                return result;
        result = run_program(context, &request, message, &output);
        result = publish_answer(context, &request, result, &output);
        process_output_deinit(&output);
        free(request.bytes);
        return result;
}

static int answer_with_echo(struct context *context, const struct sockd_message *message) {
        struct sockd_message answer = *message;

        if (!message->reply)
                return 0;
        answer.subject = message->reply;
        answer.n_subject = message->n_reply;
        answer.reply = NULL;
        return sockd_publish_message(context->connection, &answer);
}

static int serve(struct context *context, struct wait *wait) {
        const struct options *options = context->options;
        struct sockd_message message;
        int result;

        for (uint64_t n = 0; wait->count == 0 || n < wait->count; n++) {
                result = wait_next(wait, context, &message);
                if (result == WAIT_INTERRUPTED || result == WAIT_READER_GONE)
                        break;
                if (result == SOCKD_TIMEOUT)
                        return context_fail(context, EXIT_TIMEOUT, "no request came in time");
                if (result == 0)
                        result = options->echo ? answer_with_echo(context, &message)
                                               : answer_with_program(context, &message);
                if (result)
                        return session_fail(context, result, options->arguments[0]);
        }
        sockd_flush(context->connection, FLUSH_MS);
        return EXIT_DONE;
}

static int check_program(struct context *context) {
        const char *program = context_argument(context, 1);

        if (context->options->echo && program)
                return context_fail(context, EXIT_USAGE, "either --echo or a program was expected");
        if (!context->options->echo && !program)
                return context_fail(
                        context, EXIT_USAGE,
                        "a program was expected: reply SUBJECT -- PROGRAM [ARGUMENT...]");
        if (program && !process_exists(program))
                return context_fail(context, EXIT_USAGE, "the program %s was not found", program);
        return EXIT_DONE;
}

int reply_run(struct context *context) {
        struct wait wait;
        int code = check_program(context);

        if (code == EXIT_DONE)
                code = wait_subscribe(&wait, context);
        if (code)
                return code;
        code = serve(context, &wait);
        wait_deinit(&wait);
        return code;
}
