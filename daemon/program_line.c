/* Waiting for programs. See program_line.h. */
#include "daemon/program_line.h"

#include "daemon/worker.h"

void program_line_init(struct program_line *line) {
        *line = (struct program_line){.is_missed = false};
        pthread_mutex_init(&line->lock, NULL);
        list_init(&line->waiting);
}

void program_line_deinit(struct program_line *line) {
        pthread_mutex_destroy(&line->lock);
}

static struct program_line *line_of(const struct program_place *place) {
        return &place->worker->workers->line;
}

/* --- calling ---------------------------------------------------------------------------------- */

static void place_come(struct task *task) {
        struct program_place *place = container_of(task, struct program_place, task);
        struct program_line *line = line_of(place);

        pthread_mutex_lock(&line->lock);
        if (place->state == PROGRAM_PLACE_CALLED)
                place->state = PROGRAM_PLACE_ASKING;
        pthread_mutex_unlock(&line->lock);
        place->come(place);
}

/* Under the lock. */
static struct program_place *find_first(const struct program_line *line) {
        return list_is_empty(&line->waiting)
                       ? NULL
                       : container_of(line->waiting.next, struct program_place, link);
}

/* Under the lock. Returns the first one if it is to be told that it may ask. */
static struct program_place *call_first(struct program_line *line) {
        struct program_place *first = find_first(line);

        if (!first ||
            (first->state != PROGRAM_PLACE_WAITING && first->state != PROGRAM_PLACE_RESTING))
                return NULL;
        first->state = PROGRAM_PLACE_CALLED;
        line->is_missed = false;
        return first;
}

/* Without the lock: it stays until it is told. NULL is allowed. */
static void tell(struct program_place *place) {
        if (place)
                (void)mailbox_post(&place->worker->mailbox, &place->task);
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Under the lock. */
static void enter(struct program_line *line, struct program_place *place) {
        place->state = PROGRAM_PLACE_WAITING;
        place->task.run = place_come;
        list_init(&place->task.link);
        list_append(&line->waiting, &place->link);
        atomic_fetch_add_explicit(&line->n_waiting, 1, memory_order_relaxed);
}

/* Under the lock. The first one rests, unless there may be room for its program since it asked. */
static struct program_place *rest(struct program_line *line, struct program_place *place) {
        place->state = PROGRAM_PLACE_RESTING;
        if (line->is_missed)
                return call_first(line);
        (void)uv_timer_start(&place->worker->line_timer, program_line_on_timer,
                             PROGRAM_LINE_REST_MS, 0);
        return NULL;
}

void program_line_wait(struct program_place *place, bool was_refused) {
        struct program_line *line = line_of(place);
        struct program_place *called = NULL;

        pthread_mutex_lock(&line->lock);
        if (place->state == PROGRAM_PLACE_NONE)
                enter(line, place);
        if (find_first(line) == place)
                called = was_refused ? rest(line, place) : call_first(line);
        pthread_mutex_unlock(&line->lock);
        tell(called);
}

bool program_line_leave(struct program_place *place) {
        struct program_line *line = line_of(place);
        struct program_place *called = NULL;
        enum program_place_state before;

        if (program_line_is_empty(line))
                return false;
        pthread_mutex_lock(&line->lock);
        before = place->state;
        if (before != PROGRAM_PLACE_NONE) {
                bool was_first = find_first(line) == place;

                place->state = PROGRAM_PLACE_NONE;
                list_unlink(&place->link);
                atomic_fetch_sub_explicit(&line->n_waiting, 1, memory_order_relaxed);
                called = was_first ? call_first(line) : NULL;
        }
        pthread_mutex_unlock(&line->lock);
        tell(called);
        return before == PROGRAM_PLACE_CALLED;
}

void program_line_go_on(struct program_line *line) {
        struct program_place *called;

        if (program_line_is_empty(line))
                return;
        pthread_mutex_lock(&line->lock);
        line->is_missed = true;
        called = call_first(line);
        pthread_mutex_unlock(&line->lock);
        tell(called);
}

void program_line_on_timer(uv_timer_t *timer) {
        struct worker *worker = container_of(timer, struct worker, line_timer);
        struct program_line *line = &worker->workers->line;
        struct program_place *called = NULL;

        pthread_mutex_lock(&line->lock);
        if (find_first(line) && find_first(line)->worker == worker)
                called = call_first(line);
        pthread_mutex_unlock(&line->lock);
        tell(called);
}
