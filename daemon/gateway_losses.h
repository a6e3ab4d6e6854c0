/* What gateways lose, counted for each listener: by reason. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum gateway_loss {
        LOSS_TOO_LONG,      /* in: longer than a frame may be */
        LOSS_INCOMPLETE,    /* in: the input ended within a frame */
        LOSS_DENIED,        /* in: it may not be published */
        LOSS_NO_MEMORY,     /* in and out */
        LOSS_NO_RESPONDERS, /* a question that nobody takes */
        LOSS_TIMEOUT,       /* one that was not answered in time */
        LOSS_BUSY,          /* a question too many, of a datagram peer or a listener */
        LOSS_TOO_LARGE,     /* out: too large for a datagram, or for waiting */
        N_GATEWAY_LOSSES,
};

struct gateway_losses {
        _Atomic uint64_t n[N_GATEWAY_LOSSES];
};

static inline const char *gateway_loss_name(enum gateway_loss why) {
        static const char *const names[N_GATEWAY_LOSSES] = {
                [LOSS_TOO_LONG] = "too_long",
                [LOSS_INCOMPLETE] = "incomplete",
                [LOSS_DENIED] = "denied",
                [LOSS_NO_MEMORY] = "no_memory",
                [LOSS_NO_RESPONDERS] = "no_responders",
                [LOSS_TIMEOUT] = "timeout",
                [LOSS_BUSY] = "busy",
                [LOSS_TOO_LARGE] = "too_large",
        };

        return names[why];
}
