/* Pipes that bytes are spliced through. See pipe_pool.h. */
#include "daemon/pipe_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Of a pipe. It holds as many pieces of the network's memory as it would have pages, and such a
 * piece is from one packet to 32 KiB. */
#define PIPE_SIZE (256 * 1024)

static void close_pipe(struct pipe_ends *pipe) {
        (void)close(pipe->in);
        (void)close(pipe->out);
        *pipe = PIPE_NONE;
}

void pipe_pool_deinit(struct pipe_pool *pool) {
        while (pool->count > 0)
                close_pipe(&pool->pipes[--pool->count]);
}

int pipe_pool_take(struct pipe_pool *pool, struct pipe_ends *pipe) {
        int fds[2];

        if (pool->count > 0) {
                *pipe = pool->pipes[--pool->count];
                return 0;
        }
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        /* Who has many may not have large ones; a small one does as well, only slower. */
        (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE);
        *pipe = (struct pipe_ends){.out = fds[0], .in = fds[1]};
        return 0;
}

void pipe_pool_give(struct pipe_pool *pool, struct pipe_ends *pipe, bool is_empty) {
        if (pipe->in < 0)
                return;
        if (!is_empty || pool->count == PIPE_POOL_MAX) {
                close_pipe(pipe);
                return;
        }
        pool->pipes[pool->count++] = *pipe;
        *pipe = PIPE_NONE;
}
