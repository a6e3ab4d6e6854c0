/* The spawner: one thread that waits for requests, for children, and for time to pass.
 *
 * It has no event loop of a library and no log: what it has to say it says to the daemon. Signals
 * do not reach it, so that those meant for all processes of a service, or of a terminal, leave the
 * order of the end to the daemon.
 *
 * Programs whose parents have ended become children of the spawner, whatever session they have made
 * for themselves, and not of process 1, which in a container may be a daemon that does not wait for
 * anybody. They are waited for, and killed at the end.
 */
#include "daemon/spawner_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* Workers have one each; a reload can make none. */
#define CHANNELS_MAX 1024
/* More descriptors than this a program has only if it says so. */
#define FILES_MAX 1024
/* How long the last children may take to die: longer only if something is wrong with the system. */
#define END_MS 1000

uint64_t spawner_now_ns(void) {
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* --- channels --------------------------------------------------------------------------------- */

static void close_all(struct passed *passed) {
        for (size_t i = 0; i < passed->n; i++)
                (void)close(passed->fds[i]);
        passed->n = 0;
}

static void take_descriptor(struct passed *passed, int fd) {
        if (passed->n < PASSED_MAX)
                passed->fds[passed->n++] = fd;
        else
                (void)close(fd);
}

/* Takes the descriptors out of what came with a record. */
static void take_descriptors(struct msghdr *message, struct passed *passed) {
        for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
             header = CMSG_NXTHDR(message, header)) {
                size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                int fd;

                if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
                        continue;
                for (size_t i = 0; i < n; i++) {
                        memcpy(&fd, CMSG_DATA(header) + i * sizeof(fd), sizeof(fd));
                        take_descriptor(passed, fd);
                }
        }
}

/* Reads one record of a socket and what came with it. Returns 0; -EAGAIN: there is none; or another
 * negative errno: the socket is of no use any more. */
static int receive(struct spawner_process *process, int fd, struct spawner_request *request,
                   struct passed *passed) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(passed->fds))];
        struct iovec part = {.iov_base = process->record, .iov_len = SPAWNER_RECORD_MAX};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control,
                                 .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        int r;

        passed->n = 0;
        if (n <= 0)
                return n == 0 ? -EPIPE : -errno;
        take_descriptors(&message, passed);
        r = message.msg_flags & MSG_TRUNC
                    ? -EBADMSG
                    : spawner_wire_read(process->record, (size_t)n, &process->vectors, request);
        if (r < 0)
                close_all(passed);
        return r;
}

static void channel_open(struct spawner_process *process, int fd) {
        struct channel *channel = calloc(1, sizeof(*channel));

        if (!channel) {
                (void)close(fd);
                return;
        }
        channel->fd = fd;
        list_append(&process->channels, &channel->link);
}

static void channel_close(struct spawner_process *process, struct channel *channel) {
        spawner_children_drop(process, channel);
        list_unlink(&channel->link);
        (void)close(channel->fd);
        free(channel);
}

static size_t count_channels(const struct spawner_process *process) {
        size_t n = 0;

        LIST_FOREACH (link, &process->channels)
                n++;
        return n;
}

/* Carries out one request of a channel. Returns 0 or a negative errno: the channel is to be
 * closed. */
static int channel_serve(struct spawner_process *process, struct channel *channel) {
        struct spawner_request request;
        struct passed passed;
        int r = receive(process, channel->fd, &request, &passed);

        if (r < 0)
                return r == -EAGAIN || r == -EINTR ? 0 : r;
        if (request.verb == SPAWNER_START && passed.n <= request.n_descriptors)
                r = spawner_child_start(process, channel, &request, &passed);
        else if (request.verb == SPAWNER_STOP)
                spawner_child_stop(process, channel, &request);
        else
                r = -EBADMSG;
        close_all(&passed);
        return r;
}

