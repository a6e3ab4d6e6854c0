/* Our end of a pipe to or from a program, in a worker's loop; and input for a program that needs no
 * pipe. For the worker's own thread.
 */
#pragma once

#include "lib/bytes.h"

#include <sys/types.h>
#include <sys/uio.h>
#include <uv.h>

struct worker;

struct program_pipe {
        struct worker *worker; /* borrowed */
        int fd;                /* owned; -1: it is closed */
        int events;            /* that are waited for */
        uv_poll_t poll;
        /* It can be read or written, or has ended. In a batch. */
        void (*ready)(struct program_pipe *pipe);
        /* It was closed: its memory may go. */
        void (*closed)(struct program_pipe *pipe);
};

/* Makes a pipe from a program, or to it. *otherp: the program's end, for the caller to close. The
 * functions are set by the caller; none is called before program_pipe_wait(). Returns 0 or a
 * negative errno, after which nothing is open. */
int program_pipe_open_from(struct program_pipe *pipe, struct worker *worker, int *otherp);
int program_pipe_open_to(struct program_pipe *pipe, struct worker *worker, int *otherp);

/* Has ready() called whenever it can be read, or written; or stops that. */
void program_pipe_wait(struct program_pipe *pipe, bool is_awaited);

/* Reads, or writes, what is possible at once. Returns how much, 0 at the end of what can be read,
 * or a negative errno: -EAGAIN: nothing now. */
ssize_t program_pipe_read(struct program_pipe *pipe, char *to, size_t n);
ssize_t program_pipe_write(struct program_pipe *pipe, const struct iovec *parts, int n_parts);

/* Reads what there is, if the pipe is open, but not for ever, for take; closes it at its end. */
void program_pipe_drain(struct program_pipe *pipe, void (*take)(void *owner, struct bytes bytes),
                        void *owner);

/* Closes our end, if it is open; closed() is called afterwards, never from here. */
void program_pipe_close(struct program_pipe *pipe);

/* Closes the program's ends, those that are not -1, when it has them. */
void program_pipe_close_others(int fds[3]);

/* A file in memory from which a program reads these bytes, and which nobody can change. Whether it
 * is read, and when, is of no concern to us. Returns a descriptor, which the caller closes, or a
 * negative errno. */
int program_pipe_make_file(struct bytes bytes);
