/* Misspelt words; see suggest.h. */
#include "lib/suggest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#define WORD_MAX 31

static unsigned smaller(unsigned a, unsigned b) {
        return a < b ? a : b;
}

/* The optimal string alignment distance: d[i][k] is that of the first i and k letters. */
unsigned suggest_distance(const char *a, const char *b) {
        unsigned d[WORD_MAX + 1][WORD_MAX + 1];
        size_t n_a = strlen(a), n_b = strlen(b);

        if (n_a > WORD_MAX || n_b > WORD_MAX)
                return UINT_MAX;
        for (size_t i = 0; i <= n_a; i++)
                d[i][0] = (unsigned)i;
        for (size_t k = 0; k <= n_b; k++)
                d[0][k] = (unsigned)k;
        for (size_t i = 1; i <= n_a; i++)
                for (size_t k = 1; k <= n_b; k++) {
                        unsigned replaced = d[i - 1][k - 1] + (a[i - 1] == b[k - 1] ? 0 : 1);

                        d[i][k] = smaller(smaller(d[i - 1][k], d[i][k - 1]) + 1, replaced);
                        if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                                d[i][k] = smaller(d[i][k], d[i - 2][k - 2] + 1);
                }
        return d[n_a][n_b];
}

unsigned suggest_limit(const char *word) {
        return strlen(word) < 4 ? 1 : 2;
}
