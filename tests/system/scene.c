/*
 * The scene has one wait: a poll(2) over everything that can happen. Whoever waits for something
 * loops over it and looks whether the thing has happened, so input of all clients is taken in, and
 * the log is read, whatever the script is busy with.
 */
#include "scene.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define TIMEOUT_S_DEFAULT 10
#define TIMEOUT_S_MAX 3600
/* Reads between two writes. */
#define CATCH_UP_MAX 1000

static int scene_timeout_ms(void) {
        const char *text = getenv("SCENARIO_TIMEOUT");
        int seconds = text ? atoi(text) : TIMEOUT_S_DEFAULT;

        return 1000 * (seconds > 0 && seconds <= TIMEOUT_S_MAX ? seconds : TIMEOUT_S_DEFAULT);
}

void scene_init(struct scene *scene, const char *program, enum server_kind kind,
                enum server_transport transport) {
        *scene = (struct scene){ .timeout_ms = scene_timeout_ms() };
        server_init(&scene->server, program, kind, transport);
        scene_start_clock(scene);
}

void scene_deinit(struct scene *scene, bool keep_directory) {
        scene_free_clients(scene);
        server_deinit(&scene->server, keep_directory);
        bytes_deinit(&scene->failure);
        bytes_deinit(&scene->cut_client);
}

