/* Programs that are really run, by a real spawner: what they find, how they end, and that nothing
 * of them stays.
 *
 * The worker here is no thread: this process runs its loop, as its spawner has to be forked before
 * there are threads. That processes have ended is seen by a pipe, which is at its end when nobody
 * has the other one any more.
 */
#include "daemon/program.h"

#include "daemon/instance.h"
#include "daemon/run_as.h"
#include "daemon/spawner.h"
#include "daemon/spawner_wire.h"
#include "daemon/worker.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Nothing here takes as long, on the slowest machine. */
#define PATIENCE_MS 60000

#define MANY 700 /* more than the sockets between daemon and spawner take */

/* One run of a program. */
struct run {
        struct program program;
        struct program_end end;
        pid_t pid;
        unsigned n_started, n_ended;
        int output;        /* what it prints, to read from */
        char text[65536];  /* that */
        struct run *again; /* what its end starts */
};

static struct spawner spawner;
static struct instance instance;
static struct worker worker;
static struct run runs[4];
static struct run many[MANY];
static struct program_spec spec;
static char *words[8];

static int set_up(void **state) {
        memset(runs, 0, sizeof(runs));
        memset(many, 0, sizeof(many));
        memset(&worker, 0, sizeof(worker));
        memset(words, 0, sizeof(words));
        spec = (struct program_spec){.arguments = words};
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                runs[i].output = -1;
        run_as_init();
        instance.spawner = &spawner;
        worker.instance = &instance;
        worker.is_online = true; /* all of this is one batch */
        if (spawner_start(&spawner, NULL) < 0 ||
            spawner_limit(&spawner, 64, SPAWNER_STARTS_MAX) < 0)
                return -1;
        return uv_loop_init(&worker.loop);
}

static int tear_down(void **state) {
        programs_close(&worker);
        (void)uv_run(&worker.loop, UV_RUN_DEFAULT);
        for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
                if (runs[i].output >= 0)
                        close(runs[i].output);
        spawner_stop(&spawner);
        /* The spawner was the only child. */
        if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
                return -1;
        return uv_loop_close(&worker.loop);
}

/* --- running ---------------------------------------------------------------------------------- */

static int start(struct run *run, const int descriptors[3]);

static void on_started(struct program *program, pid_t pid) {
        struct run *run = container_of(program, struct run, program);

        run->pid = pid;
        run->n_started++;
        assert_int_equal(run->n_ended, 0);
}

static void on_ended(struct program *program, const struct program_end *end) {
        struct run *run = container_of(program, struct run, program);

        assert_false(program_is_running(program));
        run->end = *end;
        run->n_ended++;
        if (run->again)
                assert_int_equal(start(run->again, (const int[]){-1, -1, -1}), 0);
}

static int start_with(struct run *run, const char *const *variables, const int descriptors[3]) {
        run->program.started = on_started;
        run->program.ended = on_ended;
        return program_start(&run->program, &worker, &spec, variables, descriptors);
}

static int start(struct run *run, const int descriptors[3]) {
        return start_with(run, NULL, descriptors);
}

/* What is run from now on. */
static void set_words(const char *first, ...) {
        const char *word = first;
        va_list rest;
        size_t n = 0;

        memset(words, 0, sizeof(words));
        va_start(rest, first);
        for (; word && n + 1 < ARRAY_SIZE(words); word = va_arg(rest, const char *))
                words[n++] = (char *)word;
        va_end(rest);
}

static void set_script(const char *script) {
        set_words("/bin/sh", "-c", script, NULL);
}

/* Starts what was set with its output in a pipe, and this input, which is closed here; -1: none. */
static void start_printing(struct run *run, int input) {
        int ends[2];

        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(start(run, (const int[]){input, ends[1], ends[1]}), 0);
        close(ends[1]);
        if (input >= 0)
                close(input);
        run->output = ends[0];
}

static void on_patience_lost(uv_timer_t *timer) {
        *(bool *)timer->data = true;
}

/* Runs the loop until a count is reached. */
static void await(const unsigned *count, unsigned expected) {
        bool is_over = false;
        uv_timer_t timer;

        uv_timer_init(&worker.loop, &timer);
        timer.data = &is_over;
        uv_timer_start(&timer, on_patience_lost, PATIENCE_MS, 0);
        while (*count < expected && !is_over)
                uv_run(&worker.loop, UV_RUN_ONCE);
        uv_close((uv_handle_t *)&timer, NULL);
        uv_run(&worker.loop, UV_RUN_NOWAIT);
        assert_int_equal(*count, expected);
}

static void await_end(struct run *run) {
        await(&run->n_ended, 1);
}

/* Reads what is printed up to the end, that is until nobody is left who could print. */
static const char *read_all(struct run *run) {
        struct pollfd pollfd = {.fd = run->output, .events = POLLIN};
        size_t length = 0;
        ssize_t n = 1;

        while (n > 0) {
                assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
                n = read(run->output, run->text + length, sizeof(run->text) - 1 - length);
                assert_true(n >= 0);
                length += (size_t)n;
                assert_true(length < sizeof(run->text) - 1);
        }
        run->text[length] = '\0';
        close(run->output);
        run->output = -1;
        return run->text;
}

