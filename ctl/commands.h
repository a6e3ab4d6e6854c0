/* The verbs of sockctl. */
#pragma once

#include "ctl/context.h"

struct command {
        const char *name;
        const char *arguments;  /* as the usage shows them */
        const char *summary;    /* one line of the overview */
        const char *details;    /* more for `help VERB`, with examples; may be NULL */
        uint32_t options;       /* OPTION_ bits beside the global ones */
        size_t n_least, n_most; /* arguments */
        bool has_subject;       /* as its first argument */
        bool is_offline;        /* connects itself, when it is ready, or not at all */
        int (*run)(struct context *context);
};

/* The verb of that name, or NULL. */
const struct command *commands_find(const char *name);

/* The verb whose name is nearest to a mistyped one; NULL if none is near. */
const struct command *commands_nearest(const char *name);

/* The overview; the page of one verb. */
void commands_print_overview(FILE *file);
void commands_print_help(FILE *file, const struct command *command);

/* Runs a whole command line, argv[0] included, and returns the exit code. Everything of sockctl but
 * the process around it. */
int commands_main(int argc, char **argv, FILE *out, FILE *err);
