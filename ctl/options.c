/* The table of options, and getopt_long(3) around it.
 *
 * A row says how an option is spelled, which verbs take it, and where its value goes; what is
 * parsed, what is explained and what is refused all come from here.
 */
#include "ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/sockd.h"
#include "lib/units.h"

enum kind {
        KIND_FLAG,
        KIND_TEXT,
        KIND_COUNT,
        KIND_POSITIVE, /* a count, and not 0 */
        KIND_SIZE,
        KIND_DURATION,
        KIND_COLOR,
        KIND_JSON,
        KIND_HEADER
};

struct row {
        const char *name;
        char letter; /* 0: none */
        uint32_t set;
        enum kind kind;
        size_t offset;     /* in struct options */
        const char *value; /* what it is called in the help; NULL: takes none */
        const char *help;
};

#define FIELD(name) offsetof(struct options, name)

static const struct row rows[] = {
        {"server", 's', OPTION_GLOBAL, KIND_TEXT, FIELD(server), "ADDRESS",
         "connect to this address"},
        {"user", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(user), "NAME", "log in as this user"},
        {"password-file", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(password_file), "FILE",
         "with the password in this file"},
        {"token-file", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(token_file), "FILE",
         "log in with the token in this file"},
        {"nkey", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(nkey), "FILE",
         "log in with the seed in this file"},
        {"json", 'j', OPTION_GLOBAL, KIND_JSON, FIELD(json), NULL,
         "print JSON (--json=short|pretty)"},
        {"ca", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(ca), "FILE",
         "trust these authorities, not the system's"},
        {"cert", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(cert), "FILE",
         "prove oneself with this certificate"},
        {"key", 0, OPTION_GLOBAL, KIND_TEXT, FIELD(key), "FILE", "the key of that certificate"},
        {"tls-first", 0, OPTION_GLOBAL, KIND_FLAG, FIELD(tls_first), NULL,
         "begin TLS before the daemon speaks"},
        {"timeout", 't', OPTION_GLOBAL, KIND_DURATION, FIELD(timeout_ms), "TIME",
         "wait no longer than this"},
        {"no-legend", 0, OPTION_GLOBAL, KIND_FLAG, FIELD(no_legend), NULL,
         "leave out titles and totals"},
        {"color", 0, OPTION_GLOBAL, KIND_COLOR, FIELD(color), "WHEN", "auto, always or never"},
        {"verbose", 'v', OPTION_GLOBAL, KIND_FLAG, FIELD(is_verbose), NULL,
         "tell each step on stderr"},
        {"help", 'h', OPTION_GLOBAL, KIND_FLAG, FIELD(help), NULL,
         "explain the command or the verb"},
        {"version", 'V', OPTION_GLOBAL, KIND_FLAG, FIELD(version), NULL,
         "print the version of sockctl"},

        {"reply", 0, OPTION_REPLY, KIND_TEXT, FIELD(reply), "SUBJECT", "where answers are wanted"},
        {"header", 'H', OPTION_HEADER, KIND_HEADER, 0, "'NAME: VALUE'",
         "add a header; may be repeated"},
        {"count", 'n', OPTION_COUNT, KIND_COUNT, FIELD(count), "N", "so many messages"},
        {"headers", 0, OPTION_SHOW_HEADERS, KIND_FLAG, FIELD(show_headers), NULL,
         "print headers before payloads"},
        {"queue", 'q', OPTION_QUEUE, KIND_TEXT, FIELD(queue), "GROUP",
         "share the messages with this group"},
        {"echo", 0, OPTION_ECHO, KIND_FLAG, FIELD(echo), NULL, "answer with what was asked"},
        {"sort", 0, OPTION_SORT, KIND_TEXT, FIELD(sort), "KEY",
         "cid, start, subs, pending, msgs_to, idle, ..."},
        {"state", 0, OPTION_STATE, KIND_TEXT, FIELD(state), "STATE", "open, closed or all"},

        {"msgs", 0, OPTION_BENCH, KIND_POSITIVE, FIELD(n_messages), "N",
         "messages in all (1000000; requests: 100000)"},
        {"size", 0, OPTION_BENCH, KIND_SIZE, FIELD(size), "SIZE", "bytes of a payload (16)"},
        {"pubs", 0, OPTION_BENCH, KIND_POSITIVE, FIELD(n_publishers), "N", "publishers (1)"},
        {"subs", 0, OPTION_BENCH, KIND_COUNT, FIELD(n_subscribers), "N",
         "subscribers, or with --request responders (1)"},
        {"request", 0, OPTION_BENCH, KIND_FLAG, FIELD(request), NULL,
         "measure requests and their answers"},
        {"clients", 0, OPTION_BENCH, KIND_POSITIVE, FIELD(n_clients), "N",
         "clients that request (1)"},
        {"duration", 0, OPTION_BENCH, KIND_DURATION, FIELD(duration_ms), "TIME",
         "run so long, instead of --msgs"},
        {"subject", 0, OPTION_BENCH, KIND_TEXT, FIELD(subject), "SUBJECT",
         "subject to use (one of its own)"},

        {"bcrypt", 0, OPTION_PASSWD, KIND_FLAG, FIELD(bcrypt), NULL,
         "a hash that nats-server knows, too"},
        {"yescrypt", 0, OPTION_PASSWD, KIND_FLAG, FIELD(yescrypt), NULL,
         "a hash that takes memory to guess (default)"},
        {"cost", 0, OPTION_PASSWD, KIND_POSITIVE, FIELD(cost), "N",
         "of each guess: yescrypt 1 to 11 (5), bcrypt 4 to 31 (11)"},
        {"public", 0, OPTION_NKEY, KIND_FLAG, FIELD(public_only), NULL,
         "print the public key of a seed"},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

void options_init(struct options *options) {
        memset(options, 0, sizeof(*options));
        options->timeout_ms = -1;
        options->duration_ms = -1;
        options->size = 16;
        options->count = OPTIONS_UNSET;
        options->n_messages = OPTIONS_UNSET;
        options->n_publishers = OPTIONS_UNSET;
        options->n_subscribers = OPTIONS_UNSET;
        options->n_clients = OPTIONS_UNSET;
        options->cost = OPTIONS_UNSET;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct options *options, const char *format,
                                                        ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(options->error, sizeof(options->error), format, arguments);
        va_end(arguments);
        return -EINVAL;
}

/* 1000 for "k", and so on; 0 for what is no such letter. */
static uint64_t factor_of(const char *unit) {
        if (!*unit)
                return 1;
        if (unit[1])
                return 0;
        return *unit == 'k' ? 1000 : *unit == 'M' ? 1000000 : *unit == 'G' ? 1000000000 : 0;
}

static int set_count(struct options *options, const struct row *row, const char *text) {
        uint64_t number, factor;
        char *end;

        errno = 0;
        number = strtoull(text, &end, 10);
        factor = factor_of(end);
        if (factor == 0 || text[0] < '0' || text[0] > '9')
                return refuse(options, "--%s \"%s\": a number was expected, as 1000 or 5M",
                              row->name, text);
        if (errno || number > INT64_MAX / factor)
                return refuse(options, "--%s \"%s\": the number is too large", row->name, text);
        if (number == 0 && row->kind == KIND_POSITIVE)
                return refuse(options, "--%s \"%s\": at least 1 was expected", row->name, text);
        *(uint64_t *)((char *)options + row->offset) = number * factor;
        return 0;
}

static int set_size(struct options *options, const struct row *row, const char *text) {
        uint64_t *field = (uint64_t *)((char *)options + row->offset);
        int result = units_parse_size(text, field);

        if (result == -ERANGE)
                return refuse(options, "--%s \"%s\": the size is too large", row->name, text);
        if (result < 0)
                return refuse(options, "--%s \"%s\": a size was expected, as 512 or 64K", row->name,
                              text);
        return 0;
}

static int set_duration(struct options *options, const struct row *row, const char *text) {
        uint64_t ms;
        int result = units_parse_duration(text, &ms);

        if (result == -ERANGE || (result == 0 && ms > INT_MAX))
                return refuse(options, "--%s \"%s\": no more than 24d was expected", row->name,
                              text);
        if (result < 0)
                return refuse(options, "--%s \"%s\": a time was expected, as 500ms, 5s or 2m",
                              row->name, text);
        *(int *)((char *)options + row->offset) = (int)ms;
        return 0;
}

static int set_color(struct options *options, const char *text) {
        if (strcmp(text, "auto") == 0)
                options->color = COLOR_AUTO;
        else if (strcmp(text, "always") == 0)
                options->color = COLOR_ALWAYS;
        else if (strcmp(text, "never") == 0)
                options->color = COLOR_NEVER;
        else
                return refuse(options, "--color \"%s\": auto, always or never was expected", text);
        return 0;
}

static int set_json(struct options *options, const char *text) {
        if (!text)
                options->json = JSON_AUTO;
        else if (strcmp(text, "short") == 0)
                options->json = JSON_SHORT;
        else if (strcmp(text, "pretty") == 0)
                options->json = JSON_PRETTY;
        else if (strcmp(text, "off") == 0)
                options->json = JSON_OFF;
        else
                return refuse(options, "--json=%s: short, pretty or off was expected", text);
        return 0;
}

static int add_header(struct options *options, const char *text) {
        const char *colon = strchr(text, ':');
        char name[256];
        int result;

        if (!colon || (size_t)(colon - text) >= sizeof(name))
                return refuse(options, "--header \"%s\": 'NAME: VALUE' was expected", text);
        memcpy(name, text, (size_t)(colon - text));
        name[colon - text] = '\0';
        colon++;
        while (*colon == ' ' || *colon == '\t')
                colon++;
        result = sockd_header_add(options->headers, sizeof(options->headers), &options->n_headers,
                                  name, colon);
        if (result == -ENOBUFS)
                return refuse(options, "the headers are larger than %d bytes",
                              OPTIONS_HEADERS_SIZE);
        if (result < 0)
                return refuse(options, "--header \"%s\": 'NAME: VALUE' was expected", text);
        return 0;
}

static int set_option(struct options *options, const struct row *row, const char *value) {
        switch (row->kind) {
        case KIND_FLAG:
                *(bool *)((char *)options + row->offset) = true;
                return 0;
        case KIND_TEXT:
                *(const char **)((char *)options + row->offset) = value;
                return 0;
        case KIND_COUNT:
        case KIND_POSITIVE:
                return set_count(options, row, value);
        case KIND_SIZE:
                return set_size(options, row, value);
        case KIND_DURATION:
                return set_duration(options, row, value);
        case KIND_COLOR:
                return set_color(options, value);
        case KIND_JSON:
                return set_json(options, value);
        case KIND_HEADER:
                return add_header(options, value);
        }
        return -EINVAL;
}

/* All long options are known to getopt, so that one which belongs to another verb can be told from
 * one that does not exist; what is not allowed is refused afterwards. */
static void build_tables(struct option longs[N_ROWS + 1], char letters[2 * N_ROWS + 3], bool stop) {
        size_t n = 0;

        letters[n++] = stop ? '+' : ':';
        if (stop)
                letters[n++] = ':';
        memset(longs, 0, (N_ROWS + 1) * sizeof(*longs));
        for (size_t i = 0; i < N_ROWS; i++) {
                longs[i].name = rows[i].name;
                longs[i].has_arg = rows[i].kind == KIND_JSON ? optional_argument
                                   : rows[i].value           ? required_argument
                                                             : no_argument;
                longs[i].val = 256 + (int)i;
                if (!rows[i].letter)
                        continue;
                letters[n++] = rows[i].letter;
                if (rows[i].value)
                        letters[n++] = ':';
        }
        letters[n] = '\0';
}

static const struct row *find_row(int value) {
        if (value >= 256)
                return &rows[value - 256];
        for (size_t i = 0; i < N_ROWS; i++)
                if (rows[i].letter && rows[i].letter == value)
                        return &rows[i];
        return NULL;
}

/* What getopt_long() did not like: optopt is the letter or value of the option, or 0. */
static int refuse_bad(struct options *options, int value, const char *word) {
        const struct row *row = optopt ? find_row(optopt) : NULL;

        if (value == ':' && row)
                return refuse(options, "--%s needs a value: %s", row->name, row->value);
        if (row)
                return refuse(options, "--%s takes no value", row->name);
        if (optopt)
                return refuse(options, "unknown option: -%c", optopt);
        return refuse(options, "unknown option: %s", word);
}

int options_parse(struct options *options, uint32_t allowed, bool stop, int argc, char **argv) {
        struct option longs[N_ROWS + 1];
        char letters[2 * N_ROWS + 3];
        int value, result;

        build_tables(longs, letters, stop);
        opterr = 0;
        optind = 0;
        while ((value = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
                const struct row *row;

                if (value == '?' || value == ':')
                        return refuse_bad(options, value, argv[optind - 1]);
                row = find_row(value);
                if (!row || !(row->set & allowed))
                        return refuse(options, "--%s is no option %s", row ? row->name : "?",
                                      stop ? "of sockctl; it goes behind the verb"
                                           : "of this verb");
                result = set_option(options, row, optarg);
                if (result)
                        return result;
        }
        options->arguments = argv + optind;
        options->n_arguments = (size_t)(argc - optind);
        return 0;
}

void options_print_help(FILE *file, uint32_t set) {
        for (size_t i = 0; i < N_ROWS; i++) {
                char name[64], letter[8] = "    ";

                if (!(rows[i].set & set))
                        continue;
                if (rows[i].letter)
                        snprintf(letter, sizeof(letter), "-%c, ", rows[i].letter);
                snprintf(name, sizeof(name), "%s--%s%s%s", letter, rows[i].name,
                         rows[i].value ? " " : "", rows[i].value ? rows[i].value : "");
                fprintf(file, "  %-28s %s\n", name, rows[i].help);
        }
}