/* Carries out one request of the daemon. Returns 0 or a negative errno: this is the end. */
static int control_serve(struct spawner_process *process) {
        struct spawner_request request;
        struct passed passed;
        int r = receive(process, process->control, &request, &passed);

        if (r < 0)
                return r == -EAGAIN || r == -EINTR || r == -EBADMSG ? 0 : r;
        if (request.verb == SPAWNER_LIMIT) {
                process->max_running = request.max_running;
                process->max_starts = request.max_starts;
        } else if (request.verb == SPAWNER_CHANNEL && passed.n == 1 &&
                   count_channels(process) < CHANNELS_MAX) {
                channel_open(process, passed.fds[0]);
                passed.n = 0;
        }
        close_all(&passed);
        return 0;
}

/* --- the loop --------------------------------------------------------------------------------- */

/* What is polled in any case. */
enum {
        POLLED_CONTROL,
        POLLED_SIGNALS,
        N_POLLED_ALWAYS,
};

static size_t poll_also(struct spawner_process *process, size_t *np, int fd, short events) {
        process->polled[*np] = (struct pollfd){.fd = fd, .events = events};
        return (*np)++;
}

/* Room for all channels and children. Returns 0 or -ENOMEM. */
static int polled_reserve(struct spawner_process *process) {
        size_t n = N_POLLED_ALWAYS + count_channels(process) + process->n_running;
        struct pollfd *polled;

        if (n <= process->n_polled_max)
                return 0;
        polled = realloc(process->polled, 2 * n * sizeof(*polled));
        if (!polled)
                return -ENOMEM;
        process->polled = polled;
        process->n_polled_max = 2 * n;
        return 0;
}

/* Lists what is waited for. Returns how many there are. */
static size_t polled_fill(struct spawner_process *process) {
        size_t n = 0;

        (void)poll_also(process, &n, process->control, POLLIN);
        (void)poll_also(process, &n, process->signals, POLLIN);
        LIST_FOREACH (link, &process->channels) {
                struct channel *channel = container_of(link, struct channel, link);

                channel->polled =
                        poll_also(process, &n, channel->fd, channel->is_full ? POLLOUT : POLLIN);
        }
        LIST_FOREACH (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                child->polled =
                        child->errors >= 0 ? poll_also(process, &n, child->errors, POLLIN) : 0;
        }
        return n;
}

static bool has_event(const struct spawner_process *process, size_t polled) {
        return polled > 0 && process->polled[polled].revents != 0;
}

static void serve_channels(struct spawner_process *process) {
        LIST_FOREACH_SAFE (link, &process->channels) {
                struct channel *channel = container_of(link, struct channel, link);

                if (!has_event(process, channel->polled))
                        continue;
                if (channel->is_full) {
                        channel->is_full = false;
                        spawner_children_tell(process, channel);
                } else if (channel_serve(process, channel) < 0) {
                        channel_close(process, channel);
                }
        }
}

static void serve_children(struct spawner_process *process) {
        LIST_FOREACH_SAFE (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (child->errors >= 0 && has_event(process, child->polled))
                        spawner_child_read_errors(child);
        }
}

/* The signal says only that there is somebody to wait for. */
static void serve_signals(struct spawner_process *process) {
        struct signalfd_siginfo info;

        while (read(process->signals, &info, sizeof(info)) > 0)
                ;
        spawner_children_reap(process);
}

static int timeout_until(uint64_t deadline_ns) {
        uint64_t now_ns = spawner_now_ns(), ms;

        if (deadline_ns == UINT64_MAX)
                return -1;
        ms = deadline_ns > now_ns ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
        return ms < 1000000 ? (int)ms : 1000000;
}

