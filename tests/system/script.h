/* A scenario file, cut into directives; it says what stands in the file, not what it means. */
#pragma once

#include "bytes.h"

/* One line: a list of words, quoted or bare, with escapes and repetitions resolved. */
struct directive {
        unsigned line;
        size_t n_words;
        struct bytes *words;
};

struct script {
        char *path;
        size_t n_directives;
        struct directive *directives;
};

/* Reads the file at path. On failure returns false and says why, with the line, in *failure. */
bool script_load(struct script *script, const char *path, struct bytes *failure);
void script_deinit(struct script *script);

/* The scenario's name: the file's name without folder and ".test", allocated. */
char *script_name(const char *path);
