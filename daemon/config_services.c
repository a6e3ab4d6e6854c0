/* The services of the configuration. See config_services.h.
 *
 * They are read by a table, as other groups are, but each into memory of its own, which a service
 * that a reload leaves alone keeps beyond the configuration.
 */
#include "daemon/config_services.h"

#include "daemon/config_accounts.h"
#include "daemon/config_keys.h"
#include "daemon/config_program.h"
#include "daemon/config_table.h"
#include "lib/subject.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define SERVICES_MAX    1024
#define NAME_MAX_LENGTH 64
#define TEXT_MAX_LENGTH 256
#define SUBJECT_MAX     1024
#define PATH_MAX_LENGTH 32 /* of "services[1023]" */

/* What the built-in services' names and subjects begin with. */
#define BUILTIN_NAME     "sockd-"
#define BUILTIN_SUBJECTS BYTES("sockd.>")

/* --- the built-in ones ------------------------------------------------------------------------ */

static const struct config_key builtin_keys[] = {
        {"echo", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, echo), .fallback = "true"},
        {"time", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, time), .fallback = "true"},
        {"info", CONFIG_BOOL, CONFIG_FIELD(config_builtin_services, info), .fallback = "true"},
        {"accounts", CONFIG_STRINGS, CONFIG_FIELD(config_builtin_services, accounts),
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
};

const struct config_table config_builtin_services_table = {
        .keys = builtin_keys,
        .n_keys = ARRAY_SIZE(builtin_keys),
        .size = sizeof(struct config_builtin_services),
};

/* --- one service ------------------------------------------------------------------------------ */

/* A service as the table fills it: the program is in it. */
struct draft {
        struct config_service service; /* the first member */
        struct config_program program;
};

static bool is_name(const char *text) {
        size_t length = strlen(text);

        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
                        return false;
        return length > 0 && length <= NAME_MAX_LENGTH;
}

/* One that is not for everything, nor for what the server says. */
static bool is_subject(const char *text) {
        return strlen(text) <= SUBJECT_MAX && !strpbrk(text, " \t\r\n") &&
               !strchr("$*>", text[0]) && subject_is_valid(bytes_from_string(text));
}

static bool is_queue(const char *text) {
        return config_keys_is_name(text, TEXT_MAX_LENGTH, "");
}

static bool is_version(const char *text) {
        unsigned numbers[3];
        int n = 0;

        return sscanf(text, "%9u.%9u.%9u%n", &numbers[0], &numbers[1], &numbers[2], &n) == 3 &&
               text[n] == '\0' && strspn(text, "0123456789.") == (size_t)n;
}

static bool is_description(const char *text) {
        return strlen(text) <= TEXT_MAX_LENGTH;
}

/* "host.uptime" is "host-uptime". */
static char *name_of_subject(const char *subject) {
        char *name = strdup(subject);

        if (name && strlen(name) > NAME_MAX_LENGTH)
                name[NAME_MAX_LENGTH] = '\0';
        for (char *c = name; c && *c; c++)
                if (!isalnum((unsigned char)*c) && *c != '_')
                        *c = '-';
        return name;
}

static int parse_framing(const char *text) {
        if (strcmp(text, "line") == 0)
                return SERVICE_FRAMING_LINE;
        return strcmp(text, "length32") == 0 ? SERVICE_FRAMING_LENGTH32 : -EINVAL;
}

static void check_service(struct config_reader *reader, const char *path,
                          const config_setting_t *group, void *target, bool is_whole) {
        struct draft *draft = target;

        if (draft->service.subject && !config_setting_get_member(group, "name")) {
                draft->service.name = name_of_subject(draft->service.subject);
                if (!draft->service.name)
                        reader->error = -ENOMEM;
        }
        if (draft->service.concurrency == 0)
                draft->service.concurrency = draft->service.is_persistent ? 1 : 4;
        if (config_setting_get_member(group, "framing") && !draft->service.is_persistent &&
            !config_reader_has_refused(reader, config_setting_get_member(group, "persistent")))
                config_reader_complain(reader, config_setting_get_member(group, "framing"), path,
                                       "framing", "only for programs that stay: persistent = true");
        config_program_check(reader, path, group, &draft->program);
}

