/* What programs write to pipes. See program_output.h. */
#include "daemon/program_output.h"

#include "daemon/program_pipe.h"
#include "lib/list.h"

#include <errno.h>
#include <stdlib.h>

/* What is read at once, how often in a row, and how often when it is the last time: a pipe holds
 * 64 KiB, and others may go on to write into it. */
#define READ_MAX   (16 * 1024)
#define READS      4
#define LAST_READS 16

struct program_output {
        struct program_pipe pipe;
        void (*take)(void *owner, struct bytes bytes);
        void *owner;   /* borrowed */
        bool is_ended; /* nothing more comes */
        bool is_reading;
        bool is_closed;
};

static struct program_output *output_of(struct program_pipe *pipe) {
        return container_of(pipe, struct program_output, pipe);
}

static void output_freed(struct program_pipe *pipe) {
        free(output_of(pipe));
}

/* Reads once. Returns whether there may be more. */
static bool read_once(struct program_output *output) {
        char buffer[READ_MAX];
        ssize_t n = program_pipe_read(&output->pipe, buffer, sizeof(buffer));

        if (n == -EAGAIN)
                return false;
        output->is_ended = n <= 0;
        output->take(output->owner, (struct bytes){buffer, n > 0 ? (size_t)n : 0});
        return n > 0 && !output->is_closed;
}

/* Its owner may close it meanwhile. */
static void read_some(struct program_output *output, unsigned n_reads) {
        output->is_reading = true;
        for (unsigned i = 0; i < n_reads && !output->is_ended && read_once(output); i++)
                ;
        output->is_reading = false;
        if (output->is_closed)
                program_pipe_close(&output->pipe);
        else if (output->is_ended)
                program_pipe_wait(&output->pipe, false);
}

static void output_ready(struct program_pipe *pipe) {
        read_some(output_of(pipe), READS);
}

int program_output_open(struct program_output **outputp, struct worker *worker,
                        void (*take)(void *owner, struct bytes bytes), void *owner) {
        struct program_output *output = calloc(1, sizeof(*output));
        int r, end;

        if (!output)
                return -ENOMEM;
        output->pipe.ready = output_ready;
        output->pipe.closed = output_freed;
        output->take = take;
        output->owner = owner;
        r = program_pipe_open_from(&output->pipe, worker, &end);
        if (r < 0) {
                free(output);
                return r;
        }
        *outputp = output;
        return end;
}

void program_output_begin(struct program_output *output) {
        if (!output->is_ended)
                program_pipe_wait(&output->pipe, true);
}

void program_output_finish(struct program_output *output) {
        if (!output->is_ended)
                read_some(output, LAST_READS);
}

struct program_output *program_output_close(struct program_output *output) {
        if (!output || output->is_closed)
                return NULL;
        output->is_closed = true;
        /* Else it is closed when that is over. */
        if (!output->is_reading)
                program_pipe_close(&output->pipe);
        return NULL;
}
