/* The server: owns everything; builds, starts, drains and tears down, in that order.
 *
 * It has a thread and a loop of its own, for signals, timers, control requests and reloads, so that
 * none of these delays a client. Everything here is for that thread.
 */
#pragma once

#include "daemon/account.h"
#include "daemon/closed_log.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/imports.h"
#include "daemon/instance.h"
#include "daemon/services.h"
#include "daemon/systemd.h"
#include "daemon/worker.h"

struct listener;
struct spawner;

enum server_state {
        SERVER_RUNNING,
        SERVER_LAME_DUCK,
        SERVER_STOPPING,
        SERVER_STOPPED,
};

/* How the server was started. */
struct server_options {
        const char *config_path;   /* NULL: the default */
        const char *const *listen; /* addresses of the command line */
        size_t n_listen;
        struct spawner *spawner; /* started; borrowed */
};

struct reload;

struct server {
        struct server_options options;
        struct config *config; /* a reference */
        struct instance instance;
        struct accounts accounts;
        struct imports imports;
        struct services services;
        struct closed_log closed;
        struct control control;
        struct workers workers;
        struct listener **listeners; /* owned, with a reference each */
        size_t n_listeners;
        unsigned next_worker; /* that is the next in turn */
        struct systemd systemd;

        uv_loop_t loop;
        struct mailbox mailbox;
        uv_signal_t signals[5];
        uv_timer_t timer;     /* of the state: lame duck, stopping */
        uv_timer_t heartbeat; /* status and watchdog */
        uv_timer_t patience;  /* of those who await replies of other accounts */
        uv_poll_t spawner;    /* its end */
        uv_signal_t orphans;  /* of those whom it has left: their ends */
        struct visit beat;
        bool is_beating;
        enum server_state state;
        uint64_t stop_due_ms;
        uint64_t lame_duck_end_ms;
        uint64_t max_descriptors;
        uint64_t max_connections_warned; /* that there are too few descriptors for; 0: enough */
        struct reload *reload;           /* under way, or NULL */
        bool reload_again;               /* asked for meanwhile */
};

/* Runs until it is told to end. errors gets what prevents the start. Returns 0, or a negative errno
 * when it could not start. */
int server_run(const struct server_options *options, struct config *config,
               struct config_errors *errors);

/* Reads the configuration again; once more afterwards if that is being done already. What is wrong
 * goes to the log. Nothing happens, but for a warning, when the server is about to end. */
void server_reload(struct server *server);

/* Lame duck mode. Nothing happens when it has begun already. */
void server_drain(struct server *server);

/* Ends: listeners, then connections as soon as their output has left. A second time: at once. */
void server_stop(struct server *server);

/* Connections that are not closed yet. */
unsigned server_count_connections(const struct server *server);

/* Looks after replies that are awaited, if any can be. */
void server_watch_replies(struct server *server);

/* Tells the spawner how many programs are allowed. */
void server_limit_programs(struct server *server, const struct config *config);

/* Recomputes how many connections are allowed, from the configuration and the descriptors. */
void server_limit_connections(struct server *server, const struct config *config);
