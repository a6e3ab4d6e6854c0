/* The last connections that ended. See closed_log.h. */
#include "daemon/closed_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        free(closed->user);
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

static char *copy_text(const char *text) {
        return text ? strdup(text) : NULL;
}

/* Copies number i, if it is still there. Sets *np to how many there have been. */
static bool closed_log_copy(struct closed_log *log, uint64_t i, struct closed_connection *copy,
                            uint64_t *np) {
        const struct closed_connection *from = &log->ring[i % CLOSED_LOG_MAX];
        bool is_there;

        pthread_mutex_lock(&log->lock);
        *np = log->n_total;
        is_there = i < log->n_total && log->n_total - i <= CLOSED_LOG_MAX;
        if (is_there) {
                *copy = *from;
                copy->name = copy_text(from->name);
                copy->lang = copy_text(from->lang);
                copy->version = copy_text(from->version);
                copy->user = copy_text(from->user);
                copy->listener = copy_text(from->listener);
        }
        pthread_mutex_unlock(&log->lock);
        return is_there;
}

void closed_log_visit(struct closed_log *log,
                      void (*visit)(const struct closed_connection *closed, void *context),
                      void *context) {
        struct closed_connection copy;
        uint64_t n = 0;

        (void)closed_log_copy(log, UINT64_MAX, &copy, &n);
        for (uint64_t i = n > CLOSED_LOG_MAX ? n - CLOSED_LOG_MAX : 0, end = n; i < end; i++) {
                if (!closed_log_copy(log, i, &copy, &n))
                        continue;
                visit(&copy, context);
                closed_forget(&copy);
        }
}
