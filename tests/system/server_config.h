/*
 * The settings of the server under test, and the configuration files they become. For TLS the files
 * $SCENARIO_CERT and $SCENARIO_KEY are the server's.
 */
#pragma once

#include "bytes.h"

enum server_kind { SERVER_SOCKD, SERVER_NATS };
enum server_transport {
        TRANSPORT_UNIX,
        TRANSPORT_TCP,
        TRANSPORT_SEQPACKET,
        TRANSPORT_UNIX_DGRAM,
        TRANSPORT_UDP,
        TRANSPORT_TLS,
        N_TRANSPORTS,
};

/* What a scenario calls a transport, which is also its scheme, and what its sockets are. */
struct server_transport_kind {
        const char *name;
        int family, type;
};
extern const struct server_transport_kind server_transport_kinds[N_TRANSPORTS];

/* Finds a transport by its name; N_TRANSPORTS: there is none. */
enum server_transport server_transport_find(const char *name);

/* Beside the listener "main" that every sockd under test has; nats-server has no others. */
#define SERVER_LISTENERS_MAX 8
#define SERVER_SETTINGS_MAX 32

struct server_listener {
        struct bytes name;
        enum server_transport transport;
        struct bytes settings; /* libconfig text, such as "echo = true;" */
};

struct server_setting {
        char *key;
        char *value;
};

struct server_config {
        enum server_kind kind;
        enum server_transport transport; /* of the listener "main" */
        struct server_setting settings[SERVER_SETTINGS_MAX];
        size_t n_settings;
        struct bytes extra; /* text for the end of the file */
        struct server_listener listeners[SERVER_LISTENERS_MAX];
        size_t n_listeners;
};

/*
 * Sets a key by sockd's name for it, in place of an earlier value; nats-server gets its own name,
 * or nothing where it has no such key. A value of digits only is a number, any other a string.
 * False if there are too many.
 */
bool server_config_set(struct server_config *config, const char *key, const char *value);

/* Adds a listener; false if there are too many. */
bool server_config_add_listener(struct server_config *config, const char *name,
                                enum server_transport transport, const char *settings);

enum server_transport server_config_find_transport(const struct server_config *config,
                                                   const char *listener);

/* Appends the whole file; directory is where Unix sockets go. */
void server_config_write(const struct server_config *config, const char *directory,
                         struct bytes *output);
void server_config_deinit(struct server_config *config);
