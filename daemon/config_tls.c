/* The keys of `tls` in a listener; see config_keys.h. */
#include "daemon/config_keys.h"

#include "daemon/tls_context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(member)                                                                              \
        .offset = offsetof(struct config_tls, member),                                             \
        .size = sizeof(((struct config_tls *)0)->member)
#define HOUR UINT64_C(3600000)

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

static void check_tls(struct config_reader *reader, const char *path, const config_setting_t *group,
                      void *target, bool is_whole) {
        struct config_tls *tls = target;
        char *reason = NULL;
        const char *key;
        int r;

        if (!is_whole || !check_pairs(reader, path, group, tls))
                return;
        r = tls_context_new(&tls->context, tls, &key, &reason);
        if (r == -ENOMEM)
                reader->error = r;
        else if (r < 0)
                complain(reader, path, group, key, reason ? reason : strerror(-r));
        free(reason);
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
