/* The line of those whose programs a limit on all programs keeps from being started: of all
 * workers, in the order in which they came.
 *
 * The first one asks for its program again, when one has ended or after a while, until it runs;
 * then the next one does. The others ask for nothing, so that it costs nothing how many they are.
 *
 * Any thread, each place by its own worker.
 */
#pragma once

#include "daemon/mailbox.h"

#include <stdatomic.h>

struct worker;

/* How long the first one rests that was refused. */
#define PROGRAM_LINE_REST_MS 50

struct program_line {
        pthread_mutex_t lock;     /* a leaf */
        struct list_link waiting; /* places */
        _Atomic size_t n_waiting; /* written with the lock */
        bool is_missed;           /* a program has ended while the first one was asking */
};

enum program_place_state {
        PROGRAM_PLACE_NONE,
        PROGRAM_PLACE_WAITING,
        PROGRAM_PLACE_CALLED, /* it is the first one, and to ask, which it will be told */
        PROGRAM_PLACE_ASKING,
        PROGRAM_PLACE_RESTING, /* it is the first one, and was refused */
};

/* One who waits. Part of whoever that is. */
struct program_place {
        struct worker *worker;          /* borrowed */
        enum program_place_state state; /* with the line's lock, as is the next one */
        struct list_link link;
        struct task task;

        /* It may ask, unless it has left meanwhile: then this tells only that it need not stay any
         * longer. In its worker's thread. */
        void (*come)(struct program_place *place);
};

void program_line_init(struct program_line *line);
void program_line_deinit(struct program_line *line);

/* Whether nobody waits, so that a newcomer may ask at once. */
static inline bool program_line_is_empty(const struct program_line *line) {
        return atomic_load_explicit(&line->n_waiting, memory_order_relaxed) == 0;
}

/* Waits: one that is not in the line, whose worker and come are set, goes to its end; the first one
 * that has asked stays where it is. was_refused: it has asked. It is told by come(), never by this
 * function, and must stay until then. */
void program_line_wait(struct program_place *place, bool was_refused);

/* Its program runs, or it wants none any more. Nothing happens if it is not in the line, but its
 * worker has to be set. Returns whether come() is still to be called. */
bool program_line_leave(struct program_place *place);

/* A program has ended: the first one may ask. */
void program_line_go_on(struct program_line *line);

/* The worker's timer for a first one of its own is due. */
void program_line_on_timer(uv_timer_t *timer);
