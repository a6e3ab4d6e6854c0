/* The services of the configuration. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct config_place;
struct config_program;
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

/* Where a request or an answer of a program that stays begins and ends. */
enum service_framing {
        SERVICE_FRAMING_LINE,     /* LF */
        SERVICE_FRAMING_LENGTH32, /* its length is in front of it, big-endian */
};

/* A service that a program answers. It never changes; whoever runs it has a reference. */
struct config_service {
        _Atomic unsigned n_references;
        char *name; /* unique; letters, digits, _ and - */
        char *subject, *queue, *description, *version;
        char *account;                  /* NULL: the default one */
        struct config_program *program; /* owned */
        bool is_persistent;             /* the program stays */
        int framing;                    /* enum service_framing; of one that stays */
        unsigned concurrency;           /* how many requests are answered at a time */
        unsigned backlog;               /* how many more wait */
};

/* All of them. */
struct config_services {
        struct config_service **all; /* owned, with a reference each */
        size_t n;
};

/* For the row: reads the list, and frees it. */
void config_services_read(const struct config_place *place);
void config_services_release(void *field);

struct config_service *config_service_ref(struct config_service *service);
/* NULL is allowed. Returns NULL. Any thread. */
struct config_service *config_service_unref(struct config_service *service);

/* Whether both are the same service, answered in the same way. */
bool config_service_is_equal(const struct config_service *a, const struct config_service *b);

/* Complains about accounts that there are not, and about names and subjects that are taken. group:
 * the whole file, of which not all may have been read. */
void config_services_check(struct config_reader *reader, const struct config_setting_t *group,
                           const struct config *config);
