/* One run of a program. See service_program.h. */
#include "daemon/service_program.h"

#include "daemon/config.h"
#include "daemon/config_program.h"
#include "daemon/config_services.h"
#include "lib/units.h"

#include <errno.h>
#include <stdlib.h>

/* What an output is first given room for, and how often it is read in a row. */
#define ROOM_MIN  4096
#define READS_MAX 16

static const struct program_spec *spec_of(const struct service_program *run) {
        return &run->pool->config->program->spec;
}

static size_t max_answer(const struct service_program *run) {
        return run->pool->worker->config->server.max_payload;
}

/* --- end -------------------------------------------------------------------------------------- */

static void run_free_when_closed(struct service_program *run) {
        if (run->n_handles > 0)
                return;
        free(run->data);
        free(run);
}

static void output_on_closed(struct program_pipe *pipe) {
        struct service_program *run = container_of(pipe, struct service_program, output);

        run->n_handles--;
        if (!run->request)
                run_free_when_closed(run);
}

static void errors_on_closed(struct program_pipe *pipe) {
        struct service_program *run = container_of(pipe, struct service_program, errors);

        run->n_handles--;
        if (!run->request)
                run_free_when_closed(run);
}

/* Its request is over; what is left goes when its pipes are closed. */
static void run_leave(struct service_program *run) {
        run->request = NULL;
        list_unlink(&run->link);
        atomic_fetch_sub(&run->pool->n_running, 1);
        program_pipe_close(&run->output);
        program_pipe_close(&run->errors);
        run_free_when_closed(run);
}

void service_program_abandon(struct service_program *run) {
        program_stop(&run->program, 0);
        program_leave(&run->program);
        free(run->request);
        run_leave(run);
}

/* --- output ----------------------------------------------------------------------------------- */

/* Makes room for more, up to one byte beyond the largest answer. Returns whether there is some. */
static bool make_room(struct service_program *run) {
        size_t most = max_answer(run) + 1;
        size_t capacity = run->capacity ? 2 * run->capacity : ROOM_MIN;
        char *data;

        if (run->n < run->capacity)
                return true;
        if (capacity > most)
                capacity = most;
        data = capacity > run->n ? realloc(run->data, capacity) : NULL;
        if (!data) {
                run->has_no_memory = capacity > run->n;
                return false;
        }
        run->data = data;
        run->capacity = capacity;
        return true;
}

/* There will be no answer of it. */
static void give_up(struct service_program *run) {
        run->is_too_large = !run->has_no_memory;
        free(run->data);
        run->data = NULL;
        run->n = run->capacity = 0;
        program_pipe_close(&run->output);
        program_stop(&run->program, 0);
}

/* Reads what there is, at most so often. Returns whether there may be more. */
static bool read_output(struct service_program *run, unsigned n_reads) {
        ssize_t n;

        for (unsigned i = 0; run->output.fd >= 0 && i < n_reads; i++) {
                if (!make_room(run)) {
                        give_up(run);
                        return false;
                }
                n = program_pipe_read(&run->output, run->data + run->n, run->capacity - run->n);
                if (n == -EAGAIN)
                        return false;
                if (n <= 0) {
                        program_pipe_close(&run->output);
                        return false;
                }
                run->n += (size_t)n;
                if (run->n > max_answer(run)) {
                        give_up(run);
                        return false;
                }
        }
        return run->output.fd >= 0;
}

static void output_on_ready(struct program_pipe *pipe) {
        (void)read_output(container_of(pipe, struct service_program, output), READS_MAX);
}

static void read_errors(struct service_program *run) {
        program_pipe_drain(&run->errors, program_complaint_take, &run->complaint);
}

static void errors_on_ready(struct program_pipe *pipe) {
        read_errors(container_of(pipe, struct service_program, errors));
}

/* --- the answer ------------------------------------------------------------------------------- */

