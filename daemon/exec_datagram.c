/* Programs for datagrams. See exec_datagram.h. */
#include "daemon/exec_datagram.h"

#include "daemon/client_parts.h"
#include "daemon/config_handler.h"
#include "daemon/config_value.h"
#include "daemon/exec_parts.h"
#include "daemon/listener.h"
#include "daemon/outbox.h"
#include "daemon/program_output.h"
#include "daemon/session.h"
#include "daemon/stage.h"
#include "daemon/transport.h"

#include <stdlib.h>

struct datagram_run {
        /* A kept connection, which is pinned; NULL: there is nobody to answer. */
        struct connection *connection;
        struct list_link link; /* the connection's runs; in none if its session has ended */
        bool is_wanted;        /* its session has not ended */
        bool is_too_long;      /* the answer */
        struct turn turn;
        struct exec_run run;
        struct program_output *output; /* owned; NULL: closed */
        char **variables;              /* owned */
        char *answer;                  /* owned */
        size_t n_answer, max_answer;
        size_t n_input;
        char input[];
};

/* --- the end ---------------------------------------------------------------------------------- */

static void free_run(struct datagram_run *run) {
        struct connection *connection = run->connection;

        list_unlink(&run->link);
        (void)program_output_close(run->output);
        config_strings_free(run->variables);
        listener_unref(run->run.listener);
        config_handler_unref(run->run.settings);
        free(run->answer);
        free(run);
        if (connection)
                connection_unpin(connection);
}

/* The peer's session goes some time after its last answer, unless it asks again. */
static void end_run(struct datagram_run *run) {
        struct connection *connection = run->connection;

        (void)turn_give(&run->turn);
        if (connection && run->is_wanted)
                connection_set_deadline(connection, CLIENT_FORGET_MS);
        free_run(run);
}

/* --- the answer ------------------------------------------------------------------------------- */

static void take_output(void *owner, struct bytes bytes) {
        struct datagram_run *run = owner;
        size_t n = run->n_answer + bytes.length;
        char *answer;

        if (bytes.length == 0 || !run->connection)
                return;
        answer = n <= run->max_answer ? realloc(run->answer, n) : NULL;
        if (!answer) {
                /* Nobody wants the rest: it is told so by a signal. */
                run->is_too_long = true;
                run->output = program_output_close(run->output);
                return;
        }
        run->answer = answer;
        bytes_copy(run->answer + run->n_answer, bytes);
        run->n_answer = n;
}

static void send_answer(struct datagram_run *run) {
        struct connection *connection = run->connection;
        struct bytes answer = {run->answer, run->n_answer};
        struct stage *stage = connection_output(connection->worker, connection);

        if (!stage)
                return;
        if (outbox_append(&stage->outbox, answer) < 0) {
                connection_condemn_output(connection->worker, connection);
                return;
        }
        stage->n_messages++;
        stage->n_payload_bytes += answer.length;
        connection_output_done(connection->worker, stage);
}

static void note_too_long(struct datagram_run *run) {
        struct config_exec *exec = &run->run.settings->exec;

        atomic_fetch_add(&run->run.listener->programs.n_cut, 1);
        connection_note_too_large(run->connection, 1);
        log_limited(&exec->logs.cuts, LOG_LEVEL_WARNING,
                    "listener \"%s\": %s prints more than a datagram of %zu bytes holds; it is not "
                    "sent",
                    run->run.listener->name, exec->program.spec.arguments[0], run->max_answer);
}

/* Half an answer is none. */
static void answer(struct datagram_run *run, const struct program_end *end) {
        if (run->is_too_long)
                note_too_long(run);
        else if (run->n_answer > 0 && end->step == PROGRAM_RAN && !end->was_late)
                send_answer(run);
}

static void on_over(struct exec_run *exec_run, const struct program_end *end) {
        struct datagram_run *run = container_of(exec_run, struct datagram_run, run);

        if (run->output)
                program_output_finish(run->output);
        if (program_end_is_refusal(end)) {
                exec_run_note_delay(exec_run->listener, exec_run->settings);
                listener_dropped(exec_run->listener, DROP_BUSY, 1);
        } else if (run->connection && run->is_wanted) {
                answer(run, end);
        }
        end_run(run);
}

/* --- starting --------------------------------------------------------------------------------- */

