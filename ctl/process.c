/* Running a program: two pipes, one poll(2) loop, one waitpid(2).
 *
 * Input and output move at the same time, whatever order the program reads and writes in; one that
 * does not read its input to the end is no error. Its end is an event as well, a descriptor of
 * pidfd_open(2): a program may close its output long before. It is collected last, so that its
 * number stays its own, and that of its group, as long as there may be signals to send.
 */
#include "ctl/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/deadline.h"

#define GRACE_MS 1000 /* between SIGTERM and SIGKILL */

enum stage { STAGE_RUNNING, STAGE_ASKED, STAGE_KILLED };

struct run {
        int input, output; /* own ends of the pipes; -1: closed */
        int end;           /* pidfd, own; -1: the program has ended */
        pid_t pid;
        struct process_watch *watch; /* or NULL */
        enum stage stage;
        int64_t deadline_ms; /* of the stage */
        const char *bytes;
        size_t n_bytes;
        size_t n_allocated, limit;
};

static void close_end(int *endp) {
        if (*endp >= 0)
                close(*endp);
        *endp = -1;
}

static int set_up_actions(posix_spawn_file_actions_t *actions, int input, int output,
                          bool with_errors) {
        int error = posix_spawn_file_actions_adddup2(actions, input, STDIN_FILENO);

        if (!error)
                error = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
        if (!error && with_errors)
                error = posix_spawn_file_actions_adddup2(actions, output, STDERR_FILENO);
        return error;
}

/* Undoes what this process did to its signals: some blocked, one ignored. has_group: to signal all
 * that the program may start. */
static int set_up_attributes(posix_spawnattr_t *attributes, bool has_group) {
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        sigset_t none, pipe;
        int error;

        sigemptyset(&none);
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        error = posix_spawnattr_setsigmask(attributes, &none);
        if (!error)
                error = posix_spawnattr_setsigdefault(attributes, &pipe);
        if (!error && has_group)
                error = posix_spawnattr_setpgroup(attributes, 0);
        if (!error)
                error = posix_spawnattr_setflags(attributes,
                                                 has_group ? flags | POSIX_SPAWN_SETPGROUP : flags);
        return error;
}

/* posix_spawnp(), as execvp(3) would hand what it cannot execute to a shell. */
static int spawn(char *const argv[], char *const environment[], int input, int output,
                 bool with_errors, bool has_group, pid_t *pidp) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int error;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        if (posix_spawnattr_init(&attributes) != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return -ENOMEM;
        }
        error = set_up_actions(&actions, input, output, with_errors);
        if (!error)
                error = set_up_attributes(&attributes, has_group);
        if (!error)
                error = posix_spawnp(pidp, argv[0], &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -error;
}

