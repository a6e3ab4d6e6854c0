/* Programs for connections. See exec.h. */
#include "daemon/exec.h"

#include "daemon/client.h"
#include "daemon/config_handler.h"
#include "daemon/config_value.h"
#include "daemon/exec_datagram.h"
#include "daemon/exec_parts.h"
#include "daemon/exec_variables.h"
#include "daemon/exec_wait.h"
#include "daemon/handler.h"
#include "daemon/listener.h"
#include "daemon/peer_facts.h"
#include "daemon/program_link.h"
#include "daemon/tls.h"
#include "daemon/transport.h"

#include <errno.h>
#include <stdlib.h>

enum exec_phase {
        EXEC_NEW,      /* it is not known who the peer is */
        EXEC_WAITING,  /* for its turn */
        EXEC_DELAYED,  /* for a program, with others whose start was put off */
        EXEC_RUNNING,  /* or about to */
        EXEC_FINISHED, /* the connection needs nothing any more */
};

/* The state of a connection, which is pinned from EXEC_WAITING to EXEC_FINISHED. */
struct exec {
        struct connection *connection;
        enum exec_phase phase;
        struct turn turn;
        struct program_place place;
        bool has_waited;
        struct exec_run run;
        struct program_link link;   /* where a program cannot have the socket itself */
        bool has_link;              /* it is open */
        const char *reason;         /* why the connection will end */
        struct list_link datagrams; /* their runs */
};

/* --- who the peer is -------------------------------------------------------------------------- */

char **exec_variables(struct connection *connection) {
        bool has_uid = connection_has_uid(connection);
        /* For the unit of a TCP peer all control groups may have to be looked at: only who has
         * users that are known by units pays for that. */
        const struct peer_facts *facts = connection->listener->family == AF_UNIX
                                                 ? connection_facts(connection)
                                                 : connection->facts;
        const struct tls_facts *tls = connection_tls(connection);
        const struct peer *peer = &connection->peer;
        struct connection_local local;
        struct variables_peer told = {
                .listener = connection->listener->name,
                .client = connection->id,
                .is_datagram = connection->transport->is_connectionless,
                .is_unix = connection->listener->family == AF_UNIX && !*peer->ip,
                .ip = peer->ip,
                .port = peer->port,
                .has_uid = has_uid,
                .has_process = peer->has_credentials,
                .uid = peer->uid,
                .gid = peer->gid,
                .pid = peer->pid,
                .user = connection->client->user,
                .unit = facts ? facts->unit : NULL,
                .tls_version = tls ? tls->version : NULL,
        };

        connection_find_local(connection, &local);
        told.local_ip = local.ip;
        told.local_port = local.port;
        told.local_path = local.path;
        return exec_variables_make(&told);
}

/* --- the end ---------------------------------------------------------------------------------- */

/* Nothing is left to be done for the connection. */
static void finish(struct exec *exec) {
        exec->phase = EXEC_FINISHED;
        connection_unpin(exec->connection);
}

static const char *reason_of(const struct program_end *end) {
        if (end->step != PROGRAM_RAN)
                return REASON_PROGRAM;
        return end->was_late ? REASON_PROGRAM_LATE : REASON_SERVED;
}

/* --- links ------------------------------------------------------------------------------------ */

static void close_link(struct exec *exec) {
        if (exec->has_link)
                program_link_close(&exec->link);
        exec->has_link = false;
}

static void on_link_freed(struct program_link *link) {
        connection_unpin(link->connection);
}

static void on_drained(struct program_link *link) {
        struct exec *exec = container_of(link, struct exec, link);

        connection_end(exec->connection, exec->reason);
}

static void on_cut(struct program_link *link) {
        struct exec *exec = container_of(link, struct exec, link);
        struct config_exec *settings = &exec->connection->settings->exec;

        atomic_fetch_add(&exec->connection->listener->programs.n_cut, 1);
        log_limited(&settings->logs.cuts, LOG_LEVEL_WARNING,
                    "listener \"%s\": %s prints a record that is longer than can be passed on; it "
                    "is not sent",
                    exec->connection->listener->name, settings->program.spec.arguments[0]);
}

