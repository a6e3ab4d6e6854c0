/* The last connections that ended. See closed_log.h. */
#include "daemon/closed_log.h"

#include <errno.h>
#include <stdlib.h>

int closed_log_init(struct closed_log *log) {
        log->ring = calloc(CLOSED_LOG_MAX, sizeof(*log->ring));
        log->n_total = 0;
        pthread_mutex_init(&log->lock, NULL);
        return log->ring ? 0 : -ENOMEM;
}

static void closed_forget(struct closed_connection *closed) {
        free(closed->name);
        free(closed->lang);
        free(closed->version);
        free(closed->listener);
}

void closed_log_deinit(struct closed_log *log) {
        for (size_t i = 0; log->ring && i < CLOSED_LOG_MAX; i++)
                closed_forget(&log->ring[i]);
        free(log->ring);
        pthread_mutex_destroy(&log->lock);
}

void closed_log_add(struct closed_log *log, const struct closed_connection *closed) {
        struct closed_connection *to;

        pthread_mutex_lock(&log->lock);
        to = &log->ring[log->n_total++ % CLOSED_LOG_MAX];
        closed_forget(to);
        *to = *closed;
        pthread_mutex_unlock(&log->lock);
}

void closed_log_visit(struct closed_log *log,
                      void (*visit)(const struct closed_connection *closed, void *context),
                      void *context) {
        pthread_mutex_lock(&log->lock);
        for (uint64_t i = log->n_total > CLOSED_LOG_MAX ? log->n_total - CLOSED_LOG_MAX : 0;
             i < log->n_total; i++)
                visit(&log->ring[i % CLOSED_LOG_MAX], context);
        pthread_mutex_unlock(&log->lock);
}
