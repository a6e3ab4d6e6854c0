/* Forwards that lead back. See config_loops.h. */
#include "daemon/config_loops.h"

#include "daemon/config.h"
#include "daemon/config_value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How much of a ring is told. */
#define RING_TEXT_MAX 512
/* No listener. */
#define NONE SIZE_MAX

/* --- places ------------------------------------------------------------------------------------
 */

/* What an address stands for. */
struct spot {
        enum address_scheme scheme; /* of TLS that of TCP */
        bool is_abstract, v6only;
        uint16_t port;
        struct in6_addr hosts[2]; /* IPv4 addresses are mapped */
        unsigned n_hosts;
        char path[PATH_MAX];
};

/* Writes the path that a path leads to, as far as it exists. */
static void find_path(const char *path, char found[PATH_MAX]) {
        const char *name = strrchr(path, '/') + 1;
        char parent[PATH_MAX], *directory;

        if (realpath(path, found))
                return;
        snprintf(parent, sizeof(parent), "%.*s", (int)(name - path), path);
        directory = realpath(parent, NULL);
        if (!directory || snprintf(found, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
                snprintf(found, PATH_MAX, "%s", path);
        free(directory);
}

static void add_host(struct spot *spot, const char *host) {
        struct in6_addr *to = &spot->hosts[spot->n_hosts];
        char text[sizeof("::ffff:") + INET_ADDRSTRLEN];

        snprintf(text, sizeof(text), "::ffff:%.15s", host);
        if (inet_pton(AF_INET6, text, to) == 1 || inet_pton(AF_INET6, host, to) == 1)
                spot->n_hosts++;
}

static void find_hosts(struct spot *spot, const char *host) {
        char numeric[sizeof(((struct address *)0)->host)];

        if (strcmp(host, "*") == 0) {
                add_host(spot, "0.0.0.0");
                add_host(spot, "::");
        } else if (strcmp(host, "localhost") == 0) {
                add_host(spot, "127.0.0.1");
                add_host(spot, "::1");
        } else {
                /* Without its zone. */
                snprintf(numeric, sizeof(numeric), "%.*s", (int)strcspn(host, "%"), host);
                add_host(spot, numeric);
        }
}

static void find_spot(struct spot *spot, const struct address *address, bool v6only) {
        *spot = (struct spot){
                .scheme = address->scheme == ADDRESS_TLS ? ADDRESS_TCP : address->scheme,
                .is_abstract = address->is_abstract,
                .v6only = v6only,
                .port = address->port,
        };
        if (!address_is_unix(address))
                find_hosts(spot, address->host);
        else if (address->is_abstract)
                snprintf(spot->path, sizeof(spot->path), "%s", address->path);
        else
                find_path(address->path, spot->path);
}

static bool is_any_ipv4(const struct in6_addr *host) {
        return IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr32[3] == htonl(INADDR_ANY);
}

static bool is_loopback(const struct in6_addr *host) {
        return IN6_IS_ADDR_LOOPBACK(host) ||
               (IN6_IS_ADDR_V4MAPPED(host) && host->s6_addr[12] == IN_LOOPBACKNET);
}

/* Whether an interface has this address. */
static bool has_address(const struct sockaddr *address, const struct in6_addr *host) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

        if (!address)
                return false;
        if (address->sa_family == AF_INET6)
                return IN6_ARE_ADDR_EQUAL(&in6->sin6_addr, host);
        return address->sa_family == AF_INET && IN6_IS_ADDR_V4MAPPED(host) &&
               in->sin_addr.s_addr == host->s6_addr32[3];
}

/* Whether it is an address of this host. */
static bool is_local(const struct in6_addr *host) {
        struct ifaddrs *all, *one;

        if (is_loopback(host))
                return true;
        if (getifaddrs(&all) < 0)
                return false;
        for (one = all; one && !has_address(one->ifa_addr, host); one = one->ifa_next)
                ;
        freeifaddrs(all);
        return one;
}

/* Whether who connects to one comes to the other, which is listened on. */
static bool covers(const struct in6_addr *listen, bool v6only, const struct in6_addr *target) {
        bool is_ipv4 = IN6_IS_ADDR_V4MAPPED(target);

        if (IN6_ARE_ADDR_EQUAL(listen, target))
                return true;
        if (is_any_ipv4(listen))
                return is_ipv4 && is_local(target);
        return IN6_IS_ADDR_UNSPECIFIED(listen) && !(v6only && is_ipv4) && is_local(target);
}

/* Where a connection to a host goes: that to any address to loopback. */
static struct in6_addr go_to(const struct in6_addr *host) {
        struct in6_addr to = *host;

        if (is_any_ipv4(host))
                to.s6_addr32[3] = htonl(INADDR_LOOPBACK);
        return IN6_IS_ADDR_UNSPECIFIED(host) ? in6addr_loopback : to;
}

static bool reaches(const struct spot *target, const struct spot *listen) {
        if (target->scheme != listen->scheme || target->port != listen->port ||
            target->is_abstract != listen->is_abstract || strcmp(target->path, listen->path) != 0)
                return false;
        if (*target->path != '\0')
                return true;
        for (unsigned i = 0; i < target->n_hosts; i++) {
                struct in6_addr to = go_to(&target->hosts[i]);

                for (unsigned j = 0; j < listen->n_hosts; j++)
                        if (covers(&listen->hosts[j], listen->v6only, &to))
                                return true;
        }
        return false;
}

bool config_loops_reaches(const struct address *target, const struct config_listener *listener) {
        struct spot from, to;

        find_spot(&from, target, false);
        find_spot(&to, &listener->address, listener->v6only);
        return address_is_equal(target, &listener->address) || reaches(&from, &to);
}

/* --- rings -------------------------------------------------------------------------------------
 */

/* Which listeners forward to which. */
struct graph {
        const struct config *config;
        struct spot *spots; /* where they listen; owned */
        bool *edges;        /* of each row a listener, of each column whom it forwards to; owned */
        size_t *before;     /* from where a listener was found; owned */
        size_t *queue;      /* those that were found; owned */
};

static void graph_deinit(struct graph *graph) {
        free(graph->spots);
        free(graph->edges);
        free(graph->before);
        free(graph->queue);
}

static int graph_init(struct graph *graph, const struct config *config) {
        size_t n = config->n_listeners;

        *graph = (struct graph){
                .config = config,
                .spots = calloc(n, sizeof(*graph->spots)),
                .edges = calloc(n * n, sizeof(*graph->edges)),
                .before = calloc(n, sizeof(*graph->before)),
                .queue = calloc(n, sizeof(*graph->queue)),
        };
        return graph->spots && graph->edges && graph->before && graph->queue ? 0 : -ENOMEM;
}

static bool is_forward(const struct config_listener *listener) {
        return listener->handler.forward.n_targets > 0;
}

static bool has_forward(const struct config *config) {
        for (size_t i = 0; i < config->n_listeners; i++)
                if (is_forward(&config->listeners[i]))
                        return true;
        return false;
}

/* Notes whom a target of a listener leads to; others than those that forward lead nowhere. */
static void add_edges(struct graph *graph, size_t from, const struct address *target) {
        size_t n = graph->config->n_listeners;
        struct spot spot;

        find_spot(&spot, target, false);
        for (size_t to = 0; to < n; to++)
                if (to != from && is_forward(&graph->config->listeners[to]))
                        graph->edges[from * n + to] |= reaches(&spot, &graph->spots[to]);
}

static void fill(struct graph *graph) {
        const struct config *config = graph->config;

        for (size_t i = 0; i < config->n_listeners; i++)
                find_spot(&graph->spots[i], &config->listeners[i].address,
                          config->listeners[i].v6only);
        for (size_t i = 0; i < config->n_listeners; i++) {
                const struct config_forward *forward = &config->listeners[i].handler.forward;

                for (size_t k = 0; k < forward->n_targets; k++)
                        add_edges(graph, i, &forward->targets[k]);
        }
}

/* Finds a way from a listener back to it by listeners behind it in the configuration, so that a
 * ring is found once. Returns the last one of that way, or NONE. */
static size_t find_ring(struct graph *graph, size_t start) {
        size_t n = graph->config->n_listeners, n_found = 1;

        for (size_t i = 0; i < n; i++)
                graph->before[i] = NONE;
        graph->queue[0] = start;
        for (size_t k = 0; k < n_found; k++) {
                const bool *edges = &graph->edges[graph->queue[k] * n];

                if (edges[start])
                        return graph->queue[k];
                for (size_t i = start + 1; i < n; i++) {
                        if (!edges[i] || graph->before[i] != NONE)
                                continue;
                        graph->before[i] = graph->queue[k];
                        graph->queue[n_found++] = i;
                }
        }
        return NONE;
}

static const char *name_of(const struct graph *graph, size_t i) {
        const char *name = graph->config->listeners[i].name;

        return name ? name : "?";
}

/* Writes the ring, from its end on. */
static void describe(const struct graph *graph, size_t start, size_t last,
                     char text[RING_TEXT_MAX]) {
        char behind[RING_TEXT_MAX];

        snprintf(text, RING_TEXT_MAX, "\"%s\"", name_of(graph, start));
        for (size_t i = last; i != NONE; i = graph->before[i]) {
                memcpy(behind, text, sizeof(behind));
                snprintf(text, RING_TEXT_MAX, "\"%s\" -> %.400s", name_of(graph, i), behind);
        }
}

static void warn(struct config_reader *reader, const config_setting_t *group,
                 const struct graph *graph, size_t start, size_t last) {
        const config_setting_t *list = config_setting_get_member(group, "listeners");
        const config_setting_t *setting = config_setting_get_elem(list, (unsigned)start);
        char path[32], ring[RING_TEXT_MAX];

        describe(graph, start, last, ring);
        snprintf(path, sizeof(path), "listeners[%zu]", start);
        config_reader_warn(reader, config_setting_get_member(setting, "forward"), path, "forward",
                           "it leads back, and connections may go round for ever: %s", ring);
}

void config_loops_check(struct config_reader *reader, const struct config_setting_t *group,
                        const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "listeners");
        struct graph graph;

        /* A list of the wrong length or type was not read at all. */
        if (!list || config->n_listeners != (size_t)config_setting_length(list) ||
            !has_forward(config))
                return;
        if (graph_init(&graph, config) < 0)
                reader->error = -ENOMEM;
        else
                fill(&graph);
        for (size_t i = 0; reader->error == 0 && i < config->n_listeners; i++) {
                size_t last = find_ring(&graph, i);

                if (last != NONE)
                        warn(reader, group, &graph, i, last);
        }
        graph_deinit(&graph);
}
