/* A program in the configuration. See config_program.h. */
#include "daemon/config_program.h"

#include "daemon/config_table.h"
#include "daemon/run_as.h"
#include "daemon/spawner_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* What sockd itself says to a program. */
#define RESERVED_PREFIX "SOCKD_"

#define EIB (UINT64_C(1) << 60)

/* How many variables are given at most; and what is left of a start's message for those that tell
 * of a peer. */
#define VARIABLES_MAX (SPAWNER_VARIABLES_MAX / 2)
#define RECORD_ROOM   (8 * 1024)

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

/* With less no program begins: it has three descriptors from the start, and one more is needed to
 * load a library; the time is of whole seconds. */
#define OPEN_FILES_MIN 4
#define MEMORY_MIN     (UINT64_C(1) << 20)
#define CPU_MIN_MS     1000

static void refuse_less(struct config_reader *reader, const char *path,
                        const config_setting_t *group, const char *key, uint64_t value,
                        uint64_t least, const char *expected) {
        const config_setting_t *setting = config_setting_get_member(group, key);
        char found[CONFIG_FOUND_MAX];

        if (value > 0 && value < least)
                config_reader_complain(reader, setting, path, key,
                                       "found %s, expected at least %s, or 0, which is no limit",
                                       config_value_describe(setting, found), expected);
}

static void check_limits(struct config_reader *reader, const char *path,
                         const config_setting_t *group, void *target, bool is_whole) {
        const struct config_program_limits *limits = target;

        refuse_less(reader, path, group, "open_files", limits->open_files, OPEN_FILES_MIN, "4");
        refuse_less(reader, path, group, "memory", limits->memory, MEMORY_MIN, "1M");
        refuse_less(reader, path, group, "cpu", limits->cpu_ms, CPU_MIN_MS, "\"1s\"");
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
        .check = check_limits,
};

/* --- the environment ------------------------------------------------------------------------ */

#define VARIABLES_EXPECTED                                                                         \
        "variables, \"NAME=value\", whose names do not begin with " RESERVED_PREFIX

/* Writes one variable, or NULL if the setting is none. Returns 0 or -ENOMEM. */
static int make_variable(const config_setting_t *setting, char **variablep) {
        const char *name = config_setting_name(setting);
        const char *text = config_setting_get_string(setting);
        char *variable = NULL;

        *variablep = NULL;
        if (!text)
                return 0;
        if (asprintf(&variable, "%s%s%s", name ? name : "", name ? "=" : "", text) < 0)
                return -ENOMEM;
        if (config_program_is_variable(variable))
                *variablep = variable;
        else
                free(variable);
        return 0;
}

static char **make_environment(const struct config_place *place, size_t n) {
        char **variables = calloc(n + 1, sizeof(*variables));
        int r = variables ? 0 : -ENOMEM;

        for (size_t i = 0; i < n && r == 0; i++) {
                struct config_place element = *place;

                element.setting = config_setting_get_elem(place->setting, (unsigned)i);
                r = make_variable(element.setting, &variables[i]);
                if (r == 0 && !variables[i]) {
                        config_value_refuse(&element, "expected " VARIABLES_EXPECTED);
                        break; /* what follows would have no place */
                }
        }
        if (r < 0)
                place->reader->error = r;
        return variables;
}

void config_program_read_environment(const struct config_place *place) {
        int n = config_setting_length(place->setting);

        if (!config_setting_is_aggregate(place->setting) || n > VARIABLES_MAX) {
                config_value_refuse(
                        place,
                        "expected [ \"...\", ... ] or { NAME = \"value\"; ... }, at most "
                        "%d " VARIABLES_EXPECTED,
                        VARIABLES_MAX);
                return;
        }
        config_program_release_environment(place->field);
        *(char ***)place->field = make_environment(place, (size_t)n);
}

void config_program_release_environment(void *field) {
        char ***environmentp = field;

        *environmentp = config_strings_free(*environmentp);
}

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

