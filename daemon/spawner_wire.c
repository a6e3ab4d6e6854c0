/* Records between the daemon and the spawner. See spawner_wire.h.
 *
 * A record is a header of fixed length. Behind that of a start are the supplementary groups, then
 * texts, each with a NUL: the directory, the arguments, the variables. They fill the record to its
 * end.
 */
#include "daemon/spawner_wire.h"

#include "lib/bytes.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define DESCRIPTORS_ALL 7u

/* Of all requests; each uses its part, and the rest is 0. */
struct header {
        uint32_t verb;
        uint32_t slot;
        uint32_t max_running, max_starts;
        uint32_t descriptors;
        uint32_t tells_start, has_user;
        uint32_t uid, gid;
        uint32_t n_groups, n_arguments, n_variables;
        uint64_t open_files, processes, memory, cpu_s;
        uint64_t timeout_ms, grace_ms;
};

_Static_assert(sizeof(struct header) <= SPAWNER_SMALL_RECORD_MAX, "there is room for a header");

/* Where a record is written, up to its end; NULL: it has no room for what was written. */
struct writer {
        char *at, *end;
        bool is_bad; /* of what was written */
};

static size_t write_header(char *record, const struct header *header) {
        memcpy(record, header, sizeof(*header));
        return sizeof(*header);
}

size_t spawner_wire_channel(char record[SPAWNER_SMALL_RECORD_MAX]) {
        return write_header(record, &(struct header){.verb = SPAWNER_CHANNEL});
}

size_t spawner_wire_limit(char record[SPAWNER_SMALL_RECORD_MAX], unsigned max_running,
                          unsigned max_starts) {
        return write_header(record, &(struct header){.verb = SPAWNER_LIMIT,
                                                     .max_running = max_running,
                                                     .max_starts = max_starts});
}

static uint64_t bounded_time(uint64_t ms) {
        return ms < PROGRAM_TIME_MAX_MS ? ms : PROGRAM_TIME_MAX_MS;
}

size_t spawner_wire_stop(char record[SPAWNER_SMALL_RECORD_MAX], uint32_t slot, uint64_t grace_ms) {
        return write_header(record, &(struct header){.verb = SPAWNER_STOP,
                                                     .slot = slot,
                                                     .grace_ms = bounded_time(grace_ms)});
}

/* --- texts ------------------------------------------------------------------------------------ */

/* The length of the name of a variable. */
static size_t name_length(const char *variable) {
        return strcspn(variable, "=");
}

static bool is_path(const char *text) {
        return *text == '/' && strlen(text) < PATH_MAX;
}

/* Whether a variable has a name. */
static bool is_variable(const char *text) {
        size_t n = name_length(text);

        return n > 0 && text[n] == '=';
}

/* --- a start ---------------------------------------------------------------------------------- */

static void write_bytes(struct writer *writer, const void *data, size_t n) {
        if (!writer->at || n > (size_t)(writer->end - writer->at)) {
                writer->at = NULL;
                return;
        }
        memcpy(writer->at, data, n);
        writer->at += n;
}

static void write_text(struct writer *writer, const char *text) {
        write_bytes(writer, text, strlen(text) + 1);
}

static bool is_among(const char *variable, const char *const *variables) {
        size_t n = name_length(variable);

        for (; variables && *variables; variables++)
                if (name_length(*variables) == n && strncmp(*variables, variable, n) == 0)
                        return true;
        return false;
}

static void write_variable(struct writer *writer, const char *variable) {
        writer->is_bad |= !is_variable(variable);
        write_text(writer, variable);
}

/* Writes those of this start, and the others that they do not replace. Returns their number. */
static uint32_t write_variables(struct writer *writer, const char *const *variables,
                                char *const *environment) {
        uint32_t n = 0;

        for (const char *const *at = variables; at && *at; at++, n++)
                write_variable(writer, *at);
        for (; environment && *environment; environment++) {
                if (is_among(*environment, variables))
                        continue;
                write_variable(writer, *environment);
                n++;
        }
        return n;
}

static uint32_t write_arguments(struct writer *writer, char *const *arguments) {
        uint32_t n = 0;

        for (; *arguments; arguments++, n++)
                write_text(writer, *arguments);
        return n;
}

static void write_groups(struct writer *writer, const struct run_as *user) {
        for (size_t i = 0; i < user->n_groups; i++) {
                uint32_t group = user->groups[i];

                write_bytes(writer, &group, sizeof(group));
        }
}

