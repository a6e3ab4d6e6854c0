/* What a program writes to a pipe, as a worker reads it.
 *
 * It is read as it comes; what the worker has no use for is its owner's to drop. By the worker's
 * own thread.
 */
#pragma once

#include "lib/bytes.h"

struct program_output;
struct worker;

/* Opens a pipe. take: is called for what comes; with length 0 when nothing more does, after which
 * the output still has to be closed. It may close it. Returns the end that the program gets, which
 * is the caller's, and *outputp, or a negative errno. */
int program_output_open(struct program_output **outputp, struct worker *worker,
                        void (*take)(void *owner, struct bytes bytes), void *owner);

/* Begins to read. Until then what comes waits. */
void program_output_begin(struct program_output *output);

/* The program has ended: reads what is there, and nothing more. */
void program_output_finish(struct program_output *output);

/* Closes it; who still writes gets a signal. NULL is allowed. Returns NULL. */
struct program_output *program_output_close(struct program_output *output);