/* Whoever installs it later need not tell sockd. */
static void check_exec(struct config_reader *reader, const char *path,
                       const config_setting_t *setting, char *const *exec) {
        const char *fault;

        if (!exec[0]) {
                if (config_setting_length(setting) == 0)
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

/* Where a group that is at fault was given. */
static const char *group_key(const config_setting_t *group) {
        return config_setting_get_member(group, "group") ? "group" : "user";
}

/* Says why there is no such user or group. */
static void complain_user(struct config_reader *reader, const char *path,
                          const config_setting_t *group, const struct config_program *program,
                          int r) {
        bool is_group = r == -ESRCH || (!program->user && program->group);
        const char *kind = is_group ? "group" : "user";
        const char *key = is_group ? group_key(group) : "user";
        const char *name = is_group ? program->group : program->user;
        const config_setting_t *setting = config_setting_get_member(group, key);

        if (r == -ENOENT || r == -ESRCH)
                config_reader_complain(reader, setting, path, key,
                                       "found \"%s\", expected a %s of this system, or its number",
                                       name, kind);
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

/* Splits "USER:GROUP", where no group is given otherwise. Returns whether that can be done. */
static bool split_user(struct config_reader *reader, const char *path,
                       const config_setting_t *group, struct config_program *program) {
        char *colon = program->user ? strchr(program->user, ':') : NULL;

        if (!colon)
                return true;
        if (program->group || colon == program->user || colon[1] == '\0') {
                config_reader_complain(reader, config_setting_get_member(group, "user"), path,
                                       "user", "found \"%s\", expected %s", program->user,
                                       program->group ? "a user, as there is a group"
                                                      : "\"USER\" or \"USER:GROUP\"");
                return false;
        }
        program->group = strdup(colon + 1);
        if (!program->group)
                reader->error = -ENOMEM;
        *colon = '\0';
        return true;
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

static void check_directory(struct config_reader *reader, const char *path,
                            const config_setting_t *group, const struct config_program *program) {
        struct stat status;
        const char *fault = NULL;

        if (!program->directory)
                return;
        if (stat(program->directory, &status) < 0)
                fault = strerror(errno);
        else if (!S_ISDIR(status.st_mode))
                fault = strerror(ENOTDIR);
        if (fault)
                config_reader_warn(reader, config_setting_get_member(group, "directory"), path,
                                   "directory", "%s cannot be changed to: %s", program->directory,
                                   fault);
}

/* The kernel does not count root's. */
static void check_processes(struct config_reader *reader, const char *path,
                            const config_setting_t *group, const struct config_program *program) {
        const config_setting_t *limits = config_setting_get_member(group, "limits");
        const struct run_as *user = program->spec.user;
        bool is_own = !program->user && !program->group;

        if (program->limits.processes > 0 &&
            ((is_own && geteuid() == 0) || (user && user->uid == 0)))
                config_reader_warn(reader, config_setting_get_member(limits, "processes"), path,
                                   "limits.processes",
                                   "it limits nothing, as the program runs as root");
}

/* Whether a start can be asked for. */
static void check_size(struct config_reader *reader, const char *path,
                       const config_setting_t *group, const struct program_spec *spec) {
        char *record = malloc(SPAWNER_RECORD_MAX); /* nobody reads it */
        size_t length = 0;
        int r = record ? spawner_wire_start(record, spec, NULL, 0, 0, false, &length) : -ENOMEM;

        free(record);
        if (r == -ENOMEM)
                reader->error = r;
        else if (r == -E2BIG || length > SPAWNER_RECORD_MAX - RECORD_ROOM)
                config_reader_complain(
                        reader, config_setting_get_member(group, "exec"), path, "exec",
                        "the arguments and the environment are too large; expected "
                        "at most %d arguments, and %dK in all",
                        SPAWNER_ARGUMENTS_MAX, (SPAWNER_RECORD_MAX - RECORD_ROOM) / 1024);
}

void config_program_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, struct config_program *program) {
        const struct config_program_limits *limits = &program->limits;
        const config_setting_t *exec = config_setting_get_member(group, "exec");
        size_t n_errors = reader->errors->n_lines;

        if (program->exec)
                check_exec(reader, path, exec, program->exec);
        check_directory(reader, path, group, program);
        if (split_user(reader, path, group, program) && reader->error == 0)
                find_user(reader, path, group, program);
        check_processes(reader, path, group, program);
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
        else if (program->exec && program->exec[0] && reader->errors->n_lines == n_errors)
                check_size(reader, path, group, &program->spec);
}

void config_program_release(struct config_program *program) {
        program->spec.environment = config_strings_free(program->spec.environment);
        program->spec.user = run_as_free(program->spec.user);
}

void config_program_deinit(struct config_program *program) {
        config_program_release(program);
        config_strings_free(program->exec);
        config_strings_free(program->environment);
        free(program->user);
        free(program->group);
        free(program->directory);
        *program = (struct config_program){.exec = NULL};
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
