/* The server under test: its process, its directory, its log. */
#pragma once

#include "bytes.h"
#include "server_config.h"

#include <sys/types.h>

/*
 * Whoever waits polls log_fd and exit_fd (each -1 when there is nothing to wait for) and calls
 * server_read_log() and server_collect() when they are readable.
 */
struct server {
        const char *program; /* borrowed */
        struct server_config config;
        char *directory;
        pid_t pid; /* 0 when there is no process */
        int log_fd;
        int exit_fd;
        int exit_status; /* as of wait(2), once pid is 0 again */
        struct bytes log;
        size_t log_start;  /* where the present process began to write */
        size_t log_cursor; /* what server_find_in_log() has passed */
};

/* Where a client connects. */
struct server_address {
        enum server_transport transport;
        char path[108]; /* as long as sun_path */
        unsigned port;
};

void server_init(struct server *server, const char *program, enum server_kind kind,
                 enum server_transport transport);

/* Kills and reaps the process; removes the directory unless it is to be kept. */
void server_deinit(struct server *server, bool keep_directory);

/* Starts the process, making its directory first. Returns 0 or -errno. */
int server_start(struct server *server);
bool server_is_ready(const struct server *server);

/* Writes the configuration file anew, for a reload. Returns 0 or -errno. */
int server_write_config(const struct server *server);

int server_signal(struct server *server, int number);
void server_read_log(struct server *server);
void server_collect(struct server *server);

/* Finds the address of a listener in the log; false if the server does not listen there. */
bool server_find_address(const struct server *server, const char *listener,
                         struct server_address *addressp);

/*
 * Looks for a line that the extended regular expression matches, case aside, behind the last one
 * found. Returns 1 if found, 0 if not yet, -1 if the expression is bad.
 */
int server_find_in_log(struct server *server, const char *expression);
