/* A keyed hash of short byte ranges. See hash.h. */
#include "lib/hash.h"

#include <sys/random.h>

static uint64_t key[2] = {0x2d358dccaa6c78a5u, 0x8bb84b93962eacc9u};

void hash_init(void) {
        uint64_t random[2];

        if (getrandom(random, sizeof(random), 0) != sizeof(random))
                return;
        key[0] ^= random[0];
        key[1] ^= random[1];
}

/* The two halves of the product of a and b, folded. */
static inline uint64_t mix(uint64_t a, uint64_t b) {
#ifdef __SIZEOF_INT128__
        __extension__ typedef unsigned __int128 uint128;
        uint128 product = (uint128)a * b;

        return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
        uint64_t x = (a ^ (b >> 32)) * 0x9e3779b97f4a7c15u;

        x = (x ^ (x >> 29)) * (b | 1);
        return x ^ (x >> 32);
#endif
}

/* Up to 8 bytes. The two pieces may overlap: the length is in the hash as well. */
static inline uint64_t load_short(const char *data, size_t n) {
        if (n >= 4)
                return (uint64_t)bytes_load32(data) << 32 | bytes_load32(data + n - 4);
        if (n == 0)
                return 0;
        return (uint64_t)(unsigned char)data[0] << 16 | (uint64_t)(unsigned char)data[n / 2] << 8 |
               (unsigned char)data[n - 1];
}

uint64_t hash_bytes(struct bytes bytes, uint64_t seed) {
        uint64_t hash = mix(seed ^ key[0], bytes.length ^ key[1]);

        while (bytes.length > 8) {
                hash = mix(hash ^ bytes_load64(bytes.data), key[1]);
                bytes.data += 8;
                bytes.length -= 8;
        }
        hash = mix(hash ^ load_short(bytes.data, bytes.length), key[0]);
        return mix(hash, key[1]);
}
