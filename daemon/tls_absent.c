/* What stands for TLS in a sockd that was built without it: there is never a context, and so no
 * connection has any. See tls_context.h, tls.h and connection_parts.h.
 */
#include "daemon/config_keys.h"
#include "daemon/connection_parts.h"
#include "daemon/tls.h"
#include "daemon/tls_context.h"
#include "daemon/upstream_parts.h"
#include "lib/reason.h"

#include <errno.h>
#include <string.h>

int tls_version_parse(const char *text) {
        return strcmp(text, "1.2") == 0   ? TLS_VERSION_1_2
               : strcmp(text, "1.3") == 0 ? TLS_VERSION_1_3
                                          : -1;
}

int tls_context_new(struct tls_context **contextp, const struct config_tls *config,
                    const char **keyp, char **reasonp) {
        *keyp = NULL;
        return reason_set(reasonp, -EOPNOTSUPP, "this sockd was built without TLS (--without-tls)");
}

struct tls_context *tls_context_ref(struct tls_context *context) {
        return context;
}

struct tls_context *tls_context_unref(struct tls_context *context) {
        return NULL;
}

struct tls *tls_free(struct tls *tls) {
        return NULL;
}

bool certificate_name_is(const struct certificate_name *name, const char *user) {
        return false;
}

const struct tls_facts *connection_tls(const struct connection *connection) {
        return NULL;
}

size_t connection_certificate_names(const struct connection *connection,
                                    const struct certificate_name **namesp) {
        *namesp = NULL;
        return 0;
}

int connection_prepare_tls(struct connection *connection) {
        return 0;
}

void connection_begin_tls(struct connection *connection) {
}

bool connection_is_securing(const struct connection *connection) {
        return false;
}

int connection_tls_events(const struct connection *connection) {
        return 0;
}

void connection_continue_tls(struct connection *connection, int events) {
}

void connection_give_up_tls(struct connection *connection) {
}

void connection_end_flood(struct connection *connection) {
}

void connection_abandon_tls(struct connection *connection) {
}

/* --- towards targets ----------------------------------------------------------------------------
 */

int upstream_secure(struct upstream *upstream) {
        return -EOPNOTSUPP;
}

void upstream_continue_securing(struct upstream *upstream, int events) {
}

ssize_t upstream_tls_receive(struct upstream_socket *socket, char *bytes, size_t n_bytes) {
        return -EOPNOTSUPP;
}

ssize_t upstream_tls_send(struct upstream_socket *socket, struct bytes bytes) {
        return -EOPNOTSUPP;
}

void upstream_tls_end_output(struct upstream_socket *socket) {
}

bool upstream_tls_has_buffered(const struct upstream_socket *socket) {
        return false;
}

int upstream_tls_events(const struct upstream_socket *socket, int wanted) {
        return wanted;
}
