/* Programs that accept by themselves. See exec_wait.h. */
#include "daemon/exec_wait.h"

#include "daemon/config_handler.h"
#include "daemon/exec_run.h"
#include "daemon/listener.h"
#include "daemon/worker.h"
#include "lib/log.h"
#include "lib/units.h"

#include <errno.h>
#include <stdlib.h>

/* A program that took less than this has ended quickly. */
#define QUICK_US 1000000
/* How long a listener rests then: if it went well, which is how programs are that serve one peer
 * each; and if not, or if it goes well again and again and somebody still waits, a time that
 * doubles. Programs that serve one of many peers each may look like those that serve none: they are
 * not to rest for long. */
#define PAUSE_MS          10
#define PAUSE_IDLE_MAX_MS 1000
#define PAUSE_MIN_MS      100
#define PAUSE_MAX_MS      30000
#define DOUBLINGS_MAX     16

/* The program of a listener. */
struct waiter {
        struct listener_loan loan;
        struct exec_run run; /* with references */
        struct program_place place;
        bool is_recalled; /* it is not given back */
        bool is_outdated; /* the listener has another program now, or none */
};

/* --- pauses ----------------------------------------------------------------------------------- */

/* A time that doubles with each after the first one. */
static uint64_t grow(uint64_t ms, unsigned n, uint64_t max_ms) {
        unsigned n_doublings = n - 1 < DOUBLINGS_MAX ? n - 1 : DOUBLINGS_MAX;

        ms <<= n_doublings;
        return ms < max_ms ? ms : max_ms;
}

/* One that ended quickly and well. */
static uint64_t idle_pause_ms(bool is_awaited, struct program_repeats *repeats) {
        repeats->n_idle = is_awaited ? repeats->n_idle + 1 : 0;
        if (repeats->n_idle <= EXEC_WAIT_IDLE_MAX)
                return PAUSE_MS;
        return grow(2 * PAUSE_MS, repeats->n_idle - EXEC_WAIT_IDLE_MAX, PAUSE_IDLE_MAX_MS);
}

uint64_t exec_wait_pause_ms(const struct program_end *end, bool is_awaited,
                            struct program_repeats *repeats) {
        if (end->step == PROGRAM_RAN && end->elapsed_us >= QUICK_US) {
                *repeats = (struct program_repeats){.n_failed = 0};
                return 0;
        }
        if (program_end_is_good(end)) {
                repeats->n_failed = 0;
                return idle_pause_ms(is_awaited, repeats);
        }
        repeats->n_idle = 0;
        return grow(PAUSE_MIN_MS, ++repeats->n_failed, PAUSE_MAX_MS);
}

static void log_pause(const struct exec_run *run, uint64_t ms) {
        const struct program_repeats *repeats = &run->listener->repeats;
        struct config_exec *exec = &run->settings->exec;
        char text[UNITS_TEXT_MAX];

        if (repeats->n_failed > 1)
                log_limited(&exec->logs.rests, LOG_LEVEL_WARNING,
                            "listener \"%s\": its program fails again and again; it rests for %s",
                            run->listener->name, units_format_duration(text, ms));
        else if (repeats->n_idle == EXEC_WAIT_IDLE_MAX + 1)
                log_limited(&exec->logs.rests, LOG_LEVEL_WARNING,
                            "listener \"%s\": %s ends at once, again and again, and somebody still "
                            "waits to be accepted; is it a program for wait = true, which accepts "
                            "by itself?",
                            run->listener->name, exec->program.spec.arguments[0]);
}

/* --- the program ------------------------------------------------------------------------------ */

static struct waiter *free_waiter(struct waiter *waiter) {
        listener_unref(waiter->run.listener);
        config_handler_unref(waiter->run.settings);
        free(waiter);
        return NULL;
}

/* Gives the socket back, and rests for a while. */
static void rest(struct waiter *waiter, const struct program_end *end) {
        struct listener *listener = waiter->run.listener;
        uint64_t ms;

        if (waiter->is_recalled)
                return;
        if (waiter->is_outdated) {
                listener_give_back(listener, 0);
                return;
        }
        ms = exec_wait_pause_ms(end, listener_is_awaited(listener), &listener->repeats);
        log_pause(&waiter->run, ms);
        listener_give_back(listener, ms);
}

