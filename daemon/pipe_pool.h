/* Pipes that bytes are spliced through, kept for the next who wants one.
 *
 * A pipe is two descriptors, and what the kernel counts as the user's pipe memory. It is taken when
 * there is something to move, and given back as soon as that has left, mostly in the same moment;
 * so connections that are idle hold none, and a worker needs one for all that are not stuck.
 */
#pragma once

#include <stdbool.h>

/* How many are kept. */
#define PIPE_POOL_MAX 16

struct pipe_ends {
        int out, in; /* to read from, to write to; -1: there is no pipe */
};

#define PIPE_NONE ((struct pipe_ends){-1, -1})

struct pipe_pool {
        struct pipe_ends pipes[PIPE_POOL_MAX];
        unsigned count;
};

void pipe_pool_deinit(struct pipe_pool *pool);

/* Takes an empty pipe. Returns 0 or a negative errno. */
int pipe_pool_take(struct pipe_pool *pool, struct pipe_ends *pipe);

/* Gives one back, which is PIPE_NONE then, as it may be before. One that is not empty is closed. */
void pipe_pool_give(struct pipe_pool *pool, struct pipe_ends *pipe, bool is_empty);
