/* Passwords; see password.h.
 *
 * What looks like a hash is never compared as a text, even if libcrypt cannot make anything of it:
 * who has read the hash of another one would log in with it.
 */
#include "daemon/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is not costly; see password_is_costly(). */
#define BCRYPT_COST_MAX 14
#define BLOCKS_LOG_MAX  16
#define ROUNDS_MAX      2000000

/* A kind of hash: how it begins, and how many characters stand behind its last "$". */
struct kind {
        const char *prefix;
        size_t n_last;
};

static const struct kind kinds[] = {
        {"$2a$", 53}, {"$2b$", 53}, {"$2x$", 53}, {"$2y$", 53},  {"$y$", 43},    {"$gy$", 43},
        {"$7$", 43},  {"$6$", 86},  {"$5$", 43},  {"$sm3$", 43}, {"$sm3y$", 43}, {"$1$", 22},
};

static const struct kind *find_kind(struct bytes text) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                size_t n = strlen(kinds[i].prefix);

                if (text.length >= n && memcmp(text.data, kinds[i].prefix, n) == 0)
                        return &kinds[i];
        }
        return NULL;
}

bool password_is_hash(struct bytes stored) {
        return find_kind(stored) != NULL;
}

/* libcrypt looks at what stands before the hash proper, since it is there to make hashes. */
bool password_is_malformed(const struct secret *stored) {
        struct bytes text = secret_text(stored);
        const struct kind *kind = find_kind(text);

        return kind && (strlen(strrchr(text.data, '$') + 1) != kind->n_last ||
                        crypt_checksalt(text.data) == CRYPT_SALT_INVALID);
}

bool password_is_slow(const struct secret *stored) {
        return password_is_hash(secret_text(stored));
}

/* A digit of crypt(3), or -1. */
static int digit_of(char c) {
        static const char digits[] =
                "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        const char *at = c ? strchr(digits, c) : NULL;

        return at ? (int)(at - digits) : -1;
}

bool password_is_costly(const struct secret *stored) {
        struct bytes text = secret_text(stored);
        const struct kind *kind = find_kind(text);
        const char *settings = kind ? text.data + strlen(kind->prefix) : "";
        unsigned long number;

        if (!kind)
                return false;
        if (kind->prefix[1] == '2')
                return strtoul(settings, NULL, 10) > BCRYPT_COST_MAX;
        /* Of yescrypt the second character, behind its flavour; of scrypt the first. */
        if (strchr(kind->prefix, 'y'))
                return *settings && digit_of(settings[1]) >= BLOCKS_LOG_MAX;
        if (kind->prefix[1] == '7')
                return digit_of(*settings) > BLOCKS_LOG_MAX;
        return sscanf(settings, "rounds=%lu$", &number) == 1 && number > ROUNDS_MAX;
}

/* What crypt(3) works with, which knows the password afterwards. */
struct work {
        struct crypt_data data;
        char password[CRYPT_MAX_PASSPHRASE_SIZE + 1];
};

static bool hash_matches(struct bytes stored, struct bytes given, struct work *work) {
        const char *hash;

        memcpy(work->password, given.data, given.length);
        hash = crypt_rn(work->password, stored.data, &work->data, (int)sizeof(work->data));
        return hash && *hash != '*' && strlen(hash) == stored.length &&
               CRYPTO_memcmp(hash, stored.data, stored.length) == 0;
}

bool password_matches(const struct secret *stored, struct bytes given) {
        struct bytes text = secret_text(stored);
        struct work *work;
        bool is_match;

        if (!password_is_hash(text))
                return secret_equals(stored, given);
        if (given.length > CRYPT_MAX_PASSPHRASE_SIZE || memchr(given.data, '\0', given.length))
                return false;
        work = calloc(1, sizeof(*work));
        if (!work)
                return false;
        is_match = hash_matches(text, given, work);
        explicit_bzero(work, sizeof(*work));
        free(work);
        return is_match;
}
