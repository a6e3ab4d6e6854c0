/* Pipes to and from programs. See program_pipe.h. */
#include "daemon/program_pipe.h"

#include "daemon/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is drained at once, and how often in a row: a pipe holds 64 KiB, and others may go on to
 * write into it. */
#define DRAIN_MAX (4 * 1024)
#define DRAINS    16

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int pipe_open(struct program_pipe *pipe, struct worker *worker, unsigned own, int *otherp) {
        int fds[2], r;

        pipe->fd = -1;
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        r = uv_poll_init(&worker->loop, &pipe->poll, fds[own]);
        if (r < 0) {
                (void)close(fds[0]);
                (void)close(fds[1]);
                return r;
        }
        pipe->poll.data = pipe;
        pipe->events = own == 0 ? UV_READABLE : UV_WRITABLE;
        pipe->worker = worker;
        pipe->fd = fds[own];
        *otherp = fds[1 - own];
        return 0;
}

int program_pipe_open_from(struct program_pipe *pipe, struct worker *worker, int *otherp) {
        return pipe_open(pipe, worker, 0, otherp);
}

int program_pipe_open_to(struct program_pipe *pipe, struct worker *worker, int *otherp) {
        return pipe_open(pipe, worker, 1, otherp);
}

static void pipe_on_poll(uv_poll_t *poll, int status, int events) {
        struct program_pipe *pipe = poll->data;

        worker_enter(pipe->worker);
        pipe->ready(pipe);
}

void program_pipe_wait(struct program_pipe *pipe, bool is_awaited) {
        if (pipe->fd < 0)
                return;
        if (is_awaited)
                (void)uv_poll_start(&pipe->poll, pipe->events, pipe_on_poll);
        else
                (void)uv_poll_stop(&pipe->poll);
}

ssize_t program_pipe_read(struct program_pipe *pipe, char *to, size_t n) {
        ssize_t r;

        do {
                r = read(pipe->fd, to, n);
        } while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
}

ssize_t program_pipe_write(struct program_pipe *pipe, const struct iovec *parts, int n_parts) {
        ssize_t r;

        do {
                r = writev(pipe->fd, parts, n_parts);
        } while (r < 0 && errno == EINTR);
        return r < 0 ? -errno : r;
}

void program_pipe_drain(struct program_pipe *pipe, void (*take)(void *owner, struct bytes bytes),
                        void *owner) {
        char buffer[DRAIN_MAX];

        for (unsigned i = 0; pipe->fd >= 0 && i < DRAINS; i++) {
                ssize_t n = program_pipe_read(pipe, buffer, sizeof(buffer));

                if (n == -EAGAIN)
                        return;
                if (n <= 0)
                        program_pipe_close(pipe);
                else
                        take(owner, (struct bytes){buffer, (size_t)n});
        }
}

static void pipe_on_closed(uv_handle_t *handle) {
        struct program_pipe *pipe = handle->data;

        worker_enter(pipe->worker);
        pipe->closed(pipe);
}

void program_pipe_close(struct program_pipe *pipe) {
        if (pipe->fd < 0)
                return;
        uv_close((uv_handle_t *)&pipe->poll, pipe_on_closed);
        (void)close(pipe->fd);
        pipe->fd = -1;
}

void program_pipe_close_others(int fds[3]) {
        for (unsigned i = 0; i < 3; i++)
                if (fds[i] >= 0)
                        (void)close(fds[i]);
}

/* --- files ---------------------------------------------------------------------------------- */

static int write_all(int fd, struct bytes bytes) {
        off_t offset = 0;

        while (bytes.length > 0) {
                ssize_t n = pwrite(fd, bytes.data, bytes.length, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                bytes.data += n;
                bytes.length -= (size_t)n;
                offset += n;
        }
        return 0;
}

/* Where files in memory may not be executable this has to be said; kernels before 6.3 do not know
 * it. */
static int open_file(void) {
        int fd = memfd_create("sockd-request", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL)
                fd = memfd_create("sockd-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return fd < 0 ? -errno : fd;
}

int program_pipe_make_file(struct bytes bytes) {
        int fd = open_file(), r;

        if (fd < 0)
                return fd;
        r = write_all(fd, bytes);
        if (r == 0 &&
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                r = -errno;
        if (r < 0) {
                (void)close(fd);
                return r;
        }
        return fd;
}
