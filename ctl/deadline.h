/* A point in time until which to wait: milliseconds of CLOCK_MONOTONIC, or DEADLINE_NEVER. */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <time.h>

#define DEADLINE_NEVER INT64_MAX

static inline int64_t deadline_now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* timeout_ms < 0: never. */
static inline int64_t deadline_in(int timeout_ms) {
        return timeout_ms < 0 ? DEADLINE_NEVER : deadline_now_ms() + timeout_ms;
}

/* What is left of it, as poll(2) takes it: -1 for ever, 0 when it has passed. */
static inline int deadline_left(int64_t deadline_ms) {
        int64_t left;

        if (deadline_ms == DEADLINE_NEVER)
                return -1;
        left = deadline_ms - deadline_now_ms();
        return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}
