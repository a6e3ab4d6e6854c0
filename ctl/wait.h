/* Waiting for messages in the foreground: until one comes, time is up, the user interrupts, or the
 * reader of standard output has gone. */
#pragma once

#include "ctl/context.h"

enum {
        WAIT_INTERRUPTED = 100,         /* beside the results of sockd_next() */
        WAIT_READER_GONE = 101,
};

struct wait {
        int signals;                    /* signalfd(2), own */
        int64_t deadline_ms;            /* CLOCK_MONOTONIC; INT64_MAX: none */
};

/* Takes SIGINT and SIGTERM out of the way of system calls, and starts the clock; timeout_ms < 0:
 * none. Returns 0 or -errno. */
int wait_init(struct wait *wait, int timeout_ms);
void wait_deinit(struct wait *wait);

/* As sockd_next(), until the deadline. */
int wait_next(struct wait *wait, struct context *context, struct sockd_message *message);

/* Milliseconds until the deadline: -1 for ever. */
int wait_left(const struct wait *wait);
