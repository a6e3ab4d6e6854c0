/* Programs, as workers see them. See program.h.
 *
 * A channel has a slot for each program that was asked for, up to the spawner's last word about it;
 * what is in the slot may go before. A request that the spawner does not take at once is refused,
 * but for that to stop a program: it waits in the slot.
 */
#include "daemon/program.h"

#include "daemon/instance.h"
#include "daemon/spawner.h"
#include "daemon/spawner_wire.h"
#include "daemon/worker.h"
#include "lib/log.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* How many reports are read at a time. */
#define REPORTS_AT_ONCE 64
#define SLOTS_AT_FIRST  16
#define NO_SLOT         UINT32_MAX

#define N_DESCRIPTORS 3

struct slot {
        bool is_used;
        bool is_to_stop;         /* the spawner has to be told so */
        struct program *program; /* borrowed; NULL: nobody wants to hear of it */
        uint64_t grace_ms;       /* of stopping */
        uint32_t next_free;
};

struct programs {
        struct worker *worker;
        int fd;
        uv_poll_t poll;
        struct slot *slots; /* owned */
        uint32_t n_slots;
        uint32_t first_free; /* or NO_SLOT */
        char record[SPAWNER_RECORD_MAX];
};

/* --- slots ------------------------------------------------------------------------------------ */

static int slots_grow(struct programs *programs) {
        uint32_t n = programs->n_slots ? 2 * programs->n_slots : SLOTS_AT_FIRST;
        struct slot *slots = realloc(programs->slots, n * sizeof(*slots));

        if (!slots)
                return -ENOMEM;
        for (uint32_t i = programs->n_slots; i < n; i++)
                slots[i] = (struct slot){.next_free = i + 1 < n ? i + 1 : NO_SLOT};
        programs->first_free = programs->n_slots;
        programs->slots = slots;
        programs->n_slots = n;
        return 0;
}

static int slot_take(struct programs *programs, uint32_t *indexp) {
        int r = programs->first_free == NO_SLOT ? slots_grow(programs) : 0;

        if (r < 0)
                return r;
        *indexp = programs->first_free;
        programs->first_free = programs->slots[*indexp].next_free;
        programs->slots[*indexp] = (struct slot){.is_used = true};
        return 0;
}

/* Returns the program that had it. */
static struct program *slot_give(struct programs *programs, uint32_t index) {
        struct program *program = programs->slots[index].program;

        programs->slots[index] = (struct slot){.next_free = programs->first_free};
        programs->first_free = index;
        if (program)
                program->programs = NULL;
        return program;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void count_end(struct stats *stats, const struct program_end *end) {
        counter_add(&stats->programs_over, 1);
        if (end->step == PROGRAM_RAN)
                counter_add(&stats->programs_ended, 1);
        else if (program_end_is_refusal(end))
                counter_add(&stats->programs_refused, 1);
        else
                counter_add(&stats->programs_failed, 1);
        if (end->was_late)
                counter_add(&stats->programs_late, 1);
}

static void slot_end(struct programs *programs, uint32_t index, const struct program_end *end) {
        struct program *program = slot_give(programs, index);

        count_end(&programs->worker->stats, end);
        if (program)
                program->ended(program, end);
}

/* --- channels --------------------------------------------------------------------------------- */

static void programs_freed(uv_handle_t *handle) {
        struct programs *programs = handle->data;

        free(programs->slots);
        free(programs);
}

/* The worker has this channel no more; another one may be opened by those who are told. */
static void programs_lose(struct programs *programs) {
        static const struct program_end lost = {.step = PROGRAM_LOST};

        programs->worker->programs = NULL;
        uv_close((uv_handle_t *)&programs->poll, programs_freed);
        (void)close(programs->fd);
        programs->fd = -1; /* who is told may want to stop others */
        for (uint32_t i = 0; i < programs->n_slots; i++)
                if (programs->slots[i].is_used)
                        slot_end(programs, i, &lost);
}

static void programs_on_poll(uv_poll_t *poll, int status, int events);

static void programs_wait(struct programs *programs, int events) {
        (void)uv_poll_start(&programs->poll, events, programs_on_poll);
}

static int send_stop(struct programs *programs, uint32_t index) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        size_t length = spawner_wire_stop(record, index, programs->slots[index].grace_ms);

