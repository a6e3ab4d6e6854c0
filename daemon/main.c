/* sockd: the command line and the exit codes. */
#include "daemon/config.h"
#include "daemon/key_memory.h"
#include "daemon/run_as.h"
#include "daemon/server.h"
#include "daemon/spawner.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <jansson.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How --version says what was built in. */
#ifdef HAVE_LIBSYSTEMD
#define HAS_SYSTEMD '+'
#else
#define HAS_SYSTEMD '-'
#endif
#ifdef HAVE_TLS
#define HAS_TLS '+'
#else
#define HAS_TLS '-'
#endif

/* Exit codes: those of the BSDs and LSB that service managers know (systemd.exec(5)). */
enum {
        STATUS_OK = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
        STATUS_CONFIG = 78, /* EX_CONFIG */
};

struct command_line {
        struct server_options options;
        const char **listen; /* owned */
        bool check;
};

static const char usage[] =
        "Usage: sockd [--config FILE] [--listen ADDRESS]... [--foreground] [--check]\n"
        "\n"
        "The message socket of this host: NATS clients over Unix sockets, TCP and UDP.\n"
        "\n"
        "  -c, --config FILE     read FILE instead of " SYSCONFDIR "/sockd/sockd.conf\n"
        "  -l, --listen ADDRESS  listen there instead of where the file says; repeatable:\n"
        "                        unix:///path, unix:@name, tcp://host:port, udp://host:port,\n"
        "                        and with records or datagrams unix+seqpacket://,\n"
        "                        unix+dgram://\n"
        "  -f, --foreground      accepted for other programs' sake: sockd never forks\n"
        "  -t, --check           check the configuration, report all errors, and exit\n"
        "  -V, --version         show the version and exit\n"
        "  -h, --help            show this help and exit\n"
        "\n"
        "See sockd(8), sockd.conf(5) and sockctl(1).\n";

static void show_version(void) {
        printf("sockd " PACKAGE_VERSION "\n"
               "protocol: as nats-server " PROTOCOL_SERVER_VERSION "\n"
               "features: %csystemd %ctls\n",
               HAS_SYSTEMD, HAS_TLS);
}

/* Returns -1 to go on, else the exit code. */
static int parse_option(struct command_line *line, int option) {
        switch (option) {
        case 'c':
                line->options.config_path = optarg;
                return -1;
        case 'l':
                line->listen[line->options.n_listen++] = optarg;
                return -1;
        case 'f':
                return -1;
        case 't':
                line->check = true;
                return -1;
        case 'V':
                show_version();
                return STATUS_OK;
        case 'h':
                fputs(usage, stdout);
                return STATUS_OK;
        default:
                fputs("Try: sockd --help\n", stderr);
                return STATUS_USAGE;
        }
}

static int parse_command_line(struct command_line *line, int argc, char **argv) {
        static const struct option options[] = {
                {"config", required_argument, NULL, 'c'},
                {"listen", required_argument, NULL, 'l'},
                {"foreground", no_argument, NULL, 'f'},
                {"check", no_argument, NULL, 't'},
                {"version", no_argument, NULL, 'V'},
                {"help", no_argument, NULL, 'h'},
                {NULL, 0, NULL, 0},
        };
        int option, status = -1;

        line->listen = calloc((size_t)argc, sizeof(*line->listen));
        if (!line->listen)
                return STATUS_FAILED;
        line->options.listen = line->listen;
        while (status < 0 && (option = getopt_long(argc, argv, "c:l:ftVh", options, NULL)) != -1)
                status = parse_option(line, option);
        if (status < 0 && optind < argc) {
                fprintf(stderr, "sockd: unexpected argument \"%s\"\nTry: sockd --help\n",
                        argv[optind]);
                status = STATUS_USAGE;
        }
        return status;
}

static void print_errors(const struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_lines; i++)
                fprintf(stderr, "%s\n", errors->lines[i]);
}

