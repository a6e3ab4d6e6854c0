/* The times of a worker's connections: one for each, at which something is to be done.
 *
 * A heap in an array, and one timer of libuv for the first of them. So a time takes some twenty
 * bytes, where a handle of libuv takes 152, and setting it to what it is already costs nothing.
 * Memory is taken when a timer is added; nothing can fail afterwards. For the worker's own thread.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

/* One of zeroes is not set. */
struct timer {
        uint32_t place; /* in the heap, from 1 on; 0: it is not set */
};

struct timers {
        uv_timer_t first;
        uint64_t first_ms;        /* when that is due; 0: it is not set */
        struct timer_time *heap;  /* owned; heap[1] is due first */
        uint32_t n_set, n_timers; /* how many are set, and how many there are */
        uint32_t capacity;
        void (*due)(struct timer *timer);
};

/* due(): called for each timer whose time has come, and that is not set any more. */
void timers_init(struct timers *timers, uv_loop_t *loop, void (*due)(struct timer *timer));

/* Lets the loop end, when no timer is left. */
void timers_close(struct timers *timers);

/* After the loop has ended. */
void timers_deinit(struct timers *timers);

/* There is one more timer. Returns 0 or -ENOMEM. */
int timers_add(struct timers *timers);

/* There is one less, this one. */
void timers_remove(struct timers *timers, struct timer *timer);

/* Sets a timer that was added to a time of the loop, in milliseconds; 0: it is not set. A time that
 * has passed comes in a millisecond. */
void timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms);
