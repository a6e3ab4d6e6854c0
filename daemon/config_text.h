/* The text of a configuration: a file and all that it includes, as one string for libconfig, which
 * still knows the file and line that each of its lines came from. There may be secrets in it: it is
 * wiped at the end.
 */
#pragma once

#include "daemon/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* All files together. */
#define CONFIG_TEXT_MAX       (4u << 20)
#define CONFIG_TEXT_FILES_MAX 1000
#define CONFIG_TEXT_DEPTH_MAX 10

/* Lines from first_line on, up to the next segment, are those of the file from file_line on. */
struct config_segment {
        unsigned first_line;
        unsigned file_line;
        const char *file; /* one of files */
};

struct config_text {
        char *bytes; /* owned; ends with a NUL */
        size_t length, size;
        unsigned n_lines; /* ended so far */
        struct config_segment *segments;
        size_t n_segments;
        char **files; /* owned, as is each name */
        size_t n_files;
};

/* Reads the file at path into a zero-initialised text. Deinit it whatever comes back:
 * 0; -ENOENT if there is no such file (without a line in errors); -EINVAL with lines in errors;
 * -ENOMEM. */
int config_text_read(struct config_text *text, const char *path, struct config_errors *errors);

/* The same for a string in memory that goes by the name of path. */
int config_text_read_string(struct config_text *text, const char *path, const char *string,
                            size_t length, struct config_errors *errors);

void config_text_deinit(struct config_text *text);

/* The text as a stream, to be closed before the text is deinitialised; NULL with errno set. Behind
 * it come comments enough that whoever reads it through a buffer has none of the text in it at the
 * end.
 */
FILE *config_text_open(struct config_text *text);

/* Whether the file that a line of the text came from is one that anyone may read. */
bool config_text_is_public(const struct config_text *text, unsigned line);

/* Where a line of the text came from. Returns the file, which lives as long as the text. */
const char *config_text_locate(const struct config_text *text, unsigned line, unsigned *linep);
