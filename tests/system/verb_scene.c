/* What is told to the scene itself: clients come, the server is signalled, restarted, ends. */
#include "verb.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool connect_client(struct scene *scene, struct client *client, const char *listener,
                           int *errorp) {
        struct server_address address = {};

        if (!server_find_address(&scene->server, listener, &address))
                return scene_fail(scene, "the log names no address of listener %s", listener);
        *errorp = client_connect(client, &address);
        return true;
}

/* Connects a new client and takes its INFO unless it is to stay raw. */
static bool admit_client(struct scene *scene, const char *name, const char *listener, bool is_raw) {
        static const struct words no_words;
        struct client *client = scene_add_client(scene, name);
        int error = 0;

        if (!client)
                return scene_fail(scene, "%s exists, or there are too many clients", name);
        if (!connect_client(scene, client, listener, &error))
                return false;
        if (error)
                return scene_fail(scene, "%s cannot connect: %s", name, strerror(-error));
        /* A datagram peer is told nothing that it did not ask for. */
        is_raw |= server_transport_kinds[server_config_find_transport(&scene->server.config,
                                                                      listener)]
                          .type == SOCK_DGRAM;
        return is_raw || verb_find(verb_expect_table, "expect-info")->act(scene, client, &no_words);
}

/* Connects again and again until the server answers a PING: a place is free. */
static bool admit_patient_client(struct scene *scene, const char *name, const char *listener) {
        static const char pong[] = "PONG\r\n";

        for (;;) {
                struct client *client;

                if (!admit_client(scene, name, listener, false))
                        return false;
                client = scene_find_client(scene, name);
                if (!scene_send(scene, client, "PING\r\n", 6))
                        return false;
                while (!client->has_ended && client_n_input(client) < strlen(pong))
                        if (!scene_wait(scene, NULL))
                                return scene_fail(scene, "%s was not admitted", name);
                if (strncmp(client_input(client), pong, strlen(pong)) == 0) {
                        client_consume(client, strlen(pong));
                        return true;
                }
                scene_remove_last_client(scene);
        }
}

/*
 * client NAME [raw|patient] [LISTENER]: connects, and unless raw takes the INFO. A patient client
 * tries until it is admitted.
 */
static bool act_client(struct scene *scene, struct client *client, const struct words *words) {
        const char *name = bytes_text(&words->items[0]), *listener = "main";
        bool is_raw = false, is_patient = false;

        (void)client;
        for (size_t i = 1; i < words->n; i++) {
                if (bytes_equal_text(&words->items[i], "raw"))
                        is_raw = true;
                else if (bytes_equal_text(&words->items[i], "patient"))
                        is_patient = true;
                else
                        listener = bytes_text(&words->items[i]);
        }
        return is_patient ? admit_patient_client(scene, name, listener)
                          : admit_client(scene, name, listener, is_raw);
}

/* expect-connection-refused [LISTENER]: nobody listens there any more. */
static bool act_expect_connection_refused(struct scene *scene, struct client *client,
                                          const struct words *words) {
        const char *listener = words->n ? bytes_text(&words->items[0]) : "main";
        int error = 0;
        bool found;

        client = client_new("refused");
        found = connect_client(scene, client, listener, &error);
        client_free(client);
        if (found && !error)
                return scene_fail(scene, "the connection was accepted");
        return found;
}

static bool act_signal(struct scene *scene, struct client *client, const struct words *words) {
        static const struct {
                const char *name;
                int number;
        } signals[] = { { "TERM", SIGTERM }, { "INT", SIGINT },   { "HUP", SIGHUP },
                        { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "KILL", SIGKILL } };
        int error = 0;

        (void)client;
        for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
                if (!bytes_equal_text(&words->items[0], signals[i].name))
                        continue;
                error = server_signal(&scene->server, signals[i].number);
                return !error || scene_fail(scene, "signal: %s", strerror(-error));
        }
        return scene_fail(scene, "no signal %s", bytes_text(&words->items[0]));
}

static bool act_expect_exit(struct scene *scene, struct client *client, const struct words *words) {
        unsigned long code;

        (void)client;
        return verb_read_number(scene, &words->items[0], 255, &code) &&
               scene_expect_exit(scene, (int)code);
}

/* reconfigure KEY VALUE: changes the file; the server sees it at its next reload or start. */
static bool act_reconfigure(struct scene *scene, struct client *client, const struct words *words) {
        int error = 0;

        (void)client;
        if (!server_config_set(&scene->server.config, bytes_text(&words->items[0]),
                               bytes_text(&words->items[1])))
                return scene_fail(scene, "too many settings");
        error = server_write_config(&scene->server);
        return !error || scene_fail(scene, "cannot write: %s", strerror(-error));
}

static bool act_restart(struct scene *scene, struct client *client, const struct words *words) {
        (void)client;
        (void)words;
        return scene_stop_server(scene) && scene_start_server(scene);
}

static bool act_expect_log(struct scene *scene, struct client *client, const struct words *words) {
        const char *expression = bytes_text(&words->items[0]);
        int found;

        (void)client;
        while ((found = server_find_in_log(&scene->server, expression)) == 0)
                if (scene->server.log_fd < 0 || !scene_wait(scene, NULL))
                        return scene_fail(scene, "not in the log: %s", expression);
        return found > 0 || scene_fail(scene, "bad expression: %s", expression);
}

const struct verb verb_server_table[] = {
        { "signal", 1, 1, act_signal },
        { "restart", 0, 0, act_restart },
        { "reconfigure", 2, 2, act_reconfigure },
        { "expect-exit", 1, 1, act_expect_exit },
        { "expect-log", 1, 1, act_expect_log },
        { "expect-connection-refused", 0, 1, act_expect_connection_refused },
        VERB_END,
};

const struct verb verb_scene_table[] = {
        { "client", 1, 3, act_client },
        { "expect-shared-run", 4, WORDS_MAX, verb_expect_shared_run },
        VERB_END,
};
