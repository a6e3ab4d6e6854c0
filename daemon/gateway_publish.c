/* The gateway that publishes what comes. See gateway.h.
 *
 * It never answers. What is lost is counted, and the log tells of it.
 */
#include "daemon/gateway.h"
#include "daemon/gateway_parts.h"
#include "daemon/handler.h"

#include <errno.h>
#include <stdlib.h>

static void publish_frame(struct connection *connection, const struct frame *frame) {
        (void)gateway_publish(connection, frame, BYTES(""));
}

static const struct gateway_kind kind = {.take = publish_frame, .end = connection_end};

static int publish_opened(struct connection *connection) {
        struct gateway *gateway = calloc(1, sizeof(*gateway));
        int r = gateway ? gateway_open(connection, gateway, &kind) : -ENOMEM;

        if (r < 0)
                free(gateway);
        return r;
}

static void publish_begun(struct connection *connection) {
        if (gateway_find_subject(connection) < 0)
                connection_end(connection, REASON_READ_ERROR);
}

static void publish_release(struct connection *connection) {
        gateway_deinit(connection);
        free(gateway_of(connection));
}

const struct handler handler_publish = {
        .name = "publish",
        .opened = publish_opened,
        .begun = publish_begun,
        .secured = client_secured_plain,
        .input = gateway_take,
        .finished = gateway_finish,
        .renewed = gateway_renewed,
        .oversized = gateway_oversized,
        .deadline = client_deadline_plain,
        .changed = gateway_changed,
        .closed = gateway_closed,
        .release = publish_release,
};
