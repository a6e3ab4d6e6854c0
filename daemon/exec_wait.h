/* Exec with `wait`: the program accepts by itself. It gets the listening socket as its standard
 * input and output when somebody comes, and sockd accepts nobody until it has ended; then the next
 * one who comes starts it again. See exec.h.
 *
 * One that ends at once is not started again at once: who waits in the socket's queue would
 * otherwise have it started in a circle.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct listener;
struct program_end;
struct program_repeats;

/* Somebody waits at a listener with exec. Returns whether a program sees to that; see handler.h. */
bool exec_arrived(struct listener *listener);

/* How long a listener rests after a program that has ended so. is_awaited: somebody waits to be
 * accepted; it may be who came before the program was started. Counts quick ends. */
uint64_t exec_wait_pause_ms(const struct program_end *end, bool is_awaited,
                            struct program_repeats *repeats);

/* So many may end well one after the other, though somebody waits, before that looks like programs
 * that do not accept. */
#define EXEC_WAIT_IDLE_MAX 40
