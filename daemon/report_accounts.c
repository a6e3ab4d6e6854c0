/* Accounts, as JSON: what the configuration says of them, and who is there. See report.h. */
#include "daemon/report.h"

#include <string.h>

static json_t *export_object(const struct config_export *export) {
        json_t *object = json_pack("{s:o, s:s}", "subject",
                                   report_text(export->stream ? export->stream : export->service),
                                   "type", export->stream ? "stream" : "service");
        json_t *names;

        if (!export->accounts)
                return object;
        names = json_array();
        for (char **name = export->accounts; *name; name++)
                json_array_append_new(names, json_string(*name));
        json_object_set_new(object, "approved_accounts", names);
        return object;
}

static json_t *import_object(const struct config_import *import) {
        return json_pack("{s:o, s:s, s:o, s:s}", "subject",
                         report_text(config_import_subject(import)), "account", import->account,
                         "local_subject", report_text(import->to), "type",
                         import->stream ? "stream" : "service");
}

/* described: what the configuration says of it, NULL: nothing. */
static json_t *account_object(const struct instance *instance, const struct account *account,
                              const struct config_account *described) {
        return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I}", "account_name", account->name,
                         "is_system", &account->bus == instance->system_bus, "client_connections",
                         (json_int_t)atomic_load(&account->bus.n_clients), "subscriptions",
                         (json_int_t)bus_count(&account->bus), "num_exports",
                         (json_int_t)(described ? described->n_exports : 0), "num_imports",
                         (json_int_t)(described ? described->n_imports : 0));
}

/* The same with all that it exports and imports. */
static json_t *account_detail(const struct instance *instance, const struct account *account,
                              const struct config_account *described) {
        json_t *object = account_object(instance, account, described);
        json_t *exports = json_array(), *imports = json_array();

        for (size_t i = 0; described && i < described->n_exports; i++)
                json_array_append_new(exports, export_object(&described->exports[i]));
        for (size_t i = 0; described && i < described->n_imports; i++)
                json_array_append_new(imports, import_object(&described->imports[i]));
        json_object_set_new(object, "exports", exports);
        json_object_set_new(object, "imports", imports);
        return object;
}

/* Whether an account is still one, or somebody is left there. */
static bool is_shown(const struct instance *instance, const struct account *account,
                     const struct config_account *described) {
        return described || &account->bus == instance->bus ||
               &account->bus == instance->system_bus || atomic_load(&account->bus.n_clients) > 0;
}

static json_t *head(const struct instance *instance) {
        return json_pack("{s:s, s:o, s:s}", "server_id", instance->id, "now", report_now(),
                         "system_account", instance->system_bus->account);
}

json_t *report_accounts(struct server *server) {
        const struct instance *instance = &server->instance;
        json_t *data = head(instance), *names = json_array(), *details = json_array();

        for (struct account *account = accounts_first(&server->accounts); account;
             account = account->next) {
                const struct config_account *described =
                        config_find_account(server->config, account->name);

                if (!is_shown(instance, account, described))
                        continue;
                /* The list has the last one first. */
                json_array_insert_new(names, 0, json_string(account->name));
                json_array_insert_new(details, 0, account_object(instance, account, described));
        }
        json_object_set_new(data, "accounts", names);
        json_object_set_new(data, "account_details", details);
        return data;
}

json_t *report_account(struct server *server, const char *name) {
        const struct instance *instance = &server->instance;
        const struct account *account = accounts_first(&server->accounts);
        json_t *data;

        while (account && strcmp(account->name, name) != 0)
                account = account->next;
        if (!account)
                return NULL;
        data = head(instance);
        json_object_set_new(
                data, "account_detail",
                account_detail(instance, account, config_find_account(server->config, name)));
        return data;
}
