/* nkeys; see nkey.h.
 *
 * A text is base32 of one or two bytes that say what kind of key it is, the 32 bytes of the key,
 * and a CRC of both. Ed25519 and base64 are OpenSSL's.
 */
#include "lib/nkey.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#define CRC_BYTES 2
/* Bytes of a public key and of a seed before they are base32. */
#define PUBLIC_BYTES (1 + NKEY_BYTES + CRC_BYTES)
#define SEED_BYTES   (2 + NKEY_BYTES + CRC_BYTES)

/* The kinds of key are numbers of five bits, the first character of a public key. */
#define TYPE_USER   ((uint8_t)(20 << 3)) /* U */
#define PREFIX_SEED ((uint8_t)(18 << 3)) /* S */

#define SIGNATURE_BYTES 64
/* Characters of a signature, and of the padding that standard base64 has behind them. */
#define SIGNATURE_LENGTH  (NKEY_SIGNATURE_TEXT_SIZE - 1)
#define SIGNATURE_PADDING 2

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static int refuse(const char **reasonp, const char *reason) {
        if (reasonp)
                *reasonp = reason;
        return -EINVAL;
}

/* CRC-16/XMODEM. */
static uint16_t crc16(const uint8_t *bytes, size_t n) {
        uint16_t crc = 0;

        for (size_t i = 0; i < n; i++) {
                crc ^= (uint16_t)(bytes[i] << 8);
                for (int bit = 0; bit < 8; bit++)
                        crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
        }
        return crc;
}

/* Reads the bytes that the text holds whole. Returns whether it is base32, and the bits behind the
 * last byte are zero. */
static bool base32_decode(uint8_t *bytes, struct bytes text) {
        unsigned window = 0, n_bits = 0;

        for (size_t i = 0; i < text.length; i++) {
                const char *found = memchr(base32, text.data[i], sizeof(base32) - 1);

                if (!found)
                        return false;
                window = window << 5 | (unsigned)(found - base32);
                n_bits += 5;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        *bytes++ = (uint8_t)(window >> n_bits);
                }
        }
        return (window & ((1u << n_bits) - 1)) == 0;
}

static void base32_encode(char *text, const uint8_t *bytes, size_t n) {
        unsigned window = 0, n_bits = 0;

        for (size_t i = 0; i < n; i++) {
                window = window << 8 | bytes[i];
                for (n_bits += 8; n_bits >= 5; n_bits -= 5)
                        *text++ = base32[window >> (n_bits - 5) & 31];
        }
        if (n_bits > 0)
                *text++ = base32[window << (5 - n_bits) & 31];
        *text = '\0';
}

static void write_crc(uint8_t *bytes, size_t n) {
        uint16_t crc = crc16(bytes, n);

        bytes[n] = (uint8_t)crc;
        bytes[n + 1] = (uint8_t)(crc >> 8);
}

static bool has_crc(const uint8_t *bytes, size_t n) {
        uint16_t crc = crc16(bytes, n);

        return bytes[n] == (uint8_t)crc && bytes[n + 1] == (uint8_t)(crc >> 8);
}

int nkey_public_parse(struct nkey_public *key, struct bytes text, const char **reasonp) {
        uint8_t bytes[PUBLIC_BYTES];

        if (text.length == NKEY_SEED_TEXT_SIZE - 1 && *text.data == 'S')
                return refuse(reasonp, "it is a seed, which is secret; the public key of it is "
                                       "wanted");
        if (text.length != NKEY_PUBLIC_TEXT_SIZE - 1)
                return refuse(reasonp, "it does not have the 56 characters of a public key");
        if (!base32_decode(bytes, text))
                return refuse(reasonp, "it has other characters than A to Z and 2 to 7");
        if (!has_crc(bytes, PUBLIC_BYTES - CRC_BYTES))
                return refuse(reasonp, "its checksum is wrong; a character is not as it was");
        if (*bytes != TYPE_USER)
                return refuse(reasonp, "it is not the key of a user, which begins with U");
        memcpy(key->bytes, bytes + 1, NKEY_BYTES);
        return 0;
}

static int parse_seed(struct nkey_seed *seed, uint8_t bytes[SEED_BYTES], struct bytes text,
                      const char **reasonp) {
        if (text.length != NKEY_SEED_TEXT_SIZE - 1)
                return refuse(reasonp, "it does not have the 58 characters of a seed");
        if (!base32_decode(bytes, text))
                return refuse(reasonp, "it has other characters than A to Z and 2 to 7");
        if (!has_crc(bytes, SEED_BYTES - CRC_BYTES))
                return refuse(reasonp, "its checksum is wrong; a character is not as it was");
        if (bytes[0] != (PREFIX_SEED | TYPE_USER >> 5) || bytes[1] != (uint8_t)(TYPE_USER << 3))
                return refuse(reasonp, "it is not the seed of a user, which begins with SU");
        memcpy(seed->bytes, bytes + 2, NKEY_BYTES);
        return 0;
}

int nkey_seed_parse(struct nkey_seed *seed, struct bytes text, const char **reasonp) {
        uint8_t bytes[SEED_BYTES];
        int r = parse_seed(seed, bytes, text, reasonp);

        explicit_bzero(bytes, sizeof(bytes));
        return r;
}

