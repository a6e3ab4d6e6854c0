/* The keys of `tls` and `forward_tls` in a listener; see config_keys.h. */
#include "daemon/config_keys.h"

#include "daemon/tls_context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(member)                                                                              \
        .offset = offsetof(struct config_tls, member),                                             \
        .size = sizeof(((struct config_tls *)0)->member)
#define HOUR                 UINT64_C(3600000)
#define HOST_NAME_LENGTH_MAX 253

static bool is_path(const char *text) {
        return *text != '\0';
}

/* Complains about a key that stands there, or the group if it does not. */
static void complain(struct config_reader *reader, const char *path, const config_setting_t *group,
                     const char *key, const char *text) {
        const config_setting_t *setting = key ? config_setting_get_member(group, key) : NULL;

        config_reader_complain(reader, setting ? setting : group, path, key, "%s", text);
}

/* What contradicts itself. Returns whether nothing does. */
static bool check_pairs(struct config_reader *reader, const char *path,
                        const config_setting_t *group, const struct config_tls *tls) {
        size_t n_errors = reader->errors->n_lines;

        if (tls->verify && !tls->ca)
                complain(
                        reader, path, group, "ca",
                        "found nothing, but with verify = true clients' certificates have to be of "
                        "an authority; expected a file of certificates");
        if (tls->ca && !tls->verify)
                complain(reader, path, group, "ca",
                         "without verify = true no client is asked for a certificate");
        if (tls->map && !tls->verify)
                complain(reader, path, group, "map",
                         "without verify = true a certificate proves nothing");
        if (tls->first && !tls->required)
                complain(reader, path, group, "first",
                         "with required = false there are clients without TLS, who wait for INFO");
        return reader->errors->n_lines == n_errors;
}

static void make_context(struct config_reader *reader, const char *path,
                         const config_setting_t *group, struct config_tls *tls) {
        char *reason = NULL;
        const char *key;
        int r = tls_context_new(&tls->context, tls, &key, &reason);
        if (r == -ENOMEM)
                reader->error = r;
        else if (r < 0)
                complain(reader, path, group, key, reason ? reason : strerror(-r));
        free(reason);
}

static void check_tls(struct config_reader *reader, const char *path, const config_setting_t *group,
                      void *target, bool is_whole) {
        if (is_whole && check_pairs(reader, path, group, target))
                make_context(reader, path, group, target);
}

static const struct config_key tls_keys[] = {
        {"cert", CONFIG_STRING, FIELD(cert), .is_required = true, .check = is_path,
         .expected = "the path of a file with a certificate and its chain"},
        {"key", CONFIG_STRING, FIELD(key), .is_required = true, .check = is_path,
         .expected = "the path of a file with the certificate's private key"},
        {"ca", CONFIG_STRING, FIELD(ca), .check = is_path,
         .expected = "the path of a file with the certificates of authorities"},
        {"verify", CONFIG_BOOL, FIELD(verify), .fallback = "false"},
        {"map", CONFIG_BOOL, FIELD(map), .fallback = "false"},
        {"first", CONFIG_BOOL, FIELD(first), .fallback = "false"},
        {"required", CONFIG_BOOL, FIELD(required), .fallback = "true"},
        {"timeout", CONFIG_DURATION, FIELD(timeout_ms), .minimum = 10, .maximum = HOUR,
         .fallback = "2s"},
        {"min_version", CONFIG_ENUM, FIELD(min_version), .parse = tls_version_parse,
         .fallback = "1.2", .expected = "\"1.2\" or \"1.3\""},
};

static void release_tls(void *target) {
        struct config_tls *tls = target;

        tls->context = tls_context_unref(tls->context);
}

const struct config_table config_keys_tls = {
        .keys = tls_keys,
        .n_keys = sizeof(tls_keys) / sizeof(tls_keys[0]),
        .size = sizeof(struct config_tls),
        .check = check_tls,
        .release = release_tls,
};

/* --- forward_tls ---------------------------------------------------------------------------------
 */

/* What contradicts itself. Returns whether nothing does. */
static bool check_forward_pairs(struct config_reader *reader, const char *path,
                                const config_setting_t *group, const struct config_tls *tls) {
        size_t n_errors = reader->errors->n_lines;

        if (tls->ca && !tls->verify)
                complain(reader, path, group, "ca",
                         "with verify = false nothing is asked of the target's certificate");
        if (tls->cert && !tls->key)
                complain(reader, path, group, "cert", "there is no key, which has to go with it");
        if (tls->key && !tls->cert)
                complain(reader, path, group, "key", "there is no cert, which has to go with it");
        return reader->errors->n_lines == n_errors;
}

void config_tls_make_forward(struct config_reader *reader, const char *path,
                             const config_setting_t *group, struct config_tls *tls) {
        tls->is_client = true;
        if (check_forward_pairs(reader, path, group, tls))
                make_context(reader, path, group, tls);
}

static bool is_host(const char *text) {
        return config_keys_is_name(text, HOST_NAME_LENGTH_MAX, "*>/:[]");
}

static const struct config_key forward_tls_keys[] = {
        {"ca", CONFIG_STRING, FIELD(ca), .check = is_path,
         .expected = "the path of a file with the certificates of authorities"},
        {"verify", CONFIG_BOOL, FIELD(verify), .fallback = "true"},
        {"name", CONFIG_STRING, FIELD(name), .check = is_host,
         .expected = "the name of a host, as it stands in its certificate"},
        {"cert", CONFIG_STRING, FIELD(cert), .check = is_path,
         .expected = "the path of a file with a certificate and its chain"},
        {"key", CONFIG_STRING, FIELD(key), .check = is_path,
         .expected = "the path of a file with the certificate's private key"},
        {"min_version", CONFIG_ENUM, FIELD(min_version), .parse = tls_version_parse,
         .fallback = "1.2", .expected = "\"1.2\" or \"1.3\""},
};

const struct config_table config_keys_forward_tls = {
        .keys = forward_tls_keys,
        .n_keys = sizeof(forward_tls_keys) / sizeof(forward_tls_keys[0]),
        .size = sizeof(struct config_tls),
        .release = release_tls,
};
