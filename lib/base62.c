/* Numbers as letters and digits. See base62.h. */
#include "lib/base62.h"

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
#define BASE (sizeof(digits) - 1)

/* So many digits fit a number in any case. */
#define DIGITS_MAX 10

void base62_write(char *to, size_t n, uint64_t number) {
        for (size_t i = 0; i < n; i++) {
                to[i] = digits[number % BASE];
                number /= BASE;
        }
}

uint64_t base62_read(struct bytes text) {
        uint64_t number = 0;

        if (text.length == 0 || text.length > DIGITS_MAX)
                return UINT64_MAX;
        for (size_t i = text.length; i > 0; i--) {
                const char *digit = memchr(digits, text.data[i - 1], BASE);

                if (!digit)
                        return UINT64_MAX;
                number = number * BASE + (uint64_t)(digit - digits);
        }
        return number;
}
