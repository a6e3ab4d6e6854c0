/* Feeds the parser: whole, and cut into pieces; both must give the same operations. */
#include "lib/parser.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the operations were, folded into a number. */
struct trace {
        uint64_t value;
        size_t n_operations;
        enum parser_result last;
};

static void trace_bytes(struct trace *trace, struct bytes bytes) {
        for (size_t i = 0; i < bytes.length; i++)
                trace->value = trace->value * 31 + (unsigned char)bytes.data[i];
        trace->value = trace->value * 31 + bytes.length;
}

static void trace_operation(struct trace *trace, const struct operation *operation) {
        trace->n_operations++;
        trace->value = trace->value * 31 + (uint64_t)operation->verb + operation->max +
                       operation->header_size;
        trace_bytes(trace, operation->subject);
        trace_bytes(trace, operation->reply);
        trace_bytes(trace, operation->queue);
        trace_bytes(trace, operation->sid);
        trace_bytes(trace, operation->payload);
}

/* A run is what each of it would have been alone. */
static void trace_run(struct trace *trace, struct operation run) {
        trace_operation(trace, &run);
        for (; run.count > 1; run.count--) {
                run.payload.data += run.stride;
                trace_operation(trace, &run);
        }
}

static void feed(struct trace *trace, const uint8_t *data, size_t size, size_t piece,
                 size_t max_run) {
        struct parser parser = {
                .max_control_line = 256, .max_payload = 4096, .headers = true, .max_run = max_run};
        char *kept = malloc(size + 1);
        size_t n_kept = 0;

        trace->last = PARSER_MORE;
        for (size_t used = 0; kept && used < size && trace->last == PARSER_MORE;) {
                size_t n = size - used < piece ? size - used : piece;
                /* A copy of its own length, so that reading beyond it is found. */
                char *exact = malloc(n_kept + n);
                struct bytes rest = {exact, n_kept + n};
                struct operation operation;

                if (!exact)
                        break;
                memcpy(exact, kept, n_kept);
                memcpy(exact + n_kept, data + used, n);
                used += n;
                while ((trace->last = parser_next(&parser, &rest, &operation)) == PARSER_OPERATION)
                        trace_run(trace, operation);
                n_kept = rest.length;
                memcpy(kept, rest.data, n_kept);
                free(exact);
        }
        free(kept);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct trace whole = {0}, cut = {0};

        feed(&whole, data, size, size ? size : 1, 100);
        feed(&cut, data, size, size ? data[0] % 7 + 1 : 1, 0);
        if (whole.value != cut.value || whole.n_operations != cut.n_operations ||
            whole.last != cut.last)
                abort();
        return 0;
}