/* The limits on all programs keep it from being started: no fault of its own. */
static void delay(struct waiter *waiter, bool was_refused) {
        if (waiter->place.state == PROGRAM_PLACE_NONE)
                exec_run_note_delay(waiter->run.listener, waiter->run.settings);
        program_line_wait(&waiter->place, was_refused);
}

static void on_started(struct exec_run *run) {
        struct waiter *waiter = container_of(run, struct waiter, run);

        (void)program_line_leave(&waiter->place);
}

static void on_over(struct exec_run *run, const struct program_end *end) {
        struct waiter *waiter = container_of(run, struct waiter, run);

        if (program_end_is_refusal(end) && !waiter->is_recalled && !waiter->is_outdated) {
                delay(waiter, true);
                return;
        }
        (void)program_line_leave(&waiter->place);
        rest(waiter, end);
        free_waiter(waiter);
}

static void start(struct waiter *waiter) {
        struct listener *listener = waiter->run.listener;
        char name[sizeof("SOCKD_LISTENER=") + CONFIG_LISTENER_NAME_MAX];
        const char *const variables[] = {name, NULL};
        struct program_end end;
        int r;

        snprintf(name, sizeof(name), "SOCKD_LISTENER=%s", listener->name);
        r = exec_run_start(&waiter->run, variables, listener->fd, listener->fd);
        if (r == 0)
                return;
        if (r == -EAGAIN) {
                delay(waiter, true);
                return;
        }
        end = program_end_unasked(r);
        (void)program_line_leave(&waiter->place);
        rest(waiter, &end);
        free_waiter(waiter);
}

static void on_place(struct program_place *place) {
        struct waiter *waiter = container_of(place, struct waiter, place);

        if (waiter->is_recalled)
                free_waiter(waiter);
        else
                start(waiter);
}

static void on_recalled(struct listener_loan *loan) {
        struct waiter *waiter = container_of(loan, struct waiter, loan);

        waiter->is_recalled = true;
        if (exec_run_is_under_way(&waiter->run))
                exec_run_stop(&waiter->run);
        else if (!program_line_leave(&waiter->place))
                free_waiter(waiter); /* else on_place() is on its way */
}

static bool is_still_meant(const struct waiter *waiter) {
        struct config_handler *now = listener_settings(waiter->run.listener);
        bool is_same =
                now && now->kind == HANDLER_EXEC && now->exec.waits &&
                config_program_is_equal(&waiter->run.settings->exec.program, &now->exec.program);

        config_handler_unref(now);
        return is_same;
}

static void on_changed(struct listener_loan *loan) {
        struct waiter *waiter = container_of(loan, struct waiter, loan);
        struct listener *listener = waiter->run.listener;

        if (waiter->is_outdated || is_still_meant(waiter))
                return;
        waiter->is_outdated = true;
        if (exec_run_is_under_way(&waiter->run)) {
                log_info("listener \"%s\": the program that has its socket is ended, as the "
                         "configuration has changed",
                         listener->name);
                exec_run_stop(&waiter->run);
        } else {
                listener_give_back(listener, 0);
                on_recalled(loan);
        }
}

static void begin(struct waiter *waiter) {
        struct listener *listener = waiter->run.listener;

        listener_lend(listener, &waiter->loan);
        if (program_line_is_empty(&listener->worker->workers->line))
                start(waiter);
        else
                delay(waiter, false);
}

/* Takes the settings, also on failure. */
static struct waiter *new_waiter(struct listener *listener, struct config_handler *settings) {
        struct waiter *waiter = calloc(1, sizeof(*waiter));

        if (!waiter) {
                config_handler_unref(settings);
                return NULL;
        }
        waiter->loan.recalled = on_recalled;
        waiter->loan.changed = on_changed;
        waiter->run.worker = listener->worker;
        waiter->run.listener = listener_ref(listener);
        waiter->run.settings = settings;
        waiter->run.started = on_started;
        waiter->run.over = on_over;
        waiter->place.worker = listener->worker;
        waiter->place.come = on_place;
        return waiter;
}

bool exec_arrived(struct listener *listener) {
        struct config_handler *settings = listener_settings(listener);
        struct waiter *waiter;

        if (!settings || settings->kind != HANDLER_EXEC || !settings->exec.waits) {
                config_handler_unref(settings);
                return false;
        }
        waiter = new_waiter(listener, settings);
        if (waiter) {
                begin(waiter);
        } else {
                listener_lend(listener, NULL);
                listener_give_back(listener, PAUSE_MIN_MS);
        }
        return true;
}
