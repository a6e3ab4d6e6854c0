/* A time at which something is to be done, in a worker's loop. For the worker's own thread.
 */
#pragma once

#include <stdint.h>
#include <uv.h>

struct worker;

struct deadline {
        struct worker *worker; /* borrowed */
        uv_timer_t timer;
        /* The time has come. In a batch. */
        void (*due)(struct deadline *deadline);
        /* It was closed: its memory may go. */
        void (*closed)(struct deadline *deadline);
};

/* Begins without a time. The functions are set by the caller. */
void deadline_init(struct deadline *deadline, struct worker *worker);

/* Has due() called in so many milliseconds, instead of when it was before. */
void deadline_set(struct deadline *deadline, uint64_t ms);

/* There is no time any more. */
void deadline_clear(struct deadline *deadline);

/* Ends it; closed() is called afterwards, never from here. */
void deadline_close(struct deadline *deadline);

/* Monotonic time of the loop, in milliseconds. */
uint64_t deadline_now_ms(const struct worker *worker);