/* Whether a program cannot have the socket itself: sockd has to see what passes. */
static bool needs_link(const struct connection *connection) {
        struct listener *listener = connection->listener;

        return connection->tls || rate_is_limited(&listener->rate) ||
               (connection->rate && rate_is_limited(connection->rate)) ||
               atomic_load(&listener->admission.idle_timeout_ms) > 0;
}

/* Opens it, if there has to be one. Returns 0 or a negative errno. */
static int open_link(struct exec *exec) {
        int r;

        if (exec->has_link || !needs_link(exec->connection))
                return 0;
        exec->link.freed = on_link_freed;
        exec->link.cut = on_cut;
        exec->link.drained = on_drained;
        r = program_link_open(&exec->link, exec->connection);
        if (r < 0)
                return r;
        exec->has_link = true;
        connection_pin(exec->connection);
        return 0;
}

/* --- starting --------------------------------------------------------------------------------- */

static void on_place(struct program_place *place);

/* As many programs run as may, or as many were started in the last second: it keeps its turn. */
static void delay(struct exec *exec, bool was_refused) {
        if (exec->place.state == PROGRAM_PLACE_NONE)
                exec_run_note_delay(exec->connection->listener, exec->connection->settings);
        exec->phase = EXEC_DELAYED;
        exec->has_waited = true;
        exec->place.come = on_place;
        program_line_wait(&exec->place, was_refused);
}

static void on_over(struct exec_run *run, const struct program_end *end) {
        struct exec *exec = container_of(run, struct exec, run);
        struct connection *connection = exec->connection;

        if (program_end_is_refusal(end) && connection->state_of_life == CONNECTION_OPEN) {
                delay(exec, true);
                return;
        }
        (void)program_line_leave(&exec->place);
        (void)turn_give(&exec->turn);
        exec->phase = EXEC_FINISHED;
        exec->reason = reason_of(end);
        if (exec->has_link && end->step == PROGRAM_RAN)
                program_link_finish(&exec->link);
        else
                connection_end(connection, exec->reason);
        connection_unpin(connection);
}

/* The program has its end of the link, if there is one. */
static void on_started(struct exec_run *run) {
        struct exec *exec = container_of(run, struct exec, run);

        (void)program_line_leave(&exec->place);
        if (!exec->has_link)
                return;
        program_link_begin(&exec->link);
        connection_resume(exec->connection, PAUSE_TARGET);
}

static int run(struct exec *exec) {
        struct connection *connection = exec->connection;
        char **variables = exec_variables(connection);
        int fd = exec->has_link ? exec->link.end : connection->fd, r;

        exec->run.worker = connection->worker;
        exec->run.listener = connection->listener;
        exec->run.settings = connection->settings;
        exec->run.started = on_started;
        exec->run.over = on_over;
        r = exec_run_start(&exec->run, (const char *const *)variables, fd, fd);
        config_strings_free(variables);
        return r;
}

/* It is its turn. */
static void start(struct exec *exec) {
        struct connection *connection = exec->connection;
        int r;

        exec->phase = EXEC_RUNNING;
        r = open_link(exec);
        if (r == 0)
                r = run(exec);
        if (r == -EAGAIN)
                delay(exec, true);
        else if (r < 0)
                connection_end(connection, REASON_PROGRAM);
}

/* Whoever has gone while he had to wait, and said nothing, wants nothing any more. */
static void start_if_wanted(struct exec *exec) {
        struct connection *connection = exec->connection;

        if (exec->has_waited && connection_is_hung_up(connection))
                connection_close(connection, REASON_CLIENT_CLOSED);
        else
                start(exec);
}

static void on_turn(struct turn *turn) {
        struct exec *exec = container_of(turn, struct exec, turn);

        if (exec->phase != EXEC_WAITING)
                connection_unpin(exec->connection);
        else if (program_line_is_empty(&exec->connection->worker->workers->line))
                start_if_wanted(exec);
        else
                delay(exec, false);
}

static void on_place(struct program_place *place) {
        struct exec *exec = container_of(place, struct exec, place);

        if (exec->phase == EXEC_DELAYED)
                start_if_wanted(exec);
        else
                connection_unpin(exec->connection);
}

/* --- the handler ------------------------------------------------------------------------------ */

