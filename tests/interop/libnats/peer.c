/* A peer without a library; see peer.h. */

#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int peer_open(struct scene *scene) {
        struct timeval deadline = {.tv_sec = DEADLINE_MS / 1000};
        struct sockaddr_in server = {
                .sin_family = AF_INET,
                .sin_port = htons(server_udp_port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        int peer;

        if (server_udp_port == 0) {
                print_message("skipping: the server has no datagrams\n");
                skip();
        }
        assert_true(scene->n_peers < MAX_PEERS);
        peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(peer >= 0);
        scene->peers[scene->n_peers++] = peer;
        assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
        assert_int_equal(connect(peer, (struct sockaddr *)&server, sizeof server), 0);
        return peer;
}

void peer_send_bytes(int peer, const void *bytes, size_t n_bytes) {
        assert_int_equal(send(peer, bytes, n_bytes, 0), n_bytes);
}

void peer_send(int peer, const char *text) {
        peer_send_bytes(peer, text, strlen(text));
}

bool peer_receive(int peer, struct datagram *datagram) {
        ssize_t n_bytes = recv(peer, datagram->bytes, DATAGRAM_MAX, 0);

        if (n_bytes < 0)
                return false;
        datagram->n_bytes = (size_t)n_bytes;
        datagram->bytes[n_bytes] = '\0';
        return true;
}

static void receive(int peer, struct datagram *datagram) {
        if (!peer_receive(peer, datagram))
                fail_msg("no datagram in time");
}

static void expect_datagram(const struct datagram *datagram, const void *bytes, size_t n_bytes) {
        if (datagram->n_bytes != n_bytes || memcmp(datagram->bytes, bytes, n_bytes) != 0)
                fail_msg("a datagram of %zu bytes: %.200s, expected %zu: %.200s", datagram->n_bytes,
                         datagram->bytes, n_bytes, (const char *)bytes);
}

static bool is_info(const struct datagram *datagram) {
        return strncmp(datagram->bytes, "INFO {", 6) == 0;
}

void peer_expect_bytes(int peer, const void *bytes, size_t n_bytes) {
        struct datagram datagram;

        receive(peer, &datagram);
        expect_datagram(&datagram, bytes, n_bytes);
}

void peer_expect(int peer, const char *text) {
        peer_expect_bytes(peer, text, strlen(text));
}

void peer_expect_info(int peer) {
        struct datagram datagram;

        receive(peer, &datagram);
        if (!is_info(&datagram))
                fail_msg("expected INFO, not %.200s", datagram.bytes);
}

void peer_expect_info_and(int peer, const char *text) {
        struct datagram datagram;

        receive(peer, &datagram);
        if (is_info(&datagram)) {
                peer_expect(peer, text);
        } else {
                expect_datagram(&datagram, text, strlen(text));
                peer_expect_info(peer);
        }
}

void peer_send_and_sync(int peer, const char *text) {
        char operations[512];

        snprintf(operations, sizeof operations, "%sPING\r\n", text);
        peer_send(peer, operations);
        peer_expect(peer, "PONG\r\n");
}
