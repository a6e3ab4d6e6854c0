/* A raw client: a connected stream socket and the bytes that came from it. */
#pragma once

#include "bytes.h"
#include "server.h"

#include <jansson.h>
#include <stdint.h>

struct client {
        char *name;
        int fd;          /* -1 once closed by us */
        void *tls;       /* client_tls.h; NULL: none */
        bool is_reading; /* false: leaves its input in the kernel */
        bool has_ended;  /* the server closed, or reset, the connection */
        int end_error;   /* errno of a reset, 0 for an orderly end */
        struct bytes input;
        size_t input_start;  /* what lies before it was consumed */
        struct bytes frames; /* size_t each: how much came at once, of what was not consumed */
        json_t *info;       /* the last INFO, or NULL */
        int64_t mark_ms;    /* when it last began to send or last got what it expected */
        uint64_t n_sent;
};

struct client *client_new(const char *name);
struct client *client_free(struct client *client);

/* Connects, waiting for it. Returns 0 or -errno. */
int client_connect(struct client *client, const struct server_address *address);

/* Sends what the socket takes now. Returns the number of bytes, or -errno (-EAGAIN when full). */
ssize_t client_send(struct client *client, const char *data, size_t n_bytes);

/* Takes in what has arrived; call when the socket is readable. */
void client_receive(struct client *client);

const char *client_input(const struct client *client);
size_t client_n_input(const struct client *client);
void client_consume(struct client *client, size_t n_bytes);

/* How much of what is left came with the first read; of a seqpacket socket that is a record. */
size_t client_frame(const struct client *client);

/* Takes n_bytes at offset out of the input. */
void client_cut_input(struct client *client, size_t offset, size_t n_bytes);

/*
 * Has the server taken all that was sent out of its socket? False only while it surely has not;
 * where the kernel cannot tell, the answer is true.
 */
bool client_is_read_by_peer(const struct client *client);
