/* Standard error of programs. See program_errors.h. */
#include "daemon/program_errors.h"

#include <string.h>

void program_errors_flush(struct program_errors *errors) {
        if (errors->n > 0)
                log_limited(errors->limit, LOG_LEVEL_WARNING, "%s \"%s\": program %d: %.*s%s",
                            errors->kind, errors->name, (int)errors->pid, (int)errors->n,
                            errors->line, errors->is_cut ? "..." : "");
        errors->n = 0;
        errors->is_cut = false;
}

/* Adds a part of a line. */
static void add(struct program_errors *errors, struct bytes part) {
        size_t room = sizeof(errors->line) - errors->n;

        if (part.length > room) {
                part.length = room;
                errors->is_cut = true;
        }
        memcpy(errors->line + errors->n, part.data, part.length);
        errors->n += part.length;
}

void program_errors_take(struct program_errors *errors, struct bytes bytes) {
        while (bytes.length > 0) {
                const char *newline = memchr(bytes.data, '\n', bytes.length);
                size_t n = newline ? (size_t)(newline - bytes.data) : bytes.length;

                add(errors, (struct bytes){bytes.data, n});
                if (!newline)
                        return;
                program_errors_flush(errors);
                bytes.data += n + 1;
                bytes.length -= n + 1;
        }
}

static void take(void *owner, struct bytes bytes) {
        program_errors_take(owner, bytes);
}

int program_errors_open(struct program_errors *errors, struct worker *worker) {
        return program_output_open(&errors->output, worker, take, errors);
}

void program_errors_begin(struct program_errors *errors, pid_t pid) {
        errors->pid = pid;
        if (errors->output)
                program_output_begin(errors->output);
}

void program_errors_end(struct program_errors *errors) {
        if (!errors->output)
                return;
        program_output_finish(errors->output);
        errors->output = program_output_close(errors->output);
        program_errors_flush(errors);
}

/* --- the beginning ---------------------------------------------------------------------------- */

void program_complaint_take(void *complaint, struct bytes bytes) {
        struct program_complaint *kept = complaint;
        size_t room = sizeof(kept->text) - kept->n;

        if (bytes.length > room)
                bytes.length = room;
        bytes_copy(kept->text + kept->n, bytes);
        kept->n += bytes.length;
}

struct bytes program_complaint_text(const struct program_complaint *complaint) {
        struct bytes bytes = {complaint->text, complaint->n};

        while (bytes.length > 0 && strchr("\r\n", bytes.data[bytes.length - 1]))
                bytes.length--;
        return bytes;
}
