/*
 * The runner: plays scenario files and reports in TAP. Each scenario is played by a child process
 * of its own, so that one that crashes takes no other with it and several can run at a time;
 * results are printed in the order of the command line.
 *
 *     scenario --server sockd --sockd PATH --transport unix|tcp|tls [-j N] FILE…
 *     scenario --server nats-server --transport tcp [-j N] FILE…
 *
 * Exit status: 0 all passed or were skipped, 1 some failed, 2 usage.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "play.h"
#include "script.h"

#define JOBS_MAX 64

struct job {
        const char *path; /* borrowed from the command line */
        char *name;
        pid_t pid;     /* 0 before it runs and once it is done */
        int report_fd; /* a memory file the child writes its report to */
        bool is_done;
        int status;
};

struct runner {
        struct play_options options;
        unsigned n_parallel;
        struct job *jobs;
        size_t n_jobs;
};

static _Noreturn void usage(void) {
        fprintf(stderr, "usage: scenario --server sockd --sockd PATH --transport unix|tcp|tls [-j N] "
                        "FILE...\n"
                        "       scenario --server nats-server --transport tcp [-j N] FILE...\n");
        exit(2);
}

static enum server_kind read_kind(const char *text) {
        if (strcmp(text, "sockd") == 0)
                return SERVER_SOCKD;
        if (strcmp(text, "nats-server") == 0)
                return SERVER_NATS;
        usage();
}

static enum server_transport read_transport(const char *text) {
        if (strcmp(text, "unix") == 0)
                return TRANSPORT_UNIX;
        if (strcmp(text, "tcp") == 0)
                return TRANSPORT_TCP;
        if (strcmp(text, "tls") == 0 && getenv("SCENARIO_CERT") && getenv("SCENARIO_KEY"))
                return TRANSPORT_TLS;
        usage();
}

static unsigned read_parallel(const char *text) {
        char *end;
        unsigned long number = strtoul(text, &end, 10);

        if (*end || number < 1 || number > JOBS_MAX)
                usage();
        return (unsigned)number;
}

static void runner_add_jobs(struct runner *runner, char **paths, int n_paths) {
        runner->jobs = calloc((size_t)n_paths, sizeof(*runner->jobs));
        if (!runner->jobs)
                err(1, "scenario");
        for (int i = 0; i < n_paths; i++)
                runner->jobs[i] = (struct job){ .path = paths[i],
                                                .name = script_name(paths[i]),
                                                .report_fd = -1 };
        runner->n_jobs = (size_t)n_paths;
}

static void runner_read_arguments(struct runner *runner, int argc, char **argv) {
        static const struct option options[] = {
                { "server", required_argument, NULL, 's' },
                { "sockd", required_argument, NULL, 'p' },
                { "transport", required_argument, NULL, 't' },
                { "jobs", required_argument, NULL, 'j' },
                {},
        };
        const char *sockd = NULL;
        int option;

        *runner = (struct runner){ .options = { SERVER_SOCKD, TRANSPORT_TCP, NULL },
                                   .n_parallel = 1 };
        while ((option = getopt_long(argc, argv, "j:", options, NULL)) != -1) {
                if (option == 's')
                        runner->options.kind = read_kind(optarg);
                else if (option == 'p')
                        sockd = optarg;
                else if (option == 't')
                        runner->options.transport = read_transport(optarg);
                else if (option == 'j')
                        runner->n_parallel = read_parallel(optarg);
                else
                        usage();
        }
        runner->options.program = runner->options.kind == SERVER_SOCKD ? sockd : "nats-server";
        if (optind == argc || !runner->options.program ||
            (runner->options.kind == SERVER_NATS && runner->options.transport != TRANSPORT_TCP))
                usage();
        runner_add_jobs(runner, argv + optind, argc - optind);
}

