/* A relay: two sockets of streams, of which each gets what the other one gives.
 *
 * The bytes go through a pipe (splice(2)) and are never in our memory. Each direction is a flow of
 * its own and ends by itself: that there is no more input is told to the other side when all has
 * left. A flow reads only when its pipe is empty, so what a receiver does not take stays in the
 * pipe, in the sockets, and then with the sender. Where there is no pipe to be had, bytes are
 * looked at, sent, and only taken as far as they were.
 *
 * It polls nothing: who owns it says what can be moved, and is told what to wait for. The sockets
 * stay its owner's. By one thread.
 */
#pragma once

#include "daemon/pipe_pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct block;

/* One direction. */
struct relay_flow {
        int from, to; /* borrowed */
        struct pipe_ends pipe;
        size_t n_waiting; /* bytes in the pipe */
        bool is_blocked;  /* the receiver takes nothing at the moment */
        bool is_ended;    /* nothing more comes */
        bool is_finished; /* and the receiver was told so */
};

struct relay {
        struct pipe_pool *pool; /* borrowed */
        struct relay_flow flows[2];
};

/* Between two sockets, that do not block: flow 0 is from a to b, flow 1 from b to a. */
void relay_init(struct relay *relay, struct pipe_pool *pool, int a, int b);

/* Gives the pipes back, with what is in them. */
void relay_deinit(struct relay *relay);

/* Moves what can be moved in one direction, for a while. spare: a block that is nobody's, for where
 * there is no pipe; NULL: there is none. Returns how many bytes the receiver has got, or a negative
 * errno: one of the sockets is broken, or there is no way to move anything. */
ssize_t relay_move(struct relay *relay, unsigned flow, struct block *spare);

/* Whether a flow waits for its sender's input, or for its receiver to take more. */
static inline bool relay_awaits_input(const struct relay_flow *flow) {
        return !flow->is_blocked && !flow->is_ended;
}

/* Whether both directions have ended. */
static inline bool relay_is_over(const struct relay *relay) {
        return relay->flows[0].is_finished && relay->flows[1].is_finished;
}
