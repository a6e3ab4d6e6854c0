/* A program in the configuration. See config_program.h. */
#include "daemon/config_program.h"

#include "daemon/run_as.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What sockd itself says to a program. */
#define RESERVED_PREFIX "SOCKD_"

#define EIB (UINT64_C(1) << 60)

bool config_program_is_word(const char *text) {
        return text[0] != '\0';
}

bool config_program_is_variable(const char *text) {
        return strchr(text, '=') > text &&
               strncmp(text, RESERVED_PREFIX, strlen(RESERVED_PREFIX)) != 0;
}

bool config_program_is_path(const char *text) {
        return text[0] == '/';
}

static const struct config_key limits_keys[] = {
        {"open_files", CONFIG_INTEGER, CONFIG_FIELD(config_program_limits, open_files),
         .maximum = UINT32_MAX, .fallback = "0"},
        {"processes", CONFIG_INTEGER, CONFIG_FIELD(config_program_limits, processes),
         .maximum = UINT32_MAX, .fallback = "0"},
        {"memory", CONFIG_SIZE, CONFIG_FIELD(config_program_limits, memory), .maximum = EIB,
         .fallback = "0"},
        {"cpu", CONFIG_DURATION, CONFIG_FIELD(config_program_limits, cpu_ms),
         .maximum = PROGRAM_TIME_MAX_MS, .fallback = "0s"},
};

const struct config_table config_program_limits_table = {
        .keys = limits_keys,
        .n_keys = ARRAY_SIZE(limits_keys),
        .size = sizeof(struct config_program_limits),
};

/* --- checks --------------------------------------------------------------------------------- */

/* Why a path cannot be executed; NULL: it can, as far as can be told for others. */
static const char *find_fault(const char *path) {
        struct stat status;

        if (stat(path, &status) < 0)
                return strerror(errno);
        if (!S_ISREG(status.st_mode))
                return "it is no file";
        return status.st_mode & 0111 ? NULL : "it is not executable";
}

static void check_exec(struct config_reader *reader, const char *path,
                       const config_setting_t *setting, char *const *exec) {
        const char *fault;

        if (!exec[0]) {
                config_reader_complain(reader, setting, path, "exec",
                                       "found no program, expected one and its arguments");
        } else if (!config_program_is_path(exec[0])) {
                config_reader_complain(reader, setting, path, "exec",
                                       "found the program \"%s\", expected its absolute path; "
                                       "there is no shell to look for it",
                                       exec[0]);
        } else {
                fault = find_fault(exec[0]);
                if (fault)
                        config_reader_warn(reader, setting, path, "exec",
                                           "%s cannot be executed: %s", exec[0], fault);
        }
}

/* Says why there is no such user or group. */
static void complain_user(struct config_reader *reader, const char *path,
                          const config_setting_t *group, const struct config_program *program,
                          int r) {
        bool is_group = r == -ESRCH || (!program->user && program->group);
        const char *key = is_group ? "group" : "user";
        const char *name = is_group ? program->group : program->user;
        const config_setting_t *setting = config_setting_get_member(group, key);

        if (r == -ENOENT || r == -ESRCH)
                config_reader_complain(reader, setting, path, key,
                                       "found \"%s\", expected a %s of this system, or its number",
                                       name, key);
        else if (r == -EINVAL)
                config_reader_complain(reader, setting, path, key,
                                       "found \"%s\", which is no user of this system; expected "
                                       "\"group\" beside it",
                                       name);
        else if (r == -E2BIG)
                config_reader_complain(reader, setting, path, key,
                                       "found \"%s\", who has more than %d groups", name,
                                       RUN_AS_GROUPS_MAX);
        else
                config_reader_complain(reader, setting, path, key, "\"%s\" cannot be looked up: %s",
                                       name, strerror(-r));
}

/* Looks the user up, and whether programs can be run as him. */
static void find_user(struct config_reader *reader, const char *path, const config_setting_t *group,
                      struct config_program *program) {
        const char *key = program->user ? "user" : "group";
        char reason[RUN_AS_REASON_MAX];
        int r;

        if (!program->user && !program->group)
                return;
        r = run_as_find(&program->spec.user, program->user, program->group);
        if (r == -ENOMEM)
                reader->error = r;
        else if (r < 0)
                complain_user(reader, path, group, program, r);
        else if (run_as_check(program->spec.user, reason) < 0)
                config_reader_complain(reader, config_setting_get_member(group, key), path, key,
                                       "found \"%s\", expected %s",
                                       program->user ? program->user : program->group, reason);
}

void config_program_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, struct config_program *program,
                          bool is_whole) {
        const struct config_program_limits *limits = &program->limits;

        if (!is_whole)
                return;
        check_exec(reader, path, config_setting_get_member(group, "exec"), program->exec);
        find_user(reader, path, group, program);
        program->spec.arguments = program->exec;
        program->spec.directory = program->directory;
        program->spec.timeout_ms = program->timeout_ms;
        program->spec.grace_ms = program->grace_ms;
        program->spec.limits = (struct program_limits){.open_files = limits->open_files,
                                                       .processes = limits->processes,
                                                       .memory = limits->memory,
                                                       .cpu_s = (limits->cpu_ms + 999) / 1000};
        program->spec.environment = program_environment(program->environment, program->spec.user);
        if (!program->spec.environment)
                reader->error = -ENOMEM;
}

void config_program_release(struct config_program *program) {
        program->spec.environment = config_strings_free(program->spec.environment);
        program->spec.user = run_as_free(program->spec.user);
}

/* --- comparison ----------------------------------------------------------------------------- */

bool config_program_same_strings(char *const *a, char *const *b) {
        static char *const none[] = {NULL};

        a = a ? a : none;
        b = b ? b : none;
        while (*a && *b && strcmp(*a, *b) == 0)
                a++, b++;
        return !*a && !*b;
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Names may have got other numbers. */
static bool same_user(const struct run_as *a, const struct run_as *b) {
        if (!a || !b)
                return a == b;
        return a->uid == b->uid && a->gid == b->gid && a->n_groups == b->n_groups &&
               (a->n_groups == 0 ||
                memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0);
}

static bool same_limits(const struct program_limits *a, const struct program_limits *b) {
        return a->open_files == b->open_files && a->processes == b->processes &&
               a->memory == b->memory && a->cpu_s == b->cpu_s;
}

bool config_program_is_equal(const struct config_program *a, const struct config_program *b) {
        return config_program_same_strings(a->exec, b->exec) &&
               config_program_same_strings(a->spec.environment, b->spec.environment) &&
               same_text(a->directory, b->directory) && same_user(a->spec.user, b->spec.user) &&
               same_limits(&a->spec.limits, &b->spec.limits) && a->timeout_ms == b->timeout_ms &&
               a->grace_ms == b->grace_ms;
}
