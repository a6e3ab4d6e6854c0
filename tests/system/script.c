/*
 * The lexical half of the test language. A file is a list of lines; a line is blank, a comment that
 * starts with '#', or words separated by blanks. A word that starts with a quote, double or single,
 * runs to the next such quote and knows the escapes \r \n \t \\ \" \' and \xNN; "…"*N behind it
 * repeats it N times. Any other word runs to the next blank and knows no escapes. The first line
 * must be a comment: every scenario says what it proves.
 */
#include "script.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPEAT_MAX (64UL << 20)

/* What is left of a line. */
struct cursor {
        const char *at;
        const char *end;
};

static bool cursor_at_blank(const struct cursor *cursor) {
        return cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\t');
}

static int hex_value(char digit) {
        if (digit >= '0' && digit <= '9')
                return digit - '0';
        if (digit >= 'a' && digit <= 'f')
                return digit - 'a' + 10;
        if (digit >= 'A' && digit <= 'F')
                return digit - 'A' + 10;
        return -1;
}

/* Reads what follows a backslash. */
static bool word_read_escape(struct bytes *word, struct cursor *cursor) {
        static const char letters[] = "rnt\\\"'", values[] = "\r\n\t\\\"'";
        const char *letter;
        char byte;

        if (cursor->at == cursor->end)
                return false;
        letter = strchr(letters, *cursor->at);
        if (*cursor->at && letter) {
                bytes_append(word, &values[letter - letters], 1);
                cursor->at++;
                return true;
        }
        if (cursor->end - cursor->at < 3 || *cursor->at != 'x' || hex_value(cursor->at[1]) < 0 ||
            hex_value(cursor->at[2]) < 0)
                return false;
        byte = (char)(hex_value(cursor->at[1]) * 16 + hex_value(cursor->at[2]));
        bytes_append(word, &byte, 1);
        cursor->at += 3;
        return true;
}

static bool word_read_repeat(struct bytes *word, struct cursor *cursor) {
        BYTES_DEINIT struct bytes once = {};
        size_t count = 0;

        if (cursor->at == cursor->end || *cursor->at != '*')
                return true;
        cursor->at++;
        while (cursor->at < cursor->end && isdigit((unsigned char)*cursor->at) &&
               count < REPEAT_MAX)
                count = count * 10 + (size_t)(*cursor->at++ - '0');
        if (!count || !word->length || count > REPEAT_MAX / word->length)
                return false;
        bytes_append(&once, word->data, word->length);
        while (--count)
                bytes_append(word, once.data, once.length);
        return true;
}

static bool word_read_quoted(struct bytes *word, struct cursor *cursor) {
        char quote = *cursor->at++;

        bytes_append(word, "", 0);
        while (cursor->at < cursor->end && *cursor->at != quote) {
                if (*cursor->at != '\\') {
                        bytes_append(word, cursor->at++, 1);
                        continue;
                }
                cursor->at++;
                if (!word_read_escape(word, cursor))
                        return false;
        }
        if (cursor->at == cursor->end)
                return false;
        cursor->at++;
        return word_read_repeat(word, cursor) &&
               (cursor->at == cursor->end || cursor_at_blank(cursor));
}

static bool word_read(struct bytes *word, struct cursor *cursor) {
        const char *start = cursor->at;

        if (*cursor->at == '"' || *cursor->at == '\'')
                return word_read_quoted(word, cursor);
        while (cursor->at < cursor->end && !cursor_at_blank(cursor))
                cursor->at++;
        bytes_append(word, start, (size_t)(cursor->at - start));
        return true;
}

static struct bytes *directive_add_word(struct directive *directive) {
        directive->words =
                reallocarray(directive->words, directive->n_words + 1, sizeof(*directive->words));
        if (!directive->words)
                err(1, "script");
        directive->words[directive->n_words] = (struct bytes){};
        return &directive->words[directive->n_words++];
}

static bool directive_read(struct directive *directive, struct cursor *cursor) {
        for (;;) {
                while (cursor_at_blank(cursor))
                        cursor->at++;
                if (cursor->at == cursor->end)
                        return true;
                if (!word_read(directive_add_word(directive), cursor))
                        return false;
        }
}

static struct directive *script_add(struct script *script, unsigned line) {
        script->directives = reallocarray(script->directives, script->n_directives + 1,
                                          sizeof(*script->directives));
        if (!script->directives)
                err(1, "script");
        script->directives[script->n_directives] = (struct directive){ .line = line };
        return &script->directives[script->n_directives++];
}

static bool script_read_line(struct script *script, unsigned number, struct cursor *cursor,
                             struct bytes *failure) {
        if (cursor->end > cursor->at && *cursor->at == '#')
                return true;
        if (number == 1) {
                bytes_append_format(failure,
                                    "%s:1: the first line must be a comment that says "
                                    "what the scenario proves\n",
                                    script->path);
                return false;
        }
        while (cursor_at_blank(cursor))
                cursor->at++;
        if (cursor->at == cursor->end)
                return true;
        if (directive_read(script_add(script, number), cursor))
                return true;
        bytes_append_format(failure, "%s:%u: bad string near: %.*s\n", script->path, number,
                            (int)(cursor->end - cursor->at), cursor->at);
        return false;
}

static bool script_read(struct script *script, FILE *file, struct bytes *failure) {
        char *line = NULL;
        size_t capacity = 0;
        ssize_t length;
        unsigned number = 0;
        bool fine = true;

        while (fine && (length = getline(&line, &capacity, file)) > 0) {
                struct cursor cursor = { line, line + length };

                if (line[length - 1] == '\n')
                        cursor.end--;
                fine = script_read_line(script, ++number, &cursor, failure);
        }
        free(line);
        return fine;
}

bool script_load(struct script *script, const char *path, struct bytes *failure) {
        FILE *file = fopen(path, "re");
        bool fine;

        if (!file) {
                bytes_append_format(failure, "%s: %s\n", path, strerror(errno));
                return false;
        }
        script->path = strdup(path);
        if (!script->path)
                err(1, "script");
        fine = script_read(script, file, failure);
        fclose(file);
        return fine;
}

void script_deinit(struct script *script) {
        for (size_t i = 0; i < script->n_directives; i++) {
                for (size_t j = 0; j < script->directives[i].n_words; j++)
                        bytes_deinit(&script->directives[i].words[j]);
                free(script->directives[i].words);
        }
        free(script->directives);
        free(script->path);
        *script = (struct script){};
}

char *script_name(const char *path) {
        const char *slash = strrchr(path, '/');
        char *name = strdup(slash ? slash + 1 : path);
        char *dot;

        if (!name)
                err(1, "script");
        dot = strrchr(name, '.');
        if (dot && strcmp(dot, ".test") == 0)
                *dot = '\0';
        return name;
}
