/* The services of the configuration. */
#pragma once

#include <stdbool.h>

struct config;
struct config_reader;
struct config_setting_t;
struct config_table;

/* Which of the built-in services there are, and where. */
struct config_builtin_services {
        bool echo, time, info;
        char **accounts; /* NULL at the end; NULL: the default one */
};

/* Describes struct config_builtin_services. */
extern const struct config_table config_builtin_services_table;

/* Complains about accounts that there are not. group: the whole file. */
void config_services_check(struct config_reader *reader, const struct config_setting_t *group,
                           const struct config *config);
