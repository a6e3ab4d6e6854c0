/* The table of verbs, and the way from a command line to one of them.
 *
 * What a verb takes, what its help says and what is refused before it runs come from its row.
 */
#include "ctl/commands.h"

#include <string.h>
#include <unistd.h>

#include "ctl/access.h"
#include "ctl/actions.h"
#include "ctl/bench.h"
#include "ctl/clients.h"
#include "ctl/config_check.h"
#include "ctl/listeners.h"
#include "ctl/messaging.h"
#include "ctl/nkey.h"
#include "ctl/passwd.h"
#include "ctl/reply.h"
#include "ctl/reports.h"
#include "ctl/services.h"
#include "ctl/session.h"
#include "lib/bytes.h"
#include "lib/subject.h"
#include "lib/suggest.h"

#define N_MANY 1000000

static int run_help(struct context *context);

static const struct command commands[] = {
        {.name = "status",
         .arguments = "",
         .run = report_status,
         .summary = "show whether the daemon runs, and what it does",
         .details = "Exits with 0 if it runs, 3 if not.\n"},
        {.name = "listeners",
         .arguments = "[show NAME]",
         .run = listeners_run,
         .is_offline = true,
         .n_most = 2,
         .summary = "list the sockets that the daemon listens on, or show one",
         .details = "Examples:\n"
                    "  sockctl listeners\n"
                    "  sockctl listeners show tcp\n"},
        {.name = "accounts",
         .arguments = "",
         .run = report_accounts,
         .summary = "list accounts, with what they have and who is there"},
        {.name = "clients",
         .arguments = "[show ID | kick ID]",
         .run = clients_run,
         .is_offline = true,
         .n_most = 2,
         .options = OPTION_SORT | OPTION_STATE,
         .summary = "list clients, show or disconnect one",
         .details = "Examples:\n"
                    "  sockctl clients --sort pending\n"
                    "  sockctl clients show 17\n"
                    "  sockctl clients kick 17\n"},
        {.name = "subs",
         .arguments = "[SUBJECT]",
         .run = report_subs,
         .has_subject = true,
         .n_most = 1,
         .summary = "list subscriptions, all or those that SUBJECT reaches"},
        {.name = "services",
         .arguments = "",
         .run = services_run,
         .summary = "list what the daemon answers itself, with counts and latencies"},
        {.name = "access",
         .arguments = "whoami | check [-q GROUP] USER pub|sub SUBJECT",
         .run = access_run,
         .is_offline = true,
         .n_least = 1,
         .n_most = 4,
         .options = OPTION_QUEUE,
         .summary = "show who you are to the daemon, or what a user may",
         .details = "check sends nothing; it exits with 0 if USER may, with 1 if not, and says by\n"
                    "which entry of which file. Who is no user is called anonymous.\n\n"
                    "Examples:\n"
                    "  sockctl access whoami\n"
                    "  sockctl access check alice pub orders.new\n"},
        {.name = "ping",
         .arguments = "",
         .run = action_ping,
         .summary = "measure how fast the daemon answers"},
        {.name = "pub",
         .arguments = "SUBJECT [DATA|-]",
         .run = messaging_pub,
         .is_offline = true,
         .has_subject = true,
         .n_least = 1,
         .n_most = 2,
         .options = OPTION_REPLY | OPTION_HEADER | OPTION_COUNT,
         .summary = "publish a message",
         .details = "DATA is read from standard input if it is -, or missing there where standard\n"
                    "input is no terminal.\n\n"
                    "Examples:\n"
                    "  sockctl pub news.local 'the door is open'\n"
                    "  journalctl -n1 -o json | sockctl pub log.last\n"},
        {.name = "sub",
         .arguments = "SUBJECT",
         .run = messaging_sub,
         .has_subject = true,
         .n_least = 1,
         .n_most = 1,
         .options = OPTION_COUNT | OPTION_SHOW_HEADERS | OPTION_QUEUE,
         .summary = "print the messages that arrive on a subject",
         .details = "Ends after --count messages, if that is not 0, or after --timeout. Without a\n"
                    "message, and with less than --count, the latter exits with 124.\n\n"
                    "Examples:\n"
                    "  sockctl sub 'news.>'\n"
                    "  sockctl sub --count 1 --timeout 5s --headers job.done\n"
                    "  sockctl sub --json '>' | jq -r .subject\n"},
        {.name = "request",
         .arguments = "SUBJECT [DATA|-]",
         .run = messaging_request,
         .is_offline = true,
         .has_subject = true,
         .n_least = 1,
         .n_most = 2,
         .options = OPTION_HEADER | OPTION_SHOW_HEADERS,
         .summary = "ask a service and print its answer",
         .details =
                 "Exits with 3 if nobody answers on SUBJECT, with 124 if no answer comes within\n"
                 "--timeout (2s), with 1 if the service says that it failed.\n\n"
                 "Example:\n"
                 "  sockctl request --timeout 500ms host.uptime\n"},
        {.name = "reply",
         .arguments = "SUBJECT -- PROGRAM [ARGUMENT...]",
         .run = reply_run,
         .is_offline = true,
         .has_subject = true,
         .n_least = 1,
         .n_most = N_MANY,
         .options = OPTION_COUNT | OPTION_QUEUE | OPTION_ECHO,
         .summary = "answer requests with what a program prints, or with --echo",
         .details =
                 "PROGRAM gets the request on its standard input, and its subject in\n"
                 "$SOCKD_SUBJECT. If it fails the answer carries the headers Nats-Service-Error\n"
                 "and Nats-Service-Error-Code. No shell is involved. Ends after --count\n"
                 "requests, if that is not 0.\n\n"
                 "Examples:\n"
                 "  sockctl reply svc.upper -- tr a-z A-Z\n"
                 "  sockctl reply --queue echo svc.echo --echo\n"},
        {.name = "bench",
         .arguments = "",
         .run = bench_run,
         .options = OPTION_BENCH,
         .is_offline = true,
         .summary = "measure throughput and latency",
         .details = "Examples:\n"
                    "  sockctl bench --size 128 --subs 4\n"
                    "  sockctl bench --request --clients 8 --duration 5s\n"},
        {.name = "config",
         .arguments = "check [FILE]",
         .run = config_check_run,
         .n_least = 1,
         .n_most = 2,
         .is_offline = true,
         .summary = "check the configuration without using it",
         .details =
                 "The check is that of sockd --check, whose exit status is returned: 78 if there\n"
                 "are errors, all of which are printed. No daemon need run.\n\n"
                 "Examples:\n"
                 "  sockctl config check && sockctl reload\n"
                 "  sockctl config check /tmp/changed.conf\n"},
        {.name = "passwd",
         .arguments = "",
         .run = passwd_run,
         .options = OPTION_PASSWD,
         .is_offline = true,
         .summary = "make the hash of a password or token for the configuration",
         .details = "It is read twice from the terminal, or as one line from standard input. No\n"
                    "daemon need run.\n\n"
                    "Example:\n"
                    "  sockctl passwd --bcrypt --cost 12\n"},
        {.name = "nkey",
         .arguments = "[--public [FILE|-]]",
         .run = nkey_run,
         .n_most = 1,
         .options = OPTION_NKEY,
         .is_offline = true,
         .summary = "make a key pair for a user, or tell the public key of a seed",
         .details = "The seed stays with the user, for --nkey; the public key goes to the\n"
                    "configuration. The seed is looked for in FILE, or on standard input. No\n"
                    "daemon need run.\n\n"
                    "Examples:\n"
                    "  (umask 077; sockctl nkey >alice.nkey)\n"
                    "  sockctl nkey --public alice.nkey\n"},
        {.name = "reload",
         .arguments = "",
         .run = action_reload,
         .summary = "read the configuration again"},
        {.name = "drain",
         .arguments = "",
         .run = action_drain,
         .summary = "let clients leave in their own time, then stop"},
        {.name = "stop", .arguments = "", .run = action_stop, .summary = "stop the daemon"},
        {.name = "log-level",
         .arguments = "[LEVEL]",
         .run = action_log_level,
         .n_most = 1,
         .summary = "show or set the log level: error, warning, info, debug, trace"},
        {.name = "version",
         .arguments = "",
         .run = action_version,
         .is_offline = true,
         .summary = "print the versions of sockctl and of the daemon"},
        {.name = "help",
         .arguments = "[VERB]",
         .run = run_help,
         .n_most = 1,
         .is_offline = true,
         .summary = "explain a verb"},
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

const struct command *commands_find(const char *name) {
        for (size_t i = 0; i < N_COMMANDS; i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

const struct command *commands_nearest(const char *name) {
        const struct command *nearest = NULL;
        unsigned best = suggest_limit(name) + 1;

        for (size_t i = 0; i < N_COMMANDS; i++) {
                unsigned distance = suggest_distance(name, commands[i].name);

                if (distance < best) {
                        best = distance;
                        nearest = &commands[i];
                }
        }
        return nearest;
}

void commands_print_overview(FILE *file) {
        fputs("Usage: sockctl [OPTION...] VERB [ARGUMENT...]\n\n"
              "Shows what sockd does, steers it, and sends and receives messages through it.\n\n"
              "Verbs:\n",
              file);
        for (size_t i = 0; i < N_COMMANDS; i++)
                fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].summary);
        fputs("\nOptions for all verbs:\n", file);
        options_print_help(file, OPTION_GLOBAL);
        fputs("\nsockctl help VERB tells more; so does sockctl(1).\n", file);
}

void commands_print_help(FILE *file, const struct command *command) {
        fprintf(file, "Usage: sockctl [OPTION...] %s%s%s\n\n%c%s.\n", command->name,
                *command->arguments ? " " : "", command->arguments, command->summary[0] - 'a' + 'A',
                command->summary + 1);
        if (command->options) {
                fputs("\nOptions:\n", file);
                options_print_help(file, command->options);
        }
        fputs("\nOptions for all verbs:\n", file);
        options_print_help(file, OPTION_GLOBAL);
        if (command->details)
                fprintf(file, "\n%s", command->details);
}

static int fail_unknown(struct context *context, const char *name) {
        const struct command *nearest = commands_nearest(name);

        if (nearest)
                return context_fail(context, EXIT_USAGE,
                                    "unknown verb \"%s\"; did you mean \"%s\"?", name,
                                    nearest->name);
        return context_fail(context, EXIT_USAGE, "unknown verb \"%s\"; sockctl help lists them",
                            name);
}

static int run_help(struct context *context) {
        const char *name = context_argument(context, 0);

        if (!name) {
                commands_print_overview(context->out);
                return context_flush(context, NULL);
        }
        if (!commands_find(name))
                return fail_unknown(context, name);
        commands_print_help(context->out, commands_find(name));
        return context_flush(context, NULL);
}

static bool has_blank(const char *text) {
        return text[strcspn(text, " \t\r\n")] != '\0';
}

/* A server need not say what is wrong with a subject: to an empty token nobody can subscribe, so
 * what is published there is lost. */
static int check_subject(struct context *context, const char *subject) {
        if (!subject || (subject_is_valid(bytes_from_string(subject)) && !has_blank(subject)))
                return EXIT_DONE;
        return context_fail(context, EXIT_USAGE,
                            "\"%s\" is no valid subject: that is words with a dot between them, "
                            "none empty or with a blank, and > only the last",
                            subject);
}

static int check_subjects(struct context *context, const struct command *command) {
        const struct options *options = context->options;
        int code = command->has_subject ? check_subject(context, context_argument(context, 0))
                                        : EXIT_DONE;

        if (code == EXIT_DONE)
                code = check_subject(context, options->reply);
        if (code == EXIT_DONE)
                code = check_subject(context, options->subject);
        if (code == EXIT_DONE && options->queue && (!*options->queue || has_blank(options->queue)))
                code = context_fail(context, EXIT_USAGE, "--queue \"%s\": a word was expected",
                                    options->queue);
        return code;
}

static int check_arguments(struct context *context, const struct command *command) {
        size_t n = context->options->n_arguments;

        if (n < command->n_least || n > command->n_most)
                return context_fail(context, EXIT_USAGE, "usage: sockctl %s%s%s", command->name,
                                    *command->arguments ? " " : "", command->arguments);
        return check_subjects(context, command);
}

static int run_command(struct context *context, const struct command *command) {
        int code = check_arguments(context, command);

        if (code)
                return code;
        /* Init systems ask this of a status program: not running is 3. */
        if (command->run == report_status)
                context->unreachable_code = EXIT_NOT_FOUND;
        if (!command->is_offline)
                code = session_open(context);
        return code ? code : command->run(context);
}

static int run_verb(struct context *context, struct options *options, int argc, char **argv) {
        const struct command *command;

        context->verb = argv[0];
        command = commands_find(argv[0]);
        if (!command)
                return fail_unknown(context, argv[0]);
        if (options_parse(options, OPTION_GLOBAL | command->options, false, argc, argv) < 0)
                return context_fail(context, EXIT_USAGE, "%s; see sockctl help %s", options->error,
                                    command->name);
        if (options->help) {
                commands_print_help(context->out, command);
                return context_flush(context, NULL);
        }
        return run_command(context, command);
}

int commands_main(int argc, char **argv, FILE *out, FILE *err) {
        struct options options;
        struct context context = {.options = &options,
                                  .verb = "sockctl",
                                  .out = out,
                                  .err = err,
                                  .unreachable_code = EXIT_UNREACHABLE,
                                  .is_terminal = fileno(out) >= 0 && isatty(fileno(out))};
        int code;

        options_init(&options);
        if (options_parse(&options, OPTION_GLOBAL, true, argc, argv) < 0)
                return context_fail(&context, EXIT_USAGE, "%s; see sockctl help", options.error);
        if (options.version) {
                fprintf(out, "sockctl %s\n", PACKAGE_VERSION);
                return context_flush(&context, NULL);
        }
        if (options.help || options.n_arguments == 0) {
                commands_print_overview(options.help ? out : err);
                return options.help ? context_flush(&context, NULL) : EXIT_USAGE;
        }
        code = run_verb(&context, &options, (int)options.n_arguments, options.arguments);
        context.connection = sockd_free(context.connection);
        return code;
}
