/* What a scenario is played on: the server, the clients, the clock, and the first failure. */
#pragma once

#include "client.h"
#include "server.h"

#define STAGE_CLIENTS_MAX 1024

struct scene {
        struct server server;
        bool is_end_expected; /* the script asked for the end of the present process */
        struct client *clients[STAGE_CLIENTS_MAX];
        size_t n_clients;
        int timeout_ms;
        int64_t deadline_ms;
        struct bytes failure;

        /* The cut: sends of this client are cut in two after so many bytes of the conversation. */
        struct bytes cut_client;
        uint64_t cut_offset;
};

void scene_init(struct scene *scene, const char *program, enum server_kind kind,
                enum server_transport transport);
void scene_deinit(struct scene *scene, bool keep_directory);

int64_t scene_now_ms(void);

/* Starts the time that the waits of one directive may take together. */
void scene_start_clock(struct scene *scene);

/*
 * Waits for one event, whatever it is, and takes it in: input of a reading client, a line in the
 * log, the server's end, or room to send for writer (may be NULL). False once time is up.
 */
bool scene_wait(struct scene *scene, const struct client *writer);

/* The same, but comes back within a millisecond; for what the kernel announces to nobody. */
bool scene_wait_briefly(struct scene *scene);

/* Says why the scenario fails; the first reason is kept. Always returns false. */
bool scene_fail(struct scene *scene, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct client *scene_find_client(const struct scene *scene, const char *name);
struct client *scene_add_client(struct scene *scene, const char *name);
void scene_remove_last_client(struct scene *scene);
void scene_free_clients(struct scene *scene);

/* Starts the server and waits until it is ready. */
bool scene_start_server(struct scene *scene);

/*
 * Ends the server as an administrator would; sockd must exit with 0. One that has ended unasked is a
 * failure.
 */
bool scene_stop_server(struct scene *scene);

/* Waits for the server's end; its exit status must be code. */
bool scene_expect_exit(struct scene *scene, int code);

/* Sends all, waiting for room. A connection that the server closed meanwhile is no failure. */
bool scene_send(struct scene *scene, struct client *client, const char *data, size_t n_bytes);

/* Waits until the server has read all that the client sent. */
bool scene_await_read(struct scene *scene, const struct client *client);