static void log_errors(const struct config_errors *errors) {
        for (size_t i = 0; i < errors->n_lines; i++)
                log_error("%s", errors->lines[i]);
}

static int check(const struct config *config) {
        for (size_t i = 0; i < config->warnings.n_lines; i++)
                fprintf(stderr, "warning: %s\n", config->warnings.lines[i]);
        printf("%s: the configuration is valid: %zu listener%s\n",
               config->path ? config->path : "sockd", config->n_listeners,
               config->n_listeners == 1 ? "" : "s");
        return STATUS_OK;
}

static int serve(const struct command_line *line, struct config *config,
                 struct config_errors *errors) {
        int r = log_open(config->log.target);

        if (r < 0) {
                fprintf(stderr, "sockd: cannot open the log \"%s\": %s\n", config->log.target,
                        strerror(-r));
                return STATUS_CONFIG;
        }
        log_set_level((enum log_level)config->log.level);
        for (size_t i = 0; i < config->warnings.n_lines; i++)
                log_warning("%s", config->warnings.lines[i]);
        r = server_run(&line->options, config, errors);
        if (r >= 0)
                return STATUS_OK;
        log_errors(errors);
        return STATUS_FAILED;
}

static int run(const struct command_line *line) {
        struct config_errors errors = {.n_lines = 0};
        struct config *config = NULL;
        int status = STATUS_CONFIG, r;

        hash_init(); /* the configuration has tables already */
        r = config_load(&config, line->options.config_path, line->options.listen,
                        line->options.n_listen, &errors);
        if (r >= 0)
                status = line->check ? check(config) : serve(line, config, &errors);
        else if (errors.n_lines > 0)
                print_errors(&errors);
        else
                fprintf(stderr, "sockd: cannot read the configuration: %s\n", strerror(-r));
        config_errors_deinit(&errors);
        config_unref(config);
        return status;
}

/* The spawner is forked first of all, from what has neither threads nor secrets. Whoever only
 * checks the configuration needs none. */
static int run_with_spawner(struct command_line *line, char **argv) {
        struct spawner spawner;
        int r = spawner_start(&spawner, argv), status;

        if (r < 0) {
                fprintf(stderr, "sockd: error: cannot start the spawner of programs: %s\n",
                        strerror(-r));
                return STATUS_FAILED;
        }
        line->options.spawner = &spawner;
        status = run(line);
        spawner_stop(&spawner);
        return status;
}

/* What is opened later must not get the number of a standard descriptor that is closed: what is
 * written for people would go there. Returns whether all three are open. */
static bool open_standard_descriptors(void) {
        int fd;

        do {
                fd = open("/dev/null", O_RDWR);
        } while (fd >= 0 && fd <= STDERR_FILENO);
        return fd >= 0 && close(fd) == 0;
}

/* What clients say may hold passwords. */
static void free_wiped(void *memory) {
        if (memory)
                explicit_bzero(memory, malloc_usable_size(memory));
        free(memory);
}

/* Whether keys of TLS have their memory, as OpenSSL has to be told before anything else. */
static bool prepare_keys(void) {
#ifdef HAVE_TLS
        if (!key_memory_install()) {
                fputs("sockd: cannot get memory for keys that is kept out of core dumps\n", stderr);
                return false;
        }
#endif
        return true;
}

int main(int argc, char **argv) {
        struct command_line line = {.check = false};
        int status;

        if (!open_standard_descriptors())
                return STATUS_FAILED;
        if (!prepare_keys())
                return STATUS_FAILED;
        json_set_alloc_funcs(malloc, free_wiped);
        status = parse_command_line(&line, argc, argv);
        (void)signal(SIGPIPE, SIG_IGN);
        if (status < 0)
                run_as_init();
        if (status < 0)
                status = line.check ? run(&line) : run_with_spawner(&line, argv);
        free(line.listen);
        return status;
}
