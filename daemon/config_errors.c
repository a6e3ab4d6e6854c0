/* The list of complaints about a configuration; see config_errors.h. */
#include "daemon/config_errors.h"

#include "lib/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int config_errors_add(struct config_errors *errors, const char *format, ...) {
        va_list arguments;
        char **lines, *line;
        int n;

        if (errors->n_lines > CONFIG_ERRORS_MAX)
                return 0;
        if (errors->n_lines == CONFIG_ERRORS_MAX)
                format = "there are more errors, which are not shown";
        va_start(arguments, format);
        n = vasprintf(&line, format, arguments);
        va_end(arguments);
        if (n < 0)
                return -ENOMEM;
        text_make_printable(line, (size_t)n);
        lines = realloc(errors->lines, (errors->n_lines + 1) * sizeof(*lines));
        if (!lines) {
                free(line);
                return -ENOMEM;
        }
        lines[errors->n_lines++] = line;
        errors->lines = lines;
        return 0;
}

void config_errors_deinit(struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_lines; i++)
                free(errors->lines[i]);
        free(errors->lines);
        *errors = (struct config_errors){0};
}
