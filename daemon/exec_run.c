/* One program of a listener. See exec_run.h. */
#include "daemon/exec_run.h"

#include "daemon/config_handler.h"
#include "daemon/listener.h"
#include "daemon/program_pipe.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* --- what is said ----------------------------------------------------------------------------- */

static void log_unstarted(const struct exec_run *run, const struct program_end *end) {
        struct config_exec *exec = &run->settings->exec;
        char text[PROGRAM_END_TEXT_MAX];

        log_limited(&exec->logs.failures, LOG_LEVEL_ERROR, "listener \"%s\": %s",
                    run->listener->name, program_end_describe(end, &exec->program.spec, text));
}

/* Whom nobody listens to any more has to expect this signal. */
static bool is_worth_a_warning(const struct program_end *end) {
        return end->was_late || (end->signal != 0 && end->signal != SIGPIPE);
}

static void log_end(const struct exec_run *run, const struct program_end *end) {
        const struct program_spec *spec = &run->settings->exec.program.spec;
        char text[PROGRAM_END_TEXT_MAX];

        (void)program_end_describe(end, spec, text);
        if (run->is_stopped || program_end_is_good(end))
                log_debug("listener \"%s\": %s (pid %d) %s", run->listener->name,
                          spec->arguments[0], (int)end->pid, text);
        else
                log_limited(&run->settings->exec.logs.ends,
                            is_worth_a_warning(end) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
                            "listener \"%s\": %s (pid %d) %s", run->listener->name,
                            spec->arguments[0], (int)end->pid, text);
}

void exec_run_note_delay(struct listener *listener, struct config_handler *settings) {
        atomic_fetch_add(&listener->programs.n_delayed, 1);
        log_limited(&settings->exec.logs.delays, LOG_LEVEL_WARNING,
                    "listener \"%s\": programs have to wait, as more are started or running than "
                    "programs allows (max_starts, max_running)",
                    listener->name);
}

/* --- counting --------------------------------------------------------------------------------- */

static void count_end(const struct exec_run *run, const struct program_end *end) {
        struct program_counts *counts = &run->listener->programs;

        if (end->was_late)
                atomic_fetch_add(&counts->n_late, 1);
        else if (run->is_stopped)
                atomic_fetch_add(&counts->n_stopped, 1);
        else if (!program_end_is_good(end))
                atomic_fetch_add(&counts->n_failed, 1);
}

static void note_unstarted(struct exec_run *run, const struct program_end *end) {
        atomic_fetch_add(&run->listener->programs.n_unstarted, 1);
        log_unstarted(run, end);
}

/* --- the program ------------------------------------------------------------------------------ */

static void on_started(struct program *program, pid_t pid) {
        struct exec_run *run = container_of(program, struct exec_run, program);

        run->pid = pid;
        atomic_fetch_add(&run->listener->programs.n_started, 1);
        atomic_fetch_add(&run->listener->programs.n_running, 1);
        program_errors_begin(&run->errors, pid);
        if (run->started)
                run->started(run);
}

static void on_ended(struct program *program, const struct program_end *end) {
        struct exec_run *run = container_of(program, struct exec_run, program);

        list_unlink(&run->guest.link);
        counter_add(&run->worker->stats.exec_over, 1);
        if (run->pid != 0)
                atomic_fetch_sub(&run->listener->programs.n_running, 1);
        run->pid = 0;
        run->errors.pid = end->pid;
        program_errors_end(&run->errors);
        if (end->step == PROGRAM_RAN) {
                count_end(run, end);
                log_end(run, end);
        } else if (!program_end_is_refusal(end) && end->step != PROGRAM_LOST) {
                note_unstarted(run, end);
        }
        if (end->pid != 0)
                program_line_go_on(&run->worker->workers->line);
        run->over(run, end);
}

/* The worker ends: whoever was asked to end has had the time for it. */
static void on_stop(struct worker_guest *guest) {
        struct exec_run *run = container_of(guest, struct exec_run, guest);

        run->is_stopped = true;
        program_stop(&run->program, 0);
}

static int open_errors(struct exec_run *run) {
        run->errors = (struct program_errors){.limit = &run->settings->exec.logs.errors,
                                              .kind = "listener",
                                              .name = run->listener->name};
        return program_errors_open(&run->errors, run->worker);
}

static int ask(struct exec_run *run, const char *const *variables, int input, int output) {
        int descriptors[3] = {input, output, open_errors(run)};
        int r = descriptors[2];

        if (r < 0)
                return r;
        run->is_stopped = false;
        run->program.started = on_started;
        run->program.ended = on_ended;
        r = program_start(&run->program, run->worker, &run->settings->exec.program.spec, variables,
                          descriptors);
        (void)close(descriptors[2]);
        if (r < 0)
                program_errors_end(&run->errors);
        return r;
}

int exec_run_start(struct exec_run *run, const char *const *variables, int input, int output) {
        int r = ask(run, variables, input, output);
        struct program_end end = program_end_unasked(r);

        if (r == 0) {
                run->guest.stop = on_stop;
                list_append(&run->worker->guests, &run->guest.link);
                counter_add(&run->worker->stats.exec_asked, 1);
        } else if (r != -EAGAIN) {
                note_unstarted(run, &end);
        }
        return r;
}

int exec_run_start_on(struct exec_run *run, const char *const *variables, struct bytes input,
                      void (*take)(void *owner, struct bytes bytes), void *owner,
                      struct program_output **outputp) {
        /* A pipe might not take it whole. */
        int from = program_pipe_make_file(input), to, r;

        if (from < 0)
                return from;
        to = r = program_output_open(outputp, run->worker, take, owner);
        if (to >= 0) {
                r = exec_run_start(run, variables, from, to);
                (void)close(to);
        }
        (void)close(from);
        if (r == 0)
                program_output_begin(*outputp);
        return r;
}

void exec_run_stop(struct exec_run *run) {
        run->is_stopped = true;
        program_stop(&run->program, run->settings->exec.program.grace_ms);
}
