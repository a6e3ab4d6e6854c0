/* Settings of gateways. See config_gateway.h. */
#include "daemon/config_gateway.h"

#include "daemon/config.h"
#include "daemon/config_value.h"
#include "daemon/subject_template.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_LINE      (64 * 1024)
#define DEFAULT_TIMEOUT_MS    2000
#define DEFAULT_MAX_IN_FLIGHT 1024
#define TIMEOUT_MAX_MS        (UINT64_C(3600) * 1000)

static const char *const framings[] = {
        [FRAMING_LINE] = "line",
        [FRAMING_LENGTH32] = "length32",
        [FRAMING_EOF] = "eof",
        [FRAMING_DATAGRAM] = "datagram",
};

int framing_parse(const char *name) {
        for (int i = FRAMING_LINE; i <= FRAMING_DATAGRAM; i++)
                if (strcmp(name, framings[i]) == 0)
                        return i;
        return -1;
}

static void complain(struct config_reader *reader, const char *path, const config_setting_t *group,
                     const char *key, const char *text) {
        config_reader_complain(reader, config_setting_get_member(group, key), path, key, "%s",
                               text);
}

void config_gateway_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, const struct config_listener *listener,
                          int kind) {
        const struct config_gateway_keys *keys = &listener->handler.gateway;

        if (keys->framing && !config_handler_is_gateway(kind))
                complain(reader, path, group, "framing",
                         "only for listeners with publish, request or subscribe");
        if (keys->max_line && kind != HANDLER_PUBLISH && kind != HANDLER_REQUEST)
                complain(reader, path, group, "max_line",
                         "only for listeners with publish or request");
        if (keys->queue && kind != HANDLER_SUBSCRIBE)
                complain(reader, path, group, "queue", "only for listeners with subscribe");
        if (listener->handler.timeout_ms && kind != HANDLER_REQUEST && kind != HANDLER_EXEC)
                complain(reader, path, group, "timeout", "only for listeners with request or exec");
        if (listener->handler.timeout_ms > TIMEOUT_MAX_MS && kind == HANDLER_REQUEST)
                complain(reader, path, group, "timeout",
                         "with request, expected a duration up to \"1h\"");
        if (keys->max_in_flight && kind != HANDLER_REQUEST)
                complain(reader, path, group, "max_in_flight", "only for listeners with request");
}

static bool keeps_boundaries(const struct address *address) {
        return address_is_datagram(address) || address->scheme == ADDRESS_UNIX_SEQPACKET;
}

/* Whether frames can be told in what the transport brings, and sent. */
static void check_framing(struct config_reader *reader, const char *path,
                          const config_setting_t *group, const struct config_listener *listener) {
        const struct config_gateway_keys *keys = &listener->handler.gateway;
        bool is_bounded = keeps_boundaries(&listener->address);

        if (is_bounded && (keys->framing == FRAMING_LENGTH32 || keys->framing == FRAMING_EOF))
                complain(reader, path, group, "framing",
                         "expected \"datagram\" or \"line\", as datagrams and records have their "
                         "own length");
        if (!is_bounded && keys->framing == FRAMING_DATAGRAM)
                complain(
                        reader, path, group, "framing",
                        "expected \"line\", \"length32\" or \"eof\", as a stream has no datagrams");
        if (!is_bounded && keys->framing == FRAMING_EOF && keys->subscribe)
                complain(reader, path, group, "framing",
                         "expected \"line\" or \"length32\", as what is subscribed to has no end");
}

static enum framing framing_of(const struct config_listener *listener) {
        if (listener->handler.gateway.framing != FRAMING_DEFAULT)
                return (enum framing)listener->handler.gateway.framing;
        return keeps_boundaries(&listener->address) ? FRAMING_DATAGRAM : FRAMING_LINE;
}

static void make_subject(struct config_reader *reader, const char *path,
                         const config_setting_t *group, const struct config_listener *listener,
                         const char *key, struct config_gateway *gateway) {
        const config_setting_t *setting = config_setting_get_member(group, key);
        const char *text = config_setting_get_string(setting);
        char reason[SUBJECT_REASON_MAX], found[CONFIG_FOUND_MAX];
        int r = subject_template_new(&gateway->subject, bytes_from_string(text ? text : ""),
                                     listener->handler.gateway.subscribe, reason);

        if (r == -ENOMEM)
                reader->error = r;
        else if (r < 0)
                config_reader_complain(reader, setting, path, key, "found %s, %s",
                                       config_value_describe(setting, found), reason);
}

void config_gateway_make(struct config_reader *reader, const char *path,
                         const config_setting_t *group, const struct config_listener *listener,
                         const char *key, struct config_gateway *gateway) {
        const struct config_gateway_keys *keys = &listener->handler.gateway;

        check_framing(reader, path, group, listener);
        make_subject(reader, path, group, listener, key, gateway);
        gateway->framing = framing_of(listener);
        gateway->max_line = keys->max_line ? keys->max_line : DEFAULT_MAX_LINE;
        gateway->timeout_ms =
                listener->handler.timeout_ms ? listener->handler.timeout_ms : DEFAULT_TIMEOUT_MS;
        gateway->max_in_flight = keys->max_in_flight ? keys->max_in_flight : DEFAULT_MAX_IN_FLIGHT;
        gateway->queue = keys->queue ? strdup(keys->queue) : NULL;
        if (keys->queue && !gateway->queue)
                reader->error = -ENOMEM;
}

void config_gateway_deinit(struct config_gateway *gateway) {
        subject_template_free(gateway->subject);
        free(gateway->queue);
}
