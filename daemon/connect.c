/* CONNECT. See connect.h. */
#include "daemon/connect.h"

#include "daemon/client.h"
#include "daemon/connection.h"
#include "lib/text.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

/* The names are shown to people and kept as long as the client: no reason for long ones. */
#define NAME_MAX_LENGTH 256

/* Keys that are of no meaning here, but whose type is checked. */
static const char *const string_keys[] = {"user", "pass", "auth_token", "nkey", "sig", "jwt"};

static bool json_fits(const json_t *value, json_type type) {
        if (type == JSON_TRUE)
                return json_is_boolean(value);
        return json_typeof(value) == type;
}

/* The value of a key compared without case, or NULL if it is absent or null. When a key stands
 * there twice, the last counts. *bad is set if its type is wrong. */
static json_t *find(json_t *object, const char *key, json_type type, bool *bad) {
        json_t *found = NULL, *value;
        const char *name;

        json_object_foreach(object, name, value) {
                if (strcasecmp(name, key) != 0 || json_is_null(value))
                        continue;
                if (!json_fits(value, type))
                        *bad = true;
                else
                        found = value;
        }
        return found;
}

static void apply_bool(json_t *object, const char *key, bool *to, bool *bad) {
        json_t *value = find(object, key, JSON_TRUE, bad);

        if (value)
                *to = json_is_true(value);
}

static void apply_name(json_t *object, const char *key, char **to, bool *bad) {
        json_t *value = find(object, key, JSON_STRING, bad);
        const char *text = json_string_value(value);
        char *copy;

        if (!value)
                return;
        copy = strndup(text, text_cut(text, json_string_length(value), NAME_MAX_LENGTH));
        if (!copy)
                return;
        free(*to);
        *to = copy;
}

static struct bytes json_bytes(const json_t *string) {
        return (struct bytes){json_string_value(string), json_string_length(string)};
}

static enum connect_result connect_apply_object(struct client *client, json_t *object) {
        bool headers = atomic_load_explicit(&client->headers, memory_order_relaxed);
        bool ignored, bad = false;
        json_t *value, *account, *new_account, *cookie;

        /* First of all: it says whether the rest is the peer's. */
        cookie = find(object, "cookie", JSON_STRING, &bad);
        if (cookie && !bad && !connection_prove(client->connection, json_bytes(cookie)))
                return CONNECT_COOKIE;
        apply_bool(object, "verbose", &client->verbose, &bad);
        apply_bool(object, "pedantic", &client->pedantic, &bad);
        apply_bool(object, "echo", &client->echo, &bad);
        apply_bool(object, "no_responders", &client->no_responders, &bad);
        apply_bool(object, "headers", &headers, &bad);
        apply_bool(object, "tls_required", &ignored, &bad);
        for (size_t i = 0; i < sizeof(string_keys) / sizeof(string_keys[0]); i++)
                (void)find(object, string_keys[i], JSON_STRING, &bad);
        apply_name(object, "name", &client->name, &bad);
        apply_name(object, "lang", &client->lang, &bad);
        apply_name(object, "version", &client->version, &bad);
        value = find(object, "protocol", JSON_INTEGER, &bad);
        if (value)
                client->protocol = json_integer_value(value) == 0   ? 0
                                   : json_integer_value(value) == 1 ? 1
                                                                    : -1;
        client->parser.headers = headers;
        atomic_store_explicit(&client->headers, headers, memory_order_relaxed);
        account = find(object, "account", JSON_STRING, &bad);
        new_account = find(object, "new_account", JSON_TRUE, &bad);
        if (bad)
                return CONNECT_MALFORMED;
        if (json_string_length(account) > 0 || json_is_true(new_account))
                return CONNECT_FORBIDDEN;
        if (client->protocol < 0)
                return CONNECT_PROTOCOL;
        if (client->no_responders && !headers)
                return CONNECT_NO_RESPONDERS;
        return CONNECT_OK;
}

static json_t *parse(struct bytes json) {
        json_error_t error;

        return json_loadb(json.data, json.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
}

enum connect_result connect_apply(struct client *client, struct bytes json) {
        json_t *object = parse(json);
        enum connect_result result = CONNECT_MALFORMED;

        if (json_is_null(object)) {
                json_decref(object);
                object = json_object();
        }
        if (json_is_object(object))
                result = connect_apply_object(client, object);
        json_decref(object);
        return result;
}

bool connect_is_object(struct bytes json) {
        json_t *object = parse(json);
        bool is_object = json_is_object(object);

        json_decref(object);
        return is_object;
}