/* Reads up to a text, which has to come. */
static void read_until(struct run *run, const char *text) {
        struct pollfd pollfd = {.fd = run->output, .events = POLLIN};
        size_t length = 0;

        do {
                ssize_t n;

                assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
                n = read(run->output, run->text + length, 1);
                assert_int_equal(n, 1);
                run->text[++length] = '\0';
        } while (!strstr(run->text, text));
}

/* Runs what was set, and returns what it prints. */
static const char *print(struct run *run) {
        start_printing(run, -1);
        await_end(run);
        return read_all(run);
}

static void check_end(const struct run *run, enum program_step step, int error) {
        assert_int_equal(run->n_ended, 1);
        assert_int_equal(run->end.step, step);
        assert_int_equal(run->end.error, error);
}

static void check_status(const struct run *run, int status) {
        check_end(run, PROGRAM_RAN, 0);
        assert_int_equal(run->end.status, status);
        assert_int_equal(run->end.signal, 0);
}

static void check_signal(const struct run *run, int number) {
        check_end(run, PROGRAM_RAN, 0);
        assert_int_equal(run->end.status, -1);
        assert_int_equal(run->end.signal, number);
}

static unsigned n_children(void) {
        char path[64];
        unsigned n = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", spawner.pid, spawner.pid);
        file = fopen(path, "re");
        assert_non_null(file);
        while (fscanf(file, "%*d") != EOF)
                n++;
        fclose(file);
        return n;
}

/* --- what a program is and finds -------------------------------------------------------------- */

static void test_a_program_runs_and_ends(void **state) {
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        assert_true(program_is_running(&runs[0].program));
        assert_int_equal(runs[0].n_ended, 0);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
        assert_true(program_end_is_good(&runs[0].end));
        assert_int_equal(runs[0].n_started, 1);
        assert_true(runs[0].pid > 0);
        assert_int_equal(runs[0].end.pid, runs[0].pid);
        assert_false(runs[0].end.was_late);
        assert_false(runs[0].end.was_stopped);
        assert_true(runs[0].end.max_resident > 0);
        assert_true(runs[0].end.elapsed_us > 0);
        assert_int_equal(counter_read(&worker.stats.programs_asked), 1);
        assert_int_equal(counter_read(&worker.stats.programs_over), 1);
        assert_int_equal(counter_read(&worker.stats.programs_ended), 1);
        assert_int_equal(counter_read(&worker.stats.programs_failed), 0);
}

static void test_its_status_is_told(void **state) {
        set_script("exit 77");
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_status(&runs[0], 77);
}

static void test_its_signal_is_told(void **state) {
        set_script("kill -USR1 $$");
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGUSR1);
}

static void test_its_start_need_not_be_told(void **state) {
        set_words("/bin/true", NULL);
        runs[0].program.ended = on_ended;
        assert_int_equal(
                program_start(&runs[0].program, &worker, &spec, NULL, (const int[]){-1, -1, -1}),
                0);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
        assert_int_equal(runs[0].n_started, 0);
}

static void test_it_reads_its_input(void **state) {
        int ends[2];

        set_words("/bin/cat", NULL);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        start_printing(&runs[0], ends[0]);
        assert_int_equal(write(ends[1], "hello", 5), 5);
        close(ends[1]);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
        assert_string_equal(read_all(&runs[0]), "hello");
}

static void test_one_socket_may_be_all_of_it(void **state) {
        /* As with inetd; and blocking, whatever it was. */
        char text[16] = "";
        int ends[2];

        set_script("read line; echo \"got $line\"; echo error >&2");
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                         0);
        assert_int_equal(start(&runs[0], (const int[]){ends[1], ends[1], ends[1]}), 0);
        await(&runs[0].n_started, 1);
        assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
        close(ends[1]);
        assert_int_equal(write(ends[0], "it\n", 3), 3);
        await_end(&runs[0]);
        assert_int_equal(read(ends[0], text, sizeof(text)), 13);
        assert_memory_equal(text, "got it\nerror\n", 13);
        assert_int_equal(read(ends[0], text, sizeof(text)), 0);
        close(ends[0]);
}

static void test_what_is_not_given_is_nothing(void **state) {
        set_script("readlink /proc/$$/fd/0 /proc/$$/fd/2");
        start_printing(&runs[0], -1);
        await_end(&runs[0]);
        assert_memory_equal(read_all(&runs[0]), "/dev/null\npipe:", 15);
}

static void test_only_what_is_given_is_there(void **state) {
        /* 3 is the directory that is being listed. */
        int inheritable = open("/dev/null", O_RDONLY);

        assert_true(inheritable >= 0);
        set_words("/bin/ls", "/proc/self/fd", NULL);
        assert_string_equal(print(&runs[0]), "0\n1\n2\n3\n");
        close(inheritable);
}

static void test_arguments_are_no_shells(void **state) {
        set_words("/bin/echo", "$HOME", "`id`", "a  b", "", "*", NULL);
        assert_string_equal(print(&runs[0]), "$HOME `id` a  b  *\n");
}

static void test_the_environment_is_what_is_given(void **state) {
        static const char *const variables[] = {"SOCKD_PEER_UID=5", "A=other", NULL};
        char *environment[] = {(char *)"A=1", (char *)"B=two words", NULL};
        int ends[2];

        assert_int_equal(setenv("SECRET", "of sockd", 1), 0);
        spec.environment = environment;
        set_words("/usr/bin/env", NULL);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        assert_int_equal(start_with(&runs[0], variables, (const int[]){-1, ends[1], -1}), 0);
        close(ends[1]);
        runs[0].output = ends[0];
        await_end(&runs[0]);
        assert_string_equal(read_all(&runs[0]), "SOCKD_PEER_UID=5\nA=other\nB=two words\n");
}

