/* The list of complaints about a configuration; see config_errors.h. */
#include "daemon/config_errors.h"

#include "lib/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_line(const struct config_errors *errors, const char *line) {
        for (size_t i = 0; i < errors->n_lines; i++)
                if (strcmp(errors->lines[i], line) == 0)
                        return true;
        return false;
}

/* Appends the line, which it owns from then on. */
static int append(struct config_errors *errors, char *line) {
        char **lines = realloc(errors->lines, (errors->n_lines + 1) * sizeof(*lines));

        if (!lines) {
                free(line);
                return -ENOMEM;
        }
        lines[errors->n_lines++] = line;
        errors->lines = lines;
        return 0;
}

__attribute__((format(printf, 3, 0))) static int add(struct config_errors *errors, bool is_once,
                                                     const char *format, va_list arguments) {
        char *line;
        int n;

        if (errors->n_lines > CONFIG_ERRORS_MAX)
                return 0;
        n = vasprintf(&line, format, arguments);
        if (n < 0)
                return -ENOMEM;
        text_make_printable(line, (size_t)n);
        if (is_once && has_line(errors, line)) {
                free(line);
                return 0;
        }
        if (errors->n_lines < CONFIG_ERRORS_MAX)
                return append(errors, line);
        free(line);
        line = strdup("there are more, which are not shown");
        return line ? append(errors, line) : -ENOMEM;
}

int config_errors_add(struct config_errors *errors, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = add(errors, false, format, arguments);
        va_end(arguments);
        return r;
}

int config_errors_add_once(struct config_errors *errors, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = add(errors, true, format, arguments);
        va_end(arguments);
        return r;
}

void config_errors_deinit(struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_lines; i++)
                free(errors->lines[i]);
        free(errors->lines);
        *errors = (struct config_errors){0};
}
