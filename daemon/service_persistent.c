/* A program that stays. See service_persistent.h. */
#include "daemon/service_persistent.h"

#include "daemon/config.h"
#include "daemon/config_program.h"
#include "daemon/config_services.h"
#include "daemon/program.h"
#include "daemon/program_errors.h"
#include "daemon/program_pipe.h"
#include "lib/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* How long it is left alone after it has ended: twice as long each time. */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 30000

/* What an answer is first given room for, and how often it is read in a row. */
#define ROOM_MIN    4096
#define READS_MAX   16
#define LENGTH_SIZE 4 /* of a frame's length */

struct service_persistent {
        struct program program;
        struct service_pool *pool;       /* borrowed */
        struct service_seat *seat;       /* of the pool; NULL: it was left */
        struct service_request *request; /* owned; NULL: it is idle */
        struct program_pipe input, output, errors;
        struct deadline deadline; /* of the request */
        char length[LENGTH_SIZE]; /* in front of the request's payload */
        size_t n_sent;            /* of all that the request takes */
        char *data;               /* owned: what has come of the answer */
        size_t n, capacity;
        struct program_complaint complaint; /* since the request came */
        struct program_errors unasked;      /* what it says without one */
        bool is_ending;                     /* it gets nothing more */
        bool is_blamed;                     /* and why has been said */
        const char *guess;                  /* why it was ended, if it did not end by itself */
        bool has_answered;                  /* so it works */
        unsigned n_handles;                 /* that are not closed yet */
};

static const struct config_service *config_of(const struct service_persistent *run) {
        return run->pool->config;
}

static const struct program_spec *spec_of(const struct service_persistent *run) {
        return &config_of(run)->program->spec;
}

static bool has_lines(const struct service_persistent *run) {
        return config_of(run)->framing == SERVICE_FRAMING_LINE;
}

static size_t max_answer(const struct service_persistent *run) {
        return run->pool->worker->config->server.max_payload;
}

/* --- end -------------------------------------------------------------------------------------- */

static void run_on_handle_closed(struct service_persistent *run) {
        if (--run->n_handles > 0 || run->seat)
                return;
        free(run->data);
        free(run);
}

static void input_on_closed(struct program_pipe *pipe) {
        run_on_handle_closed(container_of(pipe, struct service_persistent, input));
}

static void output_on_closed(struct program_pipe *pipe) {
        run_on_handle_closed(container_of(pipe, struct service_persistent, output));
}

static void errors_on_closed(struct program_pipe *pipe) {
        run_on_handle_closed(container_of(pipe, struct service_persistent, errors));
}

static void deadline_on_closed(struct deadline *deadline) {
        run_on_handle_closed(container_of(deadline, struct service_persistent, deadline));
}

/* It is gone: its seat is free, and its memory goes when its handles are closed, of which the
 * deadline is one in any case. */
static void run_leave(struct service_persistent *run) {
        run->seat->run = NULL;
        run->seat = NULL;
        program_pipe_close(&run->input);
        program_pipe_close(&run->output);
        program_pipe_close(&run->errors);
        deadline_close(&run->deadline);
}

void service_seat_clear(struct service_seat *seat, uint64_t grace_ms) {
        struct service_persistent *run = seat->run;

        if (!run)
                return;
        program_stop(&run->program, grace_ms);
        program_leave(&run->program);
        if (run->request)
                atomic_fetch_sub(&run->pool->n_running, 1);
        free(run->request);
        run->request = NULL;
        run_leave(run);
}