static void test_the_directory_is_the_root_or_what_is_given(void **state) {
        set_words("/bin/pwd", NULL);
        assert_string_equal(print(&runs[0]), "/\n");
        spec.directory = (char *)"/proc";
        assert_string_equal(print(&runs[1]), "/proc\n");
}

/* A line of /proc/self/status. */
static void check_line(const char *text, const char *name, const char *value) {
        char line[128];

        snprintf(line, sizeof(line), "\n%s:\t%s\n", name, value);
        if (!strstr(text, line))
                fail_msg("expected %s: %s in %s", name, value, text);
}

static void test_no_signal_is_blocked_or_ignored(void **state) {
        /* Nobody who uses the C library changes these two, which others may have. */
        const uint64_t of_libc = UINT64_C(1) << 31 | UINT64_C(1) << 32;
        const char *text;
        uint64_t ignored;

        /* The spawner blocks nearly all, and this process ignores one. */
        tear_down(state);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)signal(SIGUSR2, SIG_IGN);
        assert_int_equal(set_up(state), 0);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)signal(SIGUSR2, SIG_DFL);
        set_words("/bin/cat", "/proc/self/status", NULL);
        text = print(&runs[0]);
        check_line(text, "SigBlk", "0000000000000000");
        check_line(text, "SigPnd", "0000000000000000");
        text = strstr(text, "\nSigIgn:\t");
        assert_non_null(text);
        assert_int_equal(sscanf(text, " SigIgn: %" SCNx64, &ignored), 1);
        assert_int_equal(ignored & ~of_libc, 0);
}

static void test_it_leads_a_session_and_a_group(void **state) {
        int pid, group, session;

        set_script("cut -d' ' -f1,5,6 /proc/$$/stat");
        assert_int_equal(sscanf(print(&runs[0]), "%d %d %d", &pid, &group, &session), 3);
        assert_int_equal(pid, runs[0].pid);
        assert_int_equal(group, pid);
        assert_int_equal(session, pid);
}

/* --- privileges ------------------------------------------------------------------------------- */

static void test_it_gains_no_privileges(void **state) {
        const char *text;

        set_words("/bin/cat", "/proc/self/status", NULL);
        text = print(&runs[0]);
        check_line(text, "NoNewPrivs", "1");
        check_line(text, "CapInh", "0000000000000000");
        check_line(text, "CapAmb", "0000000000000000");
}

static void test_it_may_be_somebody_else(void **state) {
        char directory[] = "/tmp/test_program.XXXXXX"; /* of nobody but us */
        struct run_as *user;
        char reason[RUN_AS_REASON_MAX], expected[64];
        const char *text;

        assert_int_equal(run_as_find(&user, "nobody", NULL), 0);
        if (user->is_own || run_as_check(user, reason) < 0) {
                print_message("skipping: it takes another user, and the right to change to it\n");
                run_as_free(user);
                skip();
        }
        spec.user = user;
        set_words("/bin/cat", "/proc/self/status", NULL);
        text = print(&runs[0]);
        check_status(&runs[0], 0);
        snprintf(expected, sizeof(expected), "%u\t%u\t%u\t%u", user->uid, user->uid, user->uid,
                 user->uid);
        check_line(text, "Uid", expected);
        snprintf(expected, sizeof(expected), "%u\t%u\t%u\t%u", user->gid, user->gid, user->gid,
                 user->gid);
        check_line(text, "Gid", expected);
        snprintf(expected, sizeof(expected), "%u ", user->gid);
        check_line(text, "Groups", expected);
        check_line(text, "CapPrm", "0000000000000000");
        check_line(text, "CapEff", "0000000000000000");
        check_line(text, "CapInh", "0000000000000000");
        check_line(text, "CapAmb", "0000000000000000");

        /* It cannot reach what sockd can; and it is ended like any other. */
        spec.directory = mkdtemp(directory);
        assert_non_null(spec.directory);
        start_printing(&runs[1], -1);
        await_end(&runs[1]);
        check_end(&runs[1], PROGRAM_DIRECTORY, EACCES);
        spec.directory = NULL;
        assert_int_equal(rmdir(directory), 0);
        set_words("/bin/sleep", "1000", NULL);
        start_printing(&runs[2], -1);
        await(&runs[2].n_started, 1);
        program_stop(&runs[2].program, 0);
        await_end(&runs[2]);
        check_signal(&runs[2], SIGKILL);
        run_as_free(user);
}

