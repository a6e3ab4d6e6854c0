/* From a copy of the spawner to the program.
 *
 * The process is single-threaded, as the spawner is, but does nothing that takes memory. It gives
 * up what it has of the spawner step by step: what needs privileges comes before they go, and what
 * the program's own rights decide (its directory, the right to execute it) comes afterwards.
 */
#include "daemon/spawner_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* That nobody hears of; as shells have it for what cannot be executed. */
#define STATUS_NOT_EXECUTED 127

/* Each step returns 0 or an errno. */
static int result(int r) {
        return r < 0 ? errno : 0;
}

static int make_session(void) {
        return result(setsid());
}

/* What is ignored or blocked stays so across execve(2). */
static void reset_signals(void) {
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                (void)signal(i, SIG_DFL); /* but for two that are the C library's own */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_blocking(int fd) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return errno;
        return flags & O_NONBLOCK ? result(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK)) : 0;
}

/* All descriptors but 0 to 2 are closed by execve(2), twice over: they were made so. Those passed
 * have higher numbers, as the spawner has all of the standard ones. */
static int set_descriptors(const struct spawner_process *process,
                           const struct spawner_request *request, const struct passed *passed) {
        size_t next = 0;

        for (int i = 0; i <= STDERR_FILENO; i++) {
                bool is_given = request->descriptors & 1u << i;
                int from = is_given ? passed->fds[next++] : process->nothing;
                int r = is_given ? set_blocking(from) : 0;

                if (r == 0)
                        r = result(dup2(from, i));
                if (r != 0)
                        return r;
        }
        return result(close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC));
}

static int set_limit(int resource, uint64_t soft, uint64_t hard) {
        struct rlimit limit = {.rlim_cur = soft, .rlim_max = hard};

        return result(setrlimit(resource, &limit));
}

/* 0: it stays. */
static int set_limit_if_given(int resource, uint64_t number) {
        return number ? set_limit(resource, number, number) : 0;
}

/* Unless it is said how many descriptors there shall be, the hard limit is that of sockd; the soft
 * one is not, as who uses select(2) is in trouble beyond the thousandth. */
static int limit_files(const struct spawner_process *process, uint64_t number) {
        struct rlimit limit;

        if (number)
                return set_limit(RLIMIT_NOFILE, number, number);
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return errno;
        return set_limit(RLIMIT_NOFILE, process->n_files, limit.rlim_max);
}

/* The signal of the soft limit, which the hard one's follows a second later, says what it was. */
static int limit_cpu(uint64_t seconds) {
        return seconds ? set_limit(RLIMIT_CPU, seconds, seconds + 1) : 0;
}

static int set_limits(const struct spawner_process *process, const struct program_limits *limits) {
        int r = set_limit(RLIMIT_CORE, 0, 0);

        if (r == 0)
                r = limit_files(process, limits->open_files);
        if (r == 0)
                r = set_limit_if_given(RLIMIT_NPROC, limits->processes);
        if (r == 0)
                r = limit_cpu(limits->cpu_s);
        return r == 0 ? set_limit_if_given(RLIMIT_AS, limits->memory) : r;
}

/* Capabilities that the spawner was given to change users with would pass to programs; not those
 * of root, who has them by being root. */
static int drop_capabilities(void) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
            syscall(SYS_capget, &header, data) < 0)
                return errno;
        if ((data[0].inheritable | data[1].inheritable) == 0)
                return 0;
        data[0].inheritable = data[1].inheritable = 0;
        return result((int)syscall(SYS_capset, &header, data));
}

/* Who has become somebody else may do what he may. Who has not, and was started with what strangers
 * send, gains nothing by programs that have more rights than he. */
static int take_privileges(const struct spawner_request *request) {
        int r = drop_capabilities();

        if (r == 0 && !request->has_user)
                r = result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
        return r;
}

/* It does not outlive the spawner, which would have ended it. Changing users undoes this. */
static int die_with_spawner(const struct spawner_process *process) {
        int r = result(prctl(PR_SET_PDEATHSIG, SIGKILL));

        return r == 0 && getppid() != process->pid ? ESRCH : r;
}

/* Returns the step that failed, and its errno in *errorp; if all goes well, not at all. */
static enum program_step become_program(const struct spawner_process *process,
                                        const struct spawner_request *request,
                                        const struct passed *passed, int *errorp) {
        reset_signals();
        if ((*errorp = make_session()) != 0)
                return PROGRAM_SESSION;
        if ((*errorp = set_descriptors(process, request, passed)) != 0)
                return PROGRAM_DESCRIPTORS;
        if ((*errorp = set_limits(process, &request->limits)) != 0)
                return PROGRAM_LIMITS;
        if (request->has_user) {
                if ((*errorp = result(setgroups(request->n_groups, request->groups))) != 0)
                        return PROGRAM_GROUPS;
                if ((*errorp = result(setresgid(request->gid, request->gid, request->gid))) != 0)
                        return PROGRAM_GROUP;
                if ((*errorp = result(setresuid(request->uid, request->uid, request->uid))) != 0)
                        return PROGRAM_USER;
        }
        if ((*errorp = take_privileges(request)) != 0)
                return PROGRAM_PRIVILEGES;
        if ((*errorp = die_with_spawner(process)) != 0)
                return PROGRAM_FORK;
        if ((*errorp = result(chdir(request->directory))) != 0)
                return PROGRAM_DIRECTORY;
        (void)execve(request->arguments[0], request->arguments, request->variables);
        *errorp = errno;
        return PROGRAM_EXECUTE;
}

void spawner_exec(const struct spawner_process *process, const struct spawner_request *request,
                  const struct passed *passed, int errors) {
        struct spawner_failure failure;

        failure.step = (int)become_program(process, request, passed, &failure.error);
        /* A pipe takes so little whole and at once. */
        (void)!write(errors, &failure, sizeof(failure));
        _exit(STATUS_NOT_EXECUTED);
}
