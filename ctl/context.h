/* What a verb of sockctl works with: its options, its connection, where it prints; and how it
 * ends. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl/options.h"
#include "lib/sockd.h"

/* Exit codes; documented in sockctl(1), fixed. */
enum exit_code {
        EXIT_DONE = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2,
        EXIT_NOT_FOUND = 3, /* also: no responders; `status`: not running, as LSB */
        EXIT_PERMISSION = 4,
        EXIT_UNREACHABLE = 5,
        EXIT_TIMEOUT = 124,
};

struct context {
        const struct options *options;
        const char *verb;         /* for messages */
        struct sockd *connection; /* own; NULL until session_open() */
        FILE *out, *err;
        bool is_terminal;     /* out is one */
        int unreachable_code; /* exit code when there is no daemon */
};

/* The timeout that the user gave, or the verb's own. */
static inline int context_timeout(const struct context *context, int default_ms) {
        return context->options->timeout_ms >= 0 ? context->options->timeout_ms : default_ms;
}

/* The nth argument behind the verb, or NULL. */
static inline const char *context_argument(const struct context *context, size_t n) {
        return n < context->options->n_arguments ? context->options->arguments[n] : NULL;
}

/* Says why a verb ends, in one line on `err`, or with --json as an object on `out`; returns the
 * code. */
__attribute__((format(printf, 3, 4))) int context_fail(struct context *context, int code,
                                                       const char *format, ...);

/* With --verbose, one line on `err`. */
__attribute__((format(printf, 2, 3))) void context_tell(struct context *context, const char *format,
                                                        ...);

/* A line of warning on stderr, in words that harm no terminal. */
__attribute__((format(printf, 2, 3))) void context_warn(struct context *context, const char *format,
                                                        ...);

/* Prints one line on `out`, in which nothing from elsewhere can speak to the terminal, and flushes.
 * Returns an exit code. */
__attribute__((format(printf, 2, 3))) int context_say(struct context *context, const char *format,
                                                      ...);

/* Prints a JSON value and a newline, and flushes; takes the value over. Returns an exit code. */
int context_print_json(struct context *context, json_t *value);

/* The same on one line whatever the options say: for streams. */
int context_print_json_line(struct context *context, json_t *value);

/* Flushes `out`. Returns EXIT_DONE, or EXIT_FAILED after having said why. A reader that has gone
 * is no failure: what it did not want need not be written; *is_gonep, if not NULL, tells. */
int context_flush(struct context *context, bool *is_gonep);

/* Whether to colour what goes to `out`. */
bool context_has_color(const struct context *context);
