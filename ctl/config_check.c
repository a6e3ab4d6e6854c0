/* config check: `sockd --check` does it, so that there is one reader of the configuration.
 *
 * No daemon need run: a broken file is checked before a start. What has to be found is the program,
 * and best the one that belongs to this sockctl, as a newer one knows other keys.
 */
#include "ctl/config_check.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/process.h"
#include "lib/text.h"

#define OUTPUT_MAX ((size_t)1 << 20)

/* From where sockctl is: installed, wherever that was moved to, and built. */
static bool find_beside(char path[PATH_MAX]) {
        static const char *const places[] = {"../sbin/sockd", "../daemon/sockd"};
        ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
        char *end;

        if (length < 0 || length == PATH_MAX)
                return false;
        path[length] = '\0';
        end = strrchr(path, '/');
        for (size_t i = 0; end && i < sizeof(places) / sizeof(places[0]); i++) {
                size_t size = (size_t)(path + PATH_MAX - end - 1);

                if ((size_t)snprintf(end + 1, size, "%s", places[i]) < size && process_exists(path))
                        return true;
        }
        return false;
}

/* The program to run, or NULL after having said why there is none. */
static const char *find_program(struct context *context, char path[PATH_MAX]) {
        const char *program = getenv("SOCKD_PROGRAM");

        if (program && *program) {
                if (process_exists(program))
                        return program;
                context_fail(context, EXIT_FAILED,
                             "$SOCKD_PROGRAM is \"%s\", and there is no such program", program);
                return NULL;
        }
        if (find_beside(path))
                return path;
        if (process_exists(SBINDIR "/sockd"))
                return SBINDIR "/sockd";
        if (process_exists("sockd"))
                return "sockd";
        context_fail(context, EXIT_FAILED,
                     "the program sockd, which does the check, is neither in " SBINDIR
                     " nor in $PATH; install it, or set SOCKD_PROGRAM to its path");
        return NULL;
}

/* The lines of the check's output as a list, and whether it was content. */
static int print_check(struct context *context, const struct process_output *output) {
        json_t *lines = json_array();
        char *line = output->bytes;
        int code;

        while (lines && *line) {
                size_t n = strcspn(line, "\n"), n_skipped = n + (line[n] ? 1 : 0);

                text_make_printable(line, n);
                if (n > 0)
                        json_array_append_new(lines, json_stringn(line, n));
                line += n_skipped;
        }
        code = context_print_json(
                context, json_pack("{s:b,s:o}", "valid", output->status == 0, "output", lines));
        return code ? code : output->status;
}

static int check_for_programs(struct context *context, char *const argv[]) {
        struct process_output output;
        int result = process_run(argv, environ, NULL, 0, OUTPUT_MAX, true, NULL, &output);

        if (result < 0)
                result = context_fail(context, EXIT_FAILED, "%s: %s", argv[0], strerror(-result));
        else
                result = print_check(context, &output);
        process_output_deinit(&output);
        return result;
}

int config_check_run(struct context *context) {
        const char *action = context_argument(context, 0), *file = context_argument(context, 1);
        char *argv[] = {NULL, (char *)"--check", (char *)(file ? "--config" : NULL), (char *)file,
                        NULL};
        char path[PATH_MAX];

        if (strcmp(action, "check") != 0)
                return context_fail(context, EXIT_USAGE, "config \"%s\": check was expected",
                                    action);
        argv[0] = (char *)find_program(context, path);
        if (!argv[0])
                return EXIT_FAILED;
        context_tell(context, "running %s --check", argv[0]);
        if (context->options->json)
                return check_for_programs(context, argv);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        return context_fail(context, EXIT_FAILED, "%s: %s", argv[0], strerror(errno));
}
