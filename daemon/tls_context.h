/* TLS of a listener, or towards the targets of a forward: certificate, key, and what is asked of
 * peers, as OpenSSL wants it.
 *
 * Made when the configuration is read, so that what is wrong with it shows there, and never
 * changed. A listener has a reference to the one that is in force, and so has each connection to
 * the one that it began with: a reload drops nobody. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct config_tls;
struct ssl_ctx_st;

/* The least version of TLS that a peer has to speak. */
enum tls_version {
        TLS_VERSION_1_2,
        TLS_VERSION_1_3,
};

struct tls_context {
        _Atomic unsigned n_references;
        struct ssl_ctx_st *ssl_ctx;
        bool is_client;   /* it begins the handshake */
        char *name;       /* owned; client: whom the server has to be; NULL: as it is called */
        bool is_required; /* who speaks no TLS is not admitted */
        bool is_first;    /* it begins before INFO */
        bool verifies;    /* a peer needs a certificate */
        bool maps;        /* whose names may be names of users */
        uint64_t timeout_ms;
};

/* Reads the files and makes a context. Unless it succeeds *keyp is the key of the configuration
 * that is at fault, NULL: none; and *reasonp a clause for people, owned by the caller (free(3)).
 * Returns 0 or a negative errno; -EOPNOTSUPP: sockd was built without TLS. */
int tls_context_new(struct tls_context **contextp, const struct config_tls *config,
                    const char **keyp, char **reasonp);

/* NULL is allowed. */
struct tls_context *tls_context_ref(struct tls_context *context);
/* Gives the reference back; NULL is allowed. Returns NULL. */
struct tls_context *tls_context_unref(struct tls_context *context);

/* The version of a text, "1.2" or "1.3", or negative. */
int tls_version_parse(const char *text);
