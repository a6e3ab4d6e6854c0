/* The configuration; see config.h.
 *
 * The way of a file: config_text.c reads it with what it includes, libconfig parses the text,
 * config_table.c walks the result along the tables of config_keys.c and fills the snapshot.
 * What no file says is completed here: the command line's listeners, the default listener, the
 * host name and the number of CPUs.
 */
#include "daemon/config.h"

#include "daemon/config_errors.h"
#include "daemon/config_keys.h"
#include "daemon/config_text.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH SYSCONFDIR "/sockd/sockd.conf"
#define SOCKET_NAME  "/sockd/sockd.sock"
#define WORKERS_MAX  256

static void free_config(struct config **configp) {
        config_unref(*configp);
}

static struct config *config_new(void) {
        static _Atomic uint64_t last_id;
        struct config *config = calloc(1, sizeof(*config));

        if (!config)
                return NULL;
        config->n_references = 1;
        config->id = atomic_fetch_add(&last_id, 1) + 1;
        return config_table_default(&config_keys, config) < 0 ? config_unref(config) : config;
}

/* libconfig's words for an error, in ours. */
static const char *syntax_error(const config_t *parsed) {
        const char *text = config_error_text(parsed);

        if (!text || strcmp(text, "syntax error") == 0)
                return "syntax error here or shortly before; expected KEY = VALUE; with strings in "
                       "quotes, groups in { } and lists in ( ), without a comma after the last";
        if (strcmp(text, "duplicate setting name") == 0)
                return "this key stands twice in the same group";
        if (strcmp(text, "memory exhausted") == 0)
                return "groups or lists are nested too deeply";
        return text;
}

/* Has libconfig parse the text. From a string it would make a copy, and leave that in the heap with
 * all the secrets that are in it. Returns 1, 0 if it is wrong, or -errno. */
static int parse_text(config_t *parsed, struct config_text *text) {
        FILE *stream = config_text_open(text);
        int r;

        if (!stream)
                return -errno;
        r = config_read(parsed, stream) ? 1 : 0;
        fclose(stream);
        return r;
}

/* Parses the text into a new snapshot's fields. */
static int config_parse(struct config *config, struct config_text *text,
                        struct config_errors *errors) {
        __attribute__((cleanup(config_destroy))) config_t parsed;
        struct config_reader reader = {
                .text = text, .errors = errors, .warnings = &config->warnings};
        const char *file;
        unsigned line;
        int r;

        config_init(&parsed);
        r = parse_text(&parsed, text);
        if (r < 0)
                return r;
        if (r == 0) {
                file = config_text_locate(text, (unsigned)config_error_line(&parsed), &line);
                return config_errors_add(errors, "%s:%u: %s", file, line, syntax_error(&parsed));
        }
        config_table_read(&reader, &config_keys, "", config_root_setting(&parsed), config);
        return reader.error;
}

/* Reads the file into a new snapshot. A complaint is no failure here: it is in errors. */
static int config_read_path(struct config *config, const char *path, struct config_errors *errors) {
        __attribute__((cleanup(config_text_deinit))) struct config_text text = {0};
        int r = config_text_read(&text, path ? path : DEFAULT_PATH, errors);

        if (r == -ENOENT)
                return path ? config_errors_add(errors, "%s: there is no such file", path) : 0;
        if (r < 0)
                return r == -EINVAL ? 0 : r;
        config->path = strdup(path ? path : DEFAULT_PATH);
        return config->path ? config_parse(config, &text, errors) : -ENOMEM;
}

/* Adds a listener with the defaults. source: what to name in a complaint. */
static int config_add_listener(struct config *config, const char *name, const char *listen,
                               const char *source, struct config_errors *errors) {
        struct config_listener *listeners, *listener;
        const char *reason;

        listeners = reallocarray(config->listeners, config->n_listeners + 1, sizeof(*listeners));
        if (!listeners)
                return -ENOMEM;
        config->listeners = listeners;
        listener = &listeners[config->n_listeners];
        memset(listener, 0, sizeof(*listener));
        if (config_table_default(&config_keys_listener, listener) < 0)
                return -ENOMEM;
        config->n_listeners++;
        listener->name = strdup(name);
        if (!listener->name)
                return -ENOMEM;
        if (address_parse(&listener->address, listen, &reason) < 0)
                return config_errors_add(errors,
                                         "%s: found \"%.300s\", expected an address, but %s",
                                         source, listen, reason);
        if (listener->address.scheme == ADDRESS_TLS)
                return config_errors_add(errors,
                                         "%s: found \"%.300s\", but only a configuration file can "
                                         "say which certificate it has",
                                         source, listen);
        return 0;
}

static void config_drop_listeners(struct config *config) {
        for (size_t i = 0; i < config->n_listeners; i++)
                config_table_deinit(&config_keys_listener, &config->listeners[i]);
        free(config->listeners);
        config->listeners = NULL;
        config->n_listeners = 0;
}

/* The listeners of the command line replace all others. */
static int config_listen(struct config *config, const char *const *listen, size_t n_listen,
                         struct config_errors *errors) {
        char name[32];
        int r = 0;

        config_drop_listeners(config);
        for (size_t i = 0; i < n_listen && r == 0; i++) {
                snprintf(name, sizeof(name), "listen-%zu", i + 1);
                r = config_add_listener(config, name, listen[i], "--listen", errors);
        }
        return r;
}

