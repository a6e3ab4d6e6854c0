/* Variables that tell of a peer. See exec_variables.h. */
#include "daemon/exec_variables.h"

#include "daemon/config_value.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLES_MAX 32

struct variables {
        char **list; /* NULL at the end */
        size_t n;
        bool has_failed;
};

/* Adds a variable, unless there is nothing to say. */
static void add(struct variables *variables, const char *name, const char *value) {
        char *text;

        if (!value || !*value)
                return;
        if (variables->n == VARIABLES_MAX || asprintf(&text, "%s=%s", name, value) < 0) {
                variables->has_failed = true;
                return;
        }
        text_make_printable(text, strlen(text));
        variables->list[variables->n++] = text;
}

static void add_number(struct variables *variables, const char *name, unsigned long number) {
        char text[32];

        snprintf(text, sizeof(text), "%lu", number);
        add(variables, name, text);
}

static void add_port(struct variables *variables, const char *name, uint16_t port) {
        if (port != 0)
                add_number(variables, name, port);
}

/* As of tcpserver; of UDP, what would be its names there. */
static void add_internet(struct variables *variables, const struct variables_peer *peer) {
        bool is_udp = peer->is_datagram;

        add(variables, "PROTO", is_udp ? "UDP" : "TCP");
        add(variables, "SOCKD_PEER_ADDRESS", peer->ip);
        add_port(variables, "SOCKD_PEER_PORT", peer->port);
        add(variables, "SOCKD_LOCAL_ADDRESS", peer->local_ip);
        add_port(variables, "SOCKD_LOCAL_PORT", peer->local_port);
        add(variables, "REMOTE_HOST", peer->ip);
        add_port(variables, "REMOTE_PORT", peer->port);
        add(variables, is_udp ? "UDPREMOTEIP" : "TCPREMOTEIP", peer->ip);
        add_port(variables, is_udp ? "UDPREMOTEPORT" : "TCPREMOTEPORT", peer->port);
        add(variables, is_udp ? "UDPLOCALIP" : "TCPLOCALIP", peer->local_ip);
        add_port(variables, is_udp ? "UDPLOCALPORT" : "TCPLOCALPORT", peer->local_port);
}

/* As of unixserver. */
static void add_unix(struct variables *variables, const struct variables_peer *peer) {
        add(variables, "PROTO", "UNIX");
        add(variables, "SOCKD_LOCAL_ADDRESS", peer->local_path);
        add(variables, "UNIXLOCALPATH", peer->local_path);
        if (peer->has_uid)
                add_number(variables, "UNIXREMOTEEUID", peer->uid);
        if (!peer->has_process)
                return;
        add_number(variables, "UNIXREMOTEEGID", peer->gid);
        add_number(variables, "UNIXREMOTEPID", (unsigned long)peer->pid);
}

char **exec_variables_make(const struct variables_peer *peer) {
        struct variables variables = {.list = calloc(VARIABLES_MAX + 1, sizeof(char *))};

        if (!variables.list)
                return NULL;
        add(&variables, "SOCKD_LISTENER", peer->listener);
        if (peer->client)
                add_number(&variables, "SOCKD_CLIENT", (unsigned long)peer->client);
        if (peer->is_unix)
                add_unix(&variables, peer);
        else
                add_internet(&variables, peer);
        if (peer->has_uid)
                add_number(&variables, "SOCKD_PEER_UID", peer->uid);
        if (peer->has_process) {
                add_number(&variables, "SOCKD_PEER_GID", peer->gid);
                add_number(&variables, "SOCKD_PEER_PID", (unsigned long)peer->pid);
        }
        add(&variables, "SOCKD_PEER_USER", peer->user);
        add(&variables, "SOCKD_PEER_UNIT", peer->unit);
        add(&variables, "SOCKD_TLS_VERSION", peer->tls_version);
        return variables.has_failed ? config_strings_free(variables.list) : variables.list;
}
