/* Settings of the gateways for plain sockets. See gateway.h, and sockd.conf(5). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Where a message begins and ends; see framing.h. */
enum framing {
        FRAMING_DEFAULT, /* as the transport has it: datagrams, or lines */
        FRAMING_LINE,
        FRAMING_LENGTH32,
        FRAMING_EOF,
        FRAMING_DATAGRAM,
};

/* The framing of that name, or negative. */
int framing_parse(const char *name);

struct config_listener;
struct config_reader;
struct config_setting_t;
struct subject_template;

/* What a gateway is made of. */
struct config_gateway {
        struct subject_template *subject; /* owned */
        char *queue;                      /* owned; NULL: none */
        enum framing framing;             /* not the default one */
        size_t max_line;                  /* bytes of a line */
        uint64_t timeout_ms;              /* of a question */
        unsigned max_in_flight;           /* questions of one peer */
};

/* The keys; of numbers, 0: not given. */
struct config_gateway_keys {
        char *publish, *request, *subscribe, *queue;
        int framing; /* enum framing */
        uint64_t max_line;
        unsigned max_in_flight;
};

/* Complains of keys that are not for a handler of that kind, enum handler_kind. */
void config_gateway_check(struct config_reader *reader, const char *path,
                          const struct config_setting_t *group,
                          const struct config_listener *listener, int kind);

/* Fills in a gateway whose subject is the value of `key`, and complains of what is wrong with it.
 */
void config_gateway_make(struct config_reader *reader, const char *path,
                         const struct config_setting_t *group,
                         const struct config_listener *listener, const char *key,
                         struct config_gateway *gateway);

/* Frees what it has. */
void config_gateway_deinit(struct config_gateway *gateway);