/* Why there is no answer of the program's own, in `text`; or that there is. */
static enum service_error judge(const struct service_program *run, const struct program_end *end,
                                char text[PROGRAM_END_TEXT_MAX]) {
        char limit[UNITS_TEXT_MAX];

        if (run->is_too_large) {
                snprintf(text, PROGRAM_END_TEXT_MAX,
                         "the answer is larger than %s, which is max_payload",
                         units_format_size(limit, max_answer(run)));
                return SERVICE_TOO_LARGE;
        }
        if (run->has_no_memory) {
                snprintf(text, PROGRAM_END_TEXT_MAX, "there is no memory for the answer");
                return SERVICE_UNAVAILABLE;
        }
        if (program_end_is_good(end))
                return SERVICE_GOOD;
        program_end_describe(end, spec_of(run), text);
        if (end->step != PROGRAM_RAN)
                return SERVICE_UNAVAILABLE;
        return end->was_late ? SERVICE_LATE : SERVICE_FAILED;
}

static void run_answer(struct service_program *run, const struct program_end *end) {
        char text[PROGRAM_END_TEXT_MAX];
        struct service_answer answer = {.error = judge(run, end, text),
                                        .has_status = end->step == PROGRAM_RAN && end->status >= 0,
                                        .status = end->status,
                                        .complaint = program_complaint_text(&run->complaint),
                                        .payload = {run->data, run->n}};

        if (answer.error != SERVICE_GOOD)
                answer.text = text;
        service_pool_finish(run->pool, run->request, &answer);
}

/* What it wrote before it ended is in the pipes. */
static void run_on_ended(struct program *program, const struct program_end *end) {
        struct service_program *run = container_of(program, struct service_program, program);
        struct service_pool *pool = run->pool;

        while (read_output(run, READS_MAX))
                ;
        read_errors(run);
        run_answer(run, end);
        run_leave(run);
        service_pool_go_on(pool);
}

/* --- beginning -------------------------------------------------------------------------------- */

/* Opens what the program gets as its standard descriptors. Returns 0 or a negative errno. */
static int open_descriptors(struct service_program *run, int fds[3]) {
        struct worker *worker = run->pool->worker;
        int r;

        if (run->request->payload.length > 0) {
                fds[0] = program_pipe_make_file(run->request->payload);
                if (fds[0] < 0)
                        return fds[0];
        }
        r = program_pipe_open_from(&run->output, worker, &fds[1]);
        if (r < 0)
                return r;
        run->n_handles++;
        r = program_pipe_open_from(&run->errors, worker, &fds[2]);
        if (r < 0)
                return r;
        run->n_handles++;
        return 0;
}

static int run_start(struct service_program *run) {
        int fds[3] = {-1, -1, -1};
        int r = open_descriptors(run, fds);

        if (r == 0)
                r = program_start(&run->program, run->pool->worker, spec_of(run),
                                  run->request->variables, fds);
        program_pipe_close_others(fds);
        if (r < 0)
                return r;
        program_pipe_wait(&run->output, true);
        program_pipe_wait(&run->errors, true);
        return 0;
}

static struct service_program *run_new(struct service_pool *pool, struct service_request *request) {
        struct service_program *run = calloc(1, sizeof(*run));

        if (!run)
                return NULL;
        run->pool = pool;
        run->request = request;
        run->program.ended = run_on_ended;
        run->output = (struct program_pipe){
                .fd = -1, .ready = output_on_ready, .closed = output_on_closed};
        run->errors = (struct program_pipe){
                .fd = -1, .ready = errors_on_ready, .closed = errors_on_closed};
        list_append(&pool->programs, &run->link);
        atomic_fetch_add(&pool->n_running, 1);
        return run;
}

void service_program_run(struct service_pool *pool, struct service_request *request) {
        struct service_program *run = run_new(pool, request);
        struct program_end end;
        int r;

        if (!run) {
                service_pool_fail(pool, request, SERVICE_UNAVAILABLE,
                                  "there is no memory to run the program");
                return;
        }
        r = run_start(run);
        if (r == 0)
                return;
        end = program_end_unasked(r);
        run_answer(run, &end);
        run_leave(run);
}
