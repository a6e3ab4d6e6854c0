/* Proves that C programs written for nats-server work with the server under test as they are.
 *
 * Each case does with libnats, which is not ours, what its name says, over connections of its own.
 * Nothing here knows the protocol, but for the peers of datagrams.c: what libnats makes of the
 * server's answers is what is judged.
 *
 * usage: libnats_client URL [PORT]
 *
 * PORT is the server's UDP port on 127.0.0.1; cases that need one are skipped if it has none.
 *
 * Prints TAP. Cases that need the server to go away and come back print the line STOP, later the
 * line START; whoever runs this program (../run.sh) then stops the server, or starts it again on
 * the same port. A case waits for what follows from that, as for every other event, until a
 * deadline, and never sleeps. */

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CASES = 64 };

static struct CMUnitTest cases[MAX_CASES];
static size_t n_cases;

static void add_cases(const struct CMUnitTest *more, size_t n) {
        if (n > MAX_CASES - n_cases)
                abort();
        memcpy(cases + n_cases, more, n * sizeof *more);
        n_cases += n;
}

int main(int argc, char **argv) {
        int n_failed;

        if (argc != 2 && argc != 3) {
                fprintf(stderr, "usage: %s URL [PORT]\n", argv[0]);
                return 2;
        }
        server_url = argv[1];
        server_udp_port = argc == 3 ? (uint16_t)atoi(argv[2]) : 0;
        add_cases(libnats_messages, n_libnats_messages);
        add_cases(libnats_requests, n_libnats_requests);
        add_cases(libnats_datagrams, n_libnats_datagrams);
        add_cases(libnats_connections, n_libnats_connections);

        cmocka_set_message_output(CM_OUTPUT_TAP);
        n_failed = _cmocka_run_group_tests("libnats", cases, n_cases, NULL, NULL);
        nats_CloseAndWait(DEADLINE_MS);
        scenes_free();
        return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