static const struct config_key service_keys[] = {
        {"name", CONFIG_STRING, CONFIG_FIELD(draft, service.name), .check = is_name,
         .expected = "a name of at most 64 letters, digits, - and _"},
        {"subject", CONFIG_STRING, CONFIG_FIELD(draft, service.subject), .is_required = true,
         .check = is_subject,
         .expected = "a subject, such as \"host.uptime\", whose first word is no wildcard and does "
                     "not begin with $"},
        {"account", CONFIG_STRING, CONFIG_FIELD(draft, service.account),
         .check = config_accounts_is_name, .expected = CONFIG_ACCOUNT_EXPECTED},
        {"queue", CONFIG_STRING, CONFIG_FIELD(draft, service.queue), .check = is_queue,
         .fallback = "", .expected = "the name of a queue group, a word"},
        {"description", CONFIG_STRING, CONFIG_FIELD(draft, service.description),
         .check = is_description, .fallback = "", .expected = "a text of at most 256 bytes"},
        {"version", CONFIG_STRING, CONFIG_FIELD(draft, service.version), .check = is_version,
         .fallback = "1.0.0", .expected = "a version of three numbers, such as \"1.0.0\""},
        {"concurrency", CONFIG_INTEGER, CONFIG_FIELD(draft, service.concurrency), .minimum = 1,
         .maximum = 1024},
        {"backlog", CONFIG_INTEGER, CONFIG_FIELD(draft, service.backlog), .maximum = 65536,
         .fallback = "64"},
        {"persistent", CONFIG_BOOL, CONFIG_FIELD(draft, service.is_persistent),
         .fallback = "false"},
        {"framing", CONFIG_ENUM, CONFIG_FIELD(draft, service.framing), .parse = parse_framing,
         .fallback = "line", .expected = "\"line\" or \"length32\""},
        CONFIG_PROGRAM_KEYS(draft, program, "5s"),
};

static void release_draft(void *target) {
        struct draft *draft = target;

        config_program_release(&draft->program);
}

static const struct config_table service_table = {
        .keys = service_keys,
        .n_keys = ARRAY_SIZE(service_keys),
        .size = sizeof(struct draft),
        .check = check_service,
        .release = release_draft,
};

static struct config_service *config_service_new(void) {
        struct draft *draft = calloc(1, sizeof(*draft));

        if (!draft)
                return NULL;
        atomic_init(&draft->service.n_references, 1);
        draft->service.program = &draft->program;
        return config_table_default(&service_table, draft) < 0
                       ? config_service_unref(&draft->service)
                       : &draft->service;
}

struct config_service *config_service_ref(struct config_service *service) {
        atomic_fetch_add_explicit(&service->n_references, 1, memory_order_relaxed);
        return service;
}

struct config_service *config_service_unref(struct config_service *service) {
        if (!service ||
            atomic_fetch_sub_explicit(&service->n_references, 1, memory_order_acq_rel) > 1)
                return NULL;
        config_table_deinit(&service_table, service);
        free(service);
        return NULL;
}

static bool same_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

bool config_service_is_equal(const struct config_service *a, const struct config_service *b) {
        return strcmp(a->name, b->name) == 0 && strcmp(a->subject, b->subject) == 0 &&
               strcmp(a->queue, b->queue) == 0 && strcmp(a->description, b->description) == 0 &&
               strcmp(a->version, b->version) == 0 && same_text(a->account, b->account) &&
               a->is_persistent == b->is_persistent && a->framing == b->framing &&
               a->concurrency == b->concurrency && a->backlog == b->backlog &&
               config_program_is_equal(a->program, b->program);
}

/* --- the list --------------------------------------------------------------------------------- */

/* Reads one into a new place of the list. */
static void read_service(const struct config_place *place, const config_setting_t *group,
                         struct config_services *services) {
        struct config_service *service = config_service_new();
        char path[PATH_MAX_LENGTH], found[CONFIG_FOUND_MAX];

        if (!service) {
                place->reader->error = -ENOMEM;
                return;
        }
        snprintf(path, sizeof(path), "%s[%zu]", place->key->name, services->n);
        services->all[services->n++] = service;
        if (config_setting_is_group(group))
                config_table_read(place->reader, &service_table, path, group, service);
        else
                config_reader_complain(place->reader, group, path, NULL,
                                       "found %s, expected a group { ... }",
                                       config_value_describe(group, found));
}

