/* A program in the configuration: what is run, as whom, with what and for how long.
 *
 * The keys stand among others in the group of whoever runs it; CONFIG_PROGRAM_KEYS are their rows.
 */
#pragma once

#include "daemon/program_spec.h"

#include <stdbool.h>

struct config_place;
struct config_reader;
struct config_setting_t;
struct config_table;

struct config_program_limits {
        uint64_t open_files, processes, memory, cpu_ms; /* 0: none */
};

struct config_program {
        char **exec;        /* the program and its arguments, NULL at the end */
        char *user, *group; /* user: "USER" or "USER:GROUP"; NULL: not given */
        char **environment; /* "NAME=value", NULL at the end; NULL: nothing is added */
        char *directory;
        struct config_program_limits limits;
        uint64_t timeout_ms, grace_ms;
        struct program_spec spec; /* what is made of all this, and refers to it; environment and
                                   * user are its own */
};

extern const struct config_table config_program_limits_table;

/* Checks of rows, and what they expect. */
bool config_program_is_word(const char *text);
bool config_program_is_variable(const char *text);
bool config_program_is_path(const char *text);

/* Rows for the program `member` of struct `name` that are the same for all. */
#define CONFIG_PROGRAM_COMMON_KEYS(name, member)                                                   \
        {"user", CONFIG_STRING, CONFIG_FIELD(name, member.user), .check = config_program_is_word,  \
         .expected = "a user"},                                                                    \
                {"environment", CONFIG_OTHER, CONFIG_FIELD(name, member.environment),              \
                 .read = config_program_read_environment,                                          \
                 .release = config_program_release_environment},                                   \
                {"directory", CONFIG_STRING, CONFIG_FIELD(name, member.directory),                 \
                 .check = config_program_is_path, .expected = "an absolute path"},                 \
                {"limits", CONFIG_TABLE, CONFIG_FIELD(name, member.limits),                        \
                 .table = &config_program_limits_table},                                           \
        {                                                                                          \
                "grace", CONFIG_DURATION, CONFIG_FIELD(name, member.grace_ms),                     \
                        .maximum = UINT64_C(3600000), .fallback = "1s"                             \
        }

/* All rows. timeout: the default, as text. */
#define CONFIG_PROGRAM_KEYS(name, member, timeout)                                                 \
        {"exec",                                                                                   \
         CONFIG_STRINGS,                                                                           \
         CONFIG_FIELD(name, member.exec),                                                          \
         .is_required = true,                                                                      \
         .check = config_program_is_word,                                                          \
         .expected = "a program and its arguments"},                                               \
                {"group", CONFIG_STRING, CONFIG_FIELD(name, member.group),                         \
                 .check = config_program_is_word, .expected = "a group"},                          \
                {"timeout",                                                                        \
                 CONFIG_DURATION,                                                                  \
                 CONFIG_FIELD(name, member.timeout_ms),                                            \
                 .minimum = 1,                                                                     \
                 .maximum = UINT64_C(86400000),                                                    \
                 .fallback = (timeout)},                                                           \
                CONFIG_PROGRAM_COMMON_KEYS(name, member)

/* Reads the environment: [ "NAME=value", ... ] or { NAME = "value"; ... }; and frees it. */
void config_program_read_environment(const struct config_place *place);
void config_program_release_environment(void *field);

/* Makes the spec, and complains about what cannot be run; warns of a program and of a directory
 * that are not there. Part of the check of the group, whatever of it could be read. */
void config_program_check(struct config_reader *reader, const char *path,
                          const struct config_setting_t *group, struct config_program *program);

/* Frees what the rows do not know of; all that it has. */
void config_program_release(struct config_program *program);
void config_program_deinit(struct config_program *program);

/* Whether both are run in the same way. */
bool config_program_is_equal(const struct config_program *a, const struct config_program *b);

/* Whether two lists have the same strings; NULL is an empty one. */
bool config_program_same_strings(char *const *a, char *const *b);