static void start(struct datagram_run *run) {
        int r = exec_run_start_on(&run->run, (const char *const *)run->variables,
                                  (struct bytes){run->input, run->n_input}, take_output, run,
                                  &run->output);

        if (r == 0)
                return;
        listener_dropped(run->run.listener, DROP_BUSY, 1);
        end_run(run);
}

static void on_turn(struct turn *turn) {
        struct datagram_run *run = container_of(turn, struct datagram_run, turn);

        if (run->is_wanted)
                start(run);
        else
                end_run(run);
}

/* As the listener is configured now: a session may be older. */
static struct config_handler *find_settings(struct connection *connection) {
        struct config_handler *settings = listener_settings(connection->listener);

        if (settings && settings->kind == HANDLER_EXEC)
                return settings;
        config_handler_unref(settings);
        return config_handler_ref(connection->settings);
}

static struct datagram_run *new_run(struct connection *connection, struct bytes bytes,
                                    bool is_answered) {
        struct datagram_run *run = calloc(1, sizeof(*run) + bytes.length);

        if (!run)
                return NULL;
        bytes_copy(run->input, bytes);
        run->n_input = bytes.length;
        list_init(&run->link);
        run->variables = exec_variables(connection);
        run->run.worker = connection->worker;
        run->run.listener = listener_ref(connection->listener);
        run->run.settings = find_settings(connection);
        run->run.over = on_over;
        run->turn.come = on_turn;
        run->is_wanted = true;
        if (is_answered) {
                run->connection = connection;
                run->max_answer = connection->max_frame;
                connection_pin(connection);
        }
        return run;
}

/* --- datagrams -------------------------------------------------------------------------------- */

/* Counts a datagram, and whether it may be taken. */
static bool admit(struct connection *connection, size_t n_bytes) {
        if (!client_admits_datagram(connection->client) ||
            connection_admit(connection, 1, n_bytes) == 0)
                return false;
        counter_add(&connection->in_messages, 1);
        counter_add(&connection->in_bytes, n_bytes);
        counter_add(&connection->worker->stats.in_messages, 1);
        counter_add(&connection->worker->stats.in_bytes, n_bytes);
        if (!session_is_loop(connection->session))
                return true;
        connection_note_loop(connection);
        return false;
}

/* Starts it at once, lets it wait, or drops it. */
static void begin(struct datagram_run *run) {
        enum turn_state state = turn_take(&run->turn, &run->run.listener->turnstile,
                                          run->connection ? EXEC_DATAGRAMS_WAITING_MAX : 0,
                                          &run->run.worker->mailbox);

        if (state == TURN_OUT) {
                listener_dropped(run->run.listener, DROP_BUSY, 1);
                end_run(run);
        } else if (state == TURN_CALLED) {
                worker_defer(run->run.worker, &run->turn.task);
        }
}

void exec_take_datagram(struct connection *connection, struct list_link *runs, struct bytes bytes) {
        struct datagram_run *run;
        bool is_answered;

        if (!admit(connection, bytes.length))
                return;
        is_answered = session_is_answerable(connection->session);
        if (is_answered && !client_settle(connection->client))
                return;
        run = new_run(connection, bytes, is_answered);
        if (!run) {
                session_drop(connection->session, DROP_BUSY);
                return;
        }
        if (is_answered)
                list_append(runs, &run->link);
        begin(run);
}

/* Whoever asked does not learn that there was an answer to come. */
static void log_stop(const struct datagram_run *run) {
        struct config_exec *exec = &run->run.settings->exec;

        log_limited(&exec->logs.ends, LOG_LEVEL_INFO,
                    "listener \"%s\": %s (pid %d) is ended, as the session of its peer is over: %s",
                    run->run.listener->name, exec->program.spec.arguments[0], (int)run->run.pid,
                    run->connection->reason);
}

void exec_end_datagrams(struct list_link *runs) {
        LIST_FOREACH_SAFE (link, runs) {
                struct datagram_run *run = container_of(link, struct datagram_run, link);

                list_unlink(&run->link);
                run->is_wanted = false;
                if (exec_run_is_under_way(&run->run)) {
                        if (run->run.pid != 0)
                                log_stop(run);
                        exec_run_stop(&run->run);
                } else if (!turn_give(&run->turn)) {
                        free_run(run);
                }
        }
}
