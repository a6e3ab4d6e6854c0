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
        int64_t deadline_ms; /* see ctl/deadline.h */
        uint64_t count;      /* messages to wait for; 0: no limit */
        uint64_t n_taken;
};

/* Subscribes to the verb's subject, as its options say, and starts the clock once that is in
 * effect; from then on SIGINT, SIGTERM and SIGHUP end the wait instead of the process. Returns
 * EXIT_DONE, or a code after having said why, and then there is nothing to deinit. */
int wait_subscribe(struct wait *wait, struct context *context);
void wait_deinit(struct wait *wait);

/* As sockd_next(), until the deadline. */
int wait_next(struct wait *wait, struct context *context, struct sockd_message *message);

/* Whether the wait is over, for who does something else meanwhile and polls `signals`. Returns 0,
 * WAIT_INTERRUPTED or SOCKD_TIMEOUT. */
int wait_check(const struct wait *wait);
