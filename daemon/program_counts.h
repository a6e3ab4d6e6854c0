/* What became of the programs of a listener, or of whatever else has some. Any thread. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct program_counts {
        _Atomic uint64_t n_running;
        _Atomic uint64_t n_started;
        _Atomic uint64_t n_failed;    /* of them: those that ended otherwise than with status 0 */
        _Atomic uint64_t n_late;      /* and those that took too long */
        _Atomic uint64_t n_stopped;   /* and those that were ended, as their peers were gone */
        _Atomic uint64_t n_unstarted; /* could not be started */
        _Atomic uint64_t n_delayed;   /* starts that a limit on all programs put off */
        _Atomic uint64_t n_cut;       /* said more than may be passed on */
};

/* Quick ends in a row, of programs that accept by themselves: see exec_wait.h. By the accepting
 * worker. */
struct program_repeats {
        unsigned n_failed;
        unsigned n_idle; /* that went well, though nobody had been accepted */
};
