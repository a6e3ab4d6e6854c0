/* nkeys: Ed25519 keys of users as text, and the signatures that prove them (protocol.md, 7.3 and
 * 7.4).
 *
 * A user is known by a public key, "U...". The client holds the seed, "SU...", from which both keys
 * follow, and signs with it the nonce of the server's INFO. No state, any thread.
 */
#pragma once

#include "lib/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NKEY_BYTES 32

/* Characters of the texts, and their NUL. */
#define NKEY_PUBLIC_TEXT_SIZE    57
#define NKEY_SEED_TEXT_SIZE      59
#define NKEY_SIGNATURE_TEXT_SIZE 87

struct nkey_public {
        uint8_t bytes[NKEY_BYTES];
};

/* A secret: whoever has one wipes it with explicit_bzero(3), and so too its text. */
struct nkey_seed {
        uint8_t bytes[NKEY_BYTES];
};

/* Read the text of a user's key, and nothing before or behind it. Return 0, or -EINVAL with
 * *reasonp (which may be NULL) set to a constant clause that says what is wrong, without the
 * text: it might be a secret in the wrong place. */
int nkey_public_parse(struct nkey_public *key, struct bytes text, const char **reasonp);
int nkey_seed_parse(struct nkey_seed *seed, struct bytes text, const char **reasonp);

/* Write the text of a key. Return text. */
char *nkey_public_format(char text[NKEY_PUBLIC_TEXT_SIZE], const struct nkey_public *key);
char *nkey_seed_format(char text[NKEY_SEED_TEXT_SIZE], const struct nkey_seed *seed);

/* Draws a new seed. Returns 0 or -errno. */
int nkey_seed_new(struct nkey_seed *seed);

/* The public key that belongs to a seed. Returns 0, or -EIO if OpenSSL fails. */
int nkey_seed_public(const struct nkey_seed *seed, struct nkey_public *key);

/* Signs a nonce; the signature is base64url without padding. Returns 0, or -EIO if OpenSSL fails.
 */
int nkey_sign(const struct nkey_seed *seed, struct bytes nonce,
              char signature[NKEY_SIGNATURE_TEXT_SIZE]);

/* Whether the signature, base64url without padding or standard base64 with it, is one of that key
 * over the nonce. */
bool nkey_verify(const struct nkey_public *key, struct bytes nonce, struct bytes signature);
