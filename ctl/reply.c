/* reply: each message becomes the standard input of a program, whose standard output is the answer.
 *
 * One at a time, in the order of arrival; more of them in parallel are more sockctl in one queue
 * group. The program learns the subject from $SOCKD_SUBJECT: nothing of a message is ever put on a
 * command line, and no shell takes part.
 *
 * While a program runs the connection is looked after: PINGs are answered, and further requests
 * wait their turn in libsockd. What ends sockctl, a signal or the time, ends the program first, and
 * who asked is told.
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

struct service {
        struct context *context;
        struct wait wait;
        struct process_watch watch;
        int ending;  /* why it ends although a request is under way: as of wait_check(); else 0 */
        int failure; /* what the server said while a program ran, or 0 */
};

/* What has arrived is taken. A connection that is lost does not end the program: what it does may
 * be worth more than its answer. One that has too much to say is not read until the program ends.
 */
static void keep_alive(struct service *service) {
        int result;

        do {
                result = sockd_process(service->context->connection);
                if (result && result != -ENOBUFS && !service->failure)
                        service->failure = result;
        } while (result == SOCKD_DENIED || result == SOCKD_REFUSED);
        if (result)
                service->watch.descriptors[1] = -1;
}

/* Whether a program may run, or go on. */
static bool attend(void *data) {
        struct service *service = data;

        keep_alive(service);
        if (!service->ending)
                service->ending = wait_check(&service->wait);
        if (service->ending)
                service->watch.descriptors[0] = -1;
        return !service->ending;
}

/* Something may have been buffered together with the request. */
static bool begin_watch(struct service *service) {
        service->watch = (struct process_watch){
                .descriptors = {service->wait.signals,
                                sockd_descriptor(service->context->connection)},
                .deadline_ms = service->wait.deadline_ms,
                .function = attend,
                .data = service,
        };
        return attend(service);
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

/* environment: what make_environment() made, or NULL if it could not. */
static int run_program(struct service *service, const struct request *request,
                       char *const *environment, struct process_output *output) {
        struct context *context = service->context;

        if (!environment)
                return -ENOMEM;
        if (!begin_watch(service))
                return 0;
        return process_run(context->options->arguments + 1, environment,
                           request->bytes + request->n_reply, request->n_payload,
                           sockd_max_payload(context->connection), false, &service->watch, output);
}

/* What went wrong, as the headers of the answer; nothing if all went well. */
static size_t make_error(const struct service *service, int result,
                         const struct process_output *output, char *block, size_t size) {
        const char *program = service->context->options->arguments[1];
        char text[512];
        size_t n = 0;

        if (result < 0)
                snprintf(text, sizeof(text), "%.200s: %s", program, strerror(-result));
        else if (service->ending)
                snprintf(text, sizeof(text), "%.200s: %s", program,
                         service->ending == SOCKD_TIMEOUT ? "no time was left" : "interrupted");
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

static int publish_answer(struct service *service, const struct request *request, int result,
                          const struct process_output *output) {
        struct context *context = service->context;
        char block[1024];
        struct sockd_message answer = {
                .subject = request->bytes,
                .n_subject = request->n_reply,
                .headers = block,
                .n_headers = make_error(service, result, output, block, sizeof(block)),
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

/* What ends the service says more than what became of this answer. */
static int answer_with_program(struct service *service, const struct sockd_message *message) {
        struct process_output output = {0};
        struct request request;
        char *subject = NULL, **environment;
        int result = request_init(&request, message);

        if (result < 0)
                return result;
        environment = make_environment(message, &subject);
        result = run_program(service, &request, environment, &output);
        result = publish_answer(service, &request, result, &output);
        process_output_deinit(&output);
        free(environment);
        free(subject);
        free(request.bytes);
        if (service->ending)
                return service->ending;
        return result ? result : service->failure;
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

static int fail_late(const struct service *service) {
        struct context *context = service->context;

        if (service->ending)
                return context_fail(context, EXIT_TIMEOUT, "%s was still running when time was up",
                                    context_argument(context, 1));
        return context_fail(context, EXIT_TIMEOUT, "no request came in time");
}

/* Returns an exit code. */
static int serve(struct service *service) {
        struct context *context = service->context;
        uint64_t count = service->wait.count;
        struct sockd_message message;
        int result = 0;

        for (uint64_t n = 0; result == 0 && (count == 0 || n < count); n++) {
                result = wait_next(&service->wait, context, &message);
                if (result == 0)
                        result = context->options->echo ? answer_with_echo(context, &message)
                                                        : answer_with_program(service, &message);
        }
        if (result && result != WAIT_INTERRUPTED && result != WAIT_READER_GONE &&
            result != SOCKD_TIMEOUT)
                return session_fail(context, result, context_argument(context, 0));
        sockd_flush(context->connection, FLUSH_MS);
        return result == SOCKD_TIMEOUT ? fail_late(service) : EXIT_DONE;
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
        struct service service = {.context = context};
        int code = check_program(context);

        if (code == EXIT_DONE)
                code = session_open(context);
        if (code == EXIT_DONE)
                code = wait_subscribe(&service.wait, context);
        if (code)
                return code;
        code = serve(&service);
        wait_deinit(&service.wait);
        return code;
}