static void note_user(struct header *header, const struct run_as *user) {
        header->has_user = 1;
        header->uid = user->uid;
        header->gid = user->gid;
        header->n_groups = (uint32_t)user->n_groups;
}

int spawner_wire_start(char record[SPAWNER_RECORD_MAX], const struct program_spec *spec,
                       const char *const *variables, uint32_t slot, uint32_t descriptors,
                       bool tells_start, size_t *lengthp) {
        const struct run_as *user = spec->user && !spec->user->is_own ? spec->user : NULL;
        struct writer writer = {record + sizeof(struct header), record + SPAWNER_RECORD_MAX, false};
        const char *directory = spec->directory ? spec->directory : "/";
        struct header header = {.verb = SPAWNER_START,
                                .slot = slot,
                                .descriptors = descriptors,
                                .tells_start = tells_start,
                                .open_files = spec->limits.open_files,
                                .processes = spec->limits.processes,
                                .memory = spec->limits.memory,
                                .cpu_s = spec->limits.cpu_s,
                                .timeout_ms = bounded_time(spec->timeout_ms),
                                .grace_ms = bounded_time(spec->grace_ms)};

        if (user && user->n_groups > RUN_AS_GROUPS_MAX)
                return -E2BIG;
        if (user) {
                note_user(&header, user);
                write_groups(&writer, user);
        }
        write_text(&writer, directory);
        header.n_arguments = write_arguments(&writer, spec->arguments);
        header.n_variables = write_variables(&writer, variables, spec->environment);
        if (!writer.at || header.n_arguments > SPAWNER_ARGUMENTS_MAX ||
            header.n_variables > SPAWNER_VARIABLES_MAX)
                return -E2BIG;
        if (writer.is_bad || !is_path(directory) || !spec->arguments[0] ||
            !is_path(spec->arguments[0]))
                return -EINVAL;
        (void)write_header(record, &header);
        *lengthp = (size_t)(writer.at - record);
        return 0;
}

/* --- reading requests ------------------------------------------------------------------------- */

/* What is left of a record. */
struct reader {
        char *at, *end;
        bool is_bad;
};

static char *read_text(struct reader *reader) {
        char *text = reader->at;
        char *nul = reader->is_bad ? NULL : memchr(text, '\0', (size_t)(reader->end - text));

        if (!nul) {
                reader->is_bad = true;
                return NULL;
        }
        reader->at = nul + 1;
        return text;
}

static void read_texts(struct reader *reader, char **texts, uint32_t n) {
        for (uint32_t i = 0; i < n; i++)
                texts[i] = read_text(reader);
        texts[n] = NULL;
}

static void read_groups(struct reader *reader, gid_t *groups, uint32_t n) {
        size_t n_bytes = n * sizeof(uint32_t);

        if (n_bytes > (size_t)(reader->end - reader->at)) {
                reader->is_bad = true;
                return;
        }
        for (uint32_t i = 0; i < n; i++)
                groups[i] = bytes_load32(reader->at + i * sizeof(uint32_t));
        reader->at += n_bytes;
}

/* Whether the texts are what they have to be. */
static bool is_runnable(const struct spawner_request *request) {
        if (!is_path(request->directory) || !request->arguments[0] ||
            !is_path(request->arguments[0]))
                return false;
        for (char **variable = request->variables; *variable; variable++)
                if (!is_variable(*variable))
                        return false;
        return true;
}

/* Whether the numbers are; nobody has the id that stands for none. */
static bool is_in_bounds(const struct header *header) {
        return header->n_arguments <= SPAWNER_ARGUMENTS_MAX &&
               header->n_variables <= SPAWNER_VARIABLES_MAX &&
               header->n_groups <= RUN_AS_GROUPS_MAX && header->descriptors <= DESCRIPTORS_ALL &&
               header->tells_start <= 1 && header->has_user <= 1 &&
               (header->has_user || header->n_groups == 0) && header->uid != UINT32_MAX &&
               header->gid != UINT32_MAX && header->timeout_ms <= PROGRAM_TIME_MAX_MS &&
               header->grace_ms <= PROGRAM_TIME_MAX_MS;
}

