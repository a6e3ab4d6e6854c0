/* Where a listener forwards to, and how: the keys of `forward`, as written. See sockd.conf(5).
 *
 * They are keys of the listener; what is made of them is in struct config_handler.
 */
#pragma once

#include "lib/address.h"

#include <stddef.h>
#include <stdint.h>

struct config_listener;
struct config_place;
struct config_reader;
struct config_setting_t;

struct config_forward {
        struct address *targets; /* owned */
        size_t n_targets;
        uint64_t connect_timeout_ms; /* of each attempt */
        uint64_t resolve_interval_ms;
        int send_proxy; /* enum proxy_version: targets are told who is there */
};

/* Reads `forward`: an address, or an array of them; and frees them. */
void config_forward_read(const struct config_place *place);
void config_forward_release(void *target);

/* Complains of targets that the listener cannot forward to, and makes listener->forward_tls.context
 * if there are some with TLS. */
void config_forward_check(struct config_reader *reader, const char *path,
                          const struct config_setting_t *group, struct config_listener *listener);

/* Complains of keys that are of a forward, where there is none. */
void config_forward_refuse_keys(struct config_reader *reader, const char *path,
                                const struct config_setting_t *group);