/* In a process of its own, as rights do not come back: returns what it ends with. */
static int run_without_rights(void (*check)(void)) {
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (setresgid(3999999998u, 3999999998u, 3999999998u) < 0 ||
                    setresuid(3999999998u, 3999999998u, 3999999998u) < 0 || set_up(NULL) < 0)
                        _exit(1);
                check();
                _exit(tear_down(NULL) == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static void start_as_another(void) {
        struct run_as other = {.name = (char *)"other", .uid = 3999999999u, .gid = 3999999999u};

        spec.user = &other;
        set_words("/bin/true", NULL);
        if (start(&runs[0], (const int[]){-1, -1, -1}) < 0)
                _exit(2);
        await_end(&runs[0]);
        if (runs[0].end.step != PROGRAM_GROUPS || runs[0].end.error != EPERM)
                _exit(3);
}

static void test_without_the_right_it_is_not_run(void **state) {
        if (geteuid() != 0)
                skip();
        tear_down(state);
        assert_int_equal(run_without_rights(start_as_another), 0);
        assert_int_equal(set_up(state), 0);
}

static void start_without_processes(void) {
        const struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};

        if (prlimit(spawner.pid, RLIMIT_NPROC, &limit, NULL) < 0)
                _exit(2);
        set_words("/bin/true", NULL);
        if (start(&runs[0], (const int[]){-1, -1, -1}) < 0)
                _exit(3);
        await_end(&runs[0]);
        if (runs[0].end.step != PROGRAM_FORK || runs[0].end.error != EAGAIN || runs[0].end.pid != 0)
                _exit(4);
}

static void test_without_a_process_it_is_not_run(void **state) {
        if (geteuid() != 0)
                skip();
        tear_down(state);
        assert_int_equal(run_without_rights(start_without_processes), 0);
        assert_int_equal(set_up(state), 0);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_it_has_limits(void **state) {
        const char *text;

        spec.limits = (struct program_limits){
                .open_files = 77, .processes = 88, .memory = UINT64_C(1) << 30, .cpu_s = 99};
        set_script("ulimit -c; ulimit -Hn; ulimit -n; ulimit -u 2>/dev/null || ulimit -p; "
                   "ulimit -v; ulimit -t");
        text = print(&runs[0]);
        assert_string_equal(text, "0\n77\n77\n88\n1048576\n99\n");
}

static void test_its_descriptors_suit_select(void **state) {
        struct rlimit limit, all;
        char expected[64];

        tear_down(state);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        all = limit;
        all.rlim_cur = all.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
        assert_int_equal(set_up(state), 0);
        snprintf(expected, sizeof(expected), "%ld\n",
                 all.rlim_max < 1024 ? (long)all.rlim_max : 1024L);
        set_script("ulimit -n");
        assert_string_equal(print(&runs[0]), expected);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void test_a_limit_that_cannot_be_set_is_told(void **state) {
        spec.limits.open_files = UINT64_MAX;
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_end(&runs[0], PROGRAM_LIMITS, EPERM);
}

static void test_processor_time_is_limited(void **state) {
        spec.limits.cpu_s = 1;
        set_script("while :; do :; done");
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGXCPU);
        assert_in_range(runs[0].end.user_us + runs[0].end.system_us, 500000, 3000000);
}

/* --- what cannot be run ----------------------------------------------------------------------- */

static void check_not_run(const char *path, enum program_step step, int error) {
        struct run *run = &runs[0];

        memset(run, 0, sizeof(*run));
        run->output = -1;
        set_words(path, NULL);
        assert_int_equal(start(run, (const int[]){-1, -1, -1}), 0);
        await_end(run);
        check_end(run, step, error);
        assert_int_equal(run->n_started, 0);
        assert_true(run->end.pid > 0);
        assert_int_equal(run->end.status, 0);
}

static void test_what_cannot_be_run_is_told(void **state) {
        char path[] = "/tmp/test_program.XXXXXX";
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, "neither\n", 8), 8);
        close(fd);
        check_not_run("/usr/bin/nope", PROGRAM_EXECUTE, ENOENT);
        check_not_run("/usr/bin", PROGRAM_EXECUTE, EACCES);
        check_not_run("/etc/passwd", PROGRAM_EXECUTE, EACCES);
        check_not_run("/etc/passwd/x", PROGRAM_EXECUTE, ENOTDIR);
        check_not_run(path, PROGRAM_EXECUTE, EACCES);
        assert_int_equal(chmod(path, 0700), 0);
        check_not_run(path, PROGRAM_EXECUTE, ENOEXEC);
        unlink(path);
        spec.directory = (char *)"/nowhere";
        check_not_run("/bin/true", PROGRAM_DIRECTORY, ENOENT);
        assert_int_equal(counter_read(&worker.stats.programs_failed), 7);
        assert_int_equal(n_children(), 0);
}

static void test_what_is_no_program_is_not_asked_for(void **state) {
        set_words("true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), -EINVAL);
        assert_false(program_is_running(&runs[0].program));
        spec.directory = (char *)".";
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), -EINVAL);
        assert_int_equal(runs[0].n_ended, 0);
        assert_int_equal(counter_read(&worker.stats.programs_failed), 2);
}

/* --- ending ----------------------------------------------------------------------------------- */

static void test_who_takes_too_long_is_ended(void **state) {
        spec.timeout_ms = 50;
        spec.grace_ms = PATIENCE_MS;
        set_words("/bin/sleep", "1000", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGTERM);
        assert_true(runs[0].end.was_late);
        assert_false(program_end_is_good(&runs[0].end));
        assert_true(runs[0].end.elapsed_us >= 50000);
        assert_int_equal(counter_read(&worker.stats.programs_late), 1);
}

static void test_who_does_not_listen_is_killed(void **state) {
        spec.timeout_ms = 100;
        spec.grace_ms = 50;
        set_script("trap '' TERM; echo deaf; while :; do sleep 1000; done");
        start_printing(&runs[0], -1);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
        assert_true(runs[0].end.was_late);
        (void)read_all(&runs[0]);
}

