/* TLS of a raw client. Without OpenSSL there is none, and connecting fails. */
#pragma once

#include "client.h"

/* Takes the INFO that comes in plain, then shakes hands; the socket blocks meanwhile. A server that
 * says something else instead is left as it is. Returns 0 or -errno. */
int client_tls_begin(struct client *client);
void client_tls_free(struct client *client);

/* As send(2) and recv(2), with errno. */
ssize_t client_tls_send(struct client *client, const char *data, size_t n_bytes);
ssize_t client_tls_receive(struct client *client, char *data, size_t n_bytes);
