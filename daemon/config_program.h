/* A program in the configuration: what is run, as whom, with what and for how long.
 *
 * The keys stand among others in the group of whoever runs it; CONFIG_PROGRAM_KEYS are their rows.
 */
#pragma once

#include "daemon/config_table.h"
#include "daemon/program_spec.h"

struct config_program_limits {
        uint64_t open_files, processes, memory, cpu_ms; /* 0: none */
};

struct config_program {
        char **exec; /* the program and its arguments, NULL at the end */
        char *user, *group;
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

/* Rows for the program `member` of struct `name`. timeout: the default, as text. */
#define CONFIG_PROGRAM_KEYS(name, member, timeout)                                                 \
        {"exec",                                                                                   \
         CONFIG_STRINGS,                                                                           \
         CONFIG_FIELD(name, member.exec),                                                          \
         .is_required = true,                                                                      \
         .check = config_program_is_word,                                                          \
         .expected = "a program and its arguments"},                                               \
                {"user", CONFIG_STRING, CONFIG_FIELD(name, member.user),                           \
                 .check = config_program_is_word, .expected = "a user"},                           \
                {"group", CONFIG_STRING, CONFIG_FIELD(name, member.group),                         \
                 .check = config_program_is_word, .expected = "a group"},                          \
                {"environment", CONFIG_STRINGS, CONFIG_FIELD(name, member.environment),            \
                 .check = config_program_is_variable,                                              \
                 .expected = "variables, \"NAME=value\", whose names do not begin with SOCKD_"},   \
                {"directory", CONFIG_STRING, CONFIG_FIELD(name, member.directory),                 \
                 .check = config_program_is_path, .expected = "an absolute path"},                 \
                {"limits", CONFIG_TABLE, CONFIG_FIELD(name, member.limits),                        \
                 .table = &config_program_limits_table},                                           \
                {"timeout",                                                                        \
                 CONFIG_DURATION,                                                                  \
                 CONFIG_FIELD(name, member.timeout_ms),                                            \
                 .minimum = 1,                                                                     \
                 .maximum = UINT64_C(86400000),                                                    \
                 .fallback = (timeout)},                                                           \
        {                                                                                          \
                "grace", CONFIG_DURATION, CONFIG_FIELD(name, member.grace_ms),                     \
                        .maximum = UINT64_C(3600000), .fallback = "1s"                             \
        }

/* Makes the spec, and complains about what cannot be run; warns of a program that is not there.
 * Part of the check of the group. is_whole: nothing in it is wrong so far. */
void config_program_check(struct config_reader *reader, const char *path,
                          const config_setting_t *group, struct config_program *program,
                          bool is_whole);

/* Frees what the rows do not know of. */
void config_program_release(struct config_program *program);

/* Whether both are run in the same way. */
bool config_program_is_equal(const struct config_program *a, const struct config_program *b);

/* Whether two lists have the same strings; NULL is an empty one. */
bool config_program_same_strings(char *const *a, char *const *b);