static void test_who_is_stopped_wakes_to_end(void **state) {
        set_script("trap 'exit 5' TERM; echo up; kill -STOP $$; while :; do :; done");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        program_stop(&runs[0].program, PATIENCE_MS);
        await_end(&runs[0]);
        check_status(&runs[0], 5);
        assert_true(runs[0].end.was_stopped);
        assert_false(runs[0].end.was_late);
}

static void test_a_second_stop_may_be_harder(void **state) {
        set_script("trap 'echo heard' TERM; echo up; while :; do sleep 0.01; done");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        program_stop(&runs[0].program, 10 * PATIENCE_MS);
        read_until(&runs[0], "heard");
        program_stop(&runs[0].program, 0);
        program_stop(&runs[0].program, PATIENCE_MS);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
        program_stop(&runs[0].program, 0); /* which it does not mind */
}

static void test_it_may_be_stopped_before_it_runs(void **state) {
        set_words("/bin/sleep", "1000", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        program_stop(&runs[0].program, 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
}

/* Processes with children of their own, who would stay for long, and print when they are all
 * there. */
#define TREE                                                                                       \
        "f() { if [ $1 -eq 0 ]; then echo up; exec sleep 1000; fi; "                               \
        "f $(($1 - 1)) & f $(($1 - 1)) & wait; }; "

static void read_times(struct run *run, const char *text, unsigned n) {
        while (n-- > 0) {
                run->text[0] = '\0';
                read_until(run, text);
        }
}

static void test_its_children_end_with_it(void **state) {
        set_script(TREE "f 4");
        start_printing(&runs[0], -1);
        read_times(&runs[0], "up\n", 16);
        program_stop(&runs[0].program, 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
        assert_string_equal(read_all(&runs[0]), "");
}

static void test_what_it_leaves_behind_ends_with_it(void **state) {
        set_script("trap '' TERM; sleep 1000 & echo up; exit 3");
        assert_string_equal(print(&runs[0]), "up\n");
        check_status(&runs[0], 3);
}

static void test_who_forks_for_ever_is_ended(void **state) {
        /* New ones come while the others are being killed, and their parents have gone by then; but
         * not so many that they would be trouble for whoever else is here. */
        spec.timeout_ms = 300;
        set_script("while :; do (sleep 1000 &); sleep 0.005; done");
        start_printing(&runs[0], -1);
        await_end(&runs[0]);
        assert_true(runs[0].end.was_late);
        assert_string_equal(read_all(&runs[0]), "");
}

static void test_who_left_the_session_ends_with_the_spawner(void **state) {
        int ends[2];

        set_script("setsid sh -c 'echo $$; exec sleep 1000' & read line");
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        start_printing(&runs[0], ends[0]);
        read_until(&runs[0], "\n");
        assert_int_equal(write(ends[1], "\n", 1), 1);
        close(ends[1]);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
        assert_int_equal(kill(atoi(runs[0].text), 0), 0);
        programs_close(&worker);
        spawner_stop(&spawner);
        assert_string_equal(read_all(&runs[0]), "");
}

static void test_no_zombies_stay(void **state) {
        unsigned n = 0;

        set_script("sleep 0 & (sleep 0 &); exit 0");
        for (size_t i = 0; i < 20; i++)
                assert_int_equal(start(&many[i], (const int[]){-1, -1, -1}), 0);
        for (size_t i = 0; i < 20; i++) {
                await(&many[i].n_ended, 1);
                n += many[i].end.status == 0;
        }
        assert_int_equal(n, 20);
        /* The last orphan may have ended behind its parent. */
        for (uint64_t i = 0; n_children() > 0 && i < PATIENCE_MS; i++)
                (void)poll(NULL, 0, 1);
        assert_int_equal(n_children(), 0);
}

static void test_a_flood_can_be_ended(void **state) {
        char *buffer = malloc(65536);
        size_t n = 0;

        assert_non_null(buffer);
        set_words("/bin/cat", "/dev/zero", NULL);
        start_printing(&runs[0], -1);
        while (n < 10 * 1024 * 1024) {
                ssize_t length = read(runs[0].output, buffer, 65536);

                assert_true(length > 0);
                n += (size_t)length;
        }
        free(buffer);
        program_stop(&runs[0].program, 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
}

static void test_output_may_end_early(void **state) {
        set_script("exec >&- 2>&-; read line; exit 4");
        start_printing(&runs[0], -1);
        assert_string_equal(read_all(&runs[0]), "");
        await_end(&runs[0]);
        check_status(&runs[0], 4);
}

static void test_nobody_needs_to_wait_for_it(void **state) {
        /* Its memory may go at once. */
        struct run *run = calloc(1, sizeof(*run));

        assert_non_null(run);
        set_script("sleep 0.05; exit 0");
        assert_int_equal(start(run, (const int[]){-1, -1, -1}), 0);
        program_leave(&run->program);
        assert_false(program_is_running(&run->program));
        program_stop(&run->program, 0);
        program_leave(&run->program);
        free(run);
        set_words("/bin/sleep", "1000", NULL);
        run = calloc(1, sizeof(*run));
        assert_non_null(run);
        assert_int_equal(start(run, (const int[]){-1, -1, -1}), 0);
        program_stop(&run->program, 0);
        program_leave(&run->program);
        free(run);
        while (counter_read(&worker.stats.programs_over) < 2)
                uv_run(&worker.loop, UV_RUN_ONCE);
        assert_int_equal(n_children(), 0);
}

static void test_its_end_may_start_another(void **state) {
        set_words("/bin/true", NULL);
        runs[0].again = &runs[1];
        runs[1].again = &runs[2];
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await(&runs[2].n_ended, 1);
        check_status(&runs[0], 0);
        check_status(&runs[2], 0);
}

/* --- limits on all ---------------------------------------------------------------------------- */

static void test_so_many_may_run_at_a_time(void **state) {
        assert_int_equal(spawner_limit(&spawner, 2, SPAWNER_STARTS_MAX), 0);
        set_words("/bin/sleep", "1000", NULL);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(start(&runs[i], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[2]);
        check_end(&runs[2], PROGRAM_TOO_MANY, 0);
        assert_int_equal(runs[2].end.pid, 0);
        assert_true(program_end_is_refusal(&runs[2].end));
        assert_int_equal(counter_read(&worker.stats.programs_refused), 1);
        program_stop(&runs[0].program, 0);
        await_end(&runs[0]);
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[3], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[3]);
        check_status(&runs[3], 0);
}

static void test_so_many_may_be_started_in_a_second(void **state) {
        unsigned n_run = 0, n_refused = 0;

        /* Each would have to come a second after the one before. */
        assert_int_equal(spawner_limit(&spawner, 64, 1), 0);
        set_words("/bin/true", NULL);
        for (size_t i = 0; i < 20; i++)
                assert_int_equal(start(&many[i], (const int[]){-1, -1, -1}), 0);
        for (size_t i = 0; i < 20; i++) {
                await(&many[i].n_ended, 1);
                n_run += many[i].end.step == PROGRAM_RAN;
                n_refused += many[i].end.step == PROGRAM_TOO_FAST;
        }
        assert_int_equal(n_run + n_refused, 20);
        assert_true(n_run >= 1);
        assert_true(n_refused >= 1);
        assert_int_equal(counter_read(&worker.stats.programs_refused), n_refused);
}

static void test_nothing_runs_without_limits(void **state) {
        assert_int_equal(spawner_limit(&spawner, 0, 1), 0);
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_end(&runs[0], PROGRAM_TOO_MANY, 0);
}

/* Starts one after the other until no more can be asked for. Returns how many there are. */
static size_t start_many(void) {
        size_t n = 0, n_tries = 0;

        while (n < MANY && n_tries < 100000) {
                int r = start(&many[n], (const int[]){-1, -1, -1});

                assert_true(r == 0 || r == -EAGAIN);
                n += r == 0;
                n_tries = r == 0 ? 0 : n_tries + 1;
        }
        return n;
}

static void await_many(size_t n) {
        for (size_t i = 0; i < n; i++)
                await(&many[i].n_ended, 1);
        assert_int_equal(counter_read(&worker.stats.programs_over),
                         counter_read(&worker.stats.programs_asked));
}

static void test_a_spawner_that_is_busy_delays_nobody(void **state) {
        size_t n;

        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        assert_int_equal(kill(spawner.pid, SIGSTOP), 0);
        n = start_many();
        assert_true(n >= 16);
        assert_true(n < MANY);
        assert_true(counter_read(&worker.stats.programs_refused) > 0);
        /* What is to be stopped then waits, and does not get lost. */
        set_words("/bin/sleep", "1000", NULL);
        for (size_t i = 0; i < n; i++)
                program_stop(&many[i].program, 0);
        assert_int_equal(kill(spawner.pid, SIGCONT), 0);
        await_many(n);
}

static void test_stops_wait_for_a_busy_spawner(void **state) {
        size_t n;

        set_words("/bin/sleep", "1000", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await(&runs[0].n_started, 1);
        assert_int_equal(kill(spawner.pid, SIGSTOP), 0);
        set_words("/bin/true", NULL);
        n = start_many();
        program_stop(&runs[0].program, 0);
        assert_int_equal(kill(spawner.pid, SIGCONT), 0);
        await_end(&runs[0]);
        check_signal(&runs[0], SIGKILL);
        await_many(n);
}

static void test_a_worker_that_is_busy_loses_no_end(void **state) {
        size_t n;

        assert_int_equal(spawner_limit(&spawner, SPAWNER_RUNNING_MAX, SPAWNER_STARTS_MAX), 0);
        set_words("/bin/true", NULL);
        n = start_many();
        assert_true(n >= 64);
        await_many(n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(many[i].n_started, 1);
                assert_int_equal(many[i].end.status, 0);
        }
        assert_int_equal(n_children(), 0);
}

/* --- the spawner's own end -------------------------------------------------------------------- */

static void test_signals_do_not_reach_the_spawner(void **state) {
        static const int signals[] = {SIGTERM, SIGINT,  SIGHUP,  SIGQUIT, SIGUSR1,
                                      SIGUSR2, SIGPIPE, SIGALRM, SIGCHLD, SIGTSTP};

        for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
                assert_int_equal(kill(spawner.pid, signals[i]), 0);
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
}

static void test_a_spawner_that_died_is_told(void **state) {
        struct pollfd pollfd = {.fd = spawner.fd, .events = POLLIN};
        siginfo_t info;
        int status;

        set_script("setsid sh -c 'echo up; sleep 1000' & exec sleep 1000");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        assert_false(spawner_kill_left(&spawner)); /* it is there */
        assert_int_equal(kill(spawner.pid, SIGKILL), 0);
        await_end(&runs[0]);
        check_end(&runs[0], PROGRAM_LOST, 0);
        assert_int_equal(start(&runs[1], (const int[]){-1, -1, -1}), -EPIPE);
        assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
        status = spawner_collect(&spawner);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(spawner_collect(&spawner), -1);
        assert_int_equal(spawner_limit(&spawner, 1, 1), -EPIPE);
        /* Those of the program, too, come to us as those above them die. */
        while (spawner_kill_left(&spawner))
                (void)waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
        assert_string_equal(read_all(&runs[0]), "\n");
}

/* Nobody could tell whose they are. */
static void test_who_has_children_takes_no_others(void **state) {
        pid_t pid;

        tear_down(state);
        fflush(NULL);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                for (;;)
                        (void)pause();
        assert_int_equal(set_up(state), 0);
        assert_int_equal(kill(spawner.pid, SIGKILL), 0);
        (void)spawner_collect(&spawner);
        assert_false(spawner_kill_left(&spawner));
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_a_channel_ends_with_its_programs(void **state) {
        set_script("trap '' TERM; echo up; sleep 1000");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        programs_close(&worker);
        check_end(&runs[0], PROGRAM_LOST, 0);
        assert_string_equal(read_all(&runs[0]), "\n");
        /* Another one serves. */
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[1], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[1]);
        check_status(&runs[1], 0);
        worker.is_stopping = true;
        assert_int_equal(start(&runs[2], (const int[]){-1, -1, -1}), -ESHUTDOWN);
}

static void test_the_end_of_the_spawner_is_that_of_all(void **state) {
        set_script("trap '' TERM; echo up; setsid sleep 1000 & sleep 1000");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        spawner_stop(&spawner);
        assert_string_equal(read_all(&runs[0]), "\n");
        await_end(&runs[0]);
        check_end(&runs[0], PROGRAM_LOST, 0);
}

static void test_nobody_outlives_a_daemon_that_died(void **state) {
        int ends[2], status;
        pid_t pid;

        tear_down(state);
        fflush(NULL);
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (set_up(state) < 0)
                        _exit(1);
                set_script("trap '' TERM; echo up; sleep 1000");
                if (start(&runs[0], (const int[]){-1, ends[1], ends[1]}) < 0)
                        _exit(1);
                close(ends[1]);
                for (;;)
                        (void)pause();
        }
        close(ends[1]);
        runs[0].output = ends[0];
        read_until(&runs[0], "up");
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_string_equal(read_all(&runs[0]), "\n");
        /* Its spawner, and the program, are ours now. */
        while (waitpid(-1, NULL, 0) > 0)
                ;
        assert_int_equal(set_up(state), 0);
}

/* --- bytes from a daemon that is not itself --------------------------------------------------- */

/* Sends a record with as many descriptors. */
static void send_with(int fd, const char *record, size_t length, size_t n) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = {0};
        struct cmsghdr *header = (struct cmsghdr *)(void *)control;
        struct iovec part = {.iov_base = (char *)record, .iov_len = length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        int fds[64];

        for (size_t i = 0; i < n; i++)
                fds[i] = STDERR_FILENO;
        if (n > 0) {
                header->cmsg_level = SOL_SOCKET;
                header->cmsg_type = SCM_RIGHTS;
                header->cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(header), fds, n * sizeof(int));
                message.msg_control = control;
                message.msg_controllen = CMSG_SPACE(n * sizeof(int));
        }
        assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), length);
}

/* Whether the spawner closes a channel on which this comes, and goes on. */
static void check_closes(const char *record, size_t length, size_t n) {
        struct pollfd pollfd = {.events = POLLIN};
        char byte;

        pollfd.fd = spawner_open_channel(&spawner);
        assert_true(pollfd.fd >= 0);
        send_with(pollfd.fd, record, length, n);
        assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
        assert_int_equal(recv(pollfd.fd, &byte, 1, 0), 0);
        close(pollfd.fd);
}

/* Descriptors of the spawner. */
static unsigned n_descriptors(void) {
        char command[64];
        unsigned n = 0;
        FILE *file;

        snprintf(command, sizeof(command), "ls /proc/%d/fd | wc -l", spawner.pid);
        file = popen(command, "re");
        assert_non_null(file);
        assert_int_equal(fscanf(file, "%u", &n), 1);
        pclose(file);
        return n;
}

static void test_garbage_ends_its_channel_only(void **state) {
        static char garbage[2 * SPAWNER_RECORD_MAX], record[SPAWNER_RECORD_MAX];
        unsigned n_before;
        size_t length;

        set_words("/bin/sleep", "1000", NULL);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await(&runs[0].n_started, 1);
        n_before = n_descriptors();
        memset(garbage, 0xa5, sizeof(garbage));
        check_closes(garbage, 1, 0);
        check_closes(garbage, 64, 3);
        check_closes(garbage, SPAWNER_RECORD_MAX, 64);
        check_closes(garbage, sizeof(garbage), 1);
        /* What is good in itself, but does not belong there. */
        check_closes(record, spawner_wire_limit(record, 1, 1), 0);
        check_closes(record, spawner_wire_channel(record), 1);
        /* More descriptors than it says. */
        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 1, false, &length), 0);
        check_closes(record, length, 2);
        check_closes(record, length, 3);
        check_closes(record, length, 10);
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[1], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[1]);
        check_status(&runs[1], 0);
        assert_int_equal(runs[0].n_ended, 0);
        assert_int_equal(n_descriptors(), n_before);
}