int64_t scene_now_ms(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void scene_start_clock(struct scene *scene) {
        scene->deadline_ms = scene_now_ms() + scene->timeout_ms;
}

static struct pollfd client_poll_entry(const struct client *client, const struct client *writer) {
        struct pollfd entry = { .fd = client->fd };

        if (client->is_reading && !client->has_ended)
                entry.events |= POLLIN;
        if (client == writer)
                entry.events |= POLLOUT;
        if (!entry.events)
                entry.fd = -1; /* or its hang-up would wake us for ever */
        return entry;
}

/* One poll over everything; returns the number of events. */
static int scene_poll(struct scene *scene, const struct client *writer, int timeout_ms) {
        struct pollfd entries[STAGE_CLIENTS_MAX + 2];
        size_t n_clients = scene->n_clients;
        int n_events;

        for (size_t i = 0; i < n_clients; i++)
                entries[i] = client_poll_entry(scene->clients[i], writer);
        entries[n_clients] = (struct pollfd){ .fd = scene->server.log_fd, .events = POLLIN };
        entries[n_clients + 1] = (struct pollfd){ .fd = scene->server.exit_fd, .events = POLLIN };
        n_events = poll(entries, n_clients + 2, timeout_ms);
        if (n_events <= 0)
                return 0;
        for (size_t i = 0; i < n_clients; i++)
                if (entries[i].events & POLLIN && entries[i].revents & ~POLLOUT)
                        client_receive(scene->clients[i]);
        if (entries[n_clients].revents)
                server_read_log(&scene->server);
        if (entries[n_clients + 1].revents)
                server_collect(&scene->server);
        return n_events;
}

bool scene_wait(struct scene *scene, const struct client *writer) {
        int64_t left_ms = scene->deadline_ms - scene_now_ms();

        if (left_ms <= 0)
                return false;
        scene_poll(scene, writer, (int)left_ms);
        return true;
}

bool scene_wait_briefly(struct scene *scene) {
        scene_poll(scene, NULL, 1);
        return scene_now_ms() < scene->deadline_ms;
}

bool scene_fail(struct scene *scene, const char *format, ...) {
        char *text = NULL;
        va_list arguments;

        if (scene->failure.length)
                return false;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        bytes_append_text(&scene->failure, text ? text : "out of memory");
        bytes_append_text(&scene->failure, "\n");
        free(text);
        return false;
}

struct client *scene_find_client(const struct scene *scene, const char *name) {
        for (size_t i = 0; i < scene->n_clients; i++)
                if (strcmp(scene->clients[i]->name, name) == 0)
                        return scene->clients[i];
        return NULL;
}

struct client *scene_add_client(struct scene *scene, const char *name) {
        if (scene->n_clients == STAGE_CLIENTS_MAX || scene_find_client(scene, name))
                return NULL;
        scene->clients[scene->n_clients] = client_new(name);
        return scene->clients[scene->n_clients++];
}

void scene_remove_last_client(struct scene *scene) {
        client_free(scene->clients[--scene->n_clients]);
}

void scene_free_clients(struct scene *scene) {
        while (scene->n_clients)
                scene_remove_last_client(scene);
}

bool scene_start_server(struct scene *scene) {
        int error;

        scene_start_clock(scene);
        scene->is_end_expected = false;
        error = server_start(&scene->server);
        if (error)
                return scene_fail(scene, "cannot start the server: %s", strerror(-error));
        while (!server_is_ready(&scene->server)) {
                if (!scene->server.pid)
                        return scene_fail(scene, "the server ended before it was ready");
                if (!scene_wait(scene, NULL))
                        return scene_fail(scene, "the server did not say that it is ready");
        }
        return true;
}

static bool scene_await_exit(struct scene *scene) {
        while (scene->server.pid)
                if (!scene_wait(scene, NULL))
                        return scene_fail(scene, "the server did not end");
        scene->is_end_expected = true;
        return true;
}

bool scene_expect_exit(struct scene *scene, int code) {
        int status;

        if (!scene_await_exit(scene))
                return false;
        status = scene->server.exit_status;
        if (WIFSIGNALED(status))
                return scene_fail(scene, "the server was killed by signal %d", WTERMSIG(status));
        if (WEXITSTATUS(status) != code)
                return scene_fail(scene, "the server exited with %d, not %d", WEXITSTATUS(status),
                                  code);
        return true;
}

/* Ends the server as an administrator would; sockd must exit with 0. */
bool scene_stop_server(struct scene *scene) {
        int error;

        if (!scene->server.pid && scene->is_end_expected)
                return true;
        if (!scene->server.pid)
                return scene_fail(scene, "the server ended unasked, with status 0x%x",
                                  (unsigned)scene->server.exit_status);
        scene_start_clock(scene);
        error = server_signal(&scene->server, SIGTERM);
        if (error)
                return scene_fail(scene, "cannot stop the server: %s", strerror(-error));
        if (scene->server.config.kind == SERVER_SOCKD)
                return scene_expect_exit(scene, 0);
        return scene_await_exit(scene);
}

/* Has those clients read that are to: they must not seem slow because another one writes. */
static void scene_catch_up(struct scene *scene) {
        for (unsigned i = 0; i < CATCH_UP_MAX && scene_poll(scene, NULL, 0) > 0; i++)
                ;
}

/* Sends without a cut. */
static bool scene_send_all(struct scene *scene, struct client *client, const char *data,
                           size_t n_bytes) {
        while (n_bytes) {
                ssize_t length = client_send(client, data, n_bytes);

                if (length == -EAGAIN) {
                        if (!scene_wait(scene, client))
                                return scene_fail(scene, "the server did not read from %s",
                                                  client->name);
                        continue;
                }
                if (length < 0)
                        return true;
                data += length;
                n_bytes -= (size_t)length;
                scene_catch_up(scene);
        }
        return true;
}

bool scene_await_read(struct scene *scene, const struct client *client) {
        while (!client_is_read_by_peer(client))
                if (!scene_wait_briefly(scene))
                        return scene_fail(scene, "the server did not read from %s", client->name);
        return true;
}

bool scene_send(struct scene *scene, struct client *client, const char *data, size_t n_bytes) {
        size_t head = 0;

        client->mark_ms = scene_now_ms();
        if (client->fd < 0)
                return scene_fail(scene, "%s is closed", client->name);
        if (bytes_equal_text(&scene->cut_client, client->name) &&
            scene->cut_offset > client->n_sent && scene->cut_offset - client->n_sent < n_bytes) {
                head = (size_t)(scene->cut_offset - client->n_sent);
                if (!scene_send_all(scene, client, data, head) || !scene_await_read(scene, client))
                        return false;
        }
        return scene_send_all(scene, client, data + head, n_bytes - head);
}
