/* Seeds in files. See seed.h. */
#include "ctl/seed.h"

#include <errno.h>
#include <string.h>

#define LABEL "seed:"

static bool is_blank(char c) {
        return c == ' ' || c == '\t' || c == '\r';
}

/* The word of a line, without its label and blanks around it. */
static struct bytes word_of(struct bytes line) {
        size_t n_label = strlen(LABEL);

        if (line.length >= n_label && memcmp(line.data, LABEL, n_label) == 0)
                line = (struct bytes){line.data + n_label, line.length - n_label};
        while (line.length > 0 && is_blank(*line.data))
                line = (struct bytes){line.data + 1, line.length - 1};
        while (line.length > 0 && is_blank(line.data[line.length - 1]))
                line.length--;
        return line;
}

int seed_find(struct nkey_seed *seed, struct bytes text, const char **reasonp) {
        for (size_t at = 0; at < text.length;) {
                const char *line = text.data + at, *end = memchr(line, '\n', text.length - at);
                size_t length = end ? (size_t)(end - line) : text.length - at;
                struct bytes word = word_of((struct bytes){line, length});

                if (word.length > 1 && memcmp(word.data, "SU", 2) == 0)
                        return nkey_seed_parse(seed, word, reasonp);
                at += length + 1;
        }
        if (reasonp)
                *reasonp = "there is no line with the seed of a user, which begins with SU";
        return -EINVAL;
}
