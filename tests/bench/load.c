/* The load generator: one workload against one server, which may be nats-server, sockd or a bare
 * relay. It is as light as it can be: messages are made once and written many times, and what comes
 * back is counted by its length.
 *
 * usage: load ADDRESS WORKLOAD [name=number...]
 *
 *   publish            messages from publishers to         publishers subscribers size messages
 *                      subscribers                         crowd wildcards churn stalled
 *   request            requests to one responder, one at   clients messages new_inboxes
 *                      a time for each client
 *   connect            connections, one after the other    messages
 *   idle               connections with a subscription     connections
 *                      each
 *   subscribe          subscriptions on one connection     messages wildcards
 *   datagram-publish   messages that nobody hears, so      messages size operations pace
 *                      many operations in a datagram, so
 *                      many messages a second
 *   datagram-request   as request                          clients messages
 *
 * ADDRESS is tcp:PORT or unix:PATH, and for datagrams udp:PORT or dgram:PATH. `pid=N`, the
 * server's, adds what it used. Prints one line of name=value: rate (a second), cpu (seconds of the
 * server for a million), p50 and p99 (microseconds), lost (percent of the datagrams; the rate is
 * without them), memory (bytes of the server for each), resident (bytes afterwards).
 */
#include "tests/bench/load.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static struct parameter {
        const char *name;
        long value;
} parameters[] = {
        {"publishers", 1}, {"subscribers", 1}, {"size", 16},       {"messages", 1000000},
        {"clients", 16},   {"connections", 0}, {"crowd", 0},       {"wildcards", 0},
        {"churn", 0},      {"stalled", 0},     {"new_inboxes", 0}, {"pid", 0},
        {"operations", 1}, {"pace", 0},
};

long *parameter(const char *name) {
        for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
                if (strcmp(parameters[i].name, name) == 0)
                        return &parameters[i].value;
        errx(2, "load: unknown parameter \"%s\"", name);
}

static void take_parameters(char **arguments) {
        for (; *arguments; arguments++) {
                char *equals = strchr(*arguments, '=');

                if (!equals)
                        errx(2, "load: expected name=number, found \"%s\"", *arguments);
                *equals = '\0';
                *parameter(*arguments) = atol(equals + 1);
        }
}

static const struct {
        const char *name;
        void (*run)(void);
} workloads[] = {
        {"publish", run_publish},
        {"request", run_request},
        {"connect", run_connect},
        {"idle", run_idle},
        {"subscribe", run_subscribe},
        {"datagram-publish", run_datagram_publish},
        {"datagram-request", run_datagram_request},
};

int main(int argc, char **argv) {
        struct rlimit limit;

        if (argc < 3)
                errx(2, "usage: load ADDRESS WORKLOAD [name=number...]");
        server_address = argv[1];
        take_parameters(argv + 3);
        (void)getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
        for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++)
                if (strcmp(workloads[i].name, argv[2]) == 0) {
                        workloads[i].run();
                        printf(" resident=%ld\n", server_memory());
                        return 0;
                }
        errx(2, "load: unknown workload \"%s\"", argv[2]);
}
