/* All handlers, by what the configuration calls them. See handler.h. */
#include "daemon/handler.h"

#include "daemon/exec.h"
#include "daemon/forward.h"
#include "daemon/gateway.h"
#include "daemon/handler_bus.h"
#include "daemon/small_services.h"

const struct handler *handler_of(enum handler_kind kind) {
        static const struct handler *const handlers[] = {
                [HANDLER_BUS] = &handler_bus,
                [HANDLER_ECHO] = &handler_echo,
                [HANDLER_DISCARD] = &handler_discard,
                [HANDLER_DAYTIME] = &handler_daytime,
                [HANDLER_TIME] = &handler_time,
                [HANDLER_CHARGEN] = &handler_chargen,
                [HANDLER_PUBLISH] = &handler_publish,
                [HANDLER_REQUEST] = &handler_request,
                [HANDLER_SUBSCRIBE] = &handler_subscribe,
                [HANDLER_FORWARD] = &handler_forward,
                [HANDLER_EXEC] = &handler_exec,
        };

        return handlers[kind];
}