static int read_start(struct reader *reader, const struct header *header,
                      struct spawner_vectors *vectors, struct spawner_request *request) {
        if (!is_in_bounds(header))
                return -EBADMSG;
        read_groups(reader, vectors->groups, header->n_groups);
        request->directory = read_text(reader);
        read_texts(reader, vectors->arguments, header->n_arguments);
        read_texts(reader, vectors->variables, header->n_variables);
        request->descriptors = header->descriptors;
        for (uint32_t bits = header->descriptors; bits; bits >>= 1)
                request->n_descriptors += bits & 1;
        request->tells_start = header->tells_start;
        request->has_user = header->has_user;
        request->uid = header->uid;
        request->gid = header->gid;
        request->groups = vectors->groups;
        request->n_groups = header->n_groups;
        request->limits = (struct program_limits){.open_files = header->open_files,
                                                  .processes = header->processes,
                                                  .memory = header->memory,
                                                  .cpu_s = header->cpu_s};
        request->timeout_ms = header->timeout_ms;
        request->arguments = vectors->arguments;
        request->variables = vectors->variables;
        return reader->is_bad || !is_runnable(request) ? -EBADMSG : 0;
}

static bool is_limit(const struct header *header) {
        return header->max_running <= SPAWNER_RUNNING_MAX && header->max_starts >= 1 &&
               header->max_starts <= SPAWNER_STARTS_MAX;
}

int spawner_wire_read(char *record, size_t length, struct spawner_vectors *vectors,
                      struct spawner_request *request) {
        struct reader reader = {record + sizeof(struct header), record + length, false};
        struct header header;
        int r = 0;

        if (length < sizeof(header) || length > SPAWNER_RECORD_MAX)
                return -EBADMSG;
        memcpy(&header, record, sizeof(header));
        *request = (struct spawner_request){.verb = header.verb,
                                            .max_running = header.max_running,
                                            .max_starts = header.max_starts,
                                            .slot = header.slot,
                                            .grace_ms = header.grace_ms};
        if (header.verb < SPAWNER_CHANNEL || header.verb > SPAWNER_STOP ||
            header.grace_ms > PROGRAM_TIME_MAX_MS)
                return -EBADMSG;
        if (header.verb == SPAWNER_LIMIT && !is_limit(&header))
                return -EBADMSG;
        if (header.verb == SPAWNER_START)
                r = read_start(&reader, &header, vectors, request);
        return r == 0 && reader.at == reader.end ? 0 : -EBADMSG;
}

/* --- reports ---------------------------------------------------------------------------------- */

struct report {
        uint32_t has_ended, slot;
        int32_t pid, step, error, status, signal;
        uint32_t was_late, was_stopped, reserved;
        uint64_t elapsed_us, user_us, system_us, max_resident;
};

_Static_assert(sizeof(struct report) <= SPAWNER_SMALL_RECORD_MAX, "there is room for a report");

size_t spawner_wire_report(char record[SPAWNER_SMALL_RECORD_MAX],
                           const struct spawner_report *report) {
        const struct program_end *end = &report->end;
        struct report written = {.has_ended = report->has_ended,
                                 .slot = report->slot,
                                 .pid = end->pid,
                                 .step = (int32_t)end->step,
                                 .error = end->error,
                                 .status = end->status,
                                 .signal = end->signal,
                                 .was_late = end->was_late,
                                 .was_stopped = end->was_stopped,
                                 .elapsed_us = end->elapsed_us,
                                 .user_us = end->user_us,
                                 .system_us = end->system_us,
                                 .max_resident = end->max_resident};

        memcpy(record, &written, sizeof(written));
        return sizeof(written);
}

int spawner_wire_read_report(const char *record, size_t length, struct spawner_report *report) {
        struct report read;

        if (length != sizeof(read))
                return -EBADMSG;
        memcpy(&read, record, sizeof(read));
        if (read.has_ended > 1 || read.was_late > 1 || read.was_stopped > 1 || read.step < 0 ||
            read.step >= N_PROGRAM_STEPS)
                return -EBADMSG;
        *report = (struct spawner_report){.has_ended = read.has_ended,
                                          .slot = read.slot,
                                          .end = {.step = (enum program_step)read.step,
                                                  .error = read.error,
                                                  .pid = read.pid,
                                                  .status = read.status,
                                                  .signal = read.signal,
                                                  .was_late = read.was_late,
                                                  .was_stopped = read.was_stopped,
                                                  .elapsed_us = read.elapsed_us,
                                                  .user_us = read.user_us,
                                                  .system_us = read.system_us,
                                                  .max_resident = read.max_resident}};
        return 0;
}
