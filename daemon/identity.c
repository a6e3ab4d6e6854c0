/* Who a peer is. See identity.h. */
#include "daemon/identity.h"

#include "daemon/account.h"
#include "daemon/certificate.h"
#include "daemon/config.h"
#include "daemon/connection.h"
#include "daemon/credentials.h"
#include "daemon/identity_peer.h"
#include "daemon/instance.h"
#include "daemon/listener.h"
#include "daemon/password.h"
#include "daemon/worker.h"
#include "lib/hash.h"
#include "lib/nkey.h"
#include "lib/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

/* Of the hash of a name. */
#define DECOY_SEED 7

enum fit {
        FITS_NOT,
        FITS,
        FITS_IF_PROVED,
};

static struct bytes bytes_of(const char *text) {
        return bytes_from_string(text ? text : "");
}

static bool is_nkey(const struct nkey_public *key, const char *text) {
        struct nkey_public given;

        return nkey_public_parse(&given, bytes_of(text), NULL) == 0 &&
               memcmp(&given, key, sizeof(given)) == 0;
}

/* Whether a name in the peer's certificate, which TLS has verified, is this one. */
static bool has_certificate(const struct connection *connection, const char *wanted) {
        const struct certificate_name *names;
        size_t n = connection_certificate_names(connection, &names);

        for (size_t i = 0; i < n; i++)
                if (certificate_name_is(&names[i], wanted))
                        return true;
        return false;
}

/* Whether the client says to be this user. */
static bool is_named(const struct config_user *user, const struct login *login) {
        const struct credentials *credentials = login->credentials;

        if (user->certificate && !has_certificate(login->connection, user->certificate))
                return false;
        if (user->password &&
            !bytes_equal(bytes_from_string(user->name), bytes_of(credentials->user)))
                return false;
        return !user->has_nkey || is_nkey(&user->nkey, credentials->nkey);
}

static bool is_slow(const struct secret *secret) {
        return secret && password_is_slow(secret);
}

static bool has_secrets(const struct config_user *user) {
        return user->password || user->token || user->has_nkey || user->certificate;
}

/* Two texts are not the same as one that is both. */
static bool digest_bytes(EVP_MD_CTX *context, struct bytes bytes) {
        return EVP_DigestUpdate(context, &bytes.length, sizeof(bytes.length)) == 1 &&
               EVP_DigestUpdate(context, bytes.data, bytes.length) == 1;
}

static bool digest_secret(EVP_MD_CTX *context, const struct secret *secret) {
        struct bytes text = secret ? secret_text(secret) : (struct bytes){"", 0};

        return digest_bytes(context, text);
}

struct proof identity_proof(const struct config_user *user) {
        struct proof proof = {.is_given = has_secrets(user)};
        EVP_MD_CTX *context = proof.is_given ? EVP_MD_CTX_new() : NULL;

        proof.is_given = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                         digest_bytes(context, bytes_from_string(user->name)) &&
                         digest_secret(context, user->password) &&
                         digest_secret(context, user->token) &&
                         digest_bytes(context, bytes_of(user->certificate)) &&
                         EVP_DigestUpdate(context, &user->nkey, sizeof(user->nkey)) == 1 &&
                         EVP_DigestFinal_ex(context, proof.digest, NULL) == 1;
        EVP_MD_CTX_free(context);
        return proof;
}

static bool has_proof(const struct config_user *user, const struct proof *given) {
        struct proof proof = {.is_given = false};

        if (given->is_given)
                proof = identity_proof(user);
        return proof.is_given &&
               CRYPTO_memcmp(proof.digest, given->digest, sizeof(proof.digest)) == 0;
}

static bool secret_fits(const struct secret *secret, const char *given) {
        return !secret || password_matches(secret, bytes_of(given));
}

bool identity_is_proved(const struct config_user *user, const struct credentials *credentials) {
        return secret_fits(user->password, credentials->password) &&
               secret_fits(user->token, credentials->token);
}

