/* Timers. See timers.h. */
#include "daemon/timers.h"

#include "lib/list.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 16

struct timer_time {
        uint64_t due_ms;
        struct timer *timer;
};

/* --- the heap ------------------------------------------------------------------------------- */

static void put(struct timers *timers, uint32_t place, struct timer_time time) {
        timers->heap[place] = time;
        time.timer->place = place;
}

/* Puts a time at a place that is free, or above it, or below. */
static void put_in_order(struct timers *timers, uint32_t place, struct timer_time time) {
        struct timer_time *heap = timers->heap;

        for (; place > 1 && heap[place / 2].due_ms > time.due_ms; place /= 2)
                put(timers, place, heap[place / 2]);
        for (uint32_t next = place * 2; next <= timers->n_set; next = place * 2) {
                if (next < timers->n_set && heap[next + 1].due_ms < heap[next].due_ms)
                        next++;
                if (heap[next].due_ms >= time.due_ms)
                        break;
                put(timers, place, heap[next]);
                place = next;
        }
        put(timers, place, time);
}

static void take_out(struct timers *timers, struct timer *timer) {
        struct timer_time last = timers->heap[timers->n_set--];

        if (last.timer != timer)
                put_in_order(timers, timer->place, last);
        timer->place = 0;
}

/* --- the loop ------------------------------------------------------------------------------- */

static void on_first(uv_timer_t *first);

/* Has libuv wait for the first one. With nothing to wait for it would call from within its own
 * callback again and again. */
static void wait_for_first(struct timers *timers) {
        uint64_t due_ms = timers->n_set > 0 ? timers->heap[1].due_ms : 0;
        uint64_t now_ms = uv_now(timers->first.loop);

        if (due_ms == timers->first_ms)
                return;
        timers->first_ms = due_ms;
        if (due_ms == 0)
                (void)uv_timer_stop(&timers->first);
        else
                (void)uv_timer_start(&timers->first, on_first,
                                     due_ms > now_ms ? due_ms - now_ms : 1, 0);
}

/* One that is set anew meanwhile, to a time that has passed, must not be met again and again. */
static void on_first(uv_timer_t *first) {
        struct timers *timers = container_of(first, struct timers, first);
        uint64_t now_ms = uv_now(first->loop);

        timers->first_ms = 0;
        for (uint32_t n = timers->n_set; n > 0 && timers->n_set > 0; n--) {
                struct timer_time time = timers->heap[1];

                if (time.due_ms > now_ms)
                        break;
                take_out(timers, time.timer);
                timers->due(time.timer);
        }
        wait_for_first(timers);
}

/* --- their life ----------------------------------------------------------------------------- */

void timers_init(struct timers *timers, uv_loop_t *loop, void (*due)(struct timer *timer)) {
        *timers = (struct timers){.due = due};
        (void)uv_timer_init(loop, &timers->first);
}

void timers_close(struct timers *timers) {
        uv_close((uv_handle_t *)&timers->first, NULL);
}

void timers_deinit(struct timers *timers) {
        free(timers->heap);
        timers->heap = NULL;
}

int timers_add(struct timers *timers) {
        /* Place 0 is nobody's. */
        if (timers->n_timers + 1 >= timers->capacity) {
                uint32_t capacity = timers->capacity ? timers->capacity * 2 : CAPACITY_MIN;
                struct timer_time *heap = realloc(timers->heap, capacity * sizeof(*heap));

                if (!heap)
                        return -ENOMEM;
                timers->heap = heap;
                timers->capacity = capacity;
        }
        timers->n_timers++;
        return 0;
}

void timers_remove(struct timers *timers, struct timer *timer) {
        timers_set(timers, timer, 0);
        timers->n_timers--;
}

void timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms) {
        const struct timer_time time = {.due_ms = due_ms, .timer = timer};

        if (due_ms > 0 && timer->place == 0)
                put_in_order(timers, ++timers->n_set, time);
        else if (due_ms > 0)
                put_in_order(timers, timer->place, time);
        else if (timer->place > 0)
                take_out(timers, timer);
        wait_for_first(timers);
}
