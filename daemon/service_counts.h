/* What became of the requests of a service: how many there were, how many failed and why, and how
 * long they took. Any thread, but where it says otherwise.
 */
#pragma once

#include "daemon/latency.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/* Why a request got no answer of the service's own. Each has a code, as HTTP has them. */
enum service_error {
        SERVICE_GOOD,
        SERVICE_BAD_REQUEST, /* 400: a program cannot be told that */
        SERVICE_BUSY,        /* 429: too many requests wait */
        SERVICE_FAILED,      /* 500: the program ended in an error, or by a signal */
        SERVICE_TOO_LARGE,   /* 500: the answer is larger than max_payload */
        SERVICE_UNAVAILABLE, /* 503: the program could not be started, or the service ends */
        SERVICE_LATE,        /* 504: it took too long */
        N_SERVICE_ERRORS,
};

/* The code for the header Nats-Service-Error-Code; the name for reports: "too_large". */
unsigned service_error_code(enum service_error error);
const char *service_error_name(enum service_error error);

/* Room for the last error, with its NUL. */
#define SERVICE_LAST_ERROR_MAX 256

struct service_counts {
        _Atomic uint64_t n_requests;                 /* that are over */
        _Atomic uint64_t n_errors[N_SERVICE_ERRORS]; /* of SERVICE_GOOD: successes */
        _Atomic uint64_t processing_ns;              /* from their arrival on, together */
        struct latency latency; /* of those that were not turned away: 400, 429, 503 */
        pthread_mutex_t lock;   /* a leaf */
        char last_error[SERVICE_LAST_ERROR_MAX];
};

/* Of zeroes. */
void service_counts_init(struct service_counts *counts);
void service_counts_deinit(struct service_counts *counts);

/* Counts a request that is over. text: what went wrong; NULL if nothing did. */
void service_counts_add(struct service_counts *counts, enum service_error error, const char *text,
                        uint64_t elapsed_ns);

/* All errors. */
uint64_t service_counts_errors(const struct service_counts *counts);

/* Copies the last error, "" if there was none. */
void service_counts_last_error(struct service_counts *counts, char text[SERVICE_LAST_ERROR_MAX]);