        if (send(programs->fd, record, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        programs->slots[index].is_to_stop = false;
        return 0;
}

/* Sends requests to stop programs that had to wait. */
static void send_stops(struct programs *programs) {
        for (uint32_t i = 0; i < programs->n_slots; i++)
                if (programs->slots[i].is_to_stop && send_stop(programs, i) == -EAGAIN)
                        return;
        programs_wait(programs, UV_READABLE);
}

static bool is_expected(const struct programs *programs, const struct spawner_report *report) {
        return report->slot < programs->n_slots && programs->slots[report->slot].is_used;
}

/* Reads one report and passes it on. Returns 0 or a negative errno. */
static int receive(struct programs *programs) {
        char record[SPAWNER_SMALL_RECORD_MAX];
        ssize_t n = recv(programs->fd, record, sizeof(record), MSG_DONTWAIT | MSG_TRUNC);
        struct spawner_report report;
        struct program *program;

        if (n < 0)
                return -errno;
        if (n == 0)
                return -EPIPE;
        if (spawner_wire_read_report(record, (size_t)n, &report) < 0 ||
            !is_expected(programs, &report))
                return -EBADMSG;
        program = programs->slots[report.slot].program;
        if (report.has_ended)
                slot_end(programs, report.slot, &report.end);
        else if (program && program->started)
                program->started(program, report.end.pid);
        return 0;
}

static void programs_on_poll(uv_poll_t *poll, int status, int events) {
        struct programs *programs = poll->data;
        struct worker *worker = programs->worker;
        int r = status;

        worker_enter(worker);
        if (status == 0 && events & UV_WRITABLE)
                send_stops(programs);
        for (unsigned i = 0; i < REPORTS_AT_ONCE && r == 0; i++) {
                r = receive(programs);
                /* Who was told may have closed it. */
                if (worker->programs != programs)
                        return;
        }
        if (r < 0 && r != -EAGAIN && r != -EINTR) {
                log_error("worker %u has lost its programs: %s", worker->index,
                          r == -EPIPE ? "the spawner has closed their channel" : strerror(-r));
                programs_lose(programs);
        }
}

static struct programs *programs_new(struct worker *worker, int fd) {
        struct programs *programs = calloc(1, sizeof(*programs));

        if (!programs)
                return NULL;
        programs->worker = worker;
        programs->fd = fd;
        programs->first_free = NO_SLOT;
        programs->poll.data = programs;
        if (uv_poll_init(&worker->loop, &programs->poll, fd) < 0) {
                free(programs);
                return NULL;
        }
        programs_wait(programs, UV_READABLE);
        return programs;
}

/* Opens the worker's channel if it has none. */
static int programs_open(struct worker *worker) {
        const struct spawner *spawner = worker->instance->spawner;
        int fd;

        if (worker->programs)
                return 0;
        fd = spawner ? spawner_open_channel(spawner) : -EPIPE;
        if (fd < 0)
                return fd;
        worker->programs = programs_new(worker, fd);
        if (worker->programs)
                return 0;
        (void)close(fd);
        return -ENOMEM;
}

void programs_close(struct worker *worker) {
        if (worker->programs)
                programs_lose(worker->programs);
}

/* --- starting and stopping -------------------------------------------------------------------- */

static uint32_t bits_of(const int descriptors[N_DESCRIPTORS]) {
        uint32_t bits = 0;

        for (unsigned i = 0; i < N_DESCRIPTORS; i++)
                if (descriptors[i] >= 0)
                        bits |= 1u << i;
        return bits;
}

/* Adds those that are given to a message. */
static void add_descriptors(struct msghdr *message, struct cmsghdr *header,
                            const int descriptors[N_DESCRIPTORS]) {
        int given[N_DESCRIPTORS];
        size_t n = 0;

        for (unsigned i = 0; i < N_DESCRIPTORS; i++)
                if (descriptors[i] >= 0)
                        given[n++] = descriptors[i];
        if (n == 0)
                return;
        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof(int)),
                                   .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), given, n * sizeof(int));
        message->msg_control = header;
        message->msg_controllen = CMSG_SPACE(n * sizeof(int));
}

static int send_start(struct programs *programs, size_t length,
                      const int descriptors[N_DESCRIPTORS]) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(N_DESCRIPTORS * sizeof(int))] = {0};
        struct iovec part = {.iov_base = programs->record, .iov_len = length};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        add_descriptors(&message, (struct cmsghdr *)(void *)control, descriptors);
        if (sendmsg(programs->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                return 0;
        if (errno == ENOBUFS || errno == ETOOMANYREFS)
                return -EAGAIN;
        return errno == ECONNRESET ? -EPIPE : -errno;
}

/* Asks the spawner. Returns 0 and the slot in *indexp, or a negative errno. */
static int programs_ask(struct programs *programs, const struct program_spec *spec,
                        const char *const *variables, const int descriptors[N_DESCRIPTORS],
                        bool tells_start, uint32_t *indexp) {
        int r = slot_take(programs, indexp);
        size_t length;

        if (r < 0)
                return r;
        r = spawner_wire_start(programs->record, spec, variables, *indexp, bits_of(descriptors),
                               tells_start, &length);
        if (r == 0)
                r = send_start(programs, length, descriptors);
        if (r < 0)
                (void)slot_give(programs, *indexp);
        return r;
}

static void count_start(struct stats *stats, int r) {
        if (r == 0)
                counter_add(&stats->programs_asked, 1);
        else if (r == -EAGAIN)
                counter_add(&stats->programs_refused, 1);
        else
                counter_add(&stats->programs_failed, 1);
}

int program_start(struct program *program, struct worker *worker, const struct program_spec *spec,
                  const char *const *variables, const int descriptors[N_DESCRIPTORS]) {
        int r = worker->is_stopping ? -ESHUTDOWN : programs_open(worker);

        if (r == 0)
                r = programs_ask(worker->programs, spec, variables, descriptors,
                                 program->started != NULL, &program->slot);
        count_start(&worker->stats, r);
        if (r < 0)
                return r;
        worker->programs->slots[program->slot].program = program;
        program->programs = worker->programs;
        return 0;
}

void program_stop(struct program *program, uint64_t grace_ms) {
        struct programs *programs = program->programs;
        struct slot *slot;

        if (!programs)
                return;
        slot = &programs->slots[program->slot];
        slot->grace_ms = grace_ms;
        slot->is_to_stop = true;
        /* Any other error is the end of the channel, which ends the program as well. */
        if (send_stop(programs, program->slot) == -EAGAIN)
                programs_wait(programs, UV_READABLE | UV_WRITABLE);
}

void program_leave(struct program *program) {
        if (program->programs)
                program->programs->slots[program->slot].program = NULL;
        program->programs = NULL;
}