/* Waits for events, and serves them. Returns 0 or a negative errno: this is the end. */
static int run_once(struct spawner_process *process) {
        int timeout_ms = timeout_until(spawner_children_check(process));
        size_t n;

        if (polled_reserve(process) < 0)
                return -ENOMEM;
        n = polled_fill(process);
        if (poll(process->polled, n, timeout_ms) < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (process->polled[POLLED_SIGNALS].revents)
                serve_signals(process);
        serve_children(process);
        serve_channels(process);
        return process->polled[POLLED_CONTROL].revents ? control_serve(process) : 0;
}

/* --- the beginning ---------------------------------------------------------------------------- */

static int close_between(int first, int last) {
        return first > last || close_range((unsigned)first, (unsigned)last, 0) == 0 ? 0 : -errno;
}

/* Closes those of the daemon, and those that it was started with, which no program must ever have.
 * Keeps control, and standard error, for what only the C library or a sanitizer could have to say.
 * Returns 0 or a negative errno. */
static int keep_descriptors(struct spawner_process *process) {
        int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), r, low, high;

        if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0)
                return -errno;
        process->nothing = nothing;
        low = nothing < process->control ? nothing : process->control;
        high = nothing < process->control ? process->control : nothing;
        r = close_between(STDERR_FILENO + 1, low - 1);
        if (r == 0)
                r = close_between(low + 1, high - 1);
        return r == 0 ? close_between(high + 1, INT_MAX) : r;
}

/* All but those that are errors of the process itself. */
static int block_signals(struct spawner_process *process) {
        static const int errors[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        sigset_t blocked, waited;

        sigfillset(&blocked);
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
                sigdelset(&blocked, errors[i]);
        /* That of who ignores it is never told, nor are his children there to be waited for. */
        (void)signal(SIGCHLD, SIG_DFL);
        sigemptyset(&waited);
        sigaddset(&waited, SIGCHLD);
        if (sigprocmask(SIG_SETMASK, &blocked, NULL) < 0)
                return -errno;
        process->signals = signalfd(-1, &waited, SFD_NONBLOCK | SFD_CLOEXEC);
        return process->signals < 0 ? -errno : 0;
}

/* Its own limit on descriptors may be high, that of programs is what is usual. */
static void raise_limits(struct spawner_process *process) {
        struct rlimit limit = {.rlim_cur = FILES_MAX, .rlim_max = FILES_MAX};

        (void)getrlimit(RLIMIT_NOFILE, &limit);
        process->n_files = limit.rlim_cur < FILES_MAX ? limit.rlim_cur : FILES_MAX;
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* Its name, and what is shown in place of the command line, as far as it fits there: the texts of
 * the arguments lie one behind the other. */
static void set_names(char **arguments) {
        static const char title[] = "sockd: spawner";
        size_t n = 0;

        (void)prctl(PR_SET_NAME, "sockd-spawner");
        for (char **argument = arguments; argument && *argument; argument++)
                if (*argument == *arguments + n)
                        n += strlen(*argument) + 1;
        if (n == 0)
                return;
        memset(*arguments, 0, n);
        memcpy(*arguments, title, n < sizeof(title) ? n - 1 : sizeof(title));
}

static int begin(struct spawner_process *process) {
        int r = keep_descriptors(process);

        if (r == 0)
                r = block_signals(process);
        if (r < 0)
                return r;
        raise_limits(process);
        (void)setsid();
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        return chdir("/") < 0 ? -errno : 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Kills those who became children by losing their parents. */
static void kill_adopted(void) {
        FILE *file = fopen("/proc/thread-self/children", "re");
        int pid;

        while (file && fscanf(file, "%d", &pid) == 1)
                (void)kill(pid, SIGKILL);
        if (file)
                (void)fclose(file);
}

static bool has_children(void) {
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* Kills everybody, again and again as long as there are some, since who is killed may leave others
 * behind. */
static void finish(struct spawner_process *process) {
        uint64_t end_ns = spawner_now_ns() + END_MS * NS_PER_MS;
        struct pollfd pollfd = {.fd = process->signals, .events = POLLIN};

        spawner_children_drop(process, NULL);
        for (;;) {
                serve_signals(process);
                kill_adopted();
                if (!has_children() || spawner_now_ns() >= end_ns)
                        return;
                (void)poll(&pollfd, 1, timeout_until(end_ns));
        }
}

void spawner_process_run(int control, char **arguments) {
        static struct spawner_process process; /* large; there is one in the process */
        int r;

        process.control = control;
        process.pid = getpid();
        list_init(&process.channels);
        list_init(&process.children);
        set_names(arguments);
        r = begin(&process);
        while (r == 0)
                r = run_once(&process);
        finish(&process);
        _exit(r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}
