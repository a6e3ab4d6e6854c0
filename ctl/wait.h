/* Waiting for messages in the foreground: until one comes, time is up, the user interrupts, or the
 * reader of standard output has gone. */
#pragma once

#include "ctl/context.h"

enum {
        WAIT_INTERRUPTED = 100, /* beside the results of sockd_next() */
        WAIT_READER_GONE = 101,
};

struct wait {
        int signals;         /* signalfd(2), own */
        int64_t deadline_ms; /* CLOCK_MONOTONIC; INT64_MAX: none */
        uint64_t count;      /* messages to wait for; 0: no limit */
};

/* Subscribes to the verb's subject, as its options say, and starts the clock once that is in
 * effect; from then on SIGINT and SIGTERM end the wait instead of the process. Returns EXIT_DONE,
 * or a code after having said why, and then there is nothing to deinit. */
int wait_subscribe(struct wait *wait, struct context *context);
void wait_deinit(struct wait *wait);

/* As sockd_next(), until the deadline. */
int wait_next(struct wait *wait, struct context *context, struct sockd_message *message);

/* Milliseconds until the deadline: -1 for ever. */
int wait_left(const struct wait *wait);
