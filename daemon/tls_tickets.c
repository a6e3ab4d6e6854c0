/* Tickets of TLS sessions. See tls_tickets.h. */
#include "daemon/tls_tickets.h"

#include "daemon/key_memory.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define NAME_SIZE   16
#define SECRET_SIZE 32
#define ROTATE_S    (TLS_TICKETS_LIFETIME_S / 2)

struct ticket_key {
        unsigned char name[NAME_SIZE]; /* by which a ticket tells its key */
        unsigned char cipher[SECRET_SIZE];
        unsigned char mac[SECRET_SIZE];
};

static struct {
        pthread_mutex_t lock;    /* a leaf */
        struct ticket_key *keys; /* the one in use, and the one before; as long as we live */
        time_t made_s;           /* monotonic time, 0: none is made yet */
} ring = {.lock = PTHREAD_MUTEX_INITIALIZER};

static time_t now_s(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec + 1; /* never 0 */
}

/* Under the lock. */
static bool ring_rotate(time_t now) {
        ring.keys[1] = ring.keys[0];
        if (RAND_bytes((unsigned char *)&ring.keys[0], sizeof(ring.keys[0])) != 1)
                return false;
        ring.made_s = now;
        return true;
}

/* Under the lock. Sees to it that the keys are not too old. */
static bool ring_refresh(void) {
        time_t now = now_s();

        if (ring.made_s != 0 && now - ring.made_s < ROTATE_S)
                return true;
        /* Nobody may know the one before the first, nor use one that is too old. */
        if ((ring.made_s == 0 || now - ring.made_s >= TLS_TICKETS_LIFETIME_S) && !ring_rotate(now))
                return false;
        return ring_rotate(now);
}

/* Copies the key of a new ticket, or the one of that name. Returns 0 if there is none, 1, or 2 for
 * an old key: its ticket is good, and to be replaced. */
static int ring_find(const unsigned char *name, struct ticket_key *key) {
        int found = 0;

        pthread_mutex_lock(&ring.lock);
        if (!ring_refresh())
                found = 0;
        else if (!name || memcmp(name, ring.keys[0].name, NAME_SIZE) == 0)
                found = 1;
        else if (memcmp(name, ring.keys[1].name, NAME_SIZE) == 0)
                found = 2;
        if (found)
                *key = ring.keys[found - 1];
        pthread_mutex_unlock(&ring.lock);
        return found;
}

static bool key_apply(struct ticket_key *key, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, bool encrypts) {
        char digest[] = "SHA256";
        OSSL_PARAM parameters[] = {
                OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof(key->mac)),
                OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                OSSL_PARAM_construct_end(),
        };

        return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, encrypts) == 1 &&
               EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/* Prepares the writing or reading of a ticket; see SSL_CTX_set_tlsext_ticket_key_evp_cb(3). Without
 * a key no ticket is written, and one that is shown is not taken: the handshake goes on without. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int is_new) {
        struct ticket_key key;
        int found = ring_find(is_new ? NULL : name, &key);

        if (!found)
                return 0;
        if (is_new) {
                memcpy(name, key.name, NAME_SIZE);
                if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
                        found = -1;
        }
        if (found > 0 && !key_apply(&key, iv, cipher, mac, is_new != 0))
                found = -1;
        OPENSSL_cleanse(&key, sizeof(key));
        /* With TLS 1.3 clients use a ticket once (RFC 8446, C.4), and so need another one. */
        return found > 0 && !is_new && SSL_version(ssl) >= TLS1_3_VERSION ? 2 : found;
}

static void make_ring(void) {
        key_memory_begin();
        ring.keys = OPENSSL_zalloc(2 * sizeof(*ring.keys));
        key_memory_end();
}

int tls_tickets_enable(SSL_CTX *ssl_ctx) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        (void)pthread_once(&once, make_ring);
        if (!ring.keys)
                return -ENOMEM;
        (void)SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
        (void)SSL_CTX_set_timeout(ssl_ctx, TLS_TICKETS_LIFETIME_S);
        if (SSL_CTX_set_num_tickets(ssl_ctx, 1) != 1 ||
            SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl_ctx, on_ticket) != 1)
                return -ENOMEM;
        return 0;
}