static void test_descriptors_that_are_missing_are_told(void **state) {
        static char record[SPAWNER_RECORD_MAX];
        struct pollfd pollfd = {.events = POLLIN};
        struct spawner_report report;
        size_t length;
        ssize_t n;

        set_words("/bin/true", NULL);
        assert_int_equal(spawner_wire_start(record, &spec, NULL, 5, 7, false, &length), 0);
        pollfd.fd = spawner_open_channel(&spawner);
        send_with(pollfd.fd, record, length, 2);
        assert_int_equal(poll(&pollfd, 1, PATIENCE_MS), 1);
        n = recv(pollfd.fd, record, sizeof(record), 0);
        assert_int_equal(spawner_wire_read_report(record, (size_t)n, &report), 0);
        assert_true(report.has_ended);
        assert_int_equal(report.slot, 5);
        assert_int_equal(report.end.step, PROGRAM_TAKE);
        assert_int_equal(report.end.error, EMFILE);
        close(pollfd.fd);
}

static void test_garbage_for_the_spawner_itself_is_dropped(void **state) {
        static char record[SPAWNER_RECORD_MAX];
        size_t length;

        memset(record, 0x5a, sizeof(record));
        send_with(spawner.fd, record, 100, 3);
        send_with(spawner.fd, record, sizeof(record), 0);
        set_words("/bin/true", NULL);
        assert_int_equal(spawner_wire_start(record, &spec, NULL, 0, 7, false, &length), 0);
        send_with(spawner.fd, record, length, 3);
        send_with(spawner.fd, record, spawner_wire_channel(record), 0);
        send_with(spawner.fd, record, spawner_wire_channel(record), 2);
        assert_int_equal(start(&runs[0], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[0]);
        check_status(&runs[0], 0);
}

static void test_stops_for_nobody_are_nothing(void **state) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        int other;

        set_script("echo up; exec sleep 1000");
        start_printing(&runs[0], -1);
        read_until(&runs[0], "up");
        /* Another channel's slots are its own. */
        other = spawner_open_channel(&spawner);
        send_with(other, record, spawner_wire_stop(record, 0, 0), 0);
        send_with(other, record, spawner_wire_stop(record, UINT32_MAX, 0), 0);
        set_words("/bin/true", NULL);
        assert_int_equal(start(&runs[1], (const int[]){-1, -1, -1}), 0);
        await_end(&runs[1]);
        assert_int_equal(runs[0].n_ended, 0);
        close(other);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_program_runs_and_ends),
                TEST(test_its_status_is_told),
                TEST(test_its_signal_is_told),
                TEST(test_its_start_need_not_be_told),
                TEST(test_it_reads_its_input),
                TEST(test_one_socket_may_be_all_of_it),
                TEST(test_what_is_not_given_is_nothing),
                TEST(test_only_what_is_given_is_there),
                TEST(test_arguments_are_no_shells),
                TEST(test_the_environment_is_what_is_given),
                TEST(test_the_directory_is_the_root_or_what_is_given),
                TEST(test_no_signal_is_blocked_or_ignored),
                TEST(test_it_leads_a_session_and_a_group),
                TEST(test_it_gains_no_privileges),
                TEST(test_it_may_be_somebody_else),
                TEST(test_without_the_right_it_is_not_run),
                TEST(test_without_a_process_it_is_not_run),
                TEST(test_it_has_limits),
                TEST(test_its_descriptors_suit_select),
                TEST(test_a_limit_that_cannot_be_set_is_told),
                TEST(test_processor_time_is_limited),
                TEST(test_what_cannot_be_run_is_told),
                TEST(test_what_is_no_program_is_not_asked_for),
                TEST(test_who_takes_too_long_is_ended),
                TEST(test_who_does_not_listen_is_killed),
                TEST(test_who_is_stopped_wakes_to_end),
                TEST(test_a_second_stop_may_be_harder),
                TEST(test_it_may_be_stopped_before_it_runs),
                TEST(test_its_children_end_with_it),
                TEST(test_what_it_leaves_behind_ends_with_it),
                TEST(test_who_forks_for_ever_is_ended),
                TEST(test_who_left_the_session_ends_with_the_spawner),
                TEST(test_no_zombies_stay),
                TEST(test_a_flood_can_be_ended),
                TEST(test_output_may_end_early),
                TEST(test_nobody_needs_to_wait_for_it),
                TEST(test_its_end_may_start_another),
                TEST(test_so_many_may_run_at_a_time),
                TEST(test_so_many_may_be_started_in_a_second),
                TEST(test_nothing_runs_without_limits),
                TEST(test_a_spawner_that_is_busy_delays_nobody),
                TEST(test_stops_wait_for_a_busy_spawner),
                TEST(test_a_worker_that_is_busy_loses_no_end),
                TEST(test_signals_do_not_reach_the_spawner),
                TEST(test_a_spawner_that_died_is_told),
                TEST(test_who_has_children_takes_no_others),
                TEST(test_a_channel_ends_with_its_programs),
                TEST(test_the_end_of_the_spawner_is_that_of_all),
                TEST(test_nobody_outlives_a_daemon_that_died),
                TEST(test_garbage_ends_its_channel_only),
                TEST(test_descriptors_that_are_missing_are_told),
                TEST(test_garbage_for_the_spawner_itself_is_dropped),
                TEST(test_stops_for_nobody_are_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