/* Root, and a service to whom nobody gave a directory of its own, use the system's directory. */
static int config_listen_default(struct config *config, struct config_errors *errors) {
        const char *directory = geteuid() == 0 ? NULL : getenv("XDG_RUNTIME_DIR");
        char path[PATH_MAX];

        if (!directory || *directory != '/')
                return config_add_listener(config, "local", RUNSTATEDIR SOCKET_NAME, "listeners",
                                           errors);
        snprintf(path, sizeof(path), "%s" SOCKET_NAME, directory);
        return config_add_listener(config, "local", path, "$XDG_RUNTIME_DIR", errors);
}

/* The number of CPUs that this process may use. */
static unsigned count_cpus(void) {
        cpu_set_t set;
        long n = 0;

        if (sched_getaffinity(0, sizeof(set), &set) == 0)
                n = CPU_COUNT(&set);
        else /* more CPUs than the set holds */
                n = sysconf(_SC_NPROCESSORS_ONLN);
        return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static void config_add_rules(struct config *config, const struct config_user *users, size_t n_users,
                             const char *account) {
        for (size_t i = 0; i < n_users; i++)
                config->rules[config->n_rules++] = (struct config_rule){&users[i], account};
}

/* Puts all users in the order in which they are asked. */
static int config_list_rules(struct config *config) {
        size_t n = config->n_users;

        for (size_t i = 0; i < config->n_accounts; i++)
                n += config->accounts[i].n_users;
        config->rules = calloc(n + 1, sizeof(*config->rules));
        if (!config->rules)
                return -ENOMEM;
        config_add_rules(config, config->users, config->n_users, NULL);
        for (size_t i = 0; i < config->n_accounts; i++) {
                const struct config_account *account = &config->accounts[i];

                config_add_rules(config, account->users, account->n_users, account->name);
        }
        return 0;
}

static void config_sum_up_users(struct config *config) {
        for (size_t i = 0; i < config->n_rules; i++) {
                const struct config_user *user = config->rules[i].user;

                config->has_nkeys |= user->has_nkey;
                config->has_secrets |=
                        user->password || user->token || user->has_nkey || user->certificate;
        }
        for (size_t i = 0; i < config->n_listeners; i++) {
                struct config_listener *listener = &config->listeners[i];

                /* Of local peers the kernel says who they are. */
                if (!listener->anonymous_is_given)
                        listener->anonymous =
                                !config->has_secrets || address_is_unix(&listener->address);
        }
}

/* Fills in what depends on the host, and on several keys. */
static int config_complete(struct config *config) {
        char name[HOST_NAME_MAX + 1];

        config->server.workers_are_given = config->server.workers != 0;
        if (config->server.workers == 0)
                config->server.workers = count_cpus();
        if (config_list_rules(config) < 0)
                return -ENOMEM;
        config_sum_up_users(config);
        if (config->server.name)
                return 0;
        if (gethostname(name, sizeof(name)) < 0)
                *name = '\0';
        name[sizeof(name) - 1] = '\0';
        config->server.name = strdup(config_keys_is_server_name(name) ? name : "sockd");
        return config->server.name ? 0 : -ENOMEM;
}

int config_load(struct config **configp, const char *path, const char *const *listen,
                size_t n_listen, struct config_errors *errors) {
        __attribute__((cleanup(free_config))) struct config *config = config_new();
        int r;

        if (!config)
                return -ENOMEM;
        r = config_read_path(config, path, errors);
        if (r == 0 && n_listen > 0)
                r = config_listen(config, listen, n_listen, errors);
        else if (r == 0 && config->n_listeners == 0 && errors->n_lines == 0)
                r = config_listen_default(config, errors);
        if (r == 0)
                r = config_complete(config);
        if (r < 0)
                return r;
        if (errors->n_lines > 0)
                return -EINVAL;
        *configp = config;
        config = NULL;
        return 0;
}

const struct config_user *config_find_user(const struct config *config, const char *name) {
        for (size_t i = 0; i < config->n_rules; i++)
                if (strcmp(config->rules[i].user->name, name) == 0)
                        return config->rules[i].user;
        return NULL;
}

struct config *config_ref(struct config *config) {
        atomic_fetch_add(&config->n_references, 1);
        return config;
}

struct config *config_unref(struct config *config) {
        if (!config || atomic_fetch_sub(&config->n_references, 1) > 1)
                return NULL;
        config_table_deinit(&config_keys, config);
        config_errors_deinit(&config->warnings);
        free(config->rules);
        free(config->path);
        free(config);
        return NULL;
}

const struct config_account *config_find_account(const struct config *config, const char *name) {
        for (size_t i = 0; i < config->n_accounts; i++)
                if (config->accounts[i].name && strcmp(config->accounts[i].name, name) == 0)
                        return &config->accounts[i];
        return NULL;
}

size_t config_count_programs(const struct config *config) {
        size_t n = config->services.n;

        for (size_t i = 0; i < config->n_listeners; i++) {
                const struct config_handler *handler = config->listeners[i].handler.made;

                n += handler && handler->kind == HANDLER_EXEC;
        }
        return n;
}

bool config_listener_same_socket(const struct config_listener *a, const struct config_listener *b) {
        return address_is_equal(&a->address, &b->address) && a->v6only == b->v6only;
}

static bool is_same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool config_listener_same_groups(const struct config_listener *a, const struct config_listener *b) {
        char *none = NULL, **x = a->join ? a->join : &none, **y = b->join ? b->join : &none;

        while (*x && *y && strcmp(*x, *y) == 0)
                x++, y++;
        return !*x && !*y && is_same_text(a->interface, b->interface);
}