static int start(struct run *run, char *const argv[], char *const environment[], bool with_errors) {
        int input[2], output[2], result;

        if (pipe2(input, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(output, O_CLOEXEC) < 0) {
                result = -errno;
                close(input[0]);
                close(input[1]);
                return result;
        }
        /* The flag belongs to one end; the program's own end blocks. */
        result = fcntl(input[1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
        if (result == 0)
                result = spawn(argv, environment, input[0], output[1], with_errors,
                               run->watch != NULL, &run->pid);
        close(input[0]);
        close(output[1]);
        run->input = input[1];
        run->output = output[0];
        return result;
}

/* To the program, and, if it has a group of its own, to all that it has started. */
static void send_signal(const struct run *run, int number) {
        kill(run->watch ? -run->pid : run->pid, number);
}

static void write_some(struct run *run) {
        ssize_t n = write(run->input, run->bytes, run->n_bytes);

        if (n >= 0) {
                run->bytes += n;
                run->n_bytes -= (size_t)n;
        } else if (errno != EAGAIN && errno != EINTR) {
                run->n_bytes = 0;
        }
        if (run->n_bytes == 0)
                close_end(&run->input);
}

static int grow(struct run *run, struct process_output *output) {
        size_t n = run->n_allocated ? run->n_allocated * 2 : 4096;
        char *bytes = realloc(output->bytes, n);

        if (!bytes)
                return -ENOMEM;
        output->bytes = bytes;
        run->n_allocated = n;
        return 0;
}

static int read_some(struct run *run, struct process_output *output) {
        char buffer[65536];
        ssize_t n = read(run->output, buffer, sizeof(buffer));
        size_t n_kept;

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        if (n == 0) {
                close_end(&run->output);
                return 0;
        }
        n_kept = (size_t)n < run->limit - output->n ? (size_t)n : run->limit - output->n;
        output->is_cut |= n_kept < (size_t)n;
        while (output->n + n_kept >= run->n_allocated) {
                int result = grow(run, output);

                if (result)
                        return result;
        }
        memcpy(output->bytes + output->n, buffer, n_kept);
        output->n += n_kept;
        return 0;
}

/* Each time it is said more clearly. */
static void insist(struct run *run) {
        send_signal(run, run->stage == STAGE_RUNNING ? SIGTERM : SIGKILL);
        run->deadline_ms = run->stage == STAGE_RUNNING ? deadline_in(GRACE_MS) : DEADLINE_NEVER;
        run->stage = run->stage == STAGE_RUNNING ? STAGE_ASKED : STAGE_KILLED;
}

static void attend(struct run *run, bool is_called) {
        bool is_late = deadline_left(run->deadline_ms) == 0, goes_on = true;

        if (run->watch && (is_called || is_late))
                goes_on = run->watch->function(run->watch->data);
        if (is_late || (!goes_on && run->stage == STAGE_RUNNING))
                insist(run);
}

/* Others may hold the output open longer than the program lives; whoever has left its group and
 * does so after SIGKILL is not waited for. */
static bool is_over(const struct run *run) {
        return run->end < 0 && (run->output < 0 || run->stage == STAGE_KILLED);
}

/* One wait, and what it brought. */
static int exchange_some(struct run *run, struct process_output *output) {
        const struct process_watch *watch = run->watch;
        struct pollfd ends[] = {
                {.fd = run->output, .events = POLLIN},
                {.fd = run->input, .events = POLLOUT},
                {.fd = run->end, .events = POLLIN},
                {.fd = watch ? watch->descriptors[0] : -1, .events = POLLIN},
                {.fd = watch ? watch->descriptors[1] : -1, .events = POLLIN},
        };
        int n = poll(ends, 5, deadline_left(run->deadline_ms));

        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        if (ends[1].revents)
                write_some(run);
        if (ends[2].revents)
                close_end(&run->end);
        attend(run, ends[3].revents || ends[4].revents);
        return ends[0].revents ? read_some(run, output) : 0;
}

static int exchange(struct run *run, struct process_output *output) {
        int result = 0;

        /* Where there is none, the end of the output is taken for the program's. */
        run->end = pidfd_open(run->pid, 0);
        if (run->n_bytes == 0)
                close_end(&run->input);
        while (result == 0 && !is_over(run))
                result = exchange_some(run, output);
        return result;
}

static int collect(pid_t pid) {
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return 255;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int process_run(char *const argv[], char *const environment[], const void *input, size_t n_input,
                size_t limit, bool with_errors, struct process_watch *watch,
                struct process_output *output) {
        struct run run = {.input = -1,
                          .output = -1,
                          .end = -1,
                          .watch = watch,
                          .deadline_ms = watch ? watch->deadline_ms : DEADLINE_NEVER,
                          .bytes = input,
                          .n_bytes = n_input,
                          .limit = limit};
        int result;

        memset(output, 0, sizeof(*output));
        result = grow(&run, output);
        if (result == 0)
                result = start(&run, argv, environment, with_errors);
        if (result == 0) {
                result = exchange(&run, output);
                if (result < 0)
                        send_signal(&run, SIGKILL);
                output->status = collect(run.pid);
        }
        close_end(&run.input);
        close_end(&run.output);
        close_end(&run.end);
        if (output->bytes)
                output->bytes[output->n] = '\0';
        return result;
}

void process_output_deinit(struct process_output *output) {
        free(output->bytes);
        output->bytes = NULL;
        output->n = 0;
}

bool process_exists(const char *program) {
        const char *path = getenv("PATH");
        char file[4096];

        if (strchr(program, '/'))
                return access(program, X_OK) == 0;
        if (!path)
                path = "/bin:/usr/bin";
        for (;;) {
                size_t n = strcspn(path, ":");

                if ((size_t)snprintf(file, sizeof(file), "%.*s%s%s", (int)n, path, n ? "/" : "./",
                                     program) < sizeof(file) &&
                    access(file, X_OK) == 0)
                        return true;
                if (!path[n])
                        return false;
                path += n + 1;
        }
}
