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

/* What is taken from a CONNECT; and, at the end, what is of no meaning here, but whose type is
 * checked. */
enum key {
        KEY_ACCOUNT,
        KEY_AUTH_TOKEN,
        KEY_COOKIE,
        KEY_ECHO,
        KEY_HEADERS,
        KEY_LANG,
        KEY_NAME,
        KEY_NEW_ACCOUNT,
        KEY_NKEY,
        KEY_NO_RESPONDERS,
        KEY_PASS,
        KEY_PEDANTIC,
        KEY_PROTOCOL,
        KEY_SIG,
        KEY_USER,
        KEY_VERBOSE,
        KEY_VERSION,
        KEY_JWT,
        KEY_TLS_REQUIRED,
        N_KEYS,
};

static const struct {
        const char *name;
        json_type type; /* JSON_TRUE stands for both */
} keys[N_KEYS] = {
        [KEY_ACCOUNT] = {"account", JSON_STRING},
        [KEY_COOKIE] = {"cookie", JSON_STRING},
        [KEY_ECHO] = {"echo", JSON_TRUE},
        [KEY_HEADERS] = {"headers", JSON_TRUE},
        [KEY_LANG] = {"lang", JSON_STRING},
        [KEY_NAME] = {"name", JSON_STRING},
        [KEY_NEW_ACCOUNT] = {"new_account", JSON_TRUE},
        [KEY_NO_RESPONDERS] = {"no_responders", JSON_TRUE},
        [KEY_PEDANTIC] = {"pedantic", JSON_TRUE},
        [KEY_PROTOCOL] = {"protocol", JSON_INTEGER},
        [KEY_VERBOSE] = {"verbose", JSON_TRUE},
        [KEY_VERSION] = {"version", JSON_STRING},
        [KEY_AUTH_TOKEN] = {"auth_token", JSON_STRING},
        [KEY_JWT] = {"jwt", JSON_STRING},
        [KEY_NKEY] = {"nkey", JSON_STRING},
        [KEY_PASS] = {"pass", JSON_STRING},
        [KEY_SIG] = {"sig", JSON_STRING},
        [KEY_TLS_REQUIRED] = {"tls_required", JSON_TRUE},
        [KEY_USER] = {"user", JSON_STRING},
};

/* The members of a CONNECT; NULL for those that are absent or null. When a key stands there twice,
 * the last counts. */
struct members {
        const json_t *of[N_KEYS];
        bool is_bad; /* one is of the wrong type */
};

static bool json_fits(const json_t *value, json_type type) {
        if (type == JSON_TRUE)
                return json_is_boolean(value);
        return json_typeof(value) == type;
}

/* The key of that name, compared without case, or N_KEYS. */
static enum key key_find(const char *name) {
        unsigned key = 0;

        while (key < N_KEYS && strcasecmp(keys[key].name, name) != 0)
                key++;
        return key;
}

static struct members members_of(json_t *object) {
        struct members members = {.is_bad = false};
        const char *name;
        json_t *value;

        json_object_foreach(object, name, value) {
                enum key key = key_find(name);

                if (key == N_KEYS || json_is_null(value))
                        continue;
                if (json_fits(value, keys[key].type))
                        members.of[key] = value;
                else
                        members.is_bad = true;
        }
        return members;
}

static void apply_bool(const struct members *members, enum key key, bool *to) {
        if (members->of[key])
                *to = json_is_true(members->of[key]);
}

static void apply_name(const struct members *members, enum key key, char **to) {
        const json_t *value = members->of[key];
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

static void apply_protocol(const struct members *members, struct client *client) {
        const json_t *value = members->of[KEY_PROTOCOL];

        if (value)
                client->protocol = json_integer_value(value) == 0   ? 0
                                   : json_integer_value(value) == 1 ? 1
                                                                    : -1;
}

/* A text with a zero in it is nobody's. */
static void apply_credential(struct members *members, enum key key, char **to) {
        const json_t *value = members->of[key];

        if (value && (strlen(json_string_value(value)) != json_string_length(value) ||
                      credentials_set(to, json_string_value(value)) < 0))
                members->is_bad = true;
}

static void apply_claim(struct members *members, struct claim *claim) {
        struct credentials *credentials = &claim->credentials;

        /* What was proved before does not stand for what is said now. */
        if (members->of[KEY_PASS] || members->of[KEY_AUTH_TOKEN] || members->of[KEY_SIG])
                claim->proof.is_given = false;
        apply_credential(members, KEY_USER, &credentials->user);
        apply_credential(members, KEY_PASS, &credentials->password);
        apply_credential(members, KEY_AUTH_TOKEN, &credentials->token);
        apply_credential(members, KEY_NKEY, &credentials->nkey);
        apply_credential(members, KEY_SIG, &credentials->signature);
}

static void apply_credentials(struct members *members, struct client *client) {
        struct claim *claim;

        if (!members->of[KEY_USER] && !members->of[KEY_PASS] && !members->of[KEY_AUTH_TOKEN] &&
            !members->of[KEY_NKEY] && !members->of[KEY_SIG])
                return;
        claim = client_claim(client);
        if (claim)
                apply_claim(members, claim);
        else
                members->is_bad = true;
}

static void apply_account(const struct members *members, struct client *client) {
        client->names_account = json_string_length(members->of[KEY_ACCOUNT]) > 0 ||
                                json_is_true(members->of[KEY_NEW_ACCOUNT]);
}

static enum connect_result connect_apply_object(struct client *client, json_t *object) {
        bool headers = atomic_load_explicit(&client->headers, memory_order_relaxed);
        struct members members = members_of(object);
        const json_t *cookie = members.of[KEY_COOKIE];

        /* First of all: it says whether the rest is the peer's. */
        if (cookie && !connection_prove(client->connection, json_bytes(cookie)))
                return CONNECT_COOKIE;
        apply_bool(&members, KEY_VERBOSE, &client->verbose);
        apply_bool(&members, KEY_PEDANTIC, &client->pedantic);
        apply_bool(&members, KEY_ECHO, &client->echo);
        apply_bool(&members, KEY_NO_RESPONDERS, &client->no_responders);
        apply_bool(&members, KEY_HEADERS, &headers);
        apply_name(&members, KEY_NAME, &client->name);
        apply_name(&members, KEY_LANG, &client->lang);
        apply_name(&members, KEY_VERSION, &client->version);
        apply_protocol(&members, client);
        apply_account(&members, client);
        apply_credentials(&members, client);
        client->parser.headers = headers;
        atomic_store_explicit(&client->headers, headers, memory_order_relaxed);
        return members.is_bad ? CONNECT_MALFORMED : CONNECT_OK;
}

enum connect_result connect_judge(const struct client *client) {
        if (client->names_account)
                return CONNECT_FORBIDDEN;
        if (client->protocol < 0)
                return CONNECT_PROTOCOL;
        if (client->no_responders && !client->parser.headers)
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
