/* The answer of a service. See service_answer.h. */
#include "daemon/service_answer.h"

#include "daemon/block.h"
#include "daemon/bus.h"
#include "daemon/client.h"
#include "daemon/connection.h"
#include "daemon/handler.h"
#include "daemon/instance.h"
#include "daemon/worker.h"
#include "lib/text.h"

#include <stdio.h>

/* How much of what a program complained about an answer shows, and of what went wrong. */
#define COMPLAINT_SHOWN_MAX 1024
#define TEXT_SHOWN_MAX      512
/* All headers. */
#define HEADERS_MAX (COMPLAINT_SHOWN_MAX + TEXT_SHOWN_MAX + 256)

/* Whether the asker has chosen a reply subject that he may not publish to. That of an import, or of
 * a gateway, sockd itself has chosen. */
static bool is_restricted(const struct connection *publisher, const struct message *message) {
        const struct client *client = publisher->client;

        return publisher->handler->speaks_nats && client->bus == message->bus &&
               !client_may_publish(client, message->reply);
}

struct service_asker service_asker_of(const struct message *message) {
        const struct connection *publisher = message->publisher;
        struct service_asker asker = {.bus = message->bus, .has_headers = true};

        if (!publisher)
                return asker;
        asker.id = publisher->id;
        asker.slot = publisher->slot;
        asker.is_alone = message->reply.length > 0 && is_restricted(publisher, message);
        asker.has_headers = !publisher->handler->speaks_nats ||
                            atomic_load_explicit(&publisher->client->headers, memory_order_relaxed);
        return asker;
}

/* --- publishing ----------------------------------------------------------------------------- */

static void publish(const struct service_asker *asker, struct worker *worker,
                    const struct message *message) {
        const struct connection *connection;

        if (!asker->is_alone) {
                (void)bus_publish_onward(asker->bus, worker, message);
                return;
        }
        connection = instance_find(worker->instance, asker->slot);
        if (connection && connection->id == asker->id)
                (void)bus_publish_onward_to(asker->bus, worker, message,
                                            &connection->client->receiver);
}

void service_answer_publish_bytes(const struct service_asker *asker, struct worker *worker,
                                  struct bytes reply, struct bytes payload) {
        const struct message message = {
                .subject = reply, .payload = payload, .count = 1, .bus = asker->bus};

        publish(asker, worker, &message);
}

/* --- headers -------------------------------------------------------------------------------- */

/* In one line, whatever the configuration has put into it. */
static const char *printable(char shown[TEXT_SHOWN_MAX], const char *text) {
        size_t length = text_cut(text, strlen(text), TEXT_SHOWN_MAX - 1);

        memcpy(shown, text, length);
        shown[length] = '\0';
        text_make_printable(shown, length);
        return shown;
}

static size_t write_lines(char *to, size_t size, const struct service_answer *answer,
                          bool with_complaint) {
        char quoted[COMPLAINT_SHOWN_MAX], shown[TEXT_SHOWN_MAX];
        size_t n = 0;

        if (answer->error != SERVICE_GOOD)
                n += (size_t)snprintf(
                        to, size, "Nats-Service-Error: %s\r\nNats-Service-Error-Code: %u\r\n",
                        printable(shown, answer->text), service_error_code(answer->error));
        if (answer->has_status)
                n += (size_t)snprintf(to + n, size - n, "Sockd-Exit-Status: %d\r\n",
                                      answer->status);
        if (with_complaint && answer->complaint.length > 0)
                n += (size_t)snprintf(to + n, size - n, "Sockd-Stderr: %s\r\n",
                                      bytes_quote(quoted, sizeof(quoted), answer->complaint));
        return n;
}

static size_t write_headers(char to[HEADERS_MAX], const struct service_answer *answer,
                            bool with_complaint) {
        static const struct bytes first = {"NATS/1.0\r\n", 10};
        size_t n =
                write_lines(to + first.length, HEADERS_MAX - first.length, answer, with_complaint);

        if (n == 0)
                return 0;
        bytes_copy(to, first);
        bytes_copy(to + first.length + n, BYTES("\r\n"));
        return first.length + n + 2;
}

bool service_answer_publish(const struct service_answer *answer, const struct service_asker *asker,
                            struct worker *worker, struct bytes reply, size_t max_payload) {
        struct message message = {.subject = reply, .count = 1, .bus = asker->bus};
        struct bytes payload = answer->payload;
        char headers[HEADERS_MAX];
        char *end;

        if (payload.length == 0 && answer->text && !asker->has_headers)
                payload = bytes_from_string(answer->text);
        message.header_size = write_headers(headers, answer, true);
        if (message.header_size + payload.length > max_payload)
                message.header_size = write_headers(headers, answer, false);
        if (message.header_size + payload.length > max_payload) {
                /* Of an error the headers matter more, of an answer the payload does. */
                if (answer->error != SERVICE_GOOD)
                        payload.length = 0;
                else
                        message.header_size = 0;
        }
        message.payload.length = message.header_size + payload.length;
        message.block = block_new(message.payload.length + 2);
        if (!message.block)
                return false;
        message.payload.data = message.block->data;
        end = bytes_copy(message.block->data, (struct bytes){headers, message.header_size});
        end = bytes_copy(end, payload);
        bytes_copy(end, BYTES("\r\n"));
        publish(asker, worker, &message);
        block_unref(message.block);
        return true;
}
