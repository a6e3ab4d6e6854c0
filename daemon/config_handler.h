/* Which handler a listener has, and the handler's settings. See handler.h, and sockd.conf(5).
 *
 * They are keys of the listener. Each connection has a reference to the settings with which it
 * began, whatever is configured later.
 */
#pragma once

#include "daemon/config_exec.h"
#include "daemon/config_forward.h"
#include "daemon/config_gateway.h"
#include "daemon/proxy_protocol.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct config_listener;
struct config_reader;
struct config_setting_t;
struct targets;
struct tls_context;

enum handler_kind {
        HANDLER_BUS, /* the default */
        HANDLER_ECHO,
        HANDLER_DISCARD,
        HANDLER_DAYTIME,
        HANDLER_TIME,
        HANDLER_CHARGEN,
        HANDLER_PUBLISH,
        HANDLER_REQUEST,
        HANDLER_SUBSCRIBE,
        HANDLER_EXEC,
        HANDLER_FORWARD,
};

/* Of a forward. */
struct forward_settings {
        struct targets *targets; /* owned; what is known of them changes */
        uint64_t connect_timeout_ms;
        enum proxy_version send_proxy;
        struct tls_context *tls; /* a reference; NULL: no target has TLS */
};

struct config_handler {
        _Atomic unsigned n_references;
        enum handler_kind kind;
        struct config_gateway gateway;   /* of publish, request and subscribe */
        struct forward_settings forward; /* zeroes for others */
        struct config_exec exec;         /* of exec */
};

/* The keys, and what is made of them. */
struct config_handler_keys {
        bool echo, discard, daytime, time, chargen;
        uint64_t timeout_ms; /* of a question, or a program; 0: not given */
        struct config_gateway_keys gateway;
        struct config_forward forward;
        struct config_exec_keys exec;
        struct config_handler *made; /* a reference; NULL: the bus, without settings */
};

/* Makes listener->handler.made, and complains of keys that do not go together. Part of the check of
 * a listener. */
void config_handler_check(struct config_reader *reader, const char *path,
                          const struct config_setting_t *group, struct config_listener *listener);

/* Whether it is a gateway for plain sockets; see gateway.h. */
static inline bool config_handler_is_gateway(enum handler_kind kind) {
        return kind == HANDLER_PUBLISH || kind == HANDLER_REQUEST || kind == HANDLER_SUBSCRIBE;
}

/* NULL is allowed: the bus. Any thread. */
struct config_handler *config_handler_ref(struct config_handler *handler);
/* The same. Returns NULL. */
struct config_handler *config_handler_unref(struct config_handler *handler);
