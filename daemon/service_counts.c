/* What became of the requests of a service. See service_counts.h. */
#include "daemon/service_counts.h"

#include <stdbool.h>
#include <stdio.h>

static const struct {
        unsigned code;
        const char *name;
} errors[N_SERVICE_ERRORS] = {
        [SERVICE_GOOD] = {200, "good"},           [SERVICE_BAD_REQUEST] = {400, "bad_request"},
        [SERVICE_BUSY] = {429, "busy"},           [SERVICE_FAILED] = {500, "failed"},
        [SERVICE_TOO_LARGE] = {500, "too_large"}, [SERVICE_UNAVAILABLE] = {503, "unavailable"},
        [SERVICE_LATE] = {504, "late"},
};

unsigned service_error_code(enum service_error error) {
        return errors[error].code;
}

const char *service_error_name(enum service_error error) {
        return errors[error].name;
}

void service_counts_init(struct service_counts *counts) {
        pthread_mutex_init(&counts->lock, NULL);
}

void service_counts_deinit(struct service_counts *counts) {
        pthread_mutex_destroy(&counts->lock);
}

/* Whether it was given to the program, or what it is, and not turned away, which takes no time:
 * many of those would hide how long the others take. */
static bool is_processed(enum service_error error) {
        return error != SERVICE_BUSY && error != SERVICE_UNAVAILABLE &&
               error != SERVICE_BAD_REQUEST;
}

void service_counts_add(struct service_counts *counts, enum service_error error, const char *text,
                        uint64_t elapsed_ns) {
        atomic_fetch_add_explicit(&counts->n_requests, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts->n_errors[error], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&counts->processing_ns, elapsed_ns, memory_order_relaxed);
        if (is_processed(error))
                latency_add(&counts->latency, elapsed_ns);
        if (!text)
                return;
        pthread_mutex_lock(&counts->lock);
        snprintf(counts->last_error, sizeof(counts->last_error), "%s", text);
        pthread_mutex_unlock(&counts->lock);
}

uint64_t service_counts_errors(const struct service_counts *counts) {
        uint64_t n = 0;

        for (unsigned i = SERVICE_GOOD + 1; i < N_SERVICE_ERRORS; i++)
                n += atomic_load_explicit(&counts->n_errors[i], memory_order_relaxed);
        return n;
}

void service_counts_last_error(struct service_counts *counts, char text[SERVICE_LAST_ERROR_MAX]) {
        pthread_mutex_lock(&counts->lock);
        snprintf(text, SERVICE_LAST_ERROR_MAX, "%s", counts->last_error);
        pthread_mutex_unlock(&counts->lock);
}