char *nkey_public_format(char text[NKEY_PUBLIC_TEXT_SIZE], const struct nkey_public *key) {
        uint8_t bytes[PUBLIC_BYTES] = {TYPE_USER};

        memcpy(bytes + 1, key->bytes, NKEY_BYTES);
        write_crc(bytes, PUBLIC_BYTES - CRC_BYTES);
        base32_encode(text, bytes, PUBLIC_BYTES);
        return text;
}

char *nkey_seed_format(char text[NKEY_SEED_TEXT_SIZE], const struct nkey_seed *seed) {
        uint8_t bytes[SEED_BYTES] = {PREFIX_SEED | TYPE_USER >> 5, (uint8_t)(TYPE_USER << 3)};

        memcpy(bytes + 2, seed->bytes, NKEY_BYTES);
        write_crc(bytes, SEED_BYTES - CRC_BYTES);
        base32_encode(text, bytes, SEED_BYTES);
        explicit_bzero(bytes, sizeof(bytes));
        return text;
}

int nkey_seed_new(struct nkey_seed *seed) {
        ssize_t n = getrandom(seed->bytes, NKEY_BYTES, 0);

        return n == NKEY_BYTES ? 0 : n < 0 ? -errno : -EIO;
}

int nkey_seed_public(const struct nkey_seed *seed, struct nkey_public *key) {
        EVP_PKEY *pair =
                EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed->bytes, NKEY_BYTES);
        size_t n = NKEY_BYTES;
        bool is_done = pair && EVP_PKEY_get_raw_public_key(pair, key->bytes, &n) == 1;

        EVP_PKEY_free(pair);
        return is_done ? 0 : -EIO;
}

/* Writes what EVP_EncodeBlock(3) makes of a signature, without padding, in the alphabet for URLs.
 */
static void format_signature(char text[NKEY_SIGNATURE_TEXT_SIZE],
                             const unsigned char signature[SIGNATURE_BYTES]) {
        char padded[SIGNATURE_LENGTH + SIGNATURE_PADDING + 1];

        EVP_EncodeBlock((unsigned char *)padded, signature, SIGNATURE_BYTES);
        for (size_t i = 0; i < SIGNATURE_LENGTH; i++)
                text[i] = padded[i] == '+' ? '-' : padded[i] == '/' ? '_' : padded[i];
        text[SIGNATURE_LENGTH] = '\0';
}

int nkey_sign(const struct nkey_seed *seed, struct bytes nonce,
              char signature[NKEY_SIGNATURE_TEXT_SIZE]) {
        EVP_PKEY *pair =
                EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed->bytes, NKEY_BYTES);
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        unsigned char bytes[SIGNATURE_BYTES];
        size_t n = sizeof(bytes);
        bool is_done = pair && context &&
                       EVP_DigestSignInit(context, NULL, NULL, NULL, pair) == 1 &&
                       EVP_DigestSign(context, bytes, &n, (const unsigned char *)nonce.data,
                                      nonce.length) == 1;

        if (is_done)
                format_signature(signature, bytes);
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(pair);
        return is_done ? 0 : -EIO;
}

/* Whether it is a letter or a digit of base64, or one of the two others of its alphabet. */
static bool is_base64(char c, const char others[2]) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == others[0] || c == others[1];
}

/* Brings a signature of either form into standard base64 with padding, for EVP_DecodeBlock(3),
 * which by itself passes over blanks. */
static bool normalize_signature(char padded[SIGNATURE_LENGTH + SIGNATURE_PADDING],
                                struct bytes text) {
        bool is_padded = text.length == SIGNATURE_LENGTH + SIGNATURE_PADDING;

        if (!is_padded && text.length != SIGNATURE_LENGTH)
                return false;
        if (is_padded && memcmp(text.data + SIGNATURE_LENGTH, "==", SIGNATURE_PADDING) != 0)
                return false;
        for (size_t i = 0; i < SIGNATURE_LENGTH; i++) {
                char c = text.data[i];

                if (!is_base64(c, is_padded ? "+/" : "-_"))
                        return false;
                padded[i] = c == '-' ? '+' : c == '_' ? '/' : c;
        }
        memcpy(padded + SIGNATURE_LENGTH, "==", SIGNATURE_PADDING);
        return true;
}

static bool parse_signature(unsigned char signature[SIGNATURE_BYTES], struct bytes text) {
        char padded[SIGNATURE_LENGTH + SIGNATURE_PADDING];
        /* The padding becomes two bytes more. */
        unsigned char bytes[SIGNATURE_BYTES + SIGNATURE_PADDING];

        if (!normalize_signature(padded, text) ||
            EVP_DecodeBlock(bytes, (const unsigned char *)padded, sizeof(padded)) != sizeof(bytes))
                return false;
        memcpy(signature, bytes, SIGNATURE_BYTES);
        return true;
}

bool nkey_verify(const struct nkey_public *key, struct bytes nonce, struct bytes signature) {
        unsigned char bytes[SIGNATURE_BYTES];
        EVP_MD_CTX *context;
        EVP_PKEY *pair;
        bool is_good;

        if (!parse_signature(bytes, signature))
                return false;
        pair = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, NKEY_BYTES);
        context = EVP_MD_CTX_new();
        is_good = pair && context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pair) == 1 &&
                  EVP_DigestVerify(context, bytes, sizeof(bytes), (const unsigned char *)nonce.data,
                                   nonce.length) == 1;
        EVP_MD_CTX_free(context);
        EVP_PKEY_free(pair);
        return is_good;
}
