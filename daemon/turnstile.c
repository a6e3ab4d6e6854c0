/* Taking turns. See turnstile.h. */
#include "daemon/turnstile.h"

void turnstile_init(struct turnstile *turnstile) {
        *turnstile = (struct turnstile){.max = 0};
        pthread_mutex_init(&turnstile->lock, NULL);
        list_init(&turnstile->waiting);
}

void turnstile_deinit(struct turnstile *turnstile) {
        pthread_mutex_destroy(&turnstile->lock);
}

static void turn_come(struct task *task) {
        struct turn *turn = container_of(task, struct turn, task);

        pthread_mutex_lock(&turn->turnstile->lock);
        if (turn->state == TURN_CALLED)
                turn->state = TURN_INSIDE;
        pthread_mutex_unlock(&turn->turnstile->lock);
        turn->come(turn);
}

/* Under the lock. Puts those who may go in now into a list of tasks. */
static void call_next(struct turnstile *turnstile, struct list_link *called) {
        list_init(called);
        while (turnstile->n_inside < turnstile->max && turnstile->n_waiting > 0) {
                struct turn *turn = container_of(turnstile->waiting.next, struct turn, link);

                list_unlink(&turn->link);
                turnstile->n_waiting--;
                turnstile->n_inside++;
                turn->state = TURN_CALLED;
                list_append(called, &turn->task.link);
        }
}

/* Tells them, without the lock: they stay until they are told. A worker that has ended has nobody
 * any more who could want the place. */
static void tell_called(struct list_link *called) {
        while (!list_is_empty(called)) {
                struct turn *turn = container_of(called->next, struct turn, task.link);

                list_unlink(&turn->task.link);
                (void)mailbox_post(turn->mailbox, &turn->task);
        }
}

/* Under the lock. */
static enum turn_state find_place(struct turn *turn, struct turnstile *turnstile,
                                  size_t max_waiting) {
        if (turnstile->n_inside < turnstile->max && turnstile->n_waiting == 0) {
                turnstile->n_inside++;
                return TURN_CALLED;
        }
        if (turnstile->n_waiting >= max_waiting)
                return TURN_OUT;
        list_append(&turnstile->waiting, &turn->link);
        turnstile->n_waiting++;
        return TURN_WAITING;
}

void turnstile_set_max(struct turnstile *turnstile, unsigned max) {
        struct list_link called;

        pthread_mutex_lock(&turnstile->lock);
        turnstile->max = max;
        call_next(turnstile, &called);
        pthread_mutex_unlock(&turnstile->lock);
        tell_called(&called);
}

enum turn_state turn_take(struct turn *turn, struct turnstile *turnstile, size_t max_waiting,
                          struct mailbox *mailbox) {
        enum turn_state state;

        turn->turnstile = turnstile;
        turn->mailbox = mailbox;
        turn->task.run = turn_come;
        list_init(&turn->task.link);
        list_init(&turn->link);
        pthread_mutex_lock(&turnstile->lock);
        state = turn->state = find_place(turn, turnstile, max_waiting);
        pthread_mutex_unlock(&turnstile->lock);
        return state;
}

bool turn_give(struct turn *turn) {
        struct turnstile *turnstile = turn->turnstile;
        struct list_link called;
        enum turn_state before;

        if (!turnstile)
                return false;
        pthread_mutex_lock(&turnstile->lock);
        before = turn->state;
        turn->state = TURN_OUT;
        if (before == TURN_WAITING) {
                list_unlink(&turn->link);
                turnstile->n_waiting--;
        } else if (before != TURN_OUT) {
                turnstile->n_inside--;
        }
        call_next(turnstile, &called);
        pthread_mutex_unlock(&turnstile->lock);
        tell_called(&called);
        return before == TURN_CALLED;
}

size_t turnstile_count_waiting(struct turnstile *turnstile) {
        size_t n;

        pthread_mutex_lock(&turnstile->lock);
        n = turnstile->n_waiting;
        pthread_mutex_unlock(&turnstile->lock);
        return n;
}
