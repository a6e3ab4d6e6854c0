/* What is to be run: a program with its arguments, environment, user and limits.
 *
 * It is made from the configuration, and never changes while it is used. Nothing that a peer sends
 * ever becomes an argument; what is to be told of a peer goes into variables, for each start.
 */
#pragma once

#include <stdint.h>

struct run_as;

/* What it and each of its own children may have; 0: what sockd itself may. It never leaves a core
 * file, and select(2) suits its descriptors unless more are asked for. */
struct program_limits {
        uint64_t open_files; /* RLIMIT_NOFILE */
        uint64_t processes;  /* RLIMIT_NPROC: of its user in all, wherever they come from */
        uint64_t memory;     /* RLIMIT_AS: bytes of address space */
        uint64_t cpu_s;      /* RLIMIT_CPU: seconds */
};

/* All texts are owned by whoever made it. */
struct program_spec {
        char **arguments;    /* NULL at the end; the first one is an absolute path */
        char **environment;  /* "NAME=value", NULL at the end: all that it has, but for variables of
                              * each start. NULL: nothing */
        char *directory;     /* an absolute path; NULL: "/" */
        struct run_as *user; /* NULL: that of sockd */
        struct program_limits limits;
        uint64_t timeout_ms; /* how long it may run; 0: no limit */
        uint64_t grace_ms;   /* from SIGTERM to SIGKILL, when it has taken too long; 0: SIGKILL at
                              * once */
};

/* The longest time, a bit more than a year: longer ones count as this. */
#define PROGRAM_TIME_MAX_MS (UINT64_C(400) * 24 * 3600 * 1000)

/* Makes a complete environment: PATH and LANG; of a user with an entry HOME, USER, LOGNAME and
 * SHELL; and what is given, NULL at the end or NULL, which wins. Returns a new list, which
 * config_strings_free() frees, or NULL if there is no memory. */
char **program_environment(char *const *given, const struct run_as *user);
