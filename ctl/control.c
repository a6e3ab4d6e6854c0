/* One request, one envelope; and lists page by page.
 *
 * What the server says is judged here, so that the verbs see either data or an exit code.
 */
#include "ctl/control.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/session.h"

#define PREFIX     "$SYS.REQ.SERVER."
#define REQUEST_MS 5000
#define PAGE       1024
#define ENTRY_SIZE 1024 /* of an entry of a list, about; a page has to fit a message */
#define PAGES_MAX  100000

static int build_subject(struct context *context, const char *subject, char *text, size_t size) {
        const char *id = sockd_server_id(context->connection);
        int n;

        if (strncmp(subject, "ID.", 3) == 0)
                n = snprintf(text, size, PREFIX "%s.%s", id, subject + 3);
        else
                n = snprintf(text, size, PREFIX "%s", subject);
        return n > 0 && (size_t)n < size ? 0 : -1;
}

/* Codes in the manner of HTTP to exit codes; what they say is the server's. */
static int fail_from(struct context *context, const json_t *error) {
        json_int_t code = json_integer_value(json_object_get(error, "code"));
        const char *text = json_string_value(json_object_get(error, "description"));
        int exit_code = EXIT_FAILED;

        if (code == 400)
                exit_code = EXIT_USAGE;
        else if (code == 401 || code == 403)
                exit_code = EXIT_PERMISSION;
        else if (code == 404 || (text && strncmp(text, "no such ", 8) == 0))
                exit_code = EXIT_NOT_FOUND;
        else if (code == 408 || code == 504)
                exit_code = EXIT_TIMEOUT;
        return context_fail(context, exit_code, "%s: %s", context->verb,
                            text ? text : "the daemon refused without a reason");
}

static int open_envelope(struct context *context, const struct sockd_message *answer,
                         json_t **datap) {
        json_error_t reason;
        json_t *envelope = json_loadb(answer->payload, answer->n_payload, 0, &reason);
        const json_t *error = json_object_get(envelope, "error");
        int code = EXIT_DONE;

        if (!json_is_object(envelope))
                code = context_fail(context, EXIT_FAILED, "%s: the answer is no JSON object",
                                    context->verb);
        else if (json_is_object(error))
                code = fail_from(context, error);
        else if (datap)
                *datap = json_object_get(envelope, "data")
                                 ? json_incref(json_object_get(envelope, "data"))
                                 : json_null();
        json_decref(envelope);
        return code;
}

static int send_request(struct context *context, const char *subject, const json_t *options,
                        int timeout_ms, json_t **datap) {
        struct sockd_message answer;
        char text[256], *payload = NULL;
        int result;

        if (build_subject(context, subject, text, sizeof(text)) < 0)
                return context_fail(context, EXIT_FAILED, "the server's id is too long");
        if (options) {
                payload = json_dumps(options, JSON_COMPACT);
                if (!payload)
                        return context_fail(context, EXIT_FAILED, "out of memory");
        }
        result = sockd_request(context->connection, text, NULL, 0, payload,
                               payload ? strlen(payload) : 0, &answer, timeout_ms);
        free(payload);
        if (result)
                return session_fail(context, result, text);
        return open_envelope(context, &answer, datap);
}

int control_request(struct context *context, const char *subject, json_t *options, int timeout_ms,
                    json_t **datap) {
        int code = send_request(context, subject, options, context_timeout(context, timeout_ms),
                                datap);

        json_decref(options);
        return code;
}

/* Asks for one page and adds it to *datap. *is_lastp: nothing is behind it. */
static int add_page(struct context *context, const char *subject, json_t *options,
                    const char *member, json_t **datap, bool *is_lastp) {
        json_t *page = NULL, *list, *all = json_object_get(*datap, member);
        size_t n_fitting = sockd_max_payload(context->connection) / ENTRY_SIZE;
        size_t offset = json_array_size(all);
        int code = EXIT_DONE;

        if (json_object_set_new(options, "offset", json_integer((json_int_t)offset)) < 0 ||
            json_object_set_new(options, "limit",
                                json_integer(n_fitting > 0 && n_fitting < PAGE
                                                     ? (json_int_t)n_fitting
                                                     : PAGE)) < 0)
                return context_fail(context, EXIT_FAILED, "out of memory");
        code = send_request(context, subject, options, context_timeout(context, REQUEST_MS), &page);
        if (code)
                return code;
        list = json_object_get(page, member);
        *is_lastp = json_array_size(list) == 0 ||
                    (json_int_t)(offset + json_array_size(list)) >=
                            json_integer_value(json_object_get(page, "total"));
        if (!*datap) {
                *datap = page;
                return EXIT_DONE;
        }
        if (json_is_array(list) && json_array_extend(all, list) < 0)
                code = context_fail(context, EXIT_FAILED, "out of memory");
        json_decref(page);
        return code;
}

int control_request_list(struct context *context, const char *subject, json_t *options,
                         const char *member, json_t **datap) {
        json_t *data = NULL;
        bool is_last = false;
        int code = options ? EXIT_DONE : context_fail(context, EXIT_FAILED, "out of memory");

        for (size_t i = 0; code == EXIT_DONE && !is_last && i < PAGES_MAX; i++)
                code = add_page(context, subject, options, member, &data, &is_last);
        json_decref(options);
        if (code) {
                json_decref(data);
                return code;
        }
        *datap = data;
        return EXIT_DONE;
}
