/* A listener with exec: its keys, and what is made of them. See exec.h, and sockd.conf(5). */
#pragma once

#include "daemon/config_program.h"
#include "lib/log.h"

struct config_listener;

/* How many programs a listener has at a time unless it says so, and at most. */
#define CONFIG_EXEC_CONCURRENCY     "64"
#define CONFIG_EXEC_CONCURRENCY_MAX 4096

struct config_exec_keys {
        struct config_program program;
        unsigned concurrency;
        bool wait;
};

/* What may be logged of the programs of a listener. Each listener has limits of its own: a peer can
 * have its programs fail, and would hide what others do. */
struct config_exec_logs {
        struct log_limit errors; /* what they say on standard error */
        struct log_limit ends, failures, delays, cuts, rests;
};

struct config_exec {
        struct config_program program; /* taken from the keys; owned */
        unsigned concurrency;
        bool waits; /* the program accepts connections itself */
        struct config_exec_logs logs;
};

/* Makes of the listener's keys, some of which it takes, what a listener with exec is, and complains
 * of what is wrong with them. */
void config_exec_make(struct config_reader *reader, const char *path,
                      const struct config_setting_t *group, struct config_listener *listener,
                      struct config_exec *exec);

/* Complains of keys that are of an exec, where there is none. */
void config_exec_refuse_keys(struct config_reader *reader, const char *path,
                             const struct config_setting_t *group);

/* Frees what it has. */
void config_exec_deinit(struct config_exec *exec);
