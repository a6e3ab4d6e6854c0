/* Where a listener forwards to. See config_forward.h. */
#include "daemon/config_forward.h"

#include "daemon/config.h"
#include "daemon/config_keys.h"
#include "daemon/config_loops.h"
#include "daemon/proxy_protocol.h"
#include "daemon/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECTED "expected an address, such as \"tcp://127.0.0.1:5432\", or [ \"...\", ... ]"

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads one address into the array. Returns whether it is one. */
static bool read_target(const struct config_place *place, struct config_forward *forward) {
        struct address *address = &forward->targets[forward->n_targets];
        const char *text = config_setting_get_string(place->setting), *reason = NULL;

        if (!text)
                config_value_refuse(place, EXPECTED);
        else if (address_parse(address, text, &reason) < 0)
                config_value_refuse(place, "expected an address, but %s", reason);
        else if (strcmp(address->host, "*") == 0)
                config_value_refuse(place, "\"*\" is to listen on, expected a host to forward to");
        else if (!address_is_unix(address) && address->port == 0)
                config_value_refuse(place, "there is no port 0 to forward to");
        else
                forward->n_targets++;
        return text && !reason;
}

void config_forward_read(const struct config_place *place) {
        struct config_forward *forward = place->field;
        bool is_array =
                config_setting_is_array(place->setting) || config_setting_is_list(place->setting);
        int n = is_array ? config_setting_length(place->setting) : 1;

        if (n < 1 || n > TARGETS_MAX) {
                config_value_refuse(place, "expected from 1 to %d addresses", TARGETS_MAX);
                return;
        }
        config_forward_release(forward);
        forward->targets = calloc((size_t)n, sizeof(*forward->targets));
        if (!forward->targets) {
                place->reader->error = -ENOMEM;
                return;
        }
        for (int i = 0; i < n; i++) {
                struct config_place element = *place;

                if (is_array)
                        element.setting = config_setting_get_elem(place->setting, (unsigned)i);
                if (!read_target(&element, forward))
                        break; /* what follows would be refused for the same reason */
        }
}

void config_forward_release(void *target) {
        struct config_forward *forward = target;

        free(forward->targets);
        forward->targets = NULL;
        forward->n_targets = 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

/* What both sides of a forward have to have in common. */
static const char *kind_of(const struct address *address) {
        if (address_is_datagram(address))
                return "datagrams";
        return address->scheme == ADDRESS_UNIX_SEQPACKET ? "records" : "a stream";
}

/* How TLS is spoken with targets, whether anything is said of it or not. */
static void make_tls(struct config_reader *reader, const char *path, const config_setting_t *group,
                     struct config_listener *listener) {
        const config_setting_t *keys = config_setting_get_member(group, "forward_tls");
        char name[CONFIG_PATH_MAX];

        snprintf(name, sizeof(name), "%.100s%s", path, keys ? ".forward_tls" : "");
        if (reader->error == 0)
                config_tls_make_forward(reader, name, keys ? keys : group, &listener->forward_tls);
}

void config_forward_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, struct config_listener *listener) {
        const config_setting_t *setting = config_setting_get_member(group, "forward");
        const struct config_forward *forward = &listener->handler.forward;
        const char *from = kind_of(&listener->address);
        char text[ADDRESS_TEXT_MAX];
        bool has_tls = false;

        if (forward->send_proxy != PROXY_NONE && strcmp(from, "a stream") != 0)
                config_reader_complain(reader, config_setting_get_member(group, "send_proxy"), path,
                                       "send_proxy", "only for streams, but the listener takes %s",
                                       from);
        for (size_t i = 0; i < forward->n_targets; i++) {
                const struct address *target = &forward->targets[i];

                has_tls |= target->scheme == ADDRESS_TLS;
                if (strcmp(kind_of(target), from) != 0)
                        config_reader_complain(reader, setting, path, "forward",
                                               "the listener takes %s, but %s is for %s", from,
                                               address_format(target, text), kind_of(target));
                if (config_loops_reaches(target, listener))
                        config_reader_complain(reader, setting, path, "forward",
                                               "%s is the listener itself",
                                               address_format(target, text));
        }
        if (has_tls)
                make_tls(reader, path, group, listener);
        else if (config_setting_get_member(group, "forward_tls"))
                config_reader_complain(reader, config_setting_get_member(group, "forward_tls"),
                                       path, "forward_tls", "no target begins with tls://");
}

void config_forward_refuse_keys(struct config_reader *reader, const char *path,
                                const config_setting_t *group) {
        static const char *const keys[] = {"connect_timeout", "resolve_interval", "send_proxy",
                                           "forward_tls"};

        /* Where forward itself was refused, enough is said. */
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
                const config_setting_t *setting = config_setting_get_member(group, keys[i]);

                if (setting && !config_setting_get_member(group, "forward"))
                        config_reader_complain(reader, setting, path, keys[i],
                                               "there is no forward, which it is for");
        }
}
