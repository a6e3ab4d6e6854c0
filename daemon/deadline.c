/* A time in a worker's loop. See deadline.h. */
#include "daemon/deadline.h"

#include "daemon/worker.h"

void deadline_init(struct deadline *deadline, struct worker *worker) {
        deadline->worker = worker;
        (void)uv_timer_init(&worker->loop, &deadline->timer);
        deadline->timer.data = deadline;
}

static void deadline_on_timer(uv_timer_t *timer) {
        struct deadline *deadline = timer->data;

        worker_enter(deadline->worker);
        deadline->due(deadline);
}

void deadline_set(struct deadline *deadline, uint64_t ms) {
        (void)uv_timer_start(&deadline->timer, deadline_on_timer, ms, 0);
}

void deadline_clear(struct deadline *deadline) {
        (void)uv_timer_stop(&deadline->timer);
}

static void deadline_on_closed(uv_handle_t *handle) {
        struct deadline *deadline = handle->data;

        worker_enter(deadline->worker);
        deadline->closed(deadline);
}

void deadline_close(struct deadline *deadline) {
        uv_close((uv_handle_t *)&deadline->timer, deadline_on_closed);
}

uint64_t deadline_now_ms(const struct worker *worker) {
        return uv_now(&worker->loop);
}