void config_services_read(const struct config_place *place) {
        struct config_services *services = place->field;
        int n = config_setting_length(place->setting);

        if (!config_setting_is_list(place->setting)) {
                config_value_refuse(place, "expected a list of groups ( { ... }, { ... } )");
                return;
        }
        if (n > SERVICES_MAX) {
                config_reader_complain(place->reader, place->setting, place->path, place->key->name,
                                       "found a list of %d, expected at most %d services", n,
                                       SERVICES_MAX);
                return;
        }
        services->all = calloc((size_t)n + 1, sizeof(struct config_service *));
        if (!services->all) {
                place->reader->error = -ENOMEM;
                return;
        }
        for (int i = 0; i < n && place->reader->error == 0; i++)
                read_service(place, config_setting_get_elem(place->setting, (unsigned)i), services);
}

void config_services_release(void *field) {
        struct config_services *services = field;

        for (size_t i = 0; i < services->n; i++)
                config_service_unref(services->all[i]);
        free(services->all);
}

/* --- what does not fit together --------------------------------------------------------------- */

/* A service on its way through the checks. */
struct service_place {
        const struct config_service *service;
        const config_setting_t *setting;
        char path[PATH_MAX_LENGTH];
};

static void refuse(struct config_reader *reader, const struct service_place *place, const char *key,
                   const char *found, const char *why) {
        const config_setting_t *setting = config_setting_get_member(place->setting, key);

        config_reader_complain(reader, setting ? setting : place->setting, place->path, key,
                               "found \"%s\", %s", found, why);
}

static void check_name(struct config_reader *reader, const struct service_place *place,
                       const struct config_services *services, size_t i) {
        char why[PATH_MAX_LENGTH + 64];

        if (!place->service->name)
                return; /* what is wrong has been said */
        if (strncmp(place->service->name, BUILTIN_NAME, strlen(BUILTIN_NAME)) == 0)
                refuse(reader, place, "name", place->service->name,
                       "but names that begin with sockd- are for built-in services");
        for (size_t k = 0; k < i; k++) {
                if (!services->all[k]->name ||
                    strcmp(services->all[k]->name, place->service->name) != 0)
                        continue;
                snprintf(why, sizeof(why), "which services[%zu] has already; expected another name",
                         k);
                refuse(reader, place, "name", place->service->name, why);
        }
}

static void check_place(struct config_reader *reader, const struct config *config, size_t i,
                        const struct service_place *place) {
        const struct config_service *service = place->service;

        check_name(reader, place, &config->services, i);
        if (service->subject &&
            subject_overlaps(bytes_from_string(service->subject), BUILTIN_SUBJECTS))
                refuse(reader, place, "subject", service->subject,
                       "but sockd.> is for built-in services");
}

static void check_account(struct config_reader *reader, const struct config *config,
                          const struct service_place *place) {
        const struct config_service *service = place->service;

        if (service->account && !config_accounts_exists(config, service->account))
                config_accounts_refuse_unknown(reader,
                                               config_setting_get_member(place->setting, "account"),
                                               place->path, "account", service->account);
}

static void check_builtins(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config) {
        const config_setting_t *setting = config_setting_get_member(group, "builtin_services");

        for (char **names = config->builtin_services.accounts; names && *names; names++)
                if (!config_accounts_exists(config, *names))
                        config_accounts_refuse_unknown(
                                reader, config_setting_get_member(setting, "accounts"),
                                "builtin_services", "accounts", *names);
}

void config_services_check(struct config_reader *reader, const config_setting_t *group,
                           const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "services");
        const struct config_services *services = &config->services;

        bool has_accounts = config_accounts_are_read(group, config);

        if (has_accounts)
                check_builtins(reader, group, config);
        for (size_t i = 0; i < services->n; i++) {
                struct service_place place = {
                        .service = services->all[i],
                        .setting = config_setting_get_elem(list, (unsigned)i),
                };

                snprintf(place.path, sizeof(place.path), "services[%zu]", i);
                check_place(reader, config, i, &place);
                if (has_accounts)
                        check_account(reader, config, &place);
        }
}
