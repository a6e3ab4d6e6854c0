/* Header blocks (protocol.md, 6.8): made in a buffer of the caller's, read in place. Pure. */
#include "lib/sockd_private.h"

#include <errno.h>
#include <string.h>

#define FIRST_LINE   "NATS/1.0\r\n"
#define N_FIRST_LINE (sizeof(FIRST_LINE) - 1)

static bool is_name(const char *name) {
        if (!*name)
                return false;
        for (; *name; name++)
                if (*name <= ' ' || *name > '~' || *name == ':')
                        return false;
        return true;
}

static char *put(char *at, const char *bytes, size_t n) {
        memcpy(at, bytes, n);
        return at + n;
}

int sockd_header_add(char *block, size_t size, size_t *n_blockp, const char *name,
                     const char *value) {
        size_t n_before = *n_blockp ? *n_blockp - 2 : N_FIRST_LINE;
        size_t n_name = strlen(name), n_value = strlen(value);
        char *at;

        if (!is_name(name) || strpbrk(value, "\r\n"))
                return -EINVAL;
        if (size < n_before || size - n_before < 6 || n_name > size || n_value > size ||
            n_name + n_value > size - n_before - 6)
                return -ENOBUFS;

        if (*n_blockp == 0)
                memcpy(block, FIRST_LINE, N_FIRST_LINE);
        at = put(block + n_before, name, n_name);
        at = put(at, ": ", 2);
        at = put(at, value, n_value);
        at = put(at, "\r\n\r\n", 4);
        *n_blockp = (size_t)(at - block);
        return 0;
}

/* Takes the next line off a block, without its end; false at the end of the block. */
static bool next_line(const char *block, size_t n, size_t *positionp, const char **linep,
                      size_t *n_linep) {
        const char *line, *newline;

        if (*positionp >= n)
                return false;
        line = block + *positionp;
        newline = memchr(line, '\n', n - *positionp);
        *n_linep = newline ? (size_t)(newline - line) : n - *positionp;
        *positionp += *n_linep + (newline ? 1 : 0);
        if (*n_linep > 0 && line[*n_linep - 1] == '\r')
                (*n_linep)--;
        *linep = line;
        return true;
}

static void trim(const char **textp, size_t *np) {
        while (*np > 0 && (**textp == ' ' || **textp == '\t')) {
                (*textp)++;
                (*np)--;
        }
        while (*np > 0 && ((*textp)[*np - 1] == ' ' || (*textp)[*np - 1] == '\t'))
                (*np)--;
}

bool sockd_header_next(const struct sockd_message *message, size_t *positionp, const char **namep,
                       size_t *n_namep, const char **valuep, size_t *n_valuep) {
        const char *line, *colon;
        size_t n_line;

        if (*positionp == 0 &&
            !next_line(message->headers, message->n_headers, positionp, &line, &n_line))
                return false;
        while (next_line(message->headers, message->n_headers, positionp, &line, &n_line)) {
                colon = n_line > 0 ? memchr(line, ':', n_line) : NULL;
                if (!colon || colon == line)
                        continue;
                *namep = line;
                *n_namep = (size_t)(colon - line);
                *valuep = colon + 1;
                *n_valuep = n_line - *n_namep - 1;
                trim(valuep, n_valuep);
                return true;
        }
        return false;
}

const char *sockd_header_find(const struct sockd_message *message, const char *name,
                              size_t *n_valuep) {
        const char *found, *value;
        size_t position = 0, n_found;

        while (sockd_header_next(message, &position, &found, &n_found, &value, n_valuep))
                if (n_found == strlen(name) && memcmp(found, name, n_found) == 0)
                        return value;
        return NULL;
}
