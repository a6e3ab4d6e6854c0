/* Cookies: how a datagram peer proves that it gets what is sent to its address.
 *
 * A cookie is a keyed hash of the peer's address (HMAC-SHA256, RFC 2104, cut to 128 bits), so it
 * costs no memory. The key is random and replaced after a while; the one before it is good for as
 * long again. Nothing of it outlives the process. Any thread.
 */
#pragma once

#include "lib/bytes.h"

#include <pthread.h>
#include <sys/socket.h>

#define COOKIE_KEY_SIZE 32
/* Hexadecimal digits, and a NUL. */
#define COOKIE_TEXT_SIZE 33

struct cookie_jar {
        pthread_mutex_t lock; /* a leaf */
        unsigned char keys[2][COOKIE_KEY_SIZE];
        uint64_t made_ms; /* when keys[0] was made; 0: not yet */
};

void cookie_jar_init(struct cookie_jar *jar);
void cookie_jar_deinit(struct cookie_jar *jar);

/* Writes the cookie of an address and port. now_ms: of a clock that does not jump; lifetime_ms: of
 * a key, which makes that of a cookie once to twice as long. Returns 0, or -EIO if there is no
 * randomness. */
int cookie_make(struct cookie_jar *jar, const struct sockaddr *peer, uint64_t now_ms,
                uint64_t lifetime_ms, char text[COOKIE_TEXT_SIZE]);

/* Whether a text is a cookie of this address and port, and not too old. */
bool cookie_is_valid(struct cookie_jar *jar, const struct sockaddr *peer, uint64_t now_ms,
                     uint64_t lifetime_ms, struct bytes text);
