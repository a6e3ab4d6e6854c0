/* Names and nkeys. See config_names.h. */
#include "daemon/config_names.h"

#include "daemon/config_accounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An account or a user, of whom some things have to be unique. */
struct element {
        const char *name;                /* NULL: it has none */
        const struct nkey_public *nkey;  /* the same */
        const config_setting_t *setting; /* its group */
        size_t order;                    /* in the file */
        char path[CONFIG_PATH_MAX];
};

struct elements {
        struct element *all;
        size_t n;
};

/* Adds the elements of a list, as `fill` describes the i-th. A list of the wrong length or type was
 * not read at all. */
static void elements_add(struct config_reader *reader, struct elements *elements,
                         const config_setting_t *list, const char *path, const void *array,
                         size_t n,
                         void (*fill)(struct element *element, const void *array, size_t i)) {
        struct element *all;

        if (!list || n == 0 || n != (size_t)config_setting_length(list))
                return;
        all = reallocarray(elements->all, elements->n + n, sizeof(*all));
        if (!all) {
                reader->error = -ENOMEM;
                return;
        }
        elements->all = all;
        for (size_t i = 0; i < n; i++) {
                struct element *element = &all[elements->n];

                *element = (struct element){.order = elements->n++};
                fill(element, array, i);
                element->setting = config_setting_get_elem(list, (unsigned)i);
                snprintf(element->path, sizeof(element->path), "%.40s[%zu]", path, i);
        }
}

static void fill_account(struct element *element, const void *array, size_t i) {
        element->name = ((const struct config_account *)array)[i].name;
}

static void fill_user(struct element *element, const void *array, size_t i) {
        static const struct nkey_public unread; /* what is wrong was complained of already */
        const struct config_user *user = &((const struct config_user *)array)[i];
        bool has_nkey = user->has_nkey && memcmp(&user->nkey, &unread, sizeof(unread)) != 0;

        element->name = user->name;
        element->nkey = has_nkey ? &user->nkey : NULL;
}

static int compare_names(const struct element *a, const struct element *b) {
        return a->name && b->name ? strcmp(a->name, b->name)
                                  : (a->name != NULL) - (b->name != NULL);
}

static int compare_nkeys(const struct element *a, const struct element *b) {
        return a->nkey && b->nkey ? memcmp(a->nkey, b->nkey, sizeof(*a->nkey))
                                  : (a->nkey != NULL) - (b->nkey != NULL);
}

static int compare_orders(const struct element *a, const struct element *b) {
        return (a->order > b->order) - (a->order < b->order);
}

/* Those that are the same are in the order of the file. */
static int sort_by_name(const void *a, const void *b) {
        int r = compare_names(a, b);

        return r != 0 ? r : compare_orders(a, b);
}

static int sort_by_nkey(const void *a, const void *b) {
        int r = compare_nkeys(a, b);

        return r != 0 ? r : compare_orders(a, b);
}

static void check_names_of(struct config_reader *reader, struct elements *elements) {
        const struct element *first = elements->all;

        if (elements->n > 0)
                qsort(elements->all, elements->n, sizeof(*elements->all), sort_by_name);
        for (size_t i = 1; i < elements->n; i++) {
                const struct element *element = &elements->all[i];

                if (compare_names(first, element) != 0)
                        first = element;
                else if (element->name)
                        config_reader_complain(
                                reader, config_setting_get_member(element->setting, "name"),
                                element->path, "name", "found \"%s\", which %s has already",
                                element->name, first->path);
        }
}

static void check_nkeys_of(struct config_reader *reader, struct elements *elements) {
        const struct element *first = elements->all;

        if (elements->n > 0)
                qsort(elements->all, elements->n, sizeof(*elements->all), sort_by_nkey);
        for (size_t i = 1; i < elements->n; i++) {
                const struct element *element = &elements->all[i];

                if (compare_nkeys(first, element) != 0)
                        first = element;
                else if (element->nkey)
                        config_reader_complain(
                                reader, config_setting_get_member(element->setting, "nkey"),
                                element->path, "nkey", "it is that of %s", first->path);
        }
}

void config_names_check(struct config_reader *reader, const config_setting_t *group,
                        const struct config *config) {
        const config_setting_t *list = config_setting_get_member(group, "accounts");
        struct elements accounts = {NULL, 0}, users = {NULL, 0};
        char path[CONFIG_PATH_MAX];

        elements_add(reader, &accounts, list, "accounts", config->accounts, config->n_accounts,
                     fill_account);
        elements_add(reader, &users, config_setting_get_member(group, "users"), "users",
                     config->users, config->n_users, fill_user);
        for (size_t i = 0; i < config->n_accounts; i++) {
                const struct config_account *account = &config->accounts[i];
                const config_setting_t *setting = config_accounts_setting(group, i);

                if (!setting || !config_setting_is_group(setting))
                        continue;
                snprintf(path, sizeof(path), "accounts[%zu].users", i);
                elements_add(reader, &users, config_setting_get_member(setting, "users"), path,
                             account->users, account->n_users, fill_user);
        }
        check_names_of(reader, &accounts);
        check_names_of(reader, &users);
        check_nkeys_of(reader, &users);
        free(accounts.all);
        free(users.all);
}
