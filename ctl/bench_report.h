/* The progress and the result of a benchmark, for people and for programs. */
#pragma once

#include "ctl/bench_worker.h"
#include "ctl/context.h"

/* Draws or redraws one line on the terminal; clears it. */
void bench_print_progress(FILE *file, const struct bench *bench);
void bench_clear_progress(FILE *file);

/* Prints the result. Returns an exit code. */
int bench_print_result(struct context *context, const struct bench *bench);
