/* One run of a program, for one request: its input is the payload, its output the answer.
 *
 * The answer is given when the program has ended, whenever it has closed its output, and whatever
 * processes of its own still have that open. A program whose output is larger than an answer may be
 * is stopped. It may leave its input unread. Of its standard error the beginning is kept. For the
 * worker of the pool.
 */
#pragma once

#include "daemon/program.h"
#include "daemon/program_errors.h"
#include "daemon/program_pipe.h"
#include "daemon/service_pool.h"

struct service_program {
        struct program program;
        struct service_pool *pool;       /* borrowed */
        struct service_request *request; /* owned; NULL: it is over */
        struct list_link link;           /* the pool's programs */
        struct program_pipe output, errors;
        char *data; /* owned: what it has written */
        size_t n, capacity;
        struct program_complaint complaint;
        bool is_too_large, has_no_memory;
        unsigned n_handles; /* pipes that are not closed yet */
};

/* Runs the program of a pool for a request, which it takes over, or answers that it cannot. */
void service_program_run(struct service_pool *pool, struct service_request *request);

/* Kills it, without an answer. */
void service_program_abandon(struct service_program *run);