static int exec_opened(struct connection *connection) {
        struct exec *exec = calloc(1, sizeof(*exec));
        int r;

        if (!exec)
                return -ENOMEM;
        exec->connection = connection;
        exec->place.worker = connection->worker;
        list_init(&exec->datagrams);
        connection->state = exec;
        r = client_open_plain(connection);
        if (r < 0) {
                connection->state = NULL;
                free(exec);
        }
        return r;
}

static void exec_begun(struct connection *connection) {
        struct exec *exec = connection->state;

        connection_pause(connection, PAUSE_TARGET);
        connection_pin(connection);
        exec->phase = EXEC_WAITING;
        exec->turn.come = on_turn;
        /* Not before there is a poll, which would have the socket not wait. */
        if (turn_take(&exec->turn, &connection->listener->turnstile, SIZE_MAX,
                      &connection->worker->mailbox) == TURN_CALLED)
                worker_defer(connection->worker, &exec->turn.task);
        else
                exec->has_waited = true;
}

/* Not while the socket is a program's. */
static size_t exec_input(struct connection *connection, struct bytes *input) {
        struct exec *exec = connection->state;
        size_t before = input->length;

        if (connection->session) {
                exec_take_datagram(connection, &exec->datagrams, *input);
                input->length = 0;
                return 0;
        }
        program_link_input(&exec->link, input);
        counter_add(&connection->in_bytes, before - input->length);
        counter_add(&connection->worker->stats.in_bytes, before - input->length);
        (void)connection_admit(connection, 1, before - input->length);
        return 0;
}

static void exec_finished(struct connection *connection, struct bytes rest) {
        struct exec *exec = connection->state;

        program_link_finished(&exec->link);
}

static void exec_writable(struct connection *connection) {
        struct exec *exec = connection->state;

        program_link_writable(&exec->link);
}

static void exec_renewed(struct connection *connection) {
        client_renew(connection->client);
}

/* What is too long for us is for nobody. */
static void exec_oversized(struct connection *connection) {
}

static void exec_deadline(struct connection *connection) {
        struct exec *exec = connection->state;

        if (list_is_empty(&exec->datagrams))
                client_deadline_plain(connection);
}

/* What a program does with the socket itself nobody sees. */
static uint64_t exec_used_ms(struct connection *connection) {
        const struct exec *exec = connection->state;
        uint64_t sent_ms = atomic_load_explicit(&connection->sent_ms, memory_order_relaxed);

        if (!exec->has_link)
                return uv_now(&connection->worker->loop);
        return sent_ms > connection->last_input_ms ? sent_ms : connection->last_input_ms;
}

static void exec_changed(struct connection *connection) {
        client_changed(connection->client);
}

static void exec_closed(struct connection *connection) {
        struct exec *exec = connection->state;
        bool is_called;

        client_close(connection->client);
        exec_end_datagrams(&exec->datagrams);
        close_link(exec);
        if (exec->phase == EXEC_NEW || exec->phase == EXEC_FINISHED)
                return;
        if (exec_run_is_under_way(&exec->run)) {
                exec_run_stop(&exec->run);
                return;
        }
        is_called = program_line_leave(&exec->place);
        if (turn_give(&exec->turn) || is_called)
                exec->phase = EXEC_FINISHED; /* on_turn() or on_place() is on its way */
        else
                finish(exec);
}

static void exec_release(struct connection *connection) {
        connection->client = client_free(connection->client);
        free(connection->state);
        connection->state = NULL;
}

const struct handler handler_exec = {
        .name = "exec",
        .may_go_round = true,
        .is_patient = true,
        .arrived = exec_arrived,
        .opened = exec_opened,
        .begun = exec_begun,
        .secured = client_secured_plain,
        .input = exec_input,
        .finished = exec_finished,
        .writable = exec_writable,
        .renewed = exec_renewed,
        .oversized = exec_oversized,
        .deadline = exec_deadline,
        .used_ms = exec_used_ms,
        .changed = exec_changed,
        .closed = exec_closed,
        .release = exec_release,
};

pid_t exec_pid(const struct connection *connection, bool *is_waitingp) {
        const struct exec *exec = connection->state;

        *is_waitingp = false;
        if (connection->handler != &handler_exec || !exec)
                return 0;
        *is_waitingp = exec->phase == EXEC_WAITING || exec->phase == EXEC_DELAYED;
        return exec->run.pid;
}
