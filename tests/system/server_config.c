/*
 * One set of settings, two dialects: libconfig for sockd, its own format for nats-server. Scenarios
 * use sockd's keys.
 */
#include "server_config.h"

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WORKERS_DEFAULT "2"

/* Keys whose name differs; NULL where nats-server has nothing of the kind. */
static const struct {
        const char *sockd;
        const char *nats;
} key_names[] = {
        /* clang-format off */
        { "name", "server_name" },
        { "lame_duck_grace", "lame_duck_grace_period" },
        { "workers", NULL },
        { "auth_timeout", NULL },
        { "max_memory", NULL },
        /* clang-format on */
};

static const char *key_name(enum server_kind kind, const char *key) {
        if (kind == SERVER_SOCKD)
                return key;
        for (size_t i = 0; i < sizeof(key_names) / sizeof(*key_names); i++)
                if (strcmp(key, key_names[i].sockd) == 0)
                        return key_names[i].nats;
        return key;
}

const struct server_transport_kind server_transport_kinds[N_TRANSPORTS] = {
        [TRANSPORT_UNIX] = { "unix", AF_UNIX, SOCK_STREAM },
        [TRANSPORT_TCP] = { "tcp", AF_INET, SOCK_STREAM },
        [TRANSPORT_SEQPACKET] = { "unix+seqpacket", AF_UNIX, SOCK_SEQPACKET },
        [TRANSPORT_UNIX_DGRAM] = { "unix+dgram", AF_UNIX, SOCK_DGRAM },
        [TRANSPORT_UDP] = { "udp", AF_INET, SOCK_DGRAM },
        [TRANSPORT_TLS] = { "tls", AF_INET, SOCK_STREAM },
};

enum server_transport server_transport_find(const char *name) {
        enum server_transport transport = 0;

        while (transport < N_TRANSPORTS && strcmp(server_transport_kinds[transport].name, name) != 0)
                transport++;
        return transport;
}

bool server_config_set(struct server_config *config, const char *key, const char *value) {
        size_t i = 0;

        while (i < config->n_settings && strcmp(config->settings[i].key, key) != 0)
                i++;
        if (i == SERVER_SETTINGS_MAX)
                return false;
        if (i == config->n_settings)
                config->settings[config->n_settings++].key = strdup(key);
        free(config->settings[i].value);
        config->settings[i].value = strdup(value);
        if (!config->settings[i].key || !config->settings[i].value)
                err(1, "server configuration");
        return true;
}

static void setting_write(const struct server_config *config, const struct server_setting *setting,
                          struct bytes *output) {
        bool is_number = *setting->value && !setting->value[strspn(setting->value, "0123456789")];
        const char *name = key_name(config->kind, setting->key);
        const char *quote = is_number ? "" : "\"";

        if (!name)
                return;
        if (config->kind == SERVER_SOCKD)
                bytes_append_format(output, "  %s = %s%s%s;\n", name, quote, setting->value, quote);
        else
                bytes_append_format(output, "%s: %s%s%s\n", name, quote, setting->value, quote);
}

static void settings_write(const struct server_config *config, struct bytes *output) {
        for (size_t i = 0; i < config->n_settings; i++)
                setting_write(config, &config->settings[i], output);
}

bool server_config_add_listener(struct server_config *config, const char *name,
                                enum server_transport transport, const char *settings) {
        struct server_listener *listener = &config->listeners[config->n_listeners];

        if (config->n_listeners == SERVER_LISTENERS_MAX)
                return false;
        listener->transport = transport;
        bytes_append_text(&listener->name, name);
        bytes_append_text(&listener->settings, settings);
        config->n_listeners++;
        return true;
}

enum server_transport server_config_find_transport(const struct server_config *config,
                                                   const char *listener) {
        for (size_t i = 0; i < config->n_listeners; i++)
                if (bytes_equal_text(&config->listeners[i].name, listener))
                        return config->listeners[i].transport;
        return config->transport;
}

static void sockd_listener_write(enum server_transport transport, const char *directory,
                                 const char *name, const char *settings, struct bytes *output) {
        const struct server_transport_kind *kind = &server_transport_kinds[transport];

        bytes_append_format(output, "  { name = \"%s\"; listen = \"%s://", name, kind->name);
        if (kind->family == AF_UNIX)
                bytes_append_format(output, "%s/%s.sock", directory, name);
        else
                bytes_append_text(output, "127.0.0.1:0");
        bytes_append_format(output, "\"; %s", settings);
        if (transport == TRANSPORT_TLS)
                bytes_append_format(output, " tls = { cert = \"%s\"; key = \"%s\"; };",
                                    getenv("SCENARIO_CERT"), getenv("SCENARIO_KEY"));
        bytes_append_text(output, " }");
}

static void sockd_config_write(const struct server_config *config, const char *directory,
                               struct bytes *output) {
        const char *workers = getenv("WORKERS");

        bytes_append_format(output, "server = {\n  workers = %s;\n",
                            workers ? workers : WORKERS_DEFAULT);
        settings_write(config, output);
        bytes_append_text(output, "};\nlog = { target = \"stderr\"; level = \"debug\"; };\n");
        bytes_append_text(output, "listeners = (\n");
        sockd_listener_write(config->transport, directory, "main", "", output);
        for (size_t i = 0; i < config->n_listeners; i++) {
                const struct server_listener *listener = &config->listeners[i];

                bytes_append_text(output, ",\n");
                sockd_listener_write(listener->transport, directory, bytes_text(&listener->name),
                                     bytes_text(&listener->settings), output);
        }
        bytes_append_format(output, "\n);\n%s", bytes_text(&config->extra));
}

static void nats_config_write(const struct server_config *config, struct bytes *output) {
        bytes_append_text(output, "host: 127.0.0.1\nport: -1\n");
        settings_write(config, output);
        bytes_append_text(output, bytes_text(&config->extra));
}

void server_config_write(const struct server_config *config, const char *directory,
                         struct bytes *output) {
        if (config->kind == SERVER_SOCKD)
                sockd_config_write(config, directory, output);
        else
                nats_config_write(config, output);
}

void server_config_deinit(struct server_config *config) {
        for (size_t i = 0; i < config->n_settings; i++) {
                free(config->settings[i].key);
                free(config->settings[i].value);
        }
        bytes_deinit(&config->extra);
        for (size_t i = 0; i < config->n_listeners; i++) {
                bytes_deinit(&config->listeners[i].name);
                bytes_deinit(&config->listeners[i].settings);
        }
        *config = (struct server_config){};
}
