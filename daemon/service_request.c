/* A request for a program. See service_request.h. */
#include "daemon/service_request.h"

#include "daemon/message.h"

#include <stdlib.h>

#define SUBJECT_NAME BYTES("SOCKD_SUBJECT=")

static struct bytes payload_of(const struct message *message) {
        return (struct bytes){message->payload.data + message->header_size,
                              message->payload.length - message->header_size};
}

/* Finds the texts that stand one behind the other. */
static void list_variables(struct service_request *request, const char *end) {
        const char *text = request->text;

        for (size_t i = 0; i < SERVICE_VARIABLES_MAX && text < end; i++) {
                request->variables[i] = text;
                text += strlen(text) + 1;
        }
}

struct service_request *service_request_new(struct service_pool *pool,
                                            const struct service_asker *asker,
                                            const struct message *message, uint64_t began_ns) {
        char variables[PEER_VARIABLES_ROOM_MAX];
        struct bytes peer = {variables, 0}, payload = payload_of(message);
        struct service_request *request;
        char *end;

        if (message->publisher)
                peer.length = peer_variables_write(message->publisher, variables);
        request = malloc(sizeof(*request) + peer.length + SUBJECT_NAME.length +
                         message->subject.length + 1 + message->reply.length + payload.length);
        if (!request)
                return NULL;
        *request = (struct service_request){
                .pool = pool, .asker = *asker, .began_ns = began_ns, .n_bytes = payload.length};
        end = bytes_copy(request->text, peer);
        end = bytes_copy(end, SUBJECT_NAME);
        end = bytes_copy(end, message->subject);
        *end++ = '\0';
        list_variables(request, end);
        request->reply = (struct bytes){end, message->reply.length};
        end = bytes_copy(end, message->reply);
        request->payload = (struct bytes){end, payload.length};
        bytes_copy(end, payload);
        return request;
}
