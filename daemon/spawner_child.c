/* The spawner's children: one for each program, from the request to the last report.
 *
 * A child is found by its process, which keeps its number, and with it that of its session and
 * group, until it is waited for. So it is looked at first, then what is left of its group is
 * killed, and only then is it waited for: no signal can reach anybody else.
 *
 * Whether the program is executed is told by a pipe that execve(2) closes. That takes as long as
 * file systems take, for which the spawner does not wait.
 *
 * What is to be told of a child stays with it until its channel takes it. As long as that does not,
 * no request of the channel is read, so that its children do not become more.
 */
#include "daemon/spawner_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
#define NEVER     UINT64_MAX

/* --- telling ---------------------------------------------------------------------------------- */

/* Sends a report. Returns whether that is done; a channel that has gone takes everything. */
static bool tell(struct channel *channel, const struct spawner_report *report) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        size_t length = spawner_wire_report(record, report);

        if (send(channel->fd, record, length, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                return true;
        channel->is_full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
        return !channel->is_full;
}

static bool tell_start(struct child *child) {
        const struct spawner_report report = {.slot = child->slot, .end = {.pid = child->pid}};

        return tell(child->channel, &report);
}

static bool tell_end(struct child *child) {
        const struct spawner_report report = {
                .has_ended = true, .slot = child->slot, .end = child->end};

        return tell(child->channel, &report);
}

static void child_free(struct child *child) {
        list_unlink(&child->link);
        if (child->errors >= 0)
                (void)close(child->errors);
        free(child);
}

/* Says what can be said now. Frees the child when all is said and done. */
static void child_tell(struct child *child) {
        if (child->channel && child->has_started && !child->channel->is_full)
                child->has_started = !tell_start(child);
        if (child->stage != CHILD_OVER)
                return;
        if (!child->channel || (!child->has_started && !child->channel->is_full && tell_end(child)))
                child_free(child);
}

void spawner_children_tell(struct spawner_process *process, struct channel *channel) {
        LIST_FOREACH_SAFE (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (channel->is_full)
                        return;
                if (child->channel == channel)
                        child_tell(child);
        }
}

/* --- ending ----------------------------------------------------------------------------------- */

/* To all of the group; a new process may not have one yet. */
static void child_signal(const struct child *child, int number) {
        if (kill(-child->pid, number) < 0 && errno == ESRCH)
                (void)kill(child->pid, number);
}

static void child_kill(struct child *child) {
        child_signal(child, SIGKILL);
        child->stage = CHILD_KILLED;
        child->deadline_ns = NEVER;
}

/* Asks it to end, which takes that it is not stopped, and kills it after a time. */
static void child_ask(struct child *child, uint64_t grace_ns) {
        uint64_t deadline_ns = spawner_now_ns() + grace_ns;

        if (grace_ns == 0) {
                child_kill(child);
                return;
        }
        if (child->stage == CHILD_ASKED) {
                if (deadline_ns < child->deadline_ns)
                        child->deadline_ns = deadline_ns;
                return;
        }
        child_signal(child, SIGTERM);
        child_signal(child, SIGCONT);
        child->stage = CHILD_ASKED;
        child->deadline_ns = deadline_ns;
}

static bool is_running(const struct child *child) {
        return child->stage != CHILD_OVER;
}

void spawner_child_stop(struct spawner_process *process, struct channel *channel,
                        const struct spawner_request *request) {
        LIST_FOREACH (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (child->channel != channel || child->slot != request->slot)
                        continue;
                if (!is_running(child) || child->stage == CHILD_KILLED)
                        return;
                child->end.was_stopped = true;
                child_ask(child, request->grace_ms * NS_PER_MS);
                return;
        }
}

void spawner_children_drop(struct spawner_process *process, const struct channel *channel) {
        LIST_FOREACH_SAFE (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (channel && child->channel != channel)
                        continue;
                if (is_running(child))
                        child_kill(child);
                child->channel = NULL;
                child_tell(child);
        }
}

/* The time of a stage is over. */
static void child_insist(struct child *child) {
        if (child->stage == CHILD_ASKED) {
                child_kill(child);
        } else {
                child->end.was_late = true;
                child_ask(child, child->grace_ns);
        }
}

uint64_t spawner_children_check(struct spawner_process *process) {
        uint64_t now_ns = spawner_now_ns(), next_ns = NEVER;

        LIST_FOREACH (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (child->deadline_ns <= now_ns)
                        child_insist(child);
                if (child->deadline_ns < next_ns)
                        next_ns = child->deadline_ns;
        }
        return next_ns;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static struct child *find_process(struct spawner_process *process, pid_t pid) {
        LIST_FOREACH (link, &process->children) {
                struct child *child = container_of(link, struct child, link);

                if (child->pid == pid && is_running(child))
                        return child;
        }
        return NULL;
}

static uint64_t microseconds(const struct timeval *time) {
        return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

/* Notes how a program ended. */
static void note_end(struct program_end *end, int status, const struct rusage *usage) {
        end->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        end->user_us = microseconds(&usage->ru_utime);
        end->system_us = microseconds(&usage->ru_stime);
        end->max_resident = (uint64_t)usage->ru_maxrss * 1024;
}

void spawner_child_read_errors(struct child *child) {
        struct spawner_failure failure;
        ssize_t n = read(child->errors, &failure, sizeof(failure));

        if (n < 0)
                return; /* nothing yet */
        (void)close(child->errors);
        child->errors = -1;
        if (n == (ssize_t)sizeof(failure)) {
                child->end.step = (enum program_step)failure.step;
                child->end.error = failure.error;
                return;
        }
        if (child->stage == CHILD_STARTING)
                child->stage = CHILD_RUNNING;
        child->has_started = child->tells_start;
        child_tell(child);
}

/* Waits for a process that has ended. What it left in its group ends with it. */
static void collect(struct spawner_process *process, pid_t pid) {
        struct child *child = find_process(process, pid);
        struct rusage usage;
        int status;

        if (child)
                (void)kill(-pid, SIGKILL);
        if (wait4(pid, &status, 0, &usage) != pid || !child)
                return;
        process->n_running--;
        if (child->errors >= 0)
                spawner_child_read_errors(child);
        child->end.elapsed_us = (spawner_now_ns() - child->start_ns) / 1000;
        if (child->end.step == PROGRAM_RAN)
                note_end(&child->end, status, &usage);
        child->stage = CHILD_OVER;
        child->deadline_ns = NEVER;
        child_tell(child);
}

void spawner_children_reap(struct spawner_process *process) {
        siginfo_t info;

        do {
                info.si_pid = 0;
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
                        return;
                if (info.si_pid != 0)
                        collect(process, info.si_pid);
        } while (info.si_pid != 0);
}

/* --- starting --------------------------------------------------------------------------------- */

/* Whether one more may be started in this second; if so, it counts. So many may be started at once,
 * and then as many in each second (the generic cell rate algorithm). */
static bool is_in_time(struct spawner_process *process, uint64_t now_ns) {
        uint64_t each_ns = NS_PER_S / process->max_starts;

        if (process->due_ns < now_ns)
                process->due_ns = now_ns;
        if (process->due_ns - now_ns > NS_PER_S - each_ns)
                return false;
        process->due_ns += each_ns;
        return true;
}

/* Forks, but without what libraries want to be done then: libuv would close descriptors that are
 * its own no more. Returns 0 or an errno. */
static int make_process(struct spawner_process *process, struct child *child,
                        const struct spawner_request *request, const struct passed *passed) {
        int ends[2], error;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return errno;
        pid = _Fork();
        if (pid == 0)
                spawner_exec(process, request, passed, ends[1]);
        error = errno;
        (void)close(ends[1]);
        if (pid < 0) {
                (void)close(ends[0]);
                return error;
        }
        child->errors = ends[0];
        child->pid = pid;
        process->n_running++;
        return 0;
}

/* Returns the step that failed, and its errno in *errorp. */
static enum program_step try_start(struct spawner_process *process, struct child *child,
                                   const struct spawner_request *request,
                                   const struct passed *passed, int *errorp) {
        if (passed->n < request->n_descriptors) {
                *errorp = EMFILE;
                return PROGRAM_TAKE;
        }
        if (process->n_running >= process->max_running)
                return PROGRAM_TOO_MANY;
        if (!is_in_time(process, child->start_ns))
                return PROGRAM_TOO_FAST;
        *errorp = make_process(process, child, request, passed);
        return *errorp ? PROGRAM_FORK : PROGRAM_RAN;
}

int spawner_child_start(struct spawner_process *process, struct channel *channel,
                        const struct spawner_request *request, const struct passed *passed) {
        struct child *child = calloc(1, sizeof(*child));

        if (!child)
                return -ENOMEM;
        child->channel = channel;
        child->slot = request->slot;
        child->errors = -1;
        child->start_ns = spawner_now_ns();
        child->grace_ns = request->grace_ms * NS_PER_MS;
        child->tells_start = request->tells_start;
        list_append(&process->children, &child->link);
        child->deadline_ns = NEVER;
        child->end.step = try_start(process, child, request, passed, &child->end.error);
        child->end.pid = child->pid;
        if (child->pid && request->timeout_ms)
                child->deadline_ns = child->start_ns + request->timeout_ms * NS_PER_MS;
        if (!child->pid) {
                child->stage = CHILD_OVER;
                child_tell(child);
        }
        return 0;
}
