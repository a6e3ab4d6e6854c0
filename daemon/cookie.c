/* Cookies. See cookie.h. */
#include "daemon/cookie.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <sys/random.h>

/* Bytes of the hash that a cookie shows. */
#define COOKIE_BYTES ((COOKIE_TEXT_SIZE - 1) / 2)

void cookie_jar_init(struct cookie_jar *jar) {
        *jar = (struct cookie_jar){.made_ms = 0};
        pthread_mutex_init(&jar->lock, NULL);
}

void cookie_jar_deinit(struct cookie_jar *jar) {
        pthread_mutex_destroy(&jar->lock);
        OPENSSL_cleanse(jar->keys, sizeof(jar->keys));
}

/* Makes a new key, as of that time. */
static int jar_rotate(struct cookie_jar *jar, uint64_t made_ms) {
        memcpy(jar->keys[1], jar->keys[0], COOKIE_KEY_SIZE);
        if (getrandom(jar->keys[0], COOKIE_KEY_SIZE, 0) != COOKIE_KEY_SIZE)
                return -EIO;
        jar->made_ms = made_ms ? made_ms : 1;
        return 0;
}

/* Sees to it that the keys are those of now. Clocks of threads may differ a little. */
static int jar_refresh(struct cookie_jar *jar, uint64_t now_ms, uint64_t lifetime_ms) {
        uint64_t age_ms = now_ms > jar->made_ms ? now_ms - jar->made_ms : 0;
        int r;

        if (jar->made_ms != 0 && age_ms < lifetime_ms)
                return 0;
        if (jar->made_ms != 0 && age_ms < 2 * lifetime_ms)
                return jar_rotate(jar, jar->made_ms + lifetime_ms);
        /* Nobody may know the one before the first, nor use one that is too old. */
        r = jar_rotate(jar, now_ms);
        return r < 0 ? r : jar_rotate(jar, now_ms);
}

/* What of an address is hashed. */
static size_t peer_bytes(const struct sockaddr *peer, unsigned char bytes[18]) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

        if (peer->sa_family == AF_INET) {
                memcpy(bytes, &in->sin_port, 2);
                memcpy(bytes + 2, &in->sin_addr, 4);
                return 6;
        }
        memcpy(bytes, &in6->sin6_port, 2);
        memcpy(bytes + 2, &in6->sin6_addr, 16);
        return 18;
}

static bool cookie_write(const unsigned char *key, const struct sockaddr *peer,
                         char text[COOKIE_TEXT_SIZE]) {
        unsigned char bytes[18], hash[EVP_MAX_MD_SIZE];
        unsigned length = 0;

        if (!HMAC(EVP_sha256(), key, COOKIE_KEY_SIZE, bytes, peer_bytes(peer, bytes), hash,
                  &length) ||
            length < COOKIE_BYTES)
                return false;
        for (size_t i = 0; i < COOKIE_BYTES; i++)
                snprintf(text + 2 * i, 3, "%02x", hash[i]);
        return true;
}

/* Copies the keys of now. */
static int jar_keys(struct cookie_jar *jar, uint64_t now_ms, uint64_t lifetime_ms,
                    unsigned char keys[2][COOKIE_KEY_SIZE]) {
        int r;

        pthread_mutex_lock(&jar->lock);
        r = jar_refresh(jar, now_ms, lifetime_ms);
        memcpy(keys, jar->keys, sizeof(jar->keys));
        pthread_mutex_unlock(&jar->lock);
        return r;
}

int cookie_make(struct cookie_jar *jar, const struct sockaddr *peer, uint64_t now_ms,
                uint64_t lifetime_ms, char text[COOKIE_TEXT_SIZE]) {
        unsigned char keys[2][COOKIE_KEY_SIZE];
        int r = jar_keys(jar, now_ms, lifetime_ms, keys);

        if (r == 0 && !cookie_write(keys[0], peer, text))
                r = -EIO;
        OPENSSL_cleanse(keys, sizeof(keys));
        return r;
}

bool cookie_is_valid(struct cookie_jar *jar, const struct sockaddr *peer, uint64_t now_ms,
                     uint64_t lifetime_ms, struct bytes text) {
        unsigned char keys[2][COOKIE_KEY_SIZE];
        char cookie[COOKIE_TEXT_SIZE];
        bool is_valid = false;

        if (text.length != COOKIE_TEXT_SIZE - 1 || jar_keys(jar, now_ms, lifetime_ms, keys) < 0)
                return false;
        for (size_t i = 0; i < 2; i++)
                is_valid |= cookie_write(keys[i], peer, cookie) &&
                            CRYPTO_memcmp(cookie, text.data, COOKIE_TEXT_SIZE - 1) == 0;
        OPENSSL_cleanse(keys, sizeof(keys));
        return is_valid;
}
