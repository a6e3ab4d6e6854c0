/* How a verb speaks: errors, JSON, verbosity; the same for all of them. */
#include "ctl/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

int context_fail(struct context *context, int code, const char *format, ...) {
        char *text = NULL;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (n < 0)
                return code;
        /* Lines of a longer explanation stay lines; nothing else in it reaches the terminal. */
        for (char *line = text; *line;) {
                size_t length = strcspn(line, "\n");

                text_make_printable(line, length);
                line += length + (line[length] ? 1 : 0);
        }
        if (context->options->json)
                context_print_json(context, json_pack("{s:{s:i,s:s}}", "error", "code", code,
                                                      "message", text));
        else
                fprintf(context->err, "sockctl: %s\n", text);
        free(text);
        return code;
}

__attribute__((format(printf, 3, 0))) static void
print_line(FILE *file, const char *prefix, const char *format, va_list arguments) {
        char *text = NULL;

        if (vasprintf(&text, format, arguments) < 0)
                return;
        text_make_printable(text, strlen(text));
        fprintf(file, "%s%s\n", prefix, text);
        free(text);
}

void context_tell(struct context *context, const char *format, ...) {
        va_list arguments;

        if (!context->options->is_verbose)
                return;
        va_start(arguments, format);
        print_line(context->err, "sockctl: ", format, arguments);
        va_end(arguments);
        fflush(context->err);
}

void context_warn(struct context *context, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_line(context->err, "sockctl: warning: ", format, arguments);
        va_end(arguments);
}

int context_say(struct context *context, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        print_line(context->out, "", format, arguments);
        va_end(arguments);
        return context_flush(context, NULL);
}

static int print_json(struct context *context, json_t *value, size_t flags) {
        char *text = NULL;

        if (value)
                text = json_dumps(value, flags | JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
        json_decref(value);
        if (!text) {
                fputs("sockctl: out of memory\n", context->err);
                return EXIT_FAILED;
        }
        fputs(text, context->out);
        fputc('\n', context->out);
        free(text);
        return context_flush(context, NULL);
}

int context_print_json(struct context *context, json_t *value) {
        enum json json = context->options->json;
        bool is_pretty = json == JSON_PRETTY || (json == JSON_AUTO && context->is_terminal);

        return print_json(context, value, is_pretty ? JSON_INDENT(2) : JSON_COMPACT);
}

int context_print_json_line(struct context *context, json_t *value) {
        return print_json(context, value, JSON_COMPACT);
}

int context_flush(struct context *context, bool *is_gonep) {
        if (is_gonep)
                *is_gonep = false;
        if (fflush(context->out) == 0 && !ferror(context->out))
                return EXIT_DONE;
        if (errno == EPIPE) {
                if (is_gonep)
                        *is_gonep = true;
                return EXIT_DONE;
        }
        fprintf(context->err, "sockctl: standard output: %s\n", strerror(errno));
        return EXIT_FAILED;
}

bool context_has_color(const struct context *context) {
        const char *no_color = getenv("NO_COLOR");

        if (context->options->color != COLOR_AUTO)
                return context->options->color == COLOR_ALWAYS;
        return context->is_terminal && !(no_color && *no_color);
}