const struct config_user *identity_decoy(const struct config *config,
                                         const struct credentials *credentials) {
        size_t n = 0, chosen;

        if (!credentials->password)
                return NULL;
        for (size_t i = 0; i < config->n_rules; i++)
                n += is_slow(config->rules[i].user->password);
        if (n == 0)
                return NULL;
        chosen = hash_bytes(bytes_of(credentials->user), DECOY_SEED) % n;
        for (size_t i = 0; i < config->n_rules; i++)
                if (is_slow(config->rules[i].user->password) && chosen-- == 0)
                        return config->rules[i].user;
        return NULL;
}

static enum fit secrets_fit(const struct config_user *user, const struct login *login) {
        const struct credentials *credentials = login->credentials;

        if (!has_secrets(user))
                return FITS;
        if (!is_named(user, login))
                return FITS_NOT;
        if (has_proof(user, login->proof))
                return FITS;
        if (user->token && !credentials->token)
                return FITS_NOT;
        if (user->has_nkey && !nkey_verify(&user->nkey, bytes_from_string(login->nonce),
                                           bytes_of(credentials->signature)))
                return FITS_NOT;
        if (is_slow(user->password) || is_slow(user->token))
                return FITS_IF_PROVED;
        return identity_is_proved(user, credentials) ? FITS : FITS_NOT;
}

static enum fit user_fits(const struct config_user *user, const struct login *login) {
        if (user->has_peer && !identity_peer_fits(&user->peer, login->connection))
                return FITS_NOT;
        return secrets_fit(user, login);
}

/* Of those of whom no rule says it. */
static enum role role_by_default(const struct peer *peer) {
        if (!peer->has_credentials)
                return ROLE_NONE;
        return peer->uid == 0 || peer->uid == geteuid() ? ROLE_ADMIN : ROLE_LOCAL;
}

/* Who says who he is is not taken for somebody else; where nobody has a secret, names do not count.
 */
static bool admits_anonymous(const struct login *login, enum role role) {
        if (role == ROLE_ADMIN)
                return true;
        if (login->config->has_secrets && credentials_are_given(login->credentials))
                return false;
        return atomic_load(&login->connection->listener->admits_anonymous);
}

/* Where a user belongs. The accounts of a configuration are made before it comes into force. */
static struct bus *bus_of(const struct login *login, const struct config_rule *rule) {
        struct instance *instance = login->connection->worker->instance;

        return rule->account ? accounts_find(instance->accounts, rule->account) : instance->bus;
}

/* Where those belong whom no user fits. */
static struct bus *bus_of_listener(const struct login *login) {
        struct bus *bus = atomic_load(&login->connection->listener->bus);

        return bus ? bus : login->connection->worker->instance->bus;
}

struct identity identity_of(const struct login *login, size_t first) {
        const struct config *config = login->config;
        enum role role = role_by_default(&login->connection->peer);

        for (size_t i = first; i < config->n_rules; i++) {
                const struct config_user *user = config->rules[i].user;
                enum fit fit = user_fits(user, login);

                if (fit != FITS_NOT)
                        return (struct identity){
                                .state = fit == FITS ? IDENTITY_KNOWN : IDENTITY_UNPROVED,
                                .user = user,
                                .role = user->role != ROLE_NONE ? (enum role)user->role : role,
                                .permissions = user->permissions ? user->permissions
                                                                 : config->default_permissions,
                                .bus = bus_of(login, &config->rules[i]),
                                .rule = i,
                        };
        }
        if (!admits_anonymous(login, role))
                return (struct identity){.state = IDENTITY_REFUSED,
                                         .role = ROLE_NONE,
                                         .bus = bus_of_listener(login)};
        return (struct identity){.state = IDENTITY_KNOWN,
                                 .role = role,
                                 .permissions = config->default_permissions,
                                 .bus = bus_of_listener(login)};
}
