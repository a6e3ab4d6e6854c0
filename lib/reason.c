/* Reasons. See reason.h. */
#include "lib/reason.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

int reason_set(char **reasonp, int error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        if (vasprintf(reasonp, format, arguments) < 0)
                *reasonp = NULL;
        va_end(arguments);
        return error;
}
