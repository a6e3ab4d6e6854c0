/* Listeners with exec. See config_exec.h. */
#include "daemon/config_exec.h"

#include "daemon/config.h"
#include "daemon/config_value.h"

#include <errno.h>
#include <string.h>

/* Lines of the log in a while. */
#define LOG_INTERVAL_MS 10000
static const struct config_exec_logs logs = {
        .errors = {.burst = 100, .interval_ms = LOG_INTERVAL_MS},
        .ends = {.burst = 20, .interval_ms = LOG_INTERVAL_MS},
        .failures = {.burst = 5, .interval_ms = LOG_INTERVAL_MS},
        .delays = {.burst = 1, .interval_ms = LOG_INTERVAL_MS},
        .cuts = {.burst = 5, .interval_ms = LOG_INTERVAL_MS},
        .rests = {.burst = 5, .interval_ms = LOG_INTERVAL_MS},
};

/* `group` is the program's, but where a socket has a path: then it is that of the file, as ever. */
static bool is_group_of_program(const struct config_listener *listener) {
        const struct address *address = &listener->address;

        return !address_is_unix(address) || address->is_abstract;
}

static bool is_group_refused(const config_setting_t *group,
                             const struct config_listener *listener) {
        return is_group_of_program(listener) && config_setting_get_member(group, "group") &&
               listener->group == (gid_t)-1;
}

/* Of peers that sockd does not see it cannot be said who they are. */
static void refuse_limits(struct config_reader *reader, const char *path,
                          const config_setting_t *group) {
        static const char *const keys[] = {
                "allow",        "deny", "times",    "max_connections", "max_connections_per_source",
                "cps",          "rate", "max_time", "idle_timeout",    "max_connections_per_uid",
                "accept_proxy",
        };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (config_setting_get_member(group, keys[i]))
                        config_reader_complain(reader, config_setting_get_member(group, keys[i]),
                                               path, keys[i],
                                               "with wait the program accepts by itself, and "
                                               "whomever it likes");
}

static void check_wait(struct config_reader *reader, const char *path,
                       const config_setting_t *group, const struct config_listener *listener) {
        const config_setting_t *setting = config_setting_get_member(group, "wait");

        if (!listener->handler.exec.wait)
                return;
        if (address_is_datagram(&listener->address) || listener->tls.context)
                config_reader_complain(reader, setting, path, "wait",
                                       "only for sockets that accept connections, and without TLS");
        refuse_limits(reader, path, group);
        if (config_setting_get_member(group, "concurrency"))
                config_reader_complain(reader, config_setting_get_member(group, "concurrency"),
                                       path, "concurrency",
                                       "with wait there is one program at a time");
}

/* The program's group, where the key is its own: as it stands there. */
static int take_group(struct config_program *program, const config_setting_t *group,
                      const struct config_listener *listener) {
        const config_setting_t *setting = config_setting_get_member(group, "group");

        if (!setting || !is_group_of_program(listener) || is_group_refused(group, listener))
                return 0;
        program->group = strdup(config_setting_get_string(setting));
        return program->group ? 0 : -ENOMEM;
}

void config_exec_make(struct config_reader *reader, const char *path, const config_setting_t *group,
                      struct config_listener *listener, struct config_exec *exec) {
        struct config_exec_keys *keys = &listener->handler.exec;

        check_wait(reader, path, group, listener);
        exec->program = keys->program;
        keys->program = (struct config_program){.exec = NULL};
        exec->program.timeout_ms = listener->handler.timeout_ms;
        exec->concurrency = keys->concurrency;
        exec->waits = keys->wait;
        exec->logs = logs;
        if (take_group(&exec->program, group, listener) < 0)
                reader->error = -ENOMEM;
        else
                config_program_check(reader, path, group, &exec->program);
}

void config_exec_refuse_keys(struct config_reader *reader, const char *path,
                             const config_setting_t *group) {
        static const char *const keys[] = {
                "user", "environment", "directory", "limits", "grace", "concurrency", "wait",
        };

        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                if (config_setting_get_member(group, keys[i]))
                        config_reader_complain(reader, config_setting_get_member(group, keys[i]),
                                               path, keys[i], "only for listeners with exec");
}

void config_exec_deinit(struct config_exec *exec) {
        config_program_deinit(&exec->program);
}