/* In the child: plays, leaves the report in the memory file, exits with the result. */
static _Noreturn void job_play(const struct runner *runner, const struct job *job, pid_t parent) {
        BYTES_DEINIT struct bytes report = {};
        enum play_result result;

        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(1);
        result = play_scenario(&runner->options, job->path, &report);
        if (report.length && write(job->report_fd, report.data, report.length) < 0)
                warn("report");
        bytes_deinit(&report);
        exit((int)result);
}

static void job_start(const struct runner *runner, struct job *job) {
        pid_t parent = getpid();

        job->report_fd = memfd_create("report", MFD_CLOEXEC);
        if (job->report_fd < 0)
                err(1, "scenario");
        fflush(stdout);
        job->pid = fork();
        if (job->pid < 0)
                err(1, "scenario");
        if (job->pid == 0)
                job_play(runner, job, parent);
}

static void runner_collect(struct runner *runner) {
        int status;
        pid_t pid = waitpid(-1, &status, 0);

        if (pid < 0)
                err(1, "scenario");
        for (size_t i = 0; i < runner->n_jobs; i++) {
                struct job *job = &runner->jobs[i];

                if (job->pid != pid)
                        continue;
                job->pid = 0;
                job->is_done = true;
                job->status = status;
        }
}

/* Prints each line of the report as a TAP comment. */
static void print_comment(FILE *report) {
        char *line = NULL;
        size_t capacity = 0;
        ssize_t length;

        while ((length = getline(&line, &capacity, report)) > 0)
                printf("#   %s%s", line, line[length - 1] == '\n' ? "" : "\n");
        free(line);
}

static void print_skip_reason(FILE *report) {
        char reason[256] = "";

        if (!fgets(reason, sizeof(reason), report))
                reason[0] = '\0';
        reason[strcspn(reason, "\n")] = '\0';
        printf(" # SKIP %s\n", reason);
}

static const char *runner_label(const struct runner *runner) {
        if (runner->options.kind == SERVER_NATS)
                return "nats-server";
        return server_transport_kinds[runner->options.transport].name;
}

/* Prints one result; false if the scenario failed. */
static bool job_print(const struct runner *runner, struct job *job, size_t number) {
        FILE *report = fdopen(job->report_fd, "r");
        bool exited = WIFEXITED(job->status);
        int result = exited ? WEXITSTATUS(job->status) : PLAY_FAILED;
        bool passed = result == PLAY_PASSED || result == PLAY_SKIPPED;

        if (!report)
                err(1, "scenario");
        rewind(report);
        printf("%s %zu - %s: %s", passed ? "ok" : "not ok", number, runner_label(runner),
               job->name);
        if (result == PLAY_SKIPPED)
                print_skip_reason(report);
        else
                printf("\n");
        if (!exited)
                printf("#   the runner itself died of signal %d\n", WTERMSIG(job->status));
        if (!passed)
                print_comment(report);
        fclose(report);
        return passed;
}

/* Runs all jobs, n_parallel at a time; prints what is done as soon as its turn has come. */
static bool runner_run(struct runner *runner) {
        size_t n_started = 0, n_running = 0, n_printed = 0;
        bool all_passed = true;

        printf("1..%zu\n", runner->n_jobs);
        while (n_printed < runner->n_jobs) {
                while (n_running < runner->n_parallel && n_started < runner->n_jobs) {
                        job_start(runner, &runner->jobs[n_started++]);
                        n_running++;
                }
                runner_collect(runner);
                n_running--;
                for (; n_printed < runner->n_jobs && runner->jobs[n_printed].is_done; n_printed++)
                        all_passed &= job_print(runner, &runner->jobs[n_printed], n_printed + 1);
                fflush(stdout);
        }
        return all_passed;
}

int main(int argc, char **argv) {
        struct runner runner;
        bool all_passed;

        runner_read_arguments(&runner, argc, argv);
        all_passed = runner_run(&runner);
        for (size_t i = 0; i < runner.n_jobs; i++)
                free(runner.jobs[i].name);
        free(runner.jobs);
        return all_passed ? 0 : 1;
}