/* Says when it may be started again. */
static void seat_pause(struct service_seat *seat, const struct service_pool *pool,
                       bool has_answered) {
        uint64_t pause_ms = PAUSE_MIN_MS;

        seat->n_failures = has_answered ? 0 : seat->n_failures + 1;
        for (unsigned i = 1; i < seat->n_failures && pause_ms < PAUSE_MAX_MS; i++)
                pause_ms *= 2;
        if (pause_ms > PAUSE_MAX_MS)
                pause_ms = PAUSE_MAX_MS;
        seat->due_ms = deadline_now_ms(pool->worker) + pause_ms;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The request is over, and the program idle. */
static void run_finish(struct service_persistent *run, const struct service_answer *answer) {
        struct service_request *request = run->request;

        run->request = NULL;
        deadline_clear(&run->deadline);
        program_pipe_wait(&run->input, false);
        atomic_fetch_sub(&run->pool->n_running, 1);
        service_pool_finish(run->pool, request, answer);
        run->n = run->complaint.n = 0;
}

/* Ends the program, which does not keep to what it should, and says so to who asked, or in the
 * log. */
static void run_break(struct service_persistent *run, enum service_error error, const char *text) {
        const struct service_answer answer = {
                .error = error, .text = text, .complaint = program_complaint_text(&run->complaint)};

        if (run->request)
                run_finish(run, &answer);
        else
                log_limited(&run->pool->service.complaints, LOG_LEVEL_WARNING,
                            "service \"%s\": %s; it is ended", config_of(run)->name, text);
        run->is_ending = run->is_blamed = true;
        program_pipe_close(&run->input);
        program_pipe_close(&run->output);
        program_stop(&run->program, spec_of(run)->grace_ms);
}

/* It can be of no more use, mostly because it has ended, which is soon told; else it is ended, for
 * this reason. */
static void run_expect_end(struct service_persistent *run, const char *guess) {
        run->is_ending = true;
        if (!run->guess)
                run->guess = guess;
        program_stop(&run->program, spec_of(run)->grace_ms);
}

static void run_break_large(struct service_persistent *run) {
        char text[SERVICE_TEXT_MAX], limit[UNITS_TEXT_MAX];

        snprintf(text, sizeof(text), "the answer is larger than %s, which is max_payload",
                 units_format_size(limit, max_answer(run)));
        run_break(run, SERVICE_TOO_LARGE, text);
}

/* How many bytes the whole request takes. */
static size_t request_size(const struct service_persistent *run) {
        return run->request->payload.length + (has_lines(run) ? 1 : LENGTH_SIZE);
}

static void take_unasked(void *owner, struct bytes bytes) {
        program_errors_take(owner, bytes);
}

/* What it complains about is for who has asked, or for the log. */
static void read_errors(struct service_persistent *run) {
        if (run->request)
                program_pipe_drain(&run->errors, program_complaint_take, &run->complaint);
        else
                program_pipe_drain(&run->errors, take_unasked, &run->unasked);
}

/* The answer is complete: what comes behind it was not asked for. */
static void run_answer(struct service_persistent *run, struct bytes payload, size_t n_used) {
        struct service_answer answer = {.error = SERVICE_GOOD, .payload = payload};
        bool is_unasked = run->n > n_used, is_unread = run->n_sent < request_size(run);

        read_errors(run);
        answer.complaint = program_complaint_text(&run->complaint);
        run->has_answered = true;
        run_finish(run, &answer);
        if (is_unasked)
                run_break(run, SERVICE_FAILED, "the program writes more than it was asked for");
        else if (is_unread)
                run_break(run, SERVICE_FAILED, "the program has answered without reading it all");
}

/* A line may end in CR LF as well. */
static void look_for_line(struct service_persistent *run, size_t n_known) {
        const char *end = memchr(run->data + n_known, '\n', run->n - n_known);
        struct bytes line = {run->data, 0};
        size_t n_used;

        if (!end)
                return;
        line.length = (size_t)(end - run->data);
        n_used = line.length + 1;
        if (line.length > 0 && line.data[line.length - 1] == '\r')
                line.length--;
        if (line.length > max_answer(run))
                run_break_large(run);
        else
                run_answer(run, line, n_used);
}

static void look_for_frame(struct service_persistent *run) {
        uint32_t length;

        if (run->n < LENGTH_SIZE)
                return;
        memcpy(&length, run->data, sizeof(length));
        length = ntohl(length);
        if (length > max_answer(run))
                run_break_large(run);
        else if (run->n - LENGTH_SIZE >= length)
                run_answer(run, (struct bytes){run->data + LENGTH_SIZE, length},
                           LENGTH_SIZE + length);
}

/* --- output ----------------------------------------------------------------------------------- */

/* Whether it has written more than any answer takes, with its length or CR LF. */
static bool has_too_much(const struct service_persistent *run) {
        return run->n > max_answer(run) + LENGTH_SIZE;
}

/* Makes room for more. Returns whether there is memory. */
static bool make_room(struct service_persistent *run) {
        size_t most = max_answer(run) + LENGTH_SIZE + 1;
        size_t capacity = run->capacity ? 2 * run->capacity : ROOM_MIN;
        char *data;

        if (run->n < run->capacity)
                return true;
        if (capacity > most)
                capacity = most;
        data = realloc(run->data, capacity);
        if (!data)
                return false;
        run->data = data;
        run->capacity = capacity;
        return true;
}

/* Takes what was read. */
static void run_take(struct service_persistent *run, size_t n) {
        size_t n_known = run->n;

        run->n += n;
        if (!run->request)
                run_break(run, SERVICE_FAILED, "the program writes without being asked");
        else if (has_lines(run))
                look_for_line(run, n_known);
        else
                look_for_frame(run);
}

static void read_output(struct service_persistent *run) {
        ssize_t n;

        for (unsigned i = 0; run->output.fd >= 0 && i < READS_MAX; i++) {
                if (has_too_much(run)) {
                        run_break_large(run);
                        return;
                }
                if (!make_room(run)) {
                        run_break(run, SERVICE_UNAVAILABLE, "there is no memory for the answer");
                        return;
                }
                n = program_pipe_read(&run->output, run->data + run->n, run->capacity - run->n);
                if (n == -EAGAIN)
                        return;
                if (n > 0) {
                        run_take(run, (size_t)n);
                        continue;
                }
                program_pipe_close(&run->output);
                run_expect_end(run, "the program has closed its output");
        }
}

static void output_on_ready(struct program_pipe *pipe) {
        struct service_persistent *run = container_of(pipe, struct service_persistent, output);
        struct service_pool *pool = run->pool;

        read_output(run);
        service_pool_go_on(pool);
}

static void errors_on_ready(struct program_pipe *pipe) {
        read_errors(container_of(pipe, struct service_persistent, errors));
}

/* --- input ------------------------------------------------------------------------------------ */

/* What of a part is left when so much of all was sent. Returns the same without that part. */
static size_t skip_sent(struct iovec *part, const char *data, size_t length, size_t n_sent) {
        size_t n = n_sent < length ? n_sent : length;

        *part = (struct iovec){(void *)(uintptr_t)(data + n), length - n};
        return n_sent - n;
}

static void send_request(struct service_persistent *run) {
        struct bytes payload = run->request->payload;
        size_t n_before = has_lines(run) ? 0 : LENGTH_SIZE, n_skipped;
        struct iovec parts[3];
        ssize_t n;

        n_skipped = skip_sent(&parts[0], run->length, n_before, run->n_sent);
        n_skipped = skip_sent(&parts[1], payload.data, payload.length, n_skipped);
        (void)skip_sent(&parts[2], "\n", has_lines(run) ? 1 : 0, n_skipped);
        n = program_pipe_write(&run->input, parts, 3);
        if (n == -EAGAIN)
                n = 0;
        if (n < 0) {
                program_pipe_close(&run->input);
                run_expect_end(run, "the program does not read any more");
                return;
        }
        run->n_sent += (size_t)n;
        program_pipe_wait(&run->input, run->n_sent < request_size(run));
}

static void input_on_ready(struct program_pipe *pipe) {
        struct service_persistent *run = container_of(pipe, struct service_persistent, input);
        struct service_pool *pool = run->pool;

        if (run->request)
                send_request(run);
        service_pool_go_on(pool);
}

static void run_on_deadline(struct deadline *deadline) {
        struct service_persistent *run =
                container_of(deadline, struct service_persistent, deadline);
        struct service_pool *pool = run->pool;
        char text[SERVICE_TEXT_MAX], timeout[UNITS_TEXT_MAX];

        snprintf(text, sizeof(text), "took longer than %s",
                 units_format_duration(timeout, config_of(run)->program->timeout_ms));
        if (run->request)
                run_break(run, SERVICE_LATE, text);
        service_pool_go_on(pool);
}

/* --- its end ---------------------------------------------------------------------------------- */

/* What an end means for a request that it had. */
static void fail_request(struct service_persistent *run, const struct program_end *end) {
        bool was_ended = end->was_stopped && end->status < 0 && run->guess;
        char text[PROGRAM_END_TEXT_MAX];
        const struct service_answer answer = {
                .error = end->step == PROGRAM_RAN ? SERVICE_FAILED : SERVICE_UNAVAILABLE,
                .text = was_ended ? run->guess : program_end_describe(end, spec_of(run), text),
                .has_status = end->step == PROGRAM_RAN && end->status >= 0,
                .status = end->status,
                .complaint = program_complaint_text(&run->complaint)};

        run_finish(run, &answer);
}

static void log_end(struct service_persistent *run, const struct program_end *end) {
        char text[PROGRAM_END_TEXT_MAX];

        log_limited(&run->pool->service.complaints, LOG_LEVEL_WARNING, "service \"%s\": %s%s%s",
                    config_of(run)->name, end->step == PROGRAM_RAN ? "the program " : "",
                    program_end_describe(end, spec_of(run), text),
                    end->step == PROGRAM_LOST ? "" : "; it is started again when it is needed");
}

/* Not before is its standard error read, so that each line has its process. */
static void run_on_started(struct program *program, pid_t pid) {
        struct service_persistent *run = container_of(program, struct service_persistent, program);

        run->unasked.pid = pid;
        program_pipe_wait(&run->errors, true);
}

static void run_on_ended(struct program *program, const struct program_end *end) {
        struct service_persistent *run = container_of(program, struct service_persistent, program);
        struct service_pool *pool = run->pool;

        /* What it has written before is there. */
        read_output(run);
        read_errors(run);
        program_errors_flush(&run->unasked);
        if (run->request)
                fail_request(run, end);
        else if (!run->is_blamed)
                log_end(run, end);
        seat_pause(run->seat, pool, run->has_answered);
        run_leave(run);
        service_pool_go_on(pool);
}

/* --- beginning -------------------------------------------------------------------------------- */

static int open_descriptors(struct service_persistent *run, int fds[3]) {
        struct worker *worker = run->pool->worker;
        int r = program_pipe_open_to(&run->input, worker, &fds[0]);

        run->n_handles += r == 0;
        if (r == 0) {
                r = program_pipe_open_from(&run->output, worker, &fds[1]);
                run->n_handles += r == 0;
        }
        if (r == 0) {
                r = program_pipe_open_from(&run->errors, worker, &fds[2]);
                run->n_handles += r == 0;
        }
        return r;
}

static int run_start(struct service_persistent *run) {
        struct program_spec spec = *spec_of(run);
        int fds[3] = {-1, -1, -1};
        int r = open_descriptors(run, fds);

        spec.timeout_ms = 0; /* the time is that of a request */
        if (r == 0)
                r = program_start(&run->program, run->pool->worker, &spec, NULL, fds);
        program_pipe_close_others(fds);
        if (r < 0)
                return r;
        program_pipe_wait(&run->output, true);
        return 0;
}

static struct service_persistent *run_new(struct service_pool *pool, struct service_seat *seat) {
        struct service_persistent *run = calloc(1, sizeof(*run));

        if (!run)
                return NULL;
        run->pool = pool;
        run->seat = seat;
        run->program.started = run_on_started;
        run->program.ended = run_on_ended;
        run->unasked = (struct program_errors){
                .limit = &pool->errors, .kind = "service", .name = pool->config->name};
        run->input =
                (struct program_pipe){.fd = -1, .ready = input_on_ready, .closed = input_on_closed};
        run->output = (struct program_pipe){
                .fd = -1, .ready = output_on_ready, .closed = output_on_closed};
        run->errors = (struct program_pipe){
                .fd = -1, .ready = errors_on_ready, .closed = errors_on_closed};
        deadline_init(&run->deadline, pool->worker);
        run->deadline.due = run_on_deadline;
        run->deadline.closed = deadline_on_closed;
        run->n_handles = 1;
        seat->run = run;
        return run;
}

/* Starts a program. Returns 0 or a negative errno. */
static int seat_start(struct service_seat *seat, struct service_pool *pool) {
        struct service_persistent *run = run_new(pool, seat);
        int r = run ? run_start(run) : -ENOMEM;

        if (r == 0)
                return 0;
        if (run)
                run_leave(run);
        seat_pause(seat, pool, false);
        return r;
}

/* --- requests --------------------------------------------------------------------------------- */

bool service_seat_is_free(const struct service_seat *seat, const struct service_pool *pool) {
        if (seat->run)
                return !seat->run->request && !seat->run->is_ending && seat->run->output.fd >= 0;
        return seat->due_ms <= deadline_now_ms(pool->worker);
}

uint64_t service_seat_due_ms(const struct service_seat *seat, const struct service_pool *pool) {
        uint64_t now_ms = deadline_now_ms(pool->worker);

        if (seat->run)
                return UINT64_MAX;
        return seat->due_ms > now_ms ? seat->due_ms - now_ms : 0;
}

/* Takes the end of a line off, since one is added. Returns whether it is one line then. */
static bool make_line(struct bytes *payload) {
        if (payload->length > 0 && payload->data[payload->length - 1] == '\n')
                payload->length--;
        return !memchr(payload->data, '\n', payload->length);
}

static void run_ask(struct service_persistent *run, struct service_request *request) {
        uint32_t length = htonl((uint32_t)request->payload.length);

        memcpy(run->length, &length, sizeof(length));
        run->request = request;
        program_errors_flush(&run->unasked);
        run->n_sent = run->n = run->complaint.n = 0;
        atomic_fetch_add(&run->pool->n_running, 1);
        deadline_set(&run->deadline, config_of(run)->program->timeout_ms);
        send_request(run);
}

void service_seat_give(struct service_seat *seat, struct service_pool *pool,
                       struct service_request *request) {
        char text[PROGRAM_END_TEXT_MAX];
        struct program_end end;
        int r = 0;

        if (pool->config->framing == SERVICE_FRAMING_LINE && !make_line(&request->payload)) {
                service_pool_fail(pool, request, SERVICE_BAD_REQUEST,
                                  "the payload is more than one line");
                return;
        }
        if (!seat->run)
                r = seat_start(seat, pool);
        if (r < 0) {
                end = program_end_unasked(r);
                service_pool_fail(pool, request, SERVICE_UNAVAILABLE, "%s",
                                  program_end_describe(&end, &pool->config->program->spec, text));
                return;
        }
        run_ask(seat->run, request);
}
